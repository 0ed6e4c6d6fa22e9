"""The store on a real SQLite file, and its report as an operator prints it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.messages import File, Question, TurnKey, Usage, UsageRecord
from bot.settings import database_url
from bot.store import Store, opened, sqlite_path
from bot.store.schema import schema

SECRET = "the merger with Initech"
FILE = File("F0SECRET", SECRET)
QUESTION = Question("T1", "C1", "1700000000.000100", "1700000000.000100", "U1", SECRET, (FILE,))
RECORD = UsageRecord(
    at=datetime(2026, 1, 31, 12, 30, 15, 250, tzinfo=UTC),
    key=QUESTION.key,
    user="U1",
    model="gpt-4o-mini",
    usage=Usage(input_tokens=100, cached_tokens=40, output_tokens=20, reasoning_tokens=5),
    seconds_to_first_delta=0.5,
    seconds=2.25,
    requests=1,
    outcome="complete",
)


def in_channel(channel: str, **values: Any) -> UsageRecord:
    return replace(RECORD, key=TurnKey("T1", channel, "1.1"), **values)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def url(path: Path) -> str:
    return database_url(str(path))


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A file that is no database."""
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary, " * 100)
    return path


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as store:
        yield store


# ---- turns


async def test_question_is_accepted_once(store: Store) -> None:
    accepted = [await store.turns.accept(QUESTION) for _ in range(3)]

    assert [turn is not None for turn in accepted] == [True, False, False]


async def test_question_that_comes_fifty_times_at_once_is_accepted_once(store: Store) -> None:
    accepted = await asyncio.gather(*(store.turns.accept(QUESTION) for _ in range(50)))

    assert sum(turn is not None for turn in accepted) == 1


async def test_question_stays_accepted_after_a_restart(url: str) -> None:
    accepted = []
    for _ in range(2):
        async with opened(url) as store:
            accepted.append(await store.turns.accept(QUESTION))

    assert [turn is not None for turn in accepted] == [True, False]


async def test_question_is_accepted_by_one_of_two_processes(store: Store, url: str) -> None:
    async with opened(url) as other:
        both = (store, other) * 10
        accepted = await asyncio.gather(*(each.turns.accept(QUESTION) for each in both))

    assert sum(turn is not None for turn in accepted) == 1


@pytest.mark.parametrize("other", [{"team": "T2"}, {"channel": "C2"}, {"ts": "1700000000.000200"}])
async def test_other_message_is_another_question(store: Store, other: dict[str, str]) -> None:
    await store.turns.accept(QUESTION)

    assert await store.turns.accept(replace(QUESTION, **other))  # type: ignore[arg-type]


async def test_edited_question_is_the_same(store: Store) -> None:
    await store.turns.accept(QUESTION)

    assert not await store.turns.accept(replace(QUESTION, text="in other words"))


async def test_accepted_question_is_in_the_file_before_accept_returns(
    store: Store, path: Path
) -> None:
    await store.turns.accept(QUESTION)

    with sqlite3.connect(path) as other:
        rows = other.execute("SELECT team, channel, ts, thread_ts, user FROM turns").fetchall()
    other.close()
    assert rows == [("T1", "C1", QUESTION.ts, QUESTION.thread_ts, "U1")]


async def test_accept_waits_for_another_writer(store: Store, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    accepting = asyncio.create_task(store.turns.accept(QUESTION))
    _, waiting = await asyncio.wait({accepting}, timeout=0.1)

    other.execute("COMMIT")

    assert waiting == {accepting}
    assert await accepting
    other.close()


# ---- ledger


async def test_open_report_holds_no_writer_up(store: Store, path: Path) -> None:
    report = sqlite3.connect(path, isolation_level=None)
    report.execute("BEGIN")
    report.execute("SELECT count(*) FROM usage").fetchone()

    await store.ledger.record(RECORD)

    assert report.execute("SELECT count(*) FROM usage").fetchone() == (0,)  # as it began
    report.close()


async def test_report_under_way_holds_no_question_up(store: Store) -> None:
    async with store.ledger._reports.connect() as reading:  # the report has not been read yet
        await reading.execute(text("SELECT 1"))

        assert await store.turns.accept(QUESTION)


async def test_nothing_that_people_write_is_in_the_file(url: str, path: Path) -> None:
    async with opened(url) as store:
        await store.turns.accept(QUESTION)
        await store.ledger.record(RECORD)
        kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    kept += b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert b"gpt-4o-mini" in kept
    assert SECRET.encode() not in kept


def test_columns_hold_ids_times_and_numbers() -> None:
    words = {column.name for table in schema.tables.values() for column in table.columns}

    assert not words & {"text", "prompt", "answer", "messages", "content", "name", "title", "files"}


# ---- the file


async def test_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DBAPIError, match="unable to open database file"):
        async with opened(database_url(str(tmp_path / "nowhere" / "bot.db"))):
            pass


async def test_file_that_is_no_database_is_an_error(diary: Path) -> None:
    with pytest.raises(DBAPIError, match="file is not a database"):
        async with opened(database_url(str(diary))):
            pass


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite+aiosqlite:///bot.db", "bot.db"),
        ("sqlite+aiosqlite:////data/bot.db", "/data/bot.db"),
    ],
)
def test_path_of_the_file_is_told(url: str, path: str) -> None:
    assert sqlite_path(url) == path
