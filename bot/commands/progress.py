"""A bar on a terminal for what takes long."""

import sys
import time
from typing import TextIO

PATIENCE = 0.4  # seconds in which nobody misses it
WIDTH = 24


class Progress:
    """One line on standard error, and only where somebody looks at it."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._is_seen = stream.isatty()
        self._starts = time.monotonic() + PATIENCE
        self._is_shown = False

    def show(self, what: str, done: int, of: int) -> None:
        if not self._is_seen or time.monotonic() < self._starts:
            return
        filled = WIDTH * done // max(1, of)
        bar = "#" * filled + "." * (WIDTH - filled)
        self._stream.write(f"\r[{bar}] {what}: {done} of {of}\x1b[K")
        self._stream.flush()
        self._is_shown = True

    def clear(self) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_shown = False
