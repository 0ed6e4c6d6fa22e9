"""`python -m bot playground`: the servers, the bot and the page from one command."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from bot.__main__ import main
from bot.playground.process import inherited
from bot.playground.run import ENDING
from tests.bot_process import STARTS_WITHIN

Json = dict[str, Any]


@dataclass
class Playground:
    process: asyncio.subprocess.Process
    address: str
    http: aiohttp.ClientSession

    @asynccontextmanager
    async def window(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        origin = {"Origin": self.address.rstrip("/")}
        async with self.http.ws_connect(f"{self.address}live", headers=origin) as window:
            yield window

    async def do(self, verb: str, **wish: Any) -> Json:
        origin = {"Origin": self.address.rstrip("/")}
        async with self.http.post(f"{self.address}do/{verb}", json=wish, headers=origin) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def say(self, text: str) -> str:
        """Ana says it in #general; its ``ts``."""
        said = await self.do("say", user="U0ANA", channel="C0GENERAL", text=text)
        return str(said["ts"])

    async def bots_state(self, wanted: str) -> None:
        await self.sees(lambda change: change.get("bot", {}).get("state") == wanted)

    async def sees(self, wanted: Callable[[Json], bool]) -> Json:
        """The first change (or part of the first frame) in a new window that is wanted."""
        async with asyncio.timeout(STARTS_WITHIN), self.window() as window:
            async for frame in window:
                for change in _changes(frame.json()):
                    if wanted(change):
                        return change
        raise AssertionError("The page ended before.")


def _changes(frame: Json) -> list[Json]:
    if frame["type"] == "changes":
        return list(frame["changes"])
    return [{"bot": frame["bot"]}, *({"message": message} for message in frame["messages"])]


@asynccontextmanager
async def playground(folder: Path, *words: str) -> AsyncIterator[Playground]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "playground", "--port", "0", *words),
        env=inherited(os.environ),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            line = (await process.stdout.readline()).decode()
        address = re.search(r"http://[\w.]+:\d+/", line)
        assert address, line
        async with aiohttp.ClientSession() as http:
            yield Playground(process, address[0], http)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_a_mention_is_answered_and_a_killed_bot_starts_again_until_ctrl_c(
    tmp_path: Path,
) -> None:
    async with playground(tmp_path) as place:
        await place.bots_state("connected")
        ts = await place.say("@Bot [[say It works.]]")
        answer = await place.sees(lambda change: is_bots(change, "It works."))
        (bot,) = psutil.Process(place.process.pid).children()
        bot.kill()
        await place.bots_state("gone")
        await place.do("restart")
        await place.bots_state("connected")
        (bot,) = psutil.Process(place.process.pid).children()
        place.process.send_signal(signal.SIGINT)
        _, said = await place.process.communicate()

    assert answer["message"]["thread_ts"] == ts
    assert place.process.returncode == 0
    assert said.decode() == f"The bot's process was killed (signal 9).\n{ENDING}\n"
    assert not bot.is_running()
    assert os.listdir(tmp_path) == []


async def test_the_command_shows_what_was_used_and_what_it_would_cost(tmp_path: Path) -> None:
    async with playground(tmp_path) as place:
        await place.bots_state("connected")
        await place.say("@Bot [[say It works.]]")
        await place.sees(lambda change: is_bots(change, "It works."))

        await place.say("/llm usage")
        shown = await place.sees(lambda change: is_bots(change, "What you use"))

    assert shown["message"]["reader"] == "U0ANA"
    assert "$0.0" in shown["message"]["html"] or "nothing yet" in shown["message"]["html"]


def is_bots(change: Json, words: str) -> bool:
    message = change.get("message", {})
    return words in message.get("html", "") and message["user"] == "U0BOT"


async def test_listening_for_others_is_warned_of_and_ended_while_the_bot_starts(
    tmp_path: Path,
) -> None:
    async with playground(tmp_path, "--host", "0.0.0.0") as place:
        assert place.process.stdout
        elsewhere = (await place.process.stdout.readline()).decode()
        bots = psutil.Process(place.process.pid).children()
        place.process.send_signal(signal.SIGTERM)
        _, said = await place.process.communicate()

    assert place.address.startswith("http://127.0.0.1:")
    assert re.match(r"On other devices: http://(?!0\.0\.0\.0)[\w.-]+:\d+/", elsewhere)
    assert "whoever can reach this address can use it" in said.decode()
    assert "Traceback" not in said.decode()
    assert place.process.returncode == 0
    assert not any(bot.is_running() for bot in bots)


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What the command says when it ends with that status; a process of its own takes longer."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, status: int) -> str:
        try:
            ended = main(["playground", *words])
        except SystemExit as exit:
            ended = int(str(exit.code))
        assert ended == status
        return capsys.readouterr().err

    return run


def test_a_port_that_is_taken_is_said_in_words(say: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = say("--port", str(port), status=1)

    assert f"The playground cannot start. Port {port} of 127.0.0.1 is taken." in said


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_said_in_words(say: Callable[..., str], port: str) -> None:
    assert "a port is a number from 0 to 65535" in say(f"--port={port}", status=2)


def test_a_host_that_is_not_this_computers_is_said_in_words(say: Callable[..., str]) -> None:
    said = say("--port=0", "--host=no.such.host.invalid", status=1)

    assert "cannot listen at no.such.host.invalid" in said
