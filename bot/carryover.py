"""What one process has used of Slack's limits counts for the next one too.

Slack counts an app's calls, not a process's: one that was killed and starts anew would believe in
a whole minute's calls where none is left, be refused, and take that for the limit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from bot.errors import Transient
from bot.logs import event
from bot.window import Window

log = logging.getLogger(__name__)

# Seconds between two looks at what was called: as much of it a killed process forgets.
EVERY = 0.5


class Records(Protocol):
    """Every call may raise `Transient`."""

    async def load(self, windows: Mapping[str, Window]) -> None:
        """Has each adopt what was kept of it."""

    async def save(self, windows: Mapping[str, Window]) -> None: ...


class CarryOver:
    """Keeps ``windows`` for the next process, off the path of every call."""

    def __init__(self, windows: Mapping[str, Window], records: Records) -> None:
        self._windows = windows
        self._records = records
        self._marks = {name: window.mark for name, window in windows.items()}

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Inside, what is called is kept; at first, what the process before has left is adopted."""
        await self._recall()
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._save()

    async def _recall(self) -> None:
        try:
            await self._records.load(self._windows)
        except Transient as error:
            event(log, "calls.unknown", level=logging.WARNING, reason=error)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._save()

    async def _save(self) -> None:
        """What has changed since the last time. A database that is away misses it."""
        marks = {name: window.mark for name, window in self._windows.items()}
        changed = {name for name, mark in marks.items() if mark != self._marks[name]}
        if not changed:
            return
        try:
            await self._records.save({name: self._windows[name] for name in changed})
        except Transient as error:
            event(log, "calls.not_kept", level=logging.DEBUG, reason=error)
        else:
            self._marks = marks
