"""What is kept: which questions were accepted, and what their answers cost. Ids, never text."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    case,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.messages import Question, TurnKey, Usage, UsageRecord
from bot.usage import Total

schema = MetaData()

turns = Table(
    "turns",
    schema,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("ts", String, primary_key=True),
    Column("thread_ts", String, nullable=False),
    Column("user", String, nullable=False),
    Column("accepted_at", DateTime, nullable=False, server_default=func.now()),
)

usage = Table(
    "usage",
    schema,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False, index=True),  # UTC
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("user", String, nullable=False),
    Column("model", String, nullable=False),
    Column("input_tokens", Integer),  # NULL where the provider did not say
    Column("cached_tokens", Integer),
    Column("output_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("seconds_to_first_delta", Float),
    Column("seconds", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String, nullable=False),
)


class Turns:
    """The questions that were accepted, each once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def accept(self, question: Question) -> bool:
        """Writes the question down; False where it had been before.

        Committed when this returns, so the event may be acknowledged.
        """
        row = {
            "team": question.team,
            "channel": question.channel,
            "ts": question.ts,
            "thread_ts": question.thread_ts,
            "user": question.user,
        }
        async with self._engine.begin() as connection:
            result = await connection.execute(
                sqlite_insert(turns).values(row).on_conflict_do_nothing()
            )
        return result.rowcount == 1


class Ledger:
    """The usage records."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, record: UsageRecord) -> None:
        row = record.fields() | {"at": record.at.replace(tzinfo=None)}
        async with self._engine.begin() as connection:
            await connection.execute(insert(usage).values(row))

    async def by_channel(self) -> list[Total]:
        """The sums of each channel, the one with the most tokens first."""
        tokens = func.coalesce(func.sum(usage.c.input_tokens), 0) + func.coalesce(
            func.sum(usage.c.output_tokens), 0
        )
        query = (
            select(
                usage.c.channel,
                func.count(),
                func.sum(case((usage.c.outcome == "complete", 1), else_=0)),
                func.sum(case((usage.c.input_tokens.is_(None), 1), else_=0)),
                func.sum(usage.c.input_tokens),
                func.sum(usage.c.cached_tokens),
                func.sum(usage.c.output_tokens),
                func.sum(usage.c.reasoning_tokens),
            )
            .group_by(usage.c.channel)
            .order_by(tokens.desc(), usage.c.channel)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Total(row[0], row[1], row[2], row[3], Usage(*row[4:])) for row in rows]

    async def newest(self) -> UsageRecord | None:
        query = select(usage).order_by(usage.c.id.desc()).limit(1)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _record(dict(row)) if row else None


class Store:
    """The database: `turns` and `ledger` over one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.turns = Turns(engine)
        self.ledger = Ledger(engine)


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Store]:
    """The store, its tables made where they are missing.

    :raises sqlalchemy.exc.SQLAlchemyError: it cannot be opened, or is no database.
    """
    await asyncio.to_thread(_prepare_file, sqlite_path(database_url))
    # One connection: SQLite takes one writer, and a queue here is fairer than its busy time-out.
    engine = create_async_engine(database_url, pool_size=1, max_overflow=0)
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(schema.create_all)
        yield Store(engine)
    finally:
        await engine.dispose()


def sqlite_path(database_url: str) -> str:
    """The file that `bot.settings.database_url` made sure of."""
    path = make_url(database_url).database
    assert path
    return path


def _prepare_file(path: str) -> None:
    """Switches write-ahead logging on for good: reports read while the bot writes.

    Not through the engine: where a file cannot be opened, or is no database, aiosqlite's thread
    outlives the event loop and prints its own traceback.
    """
    try:
        with closing(sqlite3.connect(path, uri=path.startswith("file:"))) as file:
            file.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise DBAPIError(None, None, error) from error


def _set_pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # FULL: what was acknowledged survives a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _record(row: dict[str, Any]) -> UsageRecord:
    return UsageRecord(
        at=row["at"].replace(tzinfo=UTC),
        key=TurnKey(row["team"], row["channel"], row["ts"]),
        user=row["user"],
        model=row["model"],
        usage=Usage(
            row["input_tokens"],
            row["cached_tokens"],
            row["output_tokens"],
            row["reasoning_tokens"],
        ),
        seconds_to_first_delta=row["seconds_to_first_delta"],
        seconds=row["seconds"],
        attempts=row["attempts"],
        outcome=row["outcome"],
    )
