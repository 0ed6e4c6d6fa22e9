"""The usage log with a million answers: how long a report takes, and what recording adds."""

import asyncio
import os
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from sqlalchemy import update

from bot.blocks import Json
from bot.budgets import EACH, Limit, Subject
from bot.interactions import Command
from bot.messages import TurnKey, Usage, UsageRecord
from bot.people import People, Person
from bot.playground.process import inherited
from bot.settings import database_url
from bot.store import Store, opened
from bot.store.ledger import record_in
from bot.store.schema import turns
from bot.store.transactions import transaction
from bot.usage_desk import UsageDesk
from tests.bench.measure import percentile
from tests.bench.tables import Figure, in_ms
from tests.postgres import postgres_server

ANSWERS = 1_000_000
DAYS = 365
MONTH = 27  # days, all of them in the last 30 that an admin may ask for
CHANNELS, PEOPLE = 60, 400
RECORDED = 500  # to see what one takes

REPORT_WITHIN = 2.0  # seconds, for the whole command
SHOWN_WITHIN = 2.0  # seconds, for `/llm usage`
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
        took, words = await _took(url, "--since", "all")
        target, is_met = f"{REPORT_WITHIN:g} s", took <= REPORT_WITHIN
        figures.append(Figure(f"report by channel, {load}", words, target, is_met))
        for options, name in (
            (("--since", "all", "--by", "day", "channel"), "by day and channel"),
            (("--since", "all", "--timezone", "Europe/Berlin", "--by", "day"), "by Berlin's days"),
            (("--since", "all", "--format", "html"), "as a page"),
            (("--format", "html"), "of 30 days as a page"),
        ):
            _, words = await _took(url, *options)
            figures.append(Figure(f"report {name}, {load}", words))
    async with _sqlite(days=MONTH) as url:
        for user, name in (("UADMIN", "an admin"), ("U00000003", "somebody")):
            took, words = await _shown(url, user)
            load = f"{ANSWERS:,} answers of a month, SQLite"
            target, is_met = f"{SHOWN_WITHIN:g} s", took <= SHOWN_WITHIN
            figures.append(Figure(f"/llm usage 30d for {name}, {load}", words, target, is_met))
    async with _postgres() as url:
        _, words = await _took(url, "--since", "all")
        figures.append(Figure(f"report by channel, {ANSWERS:,} answers, PostgreSQL", words))
    return figures


async def recording() -> list[Figure]:
    """What it adds to an answer to be recorded, and to a question to be held against limits."""
    figures = []
    for name, database in (("SQLite", _sqlite()), ("PostgreSQL", _postgres())):
        async with database as url:
            recorded, checked = await _recorded(url)
        load = f"after {ANSWERS:,}, {name}"
        middle = median(recorded)
        figures += [
            Figure(
                f"recording adds to an answer, median, {load}",
                in_ms(middle),
                in_ms(RECORDING_WITHIN),
                middle <= RECORDING_WITHIN,
            ),
            Figure(f"recording adds to an answer, p95, {load}", in_ms(percentile(recorded, 95))),
            Figure(f"limits of a question, median, {load}", in_ms(median(checked))),
        ]
    return figures


async def _recorded(url: str) -> tuple[list[float], list[float]]:
    """Seconds that an answer takes to be recorded, and a question to be held to its limits.

    An answer is recorded when it begins and when it ends, in transactions that write its turn in
    any case: what these take is not counted.
    """
    recorded, checked = [], []
    now, dice = datetime.now(UTC), random.Random(2)
    async with opened(url) as store:
        await _limit(store, now)
        for number in range(RECORDED):
            final = _record(ANSWERS + number, now, dice)
            estimate = replace(final, is_estimate=True, usage=Usage(final.usage.input_tokens))
            began = time.perf_counter()
            await store.limits.uses("T1", final.key.channel, final.user, now=now)
            checked.append(time.perf_counter() - began)
            recorded.append(await _added(store, estimate) + await _added(store, final))
    return recorded, checked


