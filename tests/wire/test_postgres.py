"""The PostgreSQL that the tests bring along: a server, and a database for each test."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from tests.postgres import VARIABLE, Postgres, postgres_server


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server of this test alone, which it may stop."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with postgres_server() as server:
        yield server


async def test_each_database_is_empty_and_gone_afterwards(postgres: Postgres) -> None:
    async with postgres.database() as one, postgres.database() as other:
        first, second = await asyncpg.connect(one), await asyncpg.connect(other)
        await first.execute("CREATE TABLE things (name text)")
        names = await second.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        await second.close()
    # The first is still connected, and that keeps nobody from dropping its database.

    assert names == []
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(one)
    first.terminate()


@pytest.mark.parametrize("at_once", [False, True])
async def test_it_stops_and_what_was_written_is_there_when_it_starts_again(
    own: Postgres, at_once: bool
) -> None:
    async with own.database() as url:
        before = await asyncpg.connect(url)
        await before.execute("CREATE TABLE things AS SELECT 'kept' AS name")
        await asyncio.to_thread(own.stop, at_once=at_once)
        with pytest.raises((FileNotFoundError, ConnectionError)):
            await asyncpg.connect(url)
        await asyncio.to_thread(own.start)
        after = await asyncpg.connect(url)
        kept = await after.fetchval("SELECT name FROM things")
        await after.close()

    assert before.is_closed()
    assert kept == "kept"


async def test_a_server_that_the_environment_names_is_used_and_left_alone(
    own: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, own.url)
    with postgres_server() as named:
        async with named.database() as url:
            connection = await asyncpg.connect(url)
            await connection.close()
        assert not named.is_ours
    connection = await asyncpg.connect(own.url)
    await connection.close()
