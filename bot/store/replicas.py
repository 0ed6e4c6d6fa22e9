"""Who is alive: processes that share one database see each other end, and take over."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import CannotStart, Unavailable
from bot.logs import broke, event
from bot.messages import Turn, TurnKey
from bot.store.transactions import LOST, transaction
from bot.store.turns import NEWS, WISHES, Turns

log = logging.getLogger(__name__)

# Seconds between two looks at who is alive, and within which the database answers one.
BEAT = 1.0
BEAT_WITHIN = 3.0

# Seconds for which a process that lost its session takes nothing over: a database that is started
# again has ended the sessions of all, and each is to go on with its own turns.
SETTLES_WITHIN = 3.0

# A process is alive while it holds the advisory lock (ALIVE, its name), which is a number; and
# takes nothing over any more while it also holds (LEAVING, its name).
ALIVE, LEAVING = 0x6C6C6D, 0x6C6C6E

# How many others are alive and stay. The dead, who is just being looked after, is locked as shared.
OTHERS = """
    SELECT count(DISTINCT objid)
    FROM pg_locks AS alive
    WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock' AND classid = :alive
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND objid <> :name AND NOT EXISTS (
            SELECT FROM pg_locks AS leaving
            WHERE leaving.locktype = 'advisory' AND leaving.classid = :leaving
                AND leaving.objid = alive.objid AND leaving.database = alive.database
        )
"""

# An earlier session of this process that the server still believes in.
END_EARLIER_SESSION = """
    SELECT pg_terminate_backend(pid)
    FROM pg_locks
    WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND classid = $1::oid
        AND objid = $2::oid AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

POOLER = (
    "DATABASE_URL goes through a pooler that shares connections (pgbouncer in transaction mode, "
    "say). Name the PostgreSQL server itself."
)

# Dead machines are noticed within about 20 seconds, by the server too.
KEEPALIVES = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "application_name": "llm-bot replica",
}


class Crew(Protocol):
    """The part of the bot that answers turns, as told who owns them."""

    @property
    def keys(self) -> Collection[TurnKey]:
        """Of the turns under way in this process."""

    def resume(self, turns: Iterable[Turn]) -> None: ...

    def drop(self, keys: Iterable[TurnKey]) -> None: ...

    def look_again(self, thread: tuple[str, str, str]) -> None: ...

    def look_up(self, key: TurnKey) -> None:
        """Something may be wanted of a turn: its record says what."""

    def pause(self) -> None:
        """Others may take over: nothing may be shown."""

    def go_on(self) -> None: ...


class SoleProcess:
    """The only process on a SQLite file: whatever was unfinished is its own."""

    def __init__(self, path: str, turns: Turns) -> None:
        # It is taken in one thread and released in another.
        self._lock = FileLock(f"{path}.lock", thread_local=False)
        self._path = path
        self._turns = turns
        self.is_alive = False

    async def join(self, crew: Crew) -> None:
        """:raises CannotStart: another process serves on this file."""
        try:
            await asyncio.to_thread(self._lock.acquire, timeout=0)
        except Timeout as error:
            raise CannotStart(
                f"DATABASE_URL: another process of this bot runs on {Path(self._path).name} "
                "already. Stop it first, or share a PostgreSQL instead."
            ) from error
        self.is_alive = True
        crew.resume(await self._turns.take_all())

    async def others(self) -> int:
        return 0

    async def take_nothing_more(self) -> None:
        """There is nobody from whom to take."""

    async def ended(self) -> None:
        """Never: the lock lasts as long as the process."""
        await asyncio.Future()

    async def leave(self) -> None:
        self.is_alive = False
        self._lock.release()


