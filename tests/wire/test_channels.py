"""The settings of channels in a real database, SQLite and PostgreSQL: kept, told apart, shared."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bot.channel_settings import AS_EVERYWHERE, ChannelSettings
from bot.errors import Unavailable
from bot.messages import Outcome, Question, Turn, Usage, UsageRecord
from bot.settings import database_url
from bot.store import Store, opened
from bot.usage import FORGOTTEN_USER

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
THREAD = "1700000000.000000"
ALL_SET = ChannelSettings(
    is_allowed=False,
    follows_up=True,
    instructions="Be brief. 👍 ;DROP TABLE channels",
    model="openai/gpt-4o",
    temperature=0.25,
    max_tokens=300,
)
FOLLOWS = ChannelSettings(follows_up=True)


@pytest.fixture
async def stores(urls: list[str]) -> AsyncIterator[list[Store]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(url)) for url in urls]


@pytest.fixture
def store(stores: list[Store]) -> Store:
    return stores[0]


async def put(store: Store, channel: str, settings: ChannelSettings, *, by: str = "UADA") -> None:
    seen = (await store.channels.of("T1", channel)).digest
    assert await store.channels.set("T1", channel, settings, seen=seen, by=by, at=NOW)


def said(number: int = 1, *, thread_ts: str = THREAD, channel: str = "C1") -> Question:
    ts = f"1700000000.{number * 100:06}"
    return Question("T1", channel, ts, thread_ts, "UANA", "and why?", is_follow_up=True)


async def answered(
    store: Store, question: Question, outcome: Outcome = "complete", *, is_asked: bool = True
) -> Turn:
    turn = await store.turns.accept(question)
    assert turn
    record = UsageRecord(
        at=datetime.now(UTC),
        key=turn.key,
        user=turn.user,
        model="a model",
        usage=Usage(1, 0, 1, 0),
        seconds_to_first_delta=0.5,
        seconds=2.0,
        requests=1,
        outcome=outcome,
    )
    await store.turns.finish(turn, outcome, record if is_asked else None)
    return turn


# -- kept


async def test_channel_of_which_nothing_is_known_is_as_everywhere(store: Store) -> None:
    assert await store.channels.of("T1", "C1") == AS_EVERYWHERE
    assert await store.channels.all("T1") == {}


async def test_what_is_set_is_kept_for_that_channel_of_that_workspace(stores: list[Store]) -> None:
    await put(stores[0], "C1", ALL_SET)

    for store in stores:  # at once, in whichever process
        assert await store.channels.of("T1", "C1") == ALL_SET
        assert await store.channels.of("T1", "C2") == AS_EVERYWHERE
        assert await store.channels.of("T2", "C1") == AS_EVERYWHERE
        assert await store.channels.all("T1") == {"C1": ALL_SET}


async def test_what_is_taken_back_leaves_no_row(store: Store) -> None:
    await put(store, "C1", ALL_SET)
    await put(store, "C1", AS_EVERYWHERE)

    assert await store.channels.all("T1") == {}


async def test_what_somebody_set_meanwhile_stays(store: Store) -> None:
    async def put_where(seen: ChannelSettings, after: ChannelSettings) -> bool:
        return await store.channels.set("T1", "C1", after, seen=seen.digest, by="UBEN", at=NOW)

    await put(store, "C1", FOLLOWS)

    assert not await put_where(AS_EVERYWHERE, ALL_SET)
    assert await store.channels.of("T1", "C1") == FOLLOWS
    assert len(await store.channels.changes("T1", "C1")) == 1
    assert await put_where(AS_EVERYWHERE, FOLLOWS)  # it is so already
    assert await put_where(FOLLOWS, AS_EVERYWHERE)
    assert not await put_where(FOLLOWS, ALL_SET)


async def test_of_those_who_set_a_channel_for_the_first_time_at_once_one_does(
    stores: list[Store],
) -> None:
    seen = AS_EVERYWHERE.digest
    all_at_once = (
        stores[number % len(stores)].channels.set(
            "T1", "C1", ChannelSettings(max_tokens=100 + number), seen=seen, by="UADA", at=NOW
        )
        for number in range(8)
    )

    assert sorted(await asyncio.gather(*all_at_once)) == [False] * 7 + [True]
    assert len(await stores[0].channels.changes("T1", "C1")) == 1


async def test_each_change_is_kept_with_who_and_when(store: Store) -> None:
    await put(store, "C1", FOLLOWS)
    await put(store, "C1", FOLLOWS, by="UBEN")  # nothing changes
    await put(store, "C1", ALL_SET, by="UCY")
    await put(store, "C2", FOLLOWS)

    changes = await store.channels.changes("T1", "C1")
    assert [(change.by, change.at) for change in changes] == [("UCY", NOW), ("UADA", NOW)]
    assert [(each.before, each.after) for each in changes] == [
        (FOLLOWS, ALL_SET),
        (AS_EVERYWHERE, FOLLOWS),
    ]
    assert len(await store.channels.changes("T1", "C1", most=1)) == 1
    assert await store.channels.changes("T2", "C1") == []


async def test_settings_outlast_the_process(tmp_path: Path) -> None:
    url = database_url(str(tmp_path / "bot.db"))
    async with opened(url) as store:
        await put(store, "C1", ALL_SET)
    async with opened(url) as store:
        assert await store.channels.of("T1", "C1") == ALL_SET


async def test_who_is_forgotten_is_no_author_of_changes_any_more(store: Store) -> None:
    await put(store, "C1", ALL_SET)
    await store.retention.forget("UADA")

    (change,) = await store.channels.changes("T1", "C1")
    assert change.by == FORGOTTEN_USER
    assert await store.channels.of("T1", "C1") == ALL_SET


async def test_channels_with_follow_ups_are_counted(store: Store) -> None:
    await put(store, "C1", FOLLOWS)
    await put(store, "C2", ChannelSettings(max_tokens=100))

    assert await store.channels.with_follow_ups() == 1


# -- which messages go on


async def test_message_in_a_thread_with_an_answer_goes_on_where_the_channel_has_it_so(
    stores: list[Store],
) -> None:
    await answered(stores[0], said(1))
    for store in stores:
        assert not await store.channels.goes_on(said(2))

    await put(stores[0], "C1", FOLLOWS)
    for store in stores:  # at once, in whichever process
        assert await store.channels.goes_on(said(2))

    await put(stores[-1], "C1", ALL_SET)
    assert await stores[0].channels.goes_on(said(2))  # whether it is answered is another matter
    await put(stores[-1], "C1", AS_EVERYWHERE)
    assert not await stores[0].channels.goes_on(said(2))


@pytest.mark.parametrize(
    ("question", "goes_on"),
    [
        (said(2), True),
        (said(2, thread_ts="1700000001.000000"), False),
        (said(2, channel="C2"), False),
    ],
)
async def test_other_threads_do_not_go_on(store: Store, question: Question, goes_on: bool) -> None:
    await put(store, "C1", FOLLOWS)
    await put(store, "C2", FOLLOWS)
    await answered(store, said(1))

    assert await store.channels.goes_on(question) is goes_on


@pytest.mark.parametrize("outcome", ["complete", "cut", "stopped", "failed"])
async def test_however_the_answer_ended_the_thread_goes_on(store: Store, outcome: Outcome) -> None:
    await put(store, "C1", FOLLOWS)
    await answered(store, said(1), outcome)

    assert await store.channels.goes_on(said(2))


async def test_thread_in_which_the_model_was_never_asked_does_not_go_on(store: Store) -> None:
    await put(store, "C1", FOLLOWS)
    await answered(store, said(1), "refused", is_asked=False)
    await store.turns.accept(said(2))  # it waits in line

    assert not await store.channels.goes_on(said(3))


async def test_thread_goes_on_while_its_answer_is_written(store: Store) -> None:
    await put(store, "C1", FOLLOWS)
    turn = await store.turns.accept(said(1))
    assert turn
    record = UsageRecord(datetime.now(UTC), turn.key, "UANA", "m", Usage(1), None, 0.0, 1, "failed")
    await store.turns.begin(turn, record)

    assert await store.channels.goes_on(said(2))


async def test_thread_whose_turns_are_removed_goes_on_no_more(store: Store) -> None:
    await put(store, "C1", FOLLOWS)
    await answered(store, said(1))
    now = datetime.now(UTC)
    await store.retention.prune(now + timedelta(days=1), now=now)

    assert not await store.channels.goes_on(said(2))


async def test_follow_up_is_written_down_as_one(stores: list[Store]) -> None:
    turn = await stores[0].turns.accept(said(1))
    found = await stores[-1].turns.find(said(1).key)

    assert turn
    assert found
    assert (turn.is_follow_up, found.is_follow_up) == (True, True)


async def test_that_a_thread_goes_on_is_known_from_indexes_alone(store: Store) -> None:
    """However many turns there were: SQLite would take no partial index for other words."""
    channels = store.channels
    engine = channels._engine
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await channels.goes_on(said())
    event.remove(engine.sync_engine, "before_cursor_execute", note)

    ((statement, parameters),) = [each for each in asked if "SELECT" in each[0]]
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        else:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        words = "\n".join(str(tuple(row)) for row in plan)
    assert "turns_answered" in words
    assert "SCAN turns" not in words
    assert "Seq Scan" not in words


async def test_away_database_is_told_as_an_error_of_ours(tmp_path: Path) -> None:
    """So the event is not acknowledged, and Slack sends it again."""
    async with opened(database_url(str(tmp_path / "bot.db"))) as store:
        async with store.channels._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE turns RENAME TO gone"))
        with pytest.raises(Unavailable):
            await store.channels.goes_on(said())
