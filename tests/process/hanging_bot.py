"""The bot, in which a signal makes the event loop hang: in Python, or in C with the lock held.

Only then does the watchdog hurry, so that nobody waits for the tests, and a slow start is no hang.
"""

import re
import signal
import sys
import time

from bot import watchdog
from bot.__main__ import main


def hurry(*_: object) -> None:
    watchdog.HANGS_AFTER = 3


def sleep(*_: object) -> None:
    hurry()
    time.sleep(3600)


def match(*_: object) -> None:
    watchdog.LOCKED_AFTER = 1.0
    time.sleep(2 * watchdog.TICK)  # the next tick has taken notice
    re.match("(a+)+b", "a" * 64)  # would take longer than the universe is old


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, sleep)
    signal.signal(signal.SIGUSR2, match)
    signal.signal(signal.SIGHUP, hurry)
    sys.exit(main())
