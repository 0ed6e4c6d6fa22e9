"""The bot's processes, kept running as a platform keeps them: one that ends is started again."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.bot_process import BotProcess, started

# Seconds until a process that ended by itself is started again.
PAUSE = 0.3

# Seconds that a process may take to end after SIGTERM: 20 for the answers, 5 for last words, and
# a little for the rest.
STOPS_WITHIN = 30.0


class Slot:
    """One process after the other, with the same environment in the same folder."""

    def __init__(self, number: int, env: Mapping[str, str], folder: Path) -> None:
        self.number = number
        self.lives: list[BotProcess] = []
        self.ends: list[int] = []  # the exit statuses; -9: killed
        self._env = env
        self._folder = folder
        self._back_after = PAUSE
        self._is_over = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self.lives[-1].process if self.lives else None
        return process.pid if process and process.returncode is None else None

    async def keep(self) -> None:
        while not self._is_over:
            async with started(self._env, folder=self._folder) as bot:
                self.lives.append(bot)
                if self._is_over:  # told so while it was being started
                    bot.process.kill()
                self.ends.append(await bot.process.wait())
            pause, self._back_after = self._back_after, PAUSE
            if not self._is_over:
                await asyncio.sleep(pause)

    def kill(self, *, back_after: float = PAUSE) -> bool:
        """Whether there was a process to kill."""
        if not self._signal(signal.SIGKILL):
            return False
        self._back_after = back_after
        return True

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    async def freeze(self, seconds: float) -> None:
        """One process; not the next, should it be killed meanwhile."""
        frozen = self.pid
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if self.pid == frozen:
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """As at a planned stop; no process comes after it."""
        self._is_over = True
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> bool:
        if self.pid is None:
            return False
        with suppress(ProcessLookupError):
            self.lives[-1].process.send_signal(number)
        return True


class Fleet:
    """The slots of one bot."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = slots
        self.stragglers: list[int] = []  # slots whose process had to be killed at the end
        self._keeping = {slot: asyncio.create_task(slot.keep()) for slot in slots}

    @property
    def ends(self) -> Counter[int]:
        """How often processes ended with which status."""
        return Counter(status for slot in self.slots for status in slot.ends)

    @property
    def lines(self) -> list[str]:
        """All that was logged, by slot and life."""
        return [line for slot in self.slots for life in slot.lives for line in life.lines]

    async def stop(self) -> None:
        """SIGTERM for all; what does not end in time is killed and named."""
        for slot in self.slots:
            slot.end()
        _, late = await asyncio.wait(self._keeping.values(), timeout=STOPS_WITHIN)
        self.stragglers = [slot.number for slot, task in self._keeping.items() if task in late]
        await self.kill()

    async def kill(self) -> None:
        for slot in self.slots:
            slot.end()
            slot.kill()
        await asyncio.gather(*self._keeping.values())


@asynccontextmanager
async def fleet(environments: Sequence[Mapping[str, str]], folder: Path) -> AsyncIterator[Fleet]:
    """A process for each environment, all in one folder."""
    running = Fleet([Slot(number, env, folder) for number, env in enumerate(environments)])
    try:
        yield running
    finally:
        await running.kill()
