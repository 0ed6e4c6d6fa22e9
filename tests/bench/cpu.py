"""What answers cost: CPU for each token, and the room that many answers at once take."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from statistics import median

from bot.playground.model import LocalModel
from bot.playground.model.exchanges import Request
from bot.playground.process import inherited
from tests.bench.measure import percentile
from tests.bench.stage import Finishes, Stage, running
from tests.bench.tables import Figure, in_ms

ANSWERS, TOKENS = 100, 1_000  # of the run at full speed
CROWD, RATE, CROWD_TOKENS = 500, 30.0, 1_500  # of the run with many at once
FIRST_TOKEN = 0.4  # seconds, of the local model
ASKED_WITHIN = 25.0  # seconds; taking a question costs much more than a token
STARTS_WITHIN = 10.0  # seconds after the last question
SAMPLE = 10.0  # seconds in which the CPU's share is taken
PACE = 0.05  # by how much a stream may be longer than the model's pace


async def full_speed() -> list[Figure]:
    """CPU of the whole process for each 1,000 tokens, as fast as they come."""
    async with running() as stage:
        finishes = await _warm(stage)
        before = stage.cpu()
        for number in range(ANSWERS):
            stage.slack.add_channel(f"load-{number}")
            await stage.ask(f"load-{number}", f"[[rate inf]] [[tokens {TOKENS}]]")
        await finishes.reach(ANSWERS + 1, within=120)
        used = (stage.cpu() - before) / (ANSWERS * TOKENS / 1_000)
    alone = await _sdk_alone() / (ANSWERS * TOKENS / 1_000)
    load = f"{ANSWERS} answers at full speed"
    return [
        Figure(f"CPU for 1,000 tokens, {load}", in_ms(used), "12 ms", used <= 0.012),
        Figure("CPU for 1,000 tokens, the OpenAI SDK's stream alone", in_ms(alone)),
    ]


async def _sdk_alone() -> float:
    """Seconds of CPU that the SDK takes for the same answers, in a process of its own."""
    async with LocalModel() as model:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.sdk_stream"),
            *(model.base_url, str(ANSWERS), str(TOKENS)),
            env=inherited(os.environ),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    return float(said)


async def many_at_once() -> list[Figure]:
    """So many answers at once, at a model's natural pace: do they keep it, and at what cost?"""
    async with running(at_once=CROWD + 1) as stage:
        await _warm(stage)
        memory = stage.memory()
        await _ask_crowd(stage)
        await _reached(lambda: _writing(stage) == CROWD, within=STARTS_WITHIN)
        share, own = await _sample(stage)
        memory = stage.memory() - memory
        running_at_once = _writing(stage)
        await _reached(lambda: _closed(stage) == CROWD, within=1.2 * CROWD_TOKENS / RATE)
        longer = [
            (request.closed_at or inf) - request.received_at - FIRST_TOKEN
            for request in _asked(stage)
        ]
    expected = CROWD_TOKENS / RATE
    typical, worst = median(longer) / expected - 1, percentile(longer, 100) / expected - 1
    room = memory / max(1, running_at_once) / 1024
    load = f"{CROWD} answers at {RATE:g} tokens/s"
    return [
        Figure(f"{load}: at once", str(running_at_once), str(CROWD), running_at_once == CROWD),
        Figure(f"{load}: CPU, of one core", f"{share:.0%}", "70 %", share < 0.7),
        # Near 100 % it is the local model that is too slow, and the rest says little of the bot.
        Figure(f"{load}: CPU of the bench's own servers", f"{own:.0%}"),
        Figure(f"{load}: longer than the pace, median", _percent(typical)),
        Figure(
            f"{load}: longer than the pace, worst", _percent(worst), f"{PACE:.0%}", worst < PACE
        ),
        Figure(f"{load}: memory for each", f"{room:.0f} KiB", "120 KiB", room <= 120),
    ]


async def _ask_crowd(stage: Stage) -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    for number in range(CROWD):
        await asyncio.sleep(start + number * ASKED_WITHIN / CROWD - clock())
        stage.slack.add_channel(f"load-{number}")
        await stage.ask(f"load-{number}", f"[[rate {RATE:g}]] [[tokens {CROWD_TOKENS}]]")


async def _sample(stage: Stage) -> tuple[float, float]:
    """The shares of one core that the bot and this process take."""
    clock = asyncio.get_running_loop().time
    began, before, own_before = clock(), stage.cpu(), time.process_time()
    await asyncio.sleep(SAMPLE)
    seconds = clock() - began
    return (stage.cpu() - before) / seconds, (time.process_time() - own_before) / seconds


async def _warm(stage: Stage) -> Finishes:
    """One answer, so that what is done once is not counted."""
    finishes = Finishes(stage.slack)
    await stage.ask("general", "[[say warm]]")
    await finishes.reach(1, within=10)
    return finishes


async def _reached(predicate: Callable[[], bool], *, within: float) -> None:
    """Waits for it in vain at most so many seconds.

    It asks now and then: after each of 15,000 tokens a second would be work of its own.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not predicate():  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def _percent(share: float) -> str:
    return "never ended" if share == inf else f"{share:.1%}"


def _writing(stage: Stage) -> int:
    return sum(0 < each.tokens_sent < CROWD_TOKENS for each in _asked(stage))


def _closed(stage: Stage) -> int:
    return sum(each.closed_at is not None for each in _asked(stage))


def _asked(stage: Stage) -> list[Request]:
    return [each for each in stage.model.requests if "rate" in each.question]
