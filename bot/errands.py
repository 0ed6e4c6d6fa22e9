"""Work beside the answers, each piece in a task of its own that is not forgotten."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from bot.logs import broke

log = logging.getLogger(__name__)

T = TypeVar("T")


class Errands:
    """The tasks under way, so that the end of the process can wait for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begins it at once. What it raises is logged, whether somebody awaits it or not."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """Those under way."""
        return set(self._tasks)

    async def finished(self, *, within: float) -> bool:
        """Waits for what is under way, so many seconds at most; whether all is done."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._tasks:
                    await asyncio.wait(self.tasks)
        return not self._tasks

    async def abandon(self) -> None:
        tasks = self.tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            broke(log, "errand.broke", error)
