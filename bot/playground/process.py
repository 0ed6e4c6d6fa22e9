"""The bot as a child process: started, listened to, killed and started again, stopped."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LONGEST_LINE = 1024 * 1024  # bytes of one line on standard error

_LOG_LINE = re.compile(r"\S+Z (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?P<rest>.*)", re.DOTALL)
_QUIET = ("DEBUG", "INFO")


class BotDied(Exception):
    """The bot's process ended by itself; it said why on standard error."""


class BotProcess:
    """The process that ``command`` starts in ``folder``, with nothing but ``environment``.

    ``heard`` gets each line of its standard error. The ``listeners`` are called when it was
    started and when it ended. At the end it gets ``stops_within`` seconds, and then is killed.

        async with BotProcess(command, environment=..., folder=..., heard=print) as bot:
            await bot.while_it_lives(work())
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        heard: Callable[[str], None],
        stops_within: float = 5.0,
    ) -> None:
        self.heard: list[Callable[[str], None]] = [heard]
        self.listeners: list[Callable[[], None]] = []
        self._command = command
        self._environment = dict(environment)
        self._folder = folder
        self._stops_within = stops_within
        self._child: _Child | None = None
        self._turn = asyncio.Lock()  # of starting and ending
        self._over = False  # nothing is started any more

    async def __aenter__(self) -> Self:
        async with self._turn:
            await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Asks the process to stop, and gives it some time; none after a Ctrl-C."""
        async with self._turn:
            self._over = True
            child = self._living()
            try:
                if child.process.returncode is None and kind is not asyncio.CancelledError:
                    child.process.terminate()
                    await asyncio.wait([child.life], timeout=self._stops_within)
            finally:
                self.kill()
                await child.life

    @property
    def ended(self) -> str:
        """A sentence on its end; empty before the start and while it runs."""
        if self._child is None or not self._child.life.done():
            return ""
        return _end_in_words(self._child.life.result())

    def kill(self) -> None:
        """Ends it at once, if it runs."""
        if self._child is not None and self._child.process.returncode is None:
            self._child.process.kill()

    async def restart(self) -> None:
        """``kill -9``, then a new process: what a crash and the platform's restart come to."""
        async with self._turn:
            if not self._over:
                self.kill()
                await self._living().life
                await self._start()

    async def while_it_lives(self, work: Any) -> None:
        """Awaits ``work``. Raises ``BotDied`` when the process ends before."""
        life = self._living().life
        task = asyncio.ensure_future(work)
        await asyncio.wait({life, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            raise BotDied(self.ended)
        task.result()

    def _living(self) -> "_Child":
        assert self._child is not None, "It is to be started first."
        return self._child

    async def _start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            cwd=self._folder,
            stderr=subprocess.PIPE,
            process_group=0,  # a terminal's Ctrl-C is ours: the bot would take it for a second one
            limit=LONGEST_LINE,
        )
        life = asyncio.create_task(self._listen(process))
        self._child = _Child(process, life)
        life.add_done_callback(lambda _: self._tell())
        self._tell()

    async def _listen(self, process: asyncio.subprocess.Process) -> int:
        """Hands its lines on until it ends; returns its status."""
        assert process.stderr is not None
        while line := await _line(process.stderr):
            for heard in self.heard:
                heard(line.decode(errors="replace").rstrip())
        return await process.wait()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


@dataclass(frozen=True)
class _Child:
    process: asyncio.subprocess.Process
    life: asyncio.Task[int]  # until its end; its exit status


def _end_in_words(status: int) -> str:
    how = f"ended with status {status}" if status >= 0 else f"was killed (signal {-status})"
    return f"The bot's process {how}."


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end."""
    try:
        return await stream.readline()
    except ValueError:
        return b"(A line was too long to be read.)\n"


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What any process needs of its parent's environment, and nothing that configures the bot."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "SSL_CERT_FILE")
    root = str(Path(__file__).parent.parent.parent)
    return {name: environment[name] for name in kept if name in environment} | {
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])
    }


def log_line(line: str) -> tuple[str, str]:
    """The level of a line of the bot's log, and what follows it; no level: it is another line."""
    match = _LOG_LINE.fullmatch(line)
    return (match["level"], match["rest"]) if match else ("", line)


def matters(line: str) -> bool:
    """Whether an operator should read it: a warning, an error, or no log line at all."""
    return log_line(line)[0] not in _QUIET
