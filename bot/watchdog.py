"""Ends a process whose event loop hangs, so that it is started anew and others take over.

A hung process answers nobody, yet its connections stay open, and its work stays its own.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bot.logs import last_words, standing

log = logging.getLogger(__name__)

# Exit status, beside that of an error (1) and those of signals.
HUNG = 70  # EX_SOFTWARE in sysexits.h

TICK = 1.0  # seconds

# Ticks of the watching thread without a sign of the loop. No step of ours takes a tenth of one.
HANGS_AFTER = 15

# Seconds of the process's CPU time in which the watching thread could not tick at all: something
# holds the interpreter's lock (a regular expression without end, for one).
LOCKED_AFTER = 20.0

LAST_WORDS_WITHIN = 2.0  # seconds; what hangs may be whoever reads the log


@contextmanager
def watching() -> Iterator[None]:
    """Watches the running event loop while the context lasts."""
    watchdog = _Watchdog(asyncio.get_running_loop())
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


class _Watchdog(threading.Thread):
    """Asks the loop for a sign at each tick, and counts those without one.

    It counts its own ticks, not time: where the whole process was stopped for a while (SIGSTOP, a
    suspended machine), this thread was stopped too, and nothing has hung.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._loop = loop
        self._watched = threading.get_ident()
        self._has_answered = True
        self._is_over = threading.Event()

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def run(self) -> None:
        missed = 0
        with _last_resort(), suppress(RuntimeError):  # the latter: the loop is closed
            while not self._is_over.wait(TICK):
                _put_off_last_resort()
                missed = 0 if self._has_answered else missed + 1
                if missed >= HANGS_AFTER:
                    self._end_process()
                if self._has_answered:
                    self._has_answered = False
                    self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._has_answered = True

    def _end_process(self) -> None:
        saying = threading.Thread(target=self._say_where, daemon=True)
        saying.start()
        saying.join(LAST_WORDS_WITHIN)
        os._exit(HUNG)  # nothing that hangs can be wound down

    def _say_where(self) -> None:
        frame = sys._current_frames().get(self._watched)
        last_words(log, "loop.hangs", where=standing(frame) if frame else None)


@contextmanager
def _last_resort() -> Iterator[None]:
    """The system ends the process where even this thread cannot run any more.

    It counts CPU time, which does not pass in a process that is stopped. Before the end the place
    is written to standard error: files and lines. Not on Windows, which has no such timer.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    faulthandler.register(signal.SIGPROF, all_threads=False, chain=True)
    _put_off_last_resort()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.unregister(signal.SIGPROF)


def _put_off_last_resort() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, LOCKED_AFTER)
