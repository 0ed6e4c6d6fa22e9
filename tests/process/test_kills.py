"""Processes that are killed, at chosen moments and by a question: nothing is lost.

Calls and streams are held where a moment is to last: by faults of the local Slack, which answer
long after the test, and by directives to the local model that hold once.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.errors import TriedTooOften
from bot.playground.model import Request
from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import STARTS_WITHIN, started
from tests.chaos.fleet import Slot
from tests.chaos.records import Records
from tests.postgres import Postgres
from tests.process.bots import TOKENS, WORDS, Bots, bots
from tests.process.test_control import press

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = 60.0  # seconds; longer than any of these tests

MOMENTS = (
    "before its post",
    "between its post and the record of it",
    "while it streams",
    "before its last edit",
    "after its last edit",
)


# Killed, at five moments


@dataclass
class Killed:
    """Five answers whose process was killed, each at its moment, and then another one ran."""

    bots: Bots
    asked: Mapping[str, str]  # the ts by the moment
    records: Records


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def killed(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Killed]:
    folder = tmp_path_factory.mktemp("killed")
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder}/bot.db"
        if request.param == "postgres":
            url = await stack.enter_async_context(postgres.database())
        place = await stack.enter_async_context(bots(url, folder))
        first = await place.start()
        asked = {moment: await ask_held(place, moment) for moment in MOMENTS}
        for moment, ts in asked.items():
            await reached(place, moment, ts)
        first.process.kill()
        await first.process.wait()
        await place.start()
        for ts in asked.values():
            await place.whole(ts)
        yield Killed(place, asked, await place.books())


async def ask_held(place: Bots, moment: str) -> str:
    """Asks what will be answered up to that moment, and no further."""
    orders = {
        "before its post": f"[[slow {HELD:.0f} 1]]",
        "while it streams": "[[stall 60 1]]",
    }
    channel = place.slack.add_channel(f"place-{len(place.places)}")
    faults = {
        "between its post and the record of it": (
            "chat.postMessage",
            Fault.slow(HELD, after=True),
            lambda args: args["channel"] == channel,
        ),
        "before its last edit": ("chat.update", Fault.slow(HELD), is_last_edit(channel)),
        "after its last edit": ("chat.update", Fault.slow(HELD, after=True), is_last_edit(channel)),
    }
    if moment in faults:
        method, fault, where = faults[moment]
        place.slack.faults.add(method, fault, where=where)
    order = orders.get(moment, "")
    # Slow enough for a post and an edit each, also where the machine is busy.
    return await place.ask(f"{moment} [[rate 25]] [[tokens {TOKENS}]] {order}", channel=channel)


def is_last_edit(channel: str) -> Callable[[Mapping[str, Any]], bool]:
    def where(args: Mapping[str, Any]) -> bool:
        payload = args["metadata"]["event_payload"]
        return args["channel"] == channel and payload["is_last"] is True

    return where


async def reached(place: Bots, moment: str, ts: str) -> None:
    held = {
        "before its post": lambda: bool(place.requests(moment)),
        "before its last edit": lambda: is_under_way(place.slack, "chat.update", place.places[ts]),
        "after its last edit": lambda: any(map(place._is_last, place.thread(ts))),
    }
    until = place.model.until if moment == "before its post" else place.slack.until
    await until(held.get(moment, lambda: bool(place.replies(ts))))


def is_under_way(slack: LocalSlack, method: str, channel: str) -> bool:
    return any(
        call.method == method and call.args["channel"] == channel and call.fault == "slow"
        for call in slack.calls
    )


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_answer_whose_process_was_killed_stands_there_whole_and_once(
    killed: Killed, moment: str
) -> None:
    (reply,) = killed.bots.replies(killed.asked[moment])

    assert reply.split() == WORDS


@pytest.mark.parametrize("moment", MOMENTS)
async def test_each_attempt_at_it_is_recorded_once(killed: Killed, moment: str) -> None:
    turn = killed.bots.turn(killed.asked[moment])
    asked = len(killed.bots.requests(moment))
    usage = killed.records.usage[turn]

    assert killed.records.turns[turn].outcome == "complete"
    assert [(row.attempt, row.outcome) for row in usage][-1] == (asked, "complete")
    assert [row.attempt for row in usage] == list(range(1, asked + 1))


async def test_what_had_its_last_edit_is_not_written_again(killed: Killed) -> None:
    assert len(killed.bots.requests("after its last edit")) == 1


@pytest.mark.parametrize("killed", ["sqlite"], indirect=True)
async def test_a_second_process_on_the_same_file_is_refused_in_words(killed: Killed) -> None:
    place = killed.bots
    async with started(place.env, folder=place.folder) as second:
        status = await second.process.wait()

    assert status == 1
    assert "another process of this bot runs on bot.db already" in second.log
    assert "Traceback" not in second.log
    ts = await place.ask("[[say The first one goes on.]]")
    assert await place.whole(ts) == "The first one goes on."


# Killed right behind a stop


async def test_an_answer_whose_process_was_killed_behind_its_stop_goes_on_when_asked_to(
    tmp_path: Path,
) -> None:
    async with bots(f"sqlite:///{tmp_path}/bot.db", tmp_path) as place:
        first = await place.start()
        ts = await place.ask("[[rate 40]] [[tokens 4000]]")
        await place.slack.until(lambda: place.replies(ts) and place.replies(ts)[0])
        await press(place, ts, "stop")
        first.process.kill()
        await first.process.wait()
        before = len(place.slack.calls)
        await place.start()
        await place.whole(ts)

        await press(place, ts, "continue")
        await place.model.until(lambda: len(place.model.requests) == 2)

        # Its thread was read for what was asked, and not for posts that may land yet.
        calls = [call.method for call in place.slack.calls[before:]]
        assert calls.count("conversations.replies") <= 2


# A question that its processes die of


async def test_a_question_that_kills_its_process_gets_a_sentence_and_those_beside_it_an_answer(
    tmp_path: Path,
) -> None:
    async with bots(f"sqlite:///{tmp_path}/bot.db", tmp_path) as place:
        slot = Slot(0, place.env, tmp_path)
        keeping = asyncio.create_task(slot.keep())
        place.model.listeners.append(poisoning(slot))
        await place.slack.until(lambda: place.slack.connections, timeout=STARTS_WITHIN)
        beside = await place.ask(f"beside it [[rate 100]] [[tokens {TOKENS}]]")
        await place.slack.until(lambda: place.replies(beside))
        poison = await place.ask("poison [[rate 100]] [[tokens 300]]")
        behind = await place.ask(f"behind it [[tokens {TOKENS}]]", in_thread=poison)
        try:
            assert TriedTooOften.sentence in await place.whole(poison)
            await place.whole(poison, count=2)
            assert (await place.whole(beside)).split() == WORDS
        finally:
            slot.end()
            await keeping

        assert place.replies(poison)[-1].split() == WORDS
        assert len(place.requests("behind it")) == 1
        assert 2 <= slot.ends.count(-signal.SIGKILL) <= 5
        books = await place.books()
        assert books.turns[place.turn(behind)].outcome == "complete"
        assert books.turns[place.turn(poison)].outcome == "failed"


def poisoning(slot: Slot) -> Callable[[int, Request], None]:
    """Kills the process some words after the model began to answer that question."""
    struck: set[int] = set()

    def hear(number: int, request: Request) -> None:
        if "poison" in request.question and request.tokens_sent >= 30 and number not in struck:
            struck.add(number)
            slot.kill(back_after=0.0)

    return hear