async def _added(store: Store, record: UsageRecord) -> float:
    async with transaction(store.ledger._engine) as connection:
        await connection.execute(update(turns).values(attempts=1))  # as the turn's own does
        began = time.perf_counter()
        await record_in(connection, record)
        return time.perf_counter() - began


async def _limit(store: Store, now: datetime) -> None:
    for subject in (Subject("workspace", "T1"), Subject("channel", EACH), Subject("person", EACH)):
        limit = Limit(subject, 10**15, "tokens", "month")
        await store.limits.set("T1", limit, by="bench", at=now)


async def _shown(url: str, user: str) -> tuple[float, str]:
    """Seconds until there is what somebody is shown, and the same in words, with CPU."""
    async with opened(url) as store:
        slack = _Slack()
        desk = UsageDesk(
            "T1",
            people=People(slack, admins=["UADMIN"]),
            ledger=store.ledger,
            feedback=store.feedback,
            budgets=store.limits,
            surfaces=slack,
            names=slack,
            channels=slack,
        )
        began, used = time.perf_counter(), time.process_time()
        await desk.answer(Command(user, "C00000003", "usage 30d", "", ""), "30d")
        took = time.perf_counter() - began
        return took, f"{took:.2f} s ({time.process_time() - used:.2f} s of CPU)"


class _Slack:
    """One that takes no time, and in which no channel has settings."""

    async def shown_there(self, channel: str) -> list[Json]:
        return []

    async def person(self, user: str) -> Person:
        return Person(user)

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        return {}

    async def respond(self, url: str, message: Json, *, replaces: bool = False) -> None: ...

    async def show_home(self, user: str, view: Json) -> None: ...

    async def direct(self, user: str, message: Json) -> tuple[str, str]:
        return "", ""

    async def reply(self, channel: str, thread_ts: str, message: Json) -> None: ...

    async def upload(self, channel: str, thread_ts: str, *, name: str, content: bytes) -> None: ...


async def _took(url: str, *words: str) -> tuple[float, str]:
    """Seconds that ``python -m bot usage`` takes, and the same in words, with its share of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), _children()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "usage", "--output", "report", *words),
            env=inherited(os.environ) | {"DATABASE_URL": url},
            cwd=folder,
        )
        assert await process.wait() == 0
        took = time.perf_counter() - began
        return took, f"{took:.2f} s ({_children() - used:.2f} s of CPU)"


def _children() -> float:
    """Seconds of CPU of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@asynccontextmanager
async def _sqlite(*, days: int = DAYS) -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "bot.db"))
        url = database_url(path)
        async with opened(url):
            pass
        with closing(sqlite3.connect(path)) as file, file:
            _fill(file, days)
        yield url


@asynccontextmanager
async def _postgres() -> AsyncIterator[str]:
    with postgres_server() as server:
        async with server.database() as url:
            async with opened(url):
                pass
            connection = await asyncpg.connect(url)
            await connection.execute("ALTER TABLE usage DISABLE TRIGGER ALL")
            await connection.copy_records_to_table("usage", records=_rows(DAYS), columns=COLUMNS)
            await connection.execute("ALTER TABLE usage ENABLE TRIGGER ALL")
            await connection.execute("ANALYZE usage")
            await connection.close()
            yield url


def _fill(file: sqlite3.Connection, days: int) -> None:
    """Without the triggers, which would take minutes for as many; they are back in the end."""
    found = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in found:
        file.execute(f"DROP TRIGGER {name}")
    places = ", ".join("?" * len(COLUMNS))
    statement = f"INSERT INTO usage ({', '.join(COLUMNS)}) VALUES ({places})"
    file.executemany(statement, map(_sqlite_row, _rows(days)))
    for _, sql in found:
        file.execute(sql)


def _sqlite_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (f"{row[0]:%Y-%m-%d %H:%M:%S.%f}", *row[1:])


def _rows(days: int) -> Iterator[tuple[Any, ...]]:
    """The same answers each time, spread over so many days."""
    dice, span = random.Random(1), timedelta(days=days)
    start = datetime.now(UTC).replace(tzinfo=None) - span
    for number in range(ANSWERS):
        record = _record(number, start + span * (number / ANSWERS), dice)
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
