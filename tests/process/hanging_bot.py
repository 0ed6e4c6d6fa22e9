"""The bot, in which a signal makes the event loop hang: in Python, or in C with the lock held."""

import re
import signal
import sys
import time

from bot import watchdog
from bot.__main__ import main

# Fewer ticks and seconds than in earnest, so that nobody waits for the tests.
watchdog.HANGS_AFTER = 3
watchdog.TICK = 0.2
watchdog.LOCKED_AFTER = 1.0


def sleep(*_: object) -> None:
    time.sleep(3600)


def match(*_: object) -> None:
    re.match("(a+)+b", "a" * 64)  # would take longer than the universe is old


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, sleep)
    signal.signal(signal.SIGUSR2, match)
    sys.exit(main())
