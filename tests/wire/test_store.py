"""The store on a real SQLite file, and its report as an operator prints it."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from bot.messages import File, Question, TurnKey, Usage, UsageRecord
from bot.settings import database_url
from bot.store import Store, opened, sqlite_path
from bot.store.schema import schema
from bot.usage import Total

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


async def test_record_is_read_back_as_it_was(store: Store) -> None:
    await store.ledger.record(in_channel("C9"))
    await store.ledger.record(RECORD)

    assert await store.ledger.newest() == RECORD


async def test_unknown_stays_unknown(store: Store, path: Path) -> None:
    unknown = replace(RECORD, usage=Usage(), seconds_to_first_delta=None, outcome="failed")

    await store.ledger.record(unknown)

    assert await store.ledger.newest() == unknown
    with sqlite3.connect(path) as other:
        row = other.execute("SELECT input_tokens, reasoning_tokens FROM usage").fetchone()
    other.close()
    assert row == (None, None)


async def test_empty_ledger_has_no_totals(store: Store) -> None:
    assert await store.ledger.newest() is None
    assert await store.ledger.by_channel() == []


async def test_totals_are_summed_for_each_channel(store: Store) -> None:
    for record in (
        in_channel("CSMALL", usage=Usage(1, 0, 1, 0)),
        in_channel("CBIG"),
        in_channel("CBIG", outcome="cut"),
        in_channel("CBIG", usage=Usage(), outcome="failed"),
        in_channel("CNONE", usage=Usage(), outcome="stopped"),
    ):
        await store.ledger.record(record)

    assert await store.ledger.by_channel() == [
        Total("CBIG", answers=3, complete=1, unreported=1, usage=Usage(200, 80, 40, 10)),
        Total("CSMALL", answers=1, complete=1, unreported=0, usage=Usage(1, 0, 1, 0)),
        Total("CNONE", answers=1, complete=0, unreported=1, usage=Usage()),
    ]


async def test_count_that_a_provider_does_not_tell_is_unknown_and_not_zero(store: Store) -> None:
    await store.ledger.record(in_channel("C1", usage=Usage(100, None, 20, None)))

    totals = await store.ledger.by_channel()

    assert [total.usage for total in totals] == [Usage(100, None, 20, None)]


async def test_report_is_read_while_answers_are_recorded(store: Store, url: str) -> None:
    async def record_all() -> None:
        for minute in range(100):
            await store.ledger.record(replace(RECORD, at=RECORD.at + timedelta(minutes=minute)))

    counts = [0]
    async with opened(url) as report:
        recording = asyncio.create_task(record_all())
        while not recording.done():
            counts += [total.answers for total in await report.ledger.by_channel()]
        await recording
        counts += [total.answers for total in await report.ledger.by_channel()]

    assert counts == sorted(counts)
    assert counts[-1] == 100


async def test_open_report_holds_no_writer_up(store: Store, path: Path) -> None:
    report = sqlite3.connect(path, isolation_level=None)
    report.execute("BEGIN")
    report.execute("SELECT count(*) FROM usage").fetchone()

    await store.ledger.record(RECORD)

    assert report.execute("SELECT count(*) FROM usage").fetchone() == (0,)  # as it began
    report.close()


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


# ---- the report


async def report(database: str, folder: Path) -> tuple[int, str, str]:
    """`python -m bot usage` as an operator calls it: status, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "usage",
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": database,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def test_report_is_printed_while_the_bot_writes(
    store: Store, url: str, tmp_path: Path
) -> None:
    await store.ledger.record(in_channel("CGENERAL"))
    await store.ledger.record(in_channel("CRANDOM", usage=Usage()))

    status, output, errors = await report(url, tmp_path)

    assert (status, errors) == (0, "")
    rows = [line.split() for line in output.splitlines()]
    assert ["CGENERAL", "1", "1", "100", "40", "20", "5"] in rows
    assert ["CRANDOM", "1", "1", "-", "-", "-", "-"] in rows


async def test_report_says_why_the_database_cannot_be_used(tmp_path: Path, diary: Path) -> None:
    (
        (folder, no_output, why_folder),
        (wrong, _, why_wrong),
        (foreign, _, why_foreign),
    ) = await asyncio.gather(
        report(str(tmp_path), tmp_path),
        report(str(diary), tmp_path),
        report("mysql://db/bot", tmp_path),
    )

    assert (folder, wrong, foreign) == (1, 1, 1)
    assert no_output == ""
    assert why_folder.splitlines() == [
        "DATABASE_URL: the database cannot be used: unable to open database file"
    ]
    assert why_wrong.splitlines() == [
        "DATABASE_URL: the database cannot be used: file is not a database"
    ]
    assert "DATABASE_URL must look like sqlite:///path/to/bot.db" in why_foreign