class Replica:
    """One of several processes on a PostgreSQL.

    It is alive while its session lasts, on a connection of its own, which holds an advisory lock:
    the server itself notices the end of a process, and no clocks are compared. A process that
    loses the session shows nothing until it has another, and then goes on with those of its turns
    that nobody has taken over.
    """

    def __init__(self, database_url: str, engine: AsyncEngine, turns: Turns) -> None:
        self._database_url = database_url
        self._engine = engine
        self._turns = turns
        self._name = int(turns.owner)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._takes_from = 0.0  # by the loop's clock: when it may take turns over
        self._is_leaving = False
        self.is_alive = False

    async def join(self, crew: Crew) -> None:
        """Returns when others can see that this process lives."""
        joined = asyncio.Event()
        self._task = asyncio.create_task(self._live(crew, joined))
        waiting = asyncio.create_task(joined.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            self._task.result()

    async def others(self) -> int:
        """How many other processes could go on with this one's turns; 0 where it cannot tell."""
        about = {"alive": ALIVE, "leaving": LEAVING, "name": self._name}
        try:
            async with transaction(self._engine) as connection:
                return int(await connection.scalar(text(OTHERS), about) or 0)
        except Unavailable:
            return 0

    async def take_nothing_more(self) -> None:
        """For a process that is about to leave: its own turns are for the others."""
        self._is_leaving = True
        self._news.set()

    async def ended(self) -> None:
        """Returns only by raising: this process cannot be a replica.

        :raises CannotStart: the database is behind a pooler.
        """
        if self._task:
            await asyncio.shield(self._task)

    async def leave(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _live(self, crew: Crew, joined: asyncio.Event) -> None:
        """One session after the other, for ever.

        :raises CannotStart: the database is behind a pooler.
        """

        async def session() -> None:
            try:
                await self._session(crew, joined)
            except (Unavailable, *LOST) as error:
                broke(log, "replica.lost", error)
            finally:
                self.is_alive = False
                crew.pause()

        while True:
            await session()
            await asyncio.sleep(BEAT)
            self._takes_from = asyncio.get_running_loop().time() + SETTLES_WITHIN

    async def _session(self, crew: Crew, joined: asyncio.Event) -> None:
        try:
            connection = await asyncpg.connect(
                self._database_url, timeout=BEAT_WITHIN, server_settings=KEEPALIVES
            )
        except asyncpg.ProtocolViolationError as error:  # a pooler knows no such settings
            raise CannotStart(POOLER) from error
        connection.add_termination_listener(lambda _: self._lost(crew))
        try:
            await self._show_life(connection)
            await connection.add_listener(NEWS, self._on_news(crew))
            await connection.add_listener(WISHES, _on_wish(crew))
            await self._sort_out(crew)
            process = await self._beat(connection)
            self._go_on(crew, joined)
            while True:
                if await self._beat(connection) != process:
                    raise CannotStart(POOLER)
                async with asyncio.timeout(BEAT_WITHIN):
                    if self._is_leaving:
                        await self._say_that_it_leaves(connection)
                    elif asyncio.get_running_loop().time() >= self._takes_from:
                        await self._look_for_orphans(connection, crew)
                await self._pause()
        finally:
            connection.terminate()

    def _lost(self, crew: Crew) -> None:
        """The session has ended: others may take over from this moment on."""
        crew.pause()
        self._news.set()

    async def _show_life(self, connection: Any) -> None:
        async with asyncio.timeout(BEAT_WITHIN):
            await connection.execute(END_EARLIER_SESSION, ALIVE, self._name)
            await connection.execute("SELECT pg_advisory_lock($1, $2)", ALIVE, self._name)

    async def _sort_out(self, crew: Crew) -> None:
        """What others have taken over while this process could not be seen to live is theirs."""
        keys = set(crew.keys)
        async with asyncio.timeout(BEAT_WITHIN):
            mine = await self._turns.left_to_me()
        crew.drop(keys - {turn.key for turn in mine})
        crew.resume(turn for turn in mine if turn.key not in keys)  # whose acceptance was lost
        for turn in mine:  # what was wanted of them meanwhile was heard by nobody
            crew.look_up(turn.key)

    def _go_on(self, crew: Crew, joined: asyncio.Event) -> None:
        self.is_alive = True
        crew.go_on()
        joined.set()
        event(log, "replica.alive", replica=self._turns.owner)

    async def _beat(self, connection: Any) -> int:
        async with asyncio.timeout(BEAT_WITHIN):
            return int(await connection.fetchval("SELECT pg_backend_pid()"))

    async def _look_for_orphans(self, connection: Any, crew: Crew) -> None:
        """Takes over what is nobody's, or of processes that are no more: some of it at a time."""
        for owner in await self._turns.others():
            if owner is None:
                crew.resume(await self._turns.take_over(owner))
            elif await connection.fetchval(
                "SELECT pg_try_advisory_lock_shared($1, $2)", ALIVE, int(owner)
            ):
                event(log, "replica.ended", replica=owner)
                try:
                    crew.resume(await self._turns.take_over(owner))
                finally:
                    await connection.execute(
                        "SELECT pg_advisory_unlock_shared($1, $2)", ALIVE, int(owner)
                    )

    async def _say_that_it_leaves(self, connection: Any) -> None:
        await connection.execute("SELECT pg_advisory_lock($1, $2)", LEAVING, self._name)

    async def _pause(self) -> None:
        """Until the next beat, or until there are turns to take over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await self._news.wait()
        self._news.clear()

    def _on_news(self, crew: Crew) -> Any:
        def heard(_connection: Any, _process: int, _channel: str, news: str) -> None:
            team, channel, thread_ts = [*news.split(":"), "", "", ""][:3]
            if news:
                crew.look_again((team, channel, thread_ts))
            else:
                self._news.set()

        return heard


def _on_wish(crew: Crew) -> Any:
    def heard(_connection: Any, _process: int, _channel: str, wish: str) -> None:
        team, channel, ts = [*wish.split(":"), "", "", ""][:3]
        crew.look_up(TurnKey(team, channel, ts))

    return heard
