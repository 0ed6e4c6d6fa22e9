"""The usage log with a million answers: how long a report takes, and what recording adds."""

import asyncio
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg

from bot.budgets import EACH, Limit, Subject
from bot.messages import TurnKey, Usage, UsageRecord
from bot.playground.process import inherited
from bot.settings import database_url
from bot.store import opened
from tests.bench.measure import percentile
from tests.bench.tables import Figure, in_ms
from tests.postgres import postgres_server

ANSWERS = 1_000_000
DAYS = 365
CHANNELS, PEOPLE = 60, 400
RECORDED = 500  # to see what one takes

REPORT_WITHIN = 2.0  # seconds, for the whole command
RECORDING_WITHIN = 0.002  # seconds for an answer: its estimate when it begins, and its end

COLUMNS = (
    "at",
    "team",
    "channel",
    "ts",
    "user",
    "model",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "is_estimate",
    "cost",
    "priced_on",
    "seconds_to_first_delta",
    "seconds",
    "requests",
    "outcome",
)


async def report() -> list[Figure]:
    """What an operator waits for, from the command to its last line."""
    figures = []
    async with _sqlite() as url:
        load = f"{ANSWERS:,} answers, SQLite"
        for words, name in (
            ((), "by channel"),
            (("--by", "day", "channel"), "by day and channel"),
            (("--timezone", "Europe/Berlin", "--by", "day"), "by day, another time zone"),
            (("--format", "html"), "a page with charts"),
        ):
            took = await _took(url, "--since", "all", *words)
            is_met = took <= REPORT_WITHIN or name != "by channel"
            target = f"{REPORT_WITHIN:g} s" if name == "by channel" else "-"
            figures.append(Figure(f"report {name}, {load}", f"{took:.2f} s", target, is_met))
        took = await _took(url, "--format", "html")
        figures.append(Figure(f"report of 30 days as a page, {load}", f"{took:.2f} s"))
    async with _postgres() as url:
        took = await _took(url, "--since", "all")
        load = f"{ANSWERS:,} answers, PostgreSQL"
        figures.append(Figure(f"report by channel, {load}", f"{took:.2f} s"))
    return figures


async def recording() -> list[Figure]:
    """What it costs an answer to be recorded, and a question to be held against the limits."""
    figures = []
    for name, database in (("SQLite", _sqlite()), ("PostgreSQL", _postgres())):
        async with database as url:
            recorded, checked = await _recorded(url)
        load = f"{ANSWERS:,} answers before it, {name}"
        middle = median(recorded)
        figures += [
            Figure(
                f"recording of an answer, median, {load}",
                in_ms(middle),
                in_ms(RECORDING_WITHIN),
                middle <= RECORDING_WITHIN or name != "SQLite",
            ),
            Figure(f"recording of an answer, p95, {load}", in_ms(percentile(recorded, 95))),
            Figure(f"limits of a question, median, {load}", in_ms(median(checked))),
        ]
    return figures


async def _recorded(url: str) -> tuple[list[float], list[float]]:
    """Seconds for each answer to be recorded, and for each question to be held to its limits."""
    recorded, checked = [], []
    now, dice = datetime.now(UTC), random.Random(2)
    async with opened(url) as store:
        for subject in (
            Subject("workspace", "T1"),
            Subject("channel", EACH),
            Subject("person", EACH),
        ):
            limit = Limit(subject, 10**15, "tokens", "month")
            await store.limits.set("T1", limit, by="bench", at=now)
        for number in range(RECORDED):
            final = _record(ANSWERS + number, now, dice)
            estimate = replace(final, is_estimate=True, usage=Usage(final.usage.input_tokens))
            began = time.perf_counter()
            await store.limits.uses("T1", final.key.channel, final.user, now=now)
            held = time.perf_counter()
            await store.ledger.record(estimate)
            await store.ledger.record(final)
            recorded.append(time.perf_counter() - held)
            checked.append(held - began)
    return recorded, checked


async def _took(url: str, *words: str) -> float:
    """Seconds that ``python -m bot usage`` takes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "usage", "--output", "report", *words),
            env=inherited(os.environ) | {"DATABASE_URL": url},
            cwd=folder,
        )
        assert await process.wait() == 0
        return time.perf_counter() - began


@asynccontextmanager
async def _sqlite() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "bot.db"))
        url = database_url(path)
        async with opened(url):
            pass
        places = ", ".join("?" * len(COLUMNS))
        with closing(sqlite3.connect(path)) as file, file:
            statement = f"INSERT INTO usage ({', '.join(COLUMNS)}) VALUES ({places})"
            file.executemany(statement, map(_sqlite_row, _rows()))
        yield url


@asynccontextmanager
async def _postgres() -> AsyncIterator[str]:
    with postgres_server() as server:
        async with server.database() as url:
            async with opened(url):
                pass
            connection = await asyncpg.connect(url)
            await connection.copy_records_to_table("usage", records=_rows(), columns=COLUMNS)
            await connection.execute("ANALYZE usage")
            await connection.close()
            yield url


def _sqlite_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (f"{row[0]:%Y-%m-%d %H:%M:%S.%f}", *row[1:])


def _rows() -> Iterator[tuple[Any, ...]]:
    """The same answers each time, spread over a year."""
    dice = random.Random(1)
    start = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=DAYS)
    for number in range(ANSWERS):
        record = _record(number, start + timedelta(days=DAYS) * (number / ANSWERS), dice)
        fields = record.fields() | {"at": record.at, "cost": 123_456_789 if number % 50 else None}
        yield tuple(fields[column] for column in COLUMNS)


def _record(number: int, at: datetime, dice: random.Random) -> UsageRecord:
    """A few channels and people have most of them; one in ten is a direct message."""
    place = min(int(dice.paretovariate(0.7)) - 1, CHANNELS - 1)
    person = min(int(dice.paretovariate(0.6)) - 1, PEOPLE - 1)
    channel = f"D{person:08}" if dice.random() < 0.1 else f"C{place:08}"
    return UsageRecord(
        at=at,
        key=TurnKey("T1", channel, f"{1_700_000_000 + number}.000100"),
        user=f"U{person:08}",
        model=dice.choice(("gpt-4o-mini", "gpt-5.4-mini", "claude-sonnet-5.5")),
        usage=Usage(dice.randrange(200, 16_000), 100, dice.randrange(20, 2_000), 0),
        seconds_to_first_delta=dice.lognormvariate(-0.5, 0.6),
        seconds=10.0,
        requests=1,
        outcome="failed" if number % 30 == 0 else "complete",
        cost=Decimal("0.000123456789"),
        priced_on="2026-11-25",
    )
