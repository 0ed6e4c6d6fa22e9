"""A process whose event loop hangs ends itself; one that was only stopped goes on."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot import watchdog
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

MODULE = "tests.process.hanging_bot"


@asynccontextmanager
async def bot_that_can_hang() -> AsyncIterator[Stage]:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, module=MODULE) as bot,
    ):
        await bot.says("bot.started")
        yield Stage(slack, model, bot)


async def test_hung_process_says_where_and_ends() -> None:
    async with bot_that_can_hang() as stage:
        stage.bot.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(30):
            status = await stage.bot.process.wait()
            await stage.bot.says("loop.hangs")

    assert status == watchdog.HUNG
    assert (
        stage.bot.events("loop.hangs")[0]["where"].rpartition(">")[2].startswith("hanging_bot.py:")
    )


async def test_process_that_hangs_with_the_interpreter_locked_ends_too() -> None:
    async with bot_that_can_hang() as stage:
        stage.bot.process.send_signal(signal.SIGUSR2)
        async with asyncio.timeout(30):
            status = await stage.bot.process.wait()

    assert status == -signal.SIGPROF
    assert "hanging_bot.py" in stage.bot.log


async def test_process_that_was_stopped_goes_on() -> None:
    async with bot_that_can_hang() as stage:
        stage.bot.process.send_signal(signal.SIGHUP)
        stage.bot.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(5.0)  # more than the three ticks that it has from now on
        ts = await stage.ask("[[say still here]]")
        stage.bot.process.send_signal(signal.SIGCONT)

        assert await stage.whole(ts) == "still here"
        assert await stage.bot.stop() == 0
    assert stage.bot.events("loop.hangs") == []
