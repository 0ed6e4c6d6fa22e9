"""One transaction; a database that is away is an error of ours, worth trying again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.errors import Unavailable

# What PostgreSQL says while it stops and starts, besides closing connections.
STOPPING = (asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, *STOPPING)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Committed when the context ends without an error.

    :raises Unavailable: the database cannot be reached, is locked or full. What was under way
        may have been committed all the same.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError, TimeoutError, *LOST) as error:
        raise unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, LOST):
            raise unavailable(error) from error
        raise


def writing(engine: AsyncEngine) -> AsyncEngine:
    """For transactions that read before they write: SQLite would refuse those in which another
    process has written between the two."""
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def unavailable(error: BaseException) -> Unavailable:
    return Unavailable("the database", type(getattr(error, "orig", None) or error).__name__)
