"""Two processes on one PostgreSQL, and one that is killed: whoever is told, the right one acts."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.messages import TurnKey
from bot.playground.slack import Fault
from bot.playground.slack.elements import elements
from bot.settings import database_url
from bot.store import opened
from tests.bot_process import BotProcess, running
from tests.postgres import Postgres
from tests.process.conftest import Stage, local_servers

SLOW = "[[rate 40]] [[tokens 4000]]"  # it would take 100 seconds


@dataclass
class Two:
    stage: Stage
    bots: tuple[BotProcess, BotProcess]

    def who(self, event: str) -> list[BotProcess]:
        return [bot for bot in self.bots if bot.events(event)]


@asynccontextmanager
async def two_replicas(url: str) -> AsyncIterator[Two]:
    """Slack sends each event to the next of their sockets, so what follows goes to the other."""
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, DATABASE_URL=url) as one,
        running(slack, model.base_url, DATABASE_URL=url) as other,
    ):
        await slack.until(lambda: slack.connections == 2, timeout=30)
        await one.says("bot.started")
        await other.says("bot.started")
        yield Two(Stage(slack, model, one), (one, other))


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    async with postgres.database() as url:
        yield url


@pytest.fixture
async def two(url: str) -> AsyncIterator[Two]:
    async with two_replicas(url) as two:
        yield two


async def is_over(url: str, stage: Stage, ts: str) -> None:
    """Its last edit is on screen, and it is written down as finished too."""
    key = TurnKey(stage.slack.team_id, stage.places[ts], ts)
    async with opened(url) as store, asyncio.timeout(10):
        while not ((turn := await store.turns.find(key)) and turn.is_finished):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def offered(stage: Stage, ts: str) -> list[str]:
    blocks = [block for message in stage.thread(ts) for block in message.get("blocks", ())]
    return [element["action_id"] for block in blocks for element in elements(block)]


async def press(stage: Stage, ts: str, deed: str) -> None:
    message = stage.thread(ts)[0]
    delivery = await stage.slack.act(stage.places[ts], "Ana", message["ts"], deed)
    await delivery.wait()


async def is_written(stage: Stage, ts: str) -> None:
    await stage.slack.until(lambda: stage.replies(ts) and stage.replies(ts)[0])


async def test_answer_is_stopped_through_the_replica_that_does_not_write_it(two: Two) -> None:
    stage = two.stage
    ts = await stage.ask(f"stop me {SLOW}")
    await is_written(stage, ts)

    await press(stage, ts, "stop")

    await stage.model.until(
        lambda: stage.requests("stop me")[-1].finished == "closed by the client", timeout=10
    )
    assert (await stage.whole(ts)).endswith("\nStopped by Ana.")
    (writer,), (told,) = two.who("question.accepted"), two.who("turn.stopped")
    assert writer is not told


async def test_question_is_corrected_through_the_replica_that_does_not_answer_it(
    two: Two,
) -> None:
    stage = two.stage
    ts = await stage.ask(f"the wrong words {SLOW}")
    await is_written(stage, ts)

    await stage.slack.edit(stage.places[ts], ts, "<@U0BOT> the right words [[say Tides.]]")

    assert await stage.whole(ts) == "Tides."
    assert len(stage.replies(ts)) == 1
    (writer,), (told,) = two.who("question.accepted"), two.who("turn.corrected")
    assert writer is not told


async def test_answer_of_one_replica_is_given_anew_by_the_other(two: Two, url: str) -> None:
    stage = two.stage
    ts = await stage.ask("fail first [[fail 400 1]] [[say At last.]]")
    await stage.whole(ts)
    await is_over(url, stage, ts)
    assert offered(stage, ts) == ["retry"]

    await press(stage, ts, "retry")

    await stage.slack.until(lambda: stage.replies(ts) == ["At last."])
    (first,), (second,) = two.who("question.accepted"), two.who("turn.asked_again")
    assert first is not second
    await second.says("answer.finished")


async def test_stopped_answer_whose_process_is_killed_is_not_begun_again(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            ts = await stage.ask(f"stop me {SLOW}")
            await is_written(stage, ts)
            slack.faults.add("chat.update", Fault.unavailable(), times=None)
            await press(stage, ts, "stop")
            await bot.stop(signal.SIGKILL)
        slack.faults.clear()
        async with running(slack, model.base_url, folder=tmp_path) as after:
            text = await stage.whole(ts)
            await after.says("turn.resumed")

    assert text.endswith("\nStopped by the person who asked.")  # the name is not known any more
    assert len(stage.requests("stop me")) == 1


async def test_buttons_work_after_a_restart(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            ts = await stage.ask("fail first [[fail 400 1]] [[say At last.]]")
            await stage.whole(ts)
            await is_over(database_url(str(tmp_path / "bot.db")), stage, ts)
            await bot.stop(signal.SIGKILL)
        async with running(slack, model.base_url, folder=tmp_path):
            await press(stage, ts, "retry")
            await stage.slack.until(lambda: stage.replies(ts) == ["At last."])


async def test_continued_answer_whose_process_is_killed_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            ts = await stage.ask(f"on and on {SLOW}")
            await is_written(stage, ts)
            await press(stage, ts, "stop")
            stopped = (await stage.whole(ts)).rsplit("\n", 1)[0]
            model.tokens_per_second = 20
            await press(stage, ts, "continue")
            await slack.until(
                lambda: (
                    len(stage.replies(ts)[0]) > len(stopped) + 20 and offered(stage, ts) == ["stop"]
                )
            )
            await bot.stop(signal.SIGKILL)
            standing = stage.replies(ts)[0]
        model.tokens_per_second = 1000
        async with running(slack, model.base_url, folder=tmp_path):
            await slack.until(lambda: offered(stage, ts) == ["rate", "more"], timeout=30)
            whole = "\n\n".join(stage.replies(ts))

    assert whole.startswith(standing.rsplit(maxsplit=1)[0])
    assert len(stage.replies(ts)) >= 1
