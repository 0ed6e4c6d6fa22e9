"""One database, opened: SQLite for one process, PostgreSQL for several replicas."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from ssl import SSLError
from typing import Any

import asyncpg
from sqlalchemy import event, select
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.retries import until_recorded
from bot.store.calls import CallsLeft, SharedCalls
from bot.store.channels import Channels
from bot.store.feedback import Feedback
from bot.store.greetings import Greetings
from bot.store.ledger import Ledger
from bot.store.limits import Limits
from bot.store.migrations import upgrade
from bot.store.replicas import Replica, SoleProcess
from bot.store.retention import Retention
from bot.store.transactions import AWAY, LOST, driver_s_own, transaction, unavailable
from bot.store.turns import Turns

# Seconds to connect, and for one statement: a database that takes longer counts as lost.
CONNECT_WITHIN = 5.0
STATEMENT_WITHIN = 10.0

# Connections of one replica. Each is used for milliseconds at a time.
CONNECTIONS = 5


Membership = SoleProcess | Replica


class Store:
    """The database: `turns`, `ledger` and `feedback` over one engine, and this process's part in
    it."""

    def __init__(self, database_url: str, engine: AsyncEngine, reports: AsyncEngine) -> None:
        self._engine = engine
        self._is_shared = is_postgres(database_url)
        self.turns = Turns(engine)
        self.ledger = Ledger(engine, reports=reports)
        self.feedback = Feedback(engine)
        self.limits = Limits(engine)
        self.greetings = Greetings(engine)
        self.channels = Channels(engine)
        self.retention = Retention(engine)
        self.member: Membership = (
            Replica(database_url, engine, self.turns)
            if self._is_shared
            else SoleProcess(sqlite_path(database_url), self.turns)
        )

    async def is_ready(self) -> bool:
        """Whether questions can be accepted now."""
        if self._is_shared:  # its session is looked at each second
            return self.member.is_alive
        async with transaction(self._engine) as connection:
            return await connection.scalar(select(1)) == 1

    def shares(self, team: str) -> SharedCalls | None:
        """Slack's limits as all processes share them; None where there can be only one."""
        return SharedCalls(self._engine, team, self.turns) if self._is_shared else None

    def calls_left(self, team: str) -> CallsLeft | None:
        """Slack's limits as one process leaves them to the next; None where they are shared."""
        return None if self._is_shared else CallsLeft(self._engine, team)


@asynccontextmanager
async def opened(database_url: str, *, is_awaited: bool = False) -> AsyncIterator[Store]:
    """The store, its tables brought to their newest form.

    ``is_awaited``: a server that is not there yet is waited for, however long it takes.

    :raises sqlalchemy.exc.SQLAlchemyError: it cannot be opened, or is no database.
    :raises Unavailable: its server is not there, if that is not awaited.
    """
    engine = await _engine(database_url)
    # A report may read for seconds, and no question should wait for it to be accepted.
    reports = engine if is_postgres(database_url) else _sqlite(database_url)
    try:
        await (until_recorded(lambda: _upgrade(engine)) if is_awaited else _upgrade(engine))
        yield Store(database_url, engine, reports)
    finally:
        await reports.dispose()
        await engine.dispose()


async def _upgrade(engine: AsyncEngine) -> None:
    try:
        async with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
            await connection.run_sync(upgrade)
    except (DBAPIError, *LOST) as error:
        found = driver_s_own(error)
        if isinstance(found, AWAY) and not isinstance(found, SSLError):
            raise unavailable(error) from error
        if isinstance(error, DBAPIError):
            raise
        raise DBAPIError(None, None, error) from error  # of a connection that was never made


def is_postgres(database_url: str) -> bool:
    return database_url.startswith("postgresql")


def sqlite_path(database_url: str) -> str:
    """The file that `bot.settings.database_url` made sure of."""
    path = make_url(database_url).database
    assert path
    return path


async def connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of its own; asyncpg reads the URL, with all that libpq's may hold."""
    return await asyncpg.connect(
        database_url, timeout=CONNECT_WITHIN, command_timeout=STATEMENT_WITHIN
    )


async def _engine(database_url: str) -> AsyncEngine:
    if is_postgres(database_url):
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: connect(database_url),
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS,
            pool_timeout=STATEMENT_WITHIN,
            pool_use_lifo=True,
        )
    await asyncio.to_thread(_prepare_file, sqlite_path(database_url))
    return _sqlite(database_url)


def _sqlite(database_url: str) -> AsyncEngine:
    # One connection: SQLite takes one writer, and a queue here is fairer than its busy time-out.
    engine = create_async_engine(
        database_url, pool_size=1, max_overflow=0, pool_timeout=STATEMENT_WITHIN
    )
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _keep_connection)
    return engine


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
    # The driver would begin transactions by itself, but not before it reads or makes tables.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL: what was acknowledged survives a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _begin(connection: Any) -> None:
    # IMMEDIATE where a transaction reads before it writes: it would be refused in between.
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _keep_connection(failure: ExceptionContext) -> None:
    """Where a call is cancelled, its statement runs on in the driver's thread, and is rolled back.

    SQLAlchemy would close the connection with the statement's cursor open, and the file would stay
    locked for as long as that lives.
    """
    if isinstance(failure.original_exception, asyncio.CancelledError):
        failure.is_disconnect = False
