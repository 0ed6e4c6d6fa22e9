"""One transaction; a database that is away is an error of ours, worth trying again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.errors import Unavailable

# What asyncpg raises where a connection cannot be made, or is no more.
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# Those of it that pass: a server that is not there, starts, stops or is full. Not a wrong password.
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
)

# What the same statement would meet again.
FOR_GOOD = (DataError, IntegrityError, ProgrammingError)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Committed when the context ends without an error.

    :raises Unavailable: the database cannot be reached, is starting or stopping, locked or full.
        What was under way may have been committed all the same.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except FOR_GOOD:
        raise
    except (DBAPIError, TimeoutError, *LOST) as error:
        raise unavailable(error) from error


def writing(engine: AsyncEngine) -> AsyncEngine:
    """For transactions that read before they write: SQLite would refuse those in which another
    process has written between the two."""
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def unavailable(error: BaseException) -> Unavailable:
    return Unavailable("the database", type(driver_s_own(error)).__name__)


def driver_s_own(error: BaseException) -> BaseException:
    """SQLAlchemy says of most only "Error"; what it wraps says more."""
    original: BaseException = getattr(error, "orig", None) or error
    return original.__cause__ or original
