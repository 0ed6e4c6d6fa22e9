"""The bot as an operator starts it: a process with a clean environment, and local servers."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.playground.process import inherited
from bot.playground.slack import LocalSlack
from tests import forkserver

STARTS_WITHIN = 30.0  # seconds, on a machine under load

FASTER_THAN_PEOPLE = {"QUESTIONS_PER_MINUTE": "0"}  # so tests ask, as one person


@dataclass
class BotProcess:
    process: asyncio.subprocess.Process | forkserver.Child
    folder: Path
    lines: list[str] = field(default_factory=list)  # what it logged
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def events(self, name: str) -> list[dict[str, str]]:
        """The fields of all log lines of one event, in text or JSON."""
        in_json = [json.loads(line) for line in self.lines if line.startswith('{"time"')]
        found = [line for line in self.lines if f" {name} " in f"{line} "]
        return [line for line in in_json if line["event"] == name] + [
            dict(re.findall(r"(\w+)=('[^']*'|\S+)", line)) for line in found
        ]

    async def says(self, name: str, *, times: int = 1) -> None:
        """Waits for log lines of that event."""
        async with asyncio.timeout(STARTS_WITHIN), self.news:
            await self.news.wait_for(lambda: len(self.events(name)) >= times)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals the process and waits for its end; its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


@asynccontextmanager
async def started(
    env: Mapping[str, str], *, folder: Path | None = None, module: str = "bot"
) -> AsyncIterator[BotProcess]:
    """The process, whatever becomes of it; nothing of the developer's environment reaches it."""
    with tempfile.TemporaryDirectory() as own:
        place = folder or Path(own)
        process = await _start(
            module, inherited(os.environ) | FASTER_THAN_PEOPLE | dict(env), place
        )
        bot = BotProcess(process, place)
        reading = asyncio.create_task(_read(bot))
        try:
            yield bot
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading


@asynccontextmanager
async def running(
    slack: LocalSlack,
    base_url: str,
    *,
    folder: Path | None = None,
    module: str = "bot",
    **env: str,
) -> AsyncIterator[BotProcess]:
    """The process, connected to the local Slack by Socket Mode, with the model at ``base_url``.

    ``module`` may be another program that reads the same environment.
    """
    settings = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_BASE_URL": base_url,
        **env,
    }
    async with started(settings, folder=folder, module=module) as bot:
        connected = asyncio.create_task(_until_connected(slack))
        died = asyncio.create_task(bot.process.wait())
        await asyncio.wait({connected, died}, return_when=asyncio.FIRST_COMPLETED)
        if not connected.done():
            connected.cancel()
            raise AssertionError(f"The bot ended with status {died.result()}:\n{bot.log}")
        died.cancel()
        connected.result()
        yield bot


async def _start(
    module: str, env: dict[str, str], folder: Path
) -> asyncio.subprocess.Process | forkserver.Child:
    if _starts.server:
        return await _starts.server.start(module, env=env, folder=folder)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module), env=env, cwd=folder, stderr=asyncio.subprocess.PIPE
    )


@dataclass
class _Starts:
    server: forkserver.ForkServer | None = None


_starts = _Starts()


@contextmanager
def quick_starts() -> Iterator[None]:
    """Bots begin with all imported while the context lasts, where the system allows it."""
    if not forkserver.IS_POSSIBLE:
        yield
        return
    with forkserver.fork_server() as _starts.server:
        try:
            yield
        finally:
            _starts.server = None


async def _until_connected(slack: LocalSlack) -> None:
    await slack.until(lambda: slack.connections, timeout=STARTS_WITHIN)


async def _read(bot: BotProcess) -> None:
    assert bot.process.stderr
    async for line in bot.process.stderr:
        async with bot.news:
            bot.lines.append(line.decode().rstrip())
            bot.news.notify_all()


async def command(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """``python -m bot`` with these words in an empty environment: its status and all it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        env=inherited(os.environ) | env,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()
