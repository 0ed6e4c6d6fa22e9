"""Processes that die, stand still or lose their database, at chosen moments: nothing is lost.

Calls and streams are held where a moment is to last: by faults of the local Slack, which answer
long after the test, and by directives to the local model that hold once.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from bot.errors import TriedTooOften
from bot.playground.model import Request
from bot.playground.model.answers import prose
from bot.playground.slack import Fault, LocalSlack
from tests.bot_process import STARTS_WITHIN, BotProcess, started
from tests.chaos import records
from tests.chaos.fleet import Slot
from tests.chaos.mischief import CUT_SESSIONS
from tests.chaos.records import Records
from tests.postgres import Postgres
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = 60.0  # seconds; longer than any of these tests
TOKENS = 100
WORDS = "".join(prose(TOKENS)).split()

MOMENTS = (
    "before its post",
    "between its post and the record of it",
    "while it streams",
    "before its last edit",
    "after its last edit",
)


@dataclass
class Bots(Stage):
    """Several processes of one bot, on one database."""

    database_url: str = ""
    folder: Path = Path()
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    all: list[BotProcess] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "SLACK_API_URL": self.slack.api_url,
            "OPENAI_BASE_URL": self.model.base_url,
            "DATABASE_URL": self.database_url,
            "QUESTIONS_PER_MINUTE": "0",  # tests ask faster than any person
        }

    async def start(self) -> BotProcess:
        bot = await self.stack.enter_async_context(started(self.env, folder=self.folder))
        self.all.append(bot)
        await bot.says("bot.started")
        return bot

    async def holder(self, ts: str) -> BotProcess:
        """The process that accepted a question; it says so right after the ack."""
        await self.slack.until(lambda: all(each.acked for each in self.slack.deliveries))
        for bot in self.all:
            if any(found["ts"] == ts for found in bot.events("question.accepted")):
                return bot
        raise AssertionError(f"Nobody accepted {ts}.")

    async def books(self) -> Records:
        """The records, once no turn is under way any more."""
        async with asyncio.timeout(30):
            while await records.unfinished(self.database_url):  # noqa: ASYNC110 - a database
                await asyncio.sleep(0.02)
        return await records.read(self.database_url)

    def turn(self, ts: str) -> str:
        return f"{self.slack.team_id}:{self.places[ts]}:{ts}"


@asynccontextmanager
async def bots(database_url: str, folder: Path) -> AsyncIterator[Bots]:
    async with local_servers() as (slack, model), AsyncExitStack() as stack:
        none_yet: Any = None
        yield Bots(slack, model, none_yet, {}, database_url, folder, stack)


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


# Four processes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def four(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bots]:
    """They boot at once on an empty database."""
    folder = tmp_path_factory.mktemp("four")
    async with postgres.database() as url, bots(url, folder) as place:
        async with asyncio.TaskGroup() as starting:
            for _ in range(4):
                starting.create_task(place.start())
        yield place


async def test_four_that_booted_at_once_on_an_empty_database_share_the_questions(
    four: Bots,
) -> None:
    asked = [await four.ask(f"[[tokens {TOKENS}]]") for _ in range(4)]

    for ts in asked:
        assert (await four.whole(ts)).split() == WORDS
    holders = [await four.holder(ts) for ts in asked]
    assert len({bot.process.pid for bot in holders}) == 4


async def test_an_event_that_several_processes_get_is_answered_once(four: Bots) -> None:
    ts = await four.ask(f"only once [[tokens {TOKENS}]]")
    event = four.slack.deliveries[-1].payload["event"]
    for _ in range(3):
        await four.slack.deliver(event)

    await four.whole(ts)
    await four.books()
    assert len(four.replies(ts)) == 1
    assert len(four.requests("only once")) == 1


async def test_questions_of_one_thread_are_answered_one_after_the_other_by_whoever_has_them(
    four: Bots,
) -> None:
    root = await four.ask("number 0 [[rate 200]] [[tokens 60]]")
    for number in range(1, 4):  # the bot posts once a second into one channel
        await four.slack.until(lambda: all(each.acked for each in four.slack.deliveries))
        await four.ask(f"number {number} [[rate 200]] [[tokens 60]]", in_thread=root)

    await four.whole(root, count=4)
    asked = [request for request in four.requests("number ") if request.finished == "complete"]
    numbers = [request.question.partition("number ")[2][0] for request in asked]
    assert numbers == ["0", "1", "2", "3"]
    ended = [request.closed_at for request in asked]
    begun = [request.received_at for request in asked]
    assert all(before and before <= after for before, after in zip(ended, begun[1:], strict=False))


async def test_process_that_starts_while_the_database_is_away_waits_for_it(
    postgres: Postgres, tmp_path: Path
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    async with postgres.database() as url, bots(url, tmp_path) as place:
        await asyncio.to_thread(postgres.stop)
        bot = await place.stack.enter_async_context(started(place.env, folder=tmp_path))
        await bot.says("database.away")
        await asyncio.to_thread(postgres.start)
        await bot.says("bot.started")
        ts = await place.ask(f"at last [[tokens {TOKENS}]]")

        assert (await place.whole(ts)).split() == WORDS


@pytest.mark.parametrize("loss", ["sessions cut", "server restarted", "server crashed"])
async def test_answers_go_on_when_the_database_is_back(
    four: Bots, postgres: Postgres, loss: str
) -> None:
    asked = [await four.ask(f"{loss} [[rate 60]] [[tokens {TOKENS}]]") for _ in range(4)]
    await four.slack.until(lambda: all(map(four.replies, asked)))
    await lose_database(four, postgres, loss)

    for ts in asked:
        assert (await four.whole(ts)).split() == WORDS
        assert len(four.replies(ts)) == 1
    books = await four.books()
    assert {books.turns[four.turn(ts)].outcome for ts in asked} == {"complete"}


async def lose_database(place: Bots, postgres: Postgres, loss: str) -> None:
    if loss == "sessions cut":
        connection = await asyncpg.connect(place.database_url)
        await connection.execute(CUT_SESSIONS)
        await connection.close()
        return
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    await asyncio.to_thread(postgres.restart, at_once=loss == "server crashed")


async def test_what_a_stopped_process_answers_is_left_to_it_and_it_goes_on(four: Bots) -> None:
    ts = await four.ask(f"stand still [[rate 50]] [[tokens {TOKENS}]]")
    await four.slack.until(lambda: four.replies(ts))
    holder = await four.holder(ts)
    holder.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(5.5)  # more than others need to take over from the dead
        assert len(four.replies(ts)) == 1
        assert len(four.requests("stand still")) == 1
    finally:
        holder.process.send_signal(signal.SIGCONT)

    assert (await four.whole(ts)).split() == WORDS
    assert len(four.replies(ts)) == 1
    assert len(four.requests("stand still")) == 1


async def test_what_a_process_leaves_when_it_is_told_to_hurry_goes_to_another(four: Bots) -> None:
    ts = await four.ask(f"hurry [[stall 60 1]] [[tokens {TOKENS}]]")
    await four.slack.until(lambda: four.replies(ts))
    holder = await four.holder(ts)
    holder.process.send_signal(signal.SIGTERM)
    await holder.says("bot.stopping")
    holder.process.send_signal(signal.SIGTERM)

    assert await holder.process.wait() == 0
    assert (await four.whole(ts)).split() == WORDS
    assert len(four.replies(ts)) == 1
    books = await four.books()
    outcomes = [row.outcome for row in books.usage[four.turn(ts)]]
    assert outcomes == ["stopped", "complete"]


async def test_process_that_is_told_to_stop_while_its_database_is_away_ends_all_the_same(
    postgres: Postgres, tmp_path: Path
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    async with postgres.database() as url, bots(url, tmp_path) as place:
        bot = await place.start()
        ts = await place.ask(f"no way [[stall 60 1]] [[tokens {TOKENS}]]")
        await place.slack.until(lambda: place.replies(ts))
        await asyncio.to_thread(postgres.stop)
        unheard = await place.ask("nobody can write this down")
        bot.process.send_signal(signal.SIGTERM)
        await bot.says("bot.stopping")
        bot.process.send_signal(signal.SIGTERM)

        async with asyncio.timeout(25):
            assert await bot.process.wait() == 0
        await asyncio.to_thread(postgres.start)
        await place.start()
        assert (await place.whole(ts)).split() == WORDS
        await place.whole(unheard)
