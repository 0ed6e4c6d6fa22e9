"""What ends the playground."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bot.playground.process import BotProcess
from bot.playground.run import ENDING, STOP_SIGNALS, stop_signals


class NoBot(BotProcess):
    """Never started; it says when it was to be killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__([], environment={}, folder=folder, heard=print)
        self.killed = asyncio.Event()

    def kill(self) -> None:
        self.killed.set()


async def test_the_first_signal_ends_and_the_second_kills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot = NoBot(tmp_path)
    stopped = stop_signals(bot)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stopped.wait(), 5)
        before = bot.killed.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(bot.killed.wait(), 5)
    finally:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    assert not before
    assert capsys.readouterr().err == f"{ENDING}\n"
