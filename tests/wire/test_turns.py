"""The table of turns on a real SQLite file and on a real PostgreSQL: one set of facts for both."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Column, Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import QueuePool

from bot.errors import CannotStart, Unavailable
from bot.messages import Question, Turn, TurnKey, Usage, UsageRecord
from bot.settings import database_url
from bot.store import Store, opened, sqlite_path
from bot.store.migrations import HEAD, versions
from bot.store.schema import schema, turns, usage
from bot.store.transactions import transaction
from bot.store.turns import TAKEN_AT_ONCE
from tests.postgres import Postgres

THREAD = "1700000000.000001"


def asked(number: int = 1, **values: Any) -> Question:
    """The so-manieth question of one thread."""
    question = Question("T1", "C1", f"1700000000.{number:06}", THREAD, "UANA", "why?")
    return replace(question, **values)


def record(turn: Turn, **values: Any) -> UsageRecord:
    """Of the attempt that begins with this turn as it is."""
    usage = Usage(input_tokens=100, cached_tokens=0, output_tokens=20, reasoning_tokens=0)
    used = UsageRecord(
        at=datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
        key=turn.key,
        user=turn.user,
        model="gpt-4o-mini",
        usage=usage,
        seconds_to_first_delta=0.5,
        seconds=2.25,
        requests=1,
        outcome="complete",
        attempt=turn.attempts + 1,
    )
    return replace(used, **values)


def foreboding(turn: Turn) -> UsageRecord:
    return record(turn, usage=Usage(input_tokens=90), outcome="failed", is_estimate=True)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as store:
        yield store


@pytest.fixture
async def other(store: Store, url: str) -> AsyncIterator[Store]:
    """Another process on the same database."""
    async with opened(url) as other:
        yield other


async def accept(store: Store, *questions: Question) -> list[Turn]:
    accepted = [await store.turns.accept(question) for question in questions]
    return [turn for turn in accepted if turn]


async def rows(store: Store, *columns: Any, key: TurnKey | None = None) -> list[Any]:
    table = columns[0].table
    query = select(*columns).order_by(table.primary_key.columns[0])
    if key:
        query = query.where(table.c.ts == key.ts, table.c.channel == key.channel)
    async with transaction(store._engine) as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def recorded(store: Store) -> list[Any]:
    """Attempt, outcome and tokens of all usage records."""
    return await rows(store, usage.c.attempt, usage.c.outcome, usage.c.output_tokens)


# -- accepting


async def test_accepted_turn_is_the_next_of_its_thread_or_not(store: Store) -> None:
    first, second = await accept(store, asked(1), asked(2))

    assert first == Turn(
        key=asked(1).key,
        thread_ts=THREAD,
        user="UANA",
        place=first.place,
        accepted_at=first.accepted_at,
        is_next=True,
        is_first=True,
        owner=store.turns.owner,
    )
    assert abs(datetime.now(UTC) - first.accepted_at) < timedelta(minutes=1)
    assert second.place > first.place
    assert not second.is_next


async def test_other_threads_do_not_stand_in_the_way(store: Store) -> None:
    accepted = await accept(
        store,
        asked(1),
        asked(2, channel="C2"),
        asked(3, team="T2"),
        asked(4, thread_ts="1600000000.000001"),
    )

    assert all(turn.is_next for turn in accepted)


async def test_one_message_is_accepted_by_one_of_two_processes_once(
    store: Store, other: Store
) -> None:
    accepted = await asyncio.gather(
        *(each.turns.accept(asked()) for each in (store, other) for _ in range(15))
    )

    assert sum(turn is not None for turn in accepted) == 1


async def test_order_of_places_is_the_order_of_commits_whichever_process_accepts(
    store: Store, other: Store
) -> None:
    """Who is told that nobody is before them is the first for ever."""
    seen: list[tuple[int, bool]] = []

    async def take(number: int) -> None:
        turn = await (store, other)[number % 2].turns.accept(asked(number))
        assert turn
        seen.append((turn.place, turn.is_next))

    await asyncio.gather(*(take(number) for number in range(1, 41)))

    first = min(place for place, _ in seen)
    assert [place for place, is_next in seen if is_next] == [first]
    turns_of = await rows(store, turns.c.place)
    assert sorted(place for place, _ in seen) == [place for (place,) in turns_of]


async def test_accepted_again_by_its_own_process_it_is_found(store: Store, other: Store) -> None:
    await accept(store, asked())

    assert await store.turns.accept(asked()) is None
    found = await store.turns.mine(asked().key)
    assert found
    assert found.is_resumed
    assert await other.turns.mine(asked().key) is None
    assert await store.turns.mine(asked(2).key) is None


async def test_finished_turn_is_nobodys(store: Store) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.finish(turn, "complete", None)

    assert await store.turns.mine(asked().key) is None
    assert await store.turns.accept(asked()) is None


async def test_whose_session_was_lost_while_it_accepted_looks_whether_the_turn_is_still_its_own(
    store: Store, other: Store
) -> None:
    """Others may have taken it over before this process could be seen to live again."""
    write_down = store.turns._write_down

    async def meanwhile(question: Question) -> Turn | None:
        turn = await write_down(question)
        if question == asked(1):
            await other.turns.take_over(store.turns.owner)
        await store.turns.left_to_me()
        return turn

    store.turns._write_down = meanwhile  # type: ignore[method-assign]

    assert await store.turns.accept(asked(1)) is None
    kept = await store.turns.accept(asked(2))
    assert kept
    assert kept.is_resumed


# -- whose turn it is


async def test_turn_is_next_when_all_before_it_are_finished(store: Store, other: Store) -> None:
    first, second = await accept(store, asked(1), asked(2))
    (third,) = await accept(other, asked(3))
    assert not await other.turns.is_next(third)

    await store.turns.finish(second, "failed", None)
    assert not await other.turns.is_next(third)
    await store.turns.finish(first, "complete", record(first))

    assert await other.turns.is_next(third)


# -- the way of a turn


async def test_attempt_is_counted_with_what_it_takes_at_least(store: Store) -> None:
    (turn,) = await accept(store, asked())

    await store.turns.begin(turn, foreboding(turn))

    assert await rows(store, turns.c.attempts, turns.c.finished_at) == [(1, None)]
    assert await recorded(store) == [(1, "failed", None)]


async def test_record_of_the_end_takes_the_place_of_that_of_the_beginning(store: Store) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.begin(turn, foreboding(turn))

    await store.turns.finish(turn, "complete", record(turn))

    assert await rows(store, turns.c.outcome) == [("complete",)]
    assert await store.ledger.newest() == record(turn)
    assert await recorded(store) == [(1, "complete", 20)]


async def test_each_attempt_has_a_record(store: Store, other: Store) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.begin(turn, foreboding(turn))
    (again,) = await other.turns.take_over(store.turns.owner)
    assert (again.attempts, again.is_resumed) == (1, True)

    await other.turns.begin(again, foreboding(again))
    await other.turns.finish(again, "complete", record(again))

    assert await recorded(store) == [(1, "failed", None), (2, "complete", 20)]


async def test_what_can_be_asked_twice_changes_nothing_the_second_time(store: Store) -> None:
    """An answer from the database may be lost, and what it did is tried again."""
    (turn,) = await accept(store, asked())
    for _ in range(2):
        await store.turns.begin(turn, foreboding(turn))
    await store.turns.finish(turn, "complete", record(turn))
    await store.turns.finish(turn, "failed", record(turn, outcome="failed"))
    await store.turns.begin(turn, foreboding(turn))
    await store.turns.suspend(turn, record(turn, outcome="stopped"))

    assert await rows(store, turns.c.attempts, turns.c.outcome) == [(1, "complete")]
    assert await recorded(store) == [(1, "complete", 20)]


async def test_turn_found_whole_corrects_the_outcome_of_what_was_begun(
    store: Store, other: Store
) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.begin(turn, foreboding(turn))
    (again,) = await other.turns.take_over(store.turns.owner)

    await other.turns.finish(again, "complete", None)

    assert await recorded(store) == [(1, "complete", None)]


async def test_suspended_turn_is_nobodys_and_keeps_what_it_used(store: Store, other: Store) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.begin(turn, foreboding(turn))

    await store.turns.suspend(turn, record(turn, outcome="stopped"))

    assert await other.turns.others() == [None]
    assert await recorded(store) == [(1, "stopped", 20)]
    (taken,) = await other.turns.take_over(None)
    assert (taken.key, taken.attempts) == (turn.key, 1)


async def test_planned_stops_are_no_lost_attempts(store: Store, other: Store) -> None:
    (turn,) = await accept(store, asked())
    for here, there in [(store, other), (other, store)] * 3:
        await here.turns.begin(turn, foreboding(turn))
        await here.turns.suspend(turn, record(turn, outcome="stopped"))
        (turn,) = await there.turns.take_over(None)
    await store.turns.begin(turn, foreboding(turn))
    (turn,) = await other.turns.take_over(store.turns.owner)

    assert (turn.attempts_now, turn.attempts_lost) == (7, 1)


async def test_attempt_that_was_counted_and_not_begun_is_lost_too(
    store: Store, other: Store
) -> None:
    (turn,) = await accept(store, asked())
    await store.turns.begin(turn, foreboding(turn))
    (turn,) = await other.turns.take_over(store.turns.owner)
    for _ in range(2):  # the second time, as the answer to the first was lost
        await other.turns.take_up(turn)
    (turn,) = await store.turns.take_over(other.turns.owner)

    assert turn.attempts_lost == 2

    await store.turns.finish(turn, "complete", None)  # it is found whole in its thread
    assert await recorded(store) == [(1, "complete", None)]


async def test_messages_of_the_reply_are_noted(store: Store, other: Store) -> None:
    (turn,) = await accept(store, asked())

    await store.turns.note_messages(turn.key, ["1.1", "1.2"])

    (taken,) = await other.turns.take_over(store.turns.owner)
    assert taken.messages == ("1.1", "1.2")


async def test_many_are_released_at_once(store: Store, other: Store) -> None:
    accepted = await accept(store, *(asked(number) for number in range(1, 51)))
    unknown = [TurnKey("T1", "C9", f"1.{number}") for number in range(3000)]

    await store.turns.release([*unknown, *(turn.key for turn in accepted)])

    assert await other.turns.others() == [None]
    assert await rows(store, turns.c.owner) == [(None,)] * 50


async def test_nothing_is_released_where_nothing_is_named(store: Store, other: Store) -> None:
    await accept(store, asked())

    await store.turns.release([])

    assert await other.turns.others() == [store.turns.owner]


# -- a process that was taken for dead


async def test_zombie_changes_nothing_of_what_was_taken_over(store: Store, other: Store) -> None:
    (turn,) = await accept(store, asked())
    await other.turns.take_over(store.turns.owner)

    await store.turns.begin(turn, foreboding(turn))
    await store.turns.note_messages(turn.key, ["1.1"])
    await store.turns.finish(turn, "failed", record(turn))
    await store.turns.suspend(turn, record(turn))
    await store.turns.release([turn.key])

    row: tuple[Any, ...] = (other.turns.owner, 0, [], None, None)
    columns = (turns.c.owner, turns.c.attempts, turns.c.reply, turns.c.finished_at, turns.c.outcome)
    assert await rows(store, *columns) == [row]
    assert await recorded(store) == []


async def test_zombies_record_does_not_replace_that_of_who_took_over(
    store: Store, other: Store
) -> None:
    """Both count their attempt as the first: the dead one had not begun."""
    (turn,) = await accept(store, asked())
    (taken,) = await other.turns.take_over(store.turns.owner)
    await other.turns.begin(taken, foreboding(taken))
    await other.turns.finish(taken, "complete", record(taken))

    await store.turns.finish(turn, "failed", record(turn, outcome="failed", usage=Usage()))
    await store.turns.suspend(turn, record(turn, outcome="stopped"))

    assert await recorded(store) == [(1, "complete", 20)]


async def test_process_that_lives_again_finds_what_nobody_took(store: Store, other: Store) -> None:
    first, second, third = await accept(store, asked(1), asked(2), asked(3))
    await store.turns.finish(second, "complete", None)
    await other.turns.take_all()
    await other.turns.finish(replace(third), "complete", None)
    (fourth,) = await accept(store, asked(4))

    assert [turn.key for turn in await store.turns.left_to_me()] == [fourth.key]
    assert first.key not in [fourth.key]


# -- taking over


async def test_turns_of_the_dead_are_shared_and_each_goes_to_one(store: Store, url: str) -> None:
    accepted = await accept(store, *(asked(number) for number in range(1, 71)))
    async with AsyncExitStack() as stack:
        living = [await stack.enter_async_context(opened(url)) for _ in range(3)]
        taken: dict[str, list[Turn]] = {each.turns.owner: [] for each in living}

        async def take(each: Store) -> None:
            while some := await each.turns.take_over(store.turns.owner):
                taken[each.turns.owner] += some
                assert len(some) <= TAKEN_AT_ONCE

        await asyncio.gather(*map(take, living))
    everybody = [turn.key for each in taken.values() for turn in each]

    assert sorted(everybody) == sorted(turn.key for turn in accepted)
    for each in taken.values():
        assert [turn.place for turn in each] == sorted(turn.place for turn in each)
    owners = dict(await rows(store, turns.c.ts, turns.c.owner))
    assert all(owners[t.key.ts] == owner for owner, some in taken.items() for t in some)


async def test_finished_turns_and_those_of_others_are_not_taken_over(
    store: Store, other: Store, url: str
) -> None:
    done, open_one = await accept(store, asked(1), asked(2))
    await accept(other, asked(3))
    await store.turns.finish(done, "complete", None)

    async with opened(url) as third:
        assert sorted(map(str, await third.turns.others())) == sorted(
            [store.turns.owner, other.turns.owner]
        )
        taken = await third.turns.take_over(store.turns.owner)

    assert [turn.key for turn in taken] == [open_one.key]


async def test_all_unfinished_turns_are_taken_where_nobody_else_can_be_alive(url: str) -> None:
    async with opened(url) as first:
        one, two, three = await accept(first, asked(1), asked(2), asked(3))
        await first.turns.finish(two, "complete", None)
        await first.turns.suspend(three, None)

    async with opened(url) as second:
        taken = await second.turns.take_all()
        assert [turn.key for turn in taken] == [one.key, three.key]
        assert await second.turns.others() == []


async def test_turn_is_finished_or_taken_over_but_never_both(store: Store, url: str) -> None:
    """The process was taken for dead in the very moment in which it finished."""
    async with opened(url) as other:
        for number in range(1, 31):
            (turn,) = await accept(store, asked(number))
            _, taken = await asyncio.gather(
                store.turns.finish(turn, "complete", record(turn)),
                other.turns.take_over(store.turns.owner),
            )

            row = await rows(store, turns.c.owner, turns.c.outcome, key=turn.key)
            if taken:
                assert row == [(other.turns.owner, None)]
                await other.turns.finish(taken[0], "failed", None)
            else:
                assert row == [(store.turns.owner, "complete")]


# -- a database that is away, and calls that are given up


async def test_error_in_the_statement_is_no_outage(store: Store) -> None:
    with pytest.raises(IntegrityError):
        async with transaction(store._engine) as connection:
            await connection.execute(turns.insert().values(team="T1"))


async def test_what_fails_within_a_transaction_is_not_written(store: Store) -> None:
    (turn,) = await accept(store, asked())
    broken = record(turn, user=None)

    with pytest.raises(IntegrityError):
        await store.turns.finish(turn, "complete", broken)

    assert await rows(store, turns.c.finished_at) == [(None,)]


async def test_calls_that_are_cancelled_at_any_moment_hold_no_connection(store: Store) -> None:
    chance = random.Random(7)
    for round_ in range(40):
        calls = [
            asyncio.create_task(store.turns.accept(asked(round_ * 20 + number)))
            for number in range(12)
        ]
        await asyncio.sleep(chance.uniform(0, 0.02))
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    pool = store._engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0
    async with asyncio.timeout(5):
        (turn,) = await accept(store, asked(999_999))
        await store.turns.finish(turn, "complete", record(turn))


async def test_connections_are_closed_with_the_store(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        await asyncio.gather(*(store.turns.accept(asked(number)) for number in range(1, 30)))

    connection = await asyncpg.connect(postgres_url)
    own = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    async with asyncio.timeout(5):
        # A server ends its side in its own time.
        while await connection.fetchval(own) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await connection.close()


async def test_locked_file_is_an_outage(sqlite_url: str) -> None:
    async with opened(sqlite_url) as store:
        async with transaction(store._engine) as connection:
            await connection.execute(text("PRAGMA busy_timeout = 10"))
        with closing(sqlite3.connect(sqlite_path(sqlite_url), isolation_level=None)) as rival:
            rival.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await store.turns.accept(asked())
            rival.execute("COMMIT")

        assert await store.turns.accept(asked())


@pytest.mark.parametrize("at_once", [False, True], ids=["stopped", "killed"])
async def test_server_that_ends_is_an_outage_and_heals(
    postgres: Postgres, postgres_url: str, at_once: bool
) -> None:
    if not postgres.is_ours:
        pytest.skip("The server is not ours to stop.")
    outcomes: list[BaseException | Turn | None] = []
    is_over = asyncio.Event()

    async def hammer(store: Store, lane: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            question = asked(number, channel=f"C{lane}")
            (outcome,) = await asyncio.gather(store.turns.accept(question), return_exceptions=True)
            outcomes.append(outcome)
            await asyncio.sleep(0)

    async with opened(postgres_url) as store:
        hammers = [asyncio.create_task(hammer(store, lane)) for lane in range(6)]
        await until(lambda: len(outcomes) > 20)
        await asyncio.to_thread(postgres.stop, at_once=at_once)
        down_at = len(outcomes)
        await until(lambda: len(outcomes) > down_at + 20)
        await asyncio.to_thread(postgres.start)
        up_at = len(outcomes)
        await until(lambda: any(isinstance(each, Turn) for each in outcomes[up_at:]))
        is_over.set()
        await asyncio.gather(*hammers)

    odd = [each for each in outcomes if not isinstance(each, Turn | Unavailable)]
    assert odd == []
    assert any(isinstance(each, Unavailable) for each in outcomes)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# -- the schema and its versions

# As the first version made them: bot/store.py of that time.
FIRST = """
    CREATE TABLE turns (
        team VARCHAR NOT NULL, channel VARCHAR NOT NULL, ts VARCHAR NOT NULL,
        thread_ts VARCHAR NOT NULL, user VARCHAR NOT NULL,
        accepted_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
        PRIMARY KEY (team, channel, ts)
    );
    CREATE TABLE usage (
        id INTEGER NOT NULL PRIMARY KEY, at DATETIME NOT NULL, team VARCHAR NOT NULL,
        channel VARCHAR NOT NULL, ts VARCHAR NOT NULL, user VARCHAR NOT NULL,
        model VARCHAR NOT NULL, input_tokens INTEGER, cached_tokens INTEGER,
        output_tokens INTEGER, reasoning_tokens INTEGER, seconds_to_first_delta FLOAT,
        seconds FLOAT NOT NULL, attempts INTEGER NOT NULL, outcome VARCHAR NOT NULL
    );
    INSERT INTO turns (team, channel, ts, thread_ts, user) VALUES
        ('T1', 'C1', '1700000000.000001', '1700000000.000001', 'UANA'),
        ('T1', 'C1', '1700000000.000002', '1700000000.000001', 'UBEN');
    INSERT INTO usage VALUES
        (1, '2026-01-31 12:30:15.000250', 'T1', 'C1', '1700000000.000001', 'UANA', 'gpt-4o-mini',
            100, 40, 20, 5, 0.5, 2.25, 2, 'complete'),
        (2, '2026-01-31 12:31:00.000000', 'T1', 'C1', '1700000000.000002', 'UBEN', 'gpt-4o-mini',
            NULL, NULL, NULL, NULL, NULL, 1.0, 1, 'failed');
