"""Processes that share a database, stand still, are stopped or lose it: nothing is lost."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.bot_process import started
from tests.chaos.mischief import CUT_SESSIONS
from tests.postgres import Postgres
from tests.process.bots import TOKENS, WORDS, Bots, bots

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