"""


async def test_file_of_the_first_version_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(FIRST)

    async with opened(database_url(str(path))) as store:
        assert await store.turns.accept(asked(1)) is None
        assert await store.turns.accept(asked(2)) is None
        assert await store.turns.take_all() == []
        (turn,) = await accept(store, asked(3))
        assert turn.is_next
        assert await recorded(store) == [(1, "complete", 20), (1, "failed", None)]
        assert await rows(store, usage.c.requests, usage.c.seconds, usage.c.is_estimate) == [
            (2, 2.25, False),
            (1, 1.0, False),
        ]
        assert (await store.ledger.newest()) is not None

    with closing(sqlite3.connect(path)) as file:
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
    assert not {name for name in names if "0001" in name}


async def test_upgrade_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(FIRST)
        file.execute("CREATE TABLE calls (something INTEGER)")  # is in the way
        file.commit()

    with suppress(Exception):
        async with opened(database_url(str(path))):
            raise AssertionError("It must not be opened.")

    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*), max(attempts) FROM usage").fetchone() == (2, 2)
        assert file.execute("SELECT count(*) FROM turns").fetchone() == (2,)


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[str]:
    """The URL of a database that has no tables yet."""
    if request.param == "sqlite":
        yield database_url(str(tmp_path / "bot.db"))
        return
    async with postgres.database() as url:
        yield url


async def test_four_that_open_an_empty_database_at_once_all_find_its_tables(empty: str) -> None:
    async def open_and_accept(number: int) -> Turn | None:
        async with opened(empty) as store:
            return await store.turns.accept(asked(number))

    accepted = await asyncio.gather(*(open_and_accept(number) for number in range(1, 5)))

    assert all(accepted)


async def test_opened_again_nothing_is_changed(store: Store, url: str) -> None:
    await accept(store, asked())

    async with opened(url) as again:
        assert await again.turns.accept(asked()) is None


async def test_migrations_make_the_tables_of_the_schema(empty: str) -> None:
    def differs(_context: Any, _found: Any, column: Column[Any], *_: Any) -> bool | None:
        return False if isinstance(column.type, JSON) else None  # PostgreSQL compares no JSON

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": differs})
        found = compare_metadata(context, schema)
        assert set(inspect(connection).get_table_names()) == {*schema.tables, "alembic_version"}
        return list(found)

    async with opened(empty) as store, store._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_newest_version_is_the_newest_file() -> None:
    folder = Path(versions.__file__ or "").parent
    numbers = sorted(path.name[:4] for path in folder.glob("[0-9]*.py"))

    assert numbers[-1] == HEAD
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


async def test_file_of_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with opened(database_url(str(path))):
        pass
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()

    with pytest.raises(CannotStart, match="newer version"):
        async with opened(database_url(str(path))):
            pass
