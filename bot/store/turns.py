"""The questions that were accepted, each once, and how far their answers are."""

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Update,
    and_,
    exists,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.messages import Outcome, Question, Turn, TurnKey, UsageRecord
from bot.store.ledger import ending, record_in
from bot.store.schema import stored, turns
from bot.store.transactions import transaction

UNFINISHED = turns.c.finished_at.is_(None)
KEY = tuple_(turns.c.team, turns.c.channel, turns.c.ts)

# PostgreSQL's NOTIFY channel: "team:channel:thread_ts" where a turn ended, "" where turns were
# given up.
NEWS = "llmbot_turns"

# How many turns one replica takes over at a time, so that the living share those of the dead.
TAKEN_AT_ONCE = 20

# Keys in one statement: databases bound its length.
AT_ONCE = 1000


class Turns:
    """The table of turns, as one process, its ``owner``, reads and writes it.

    A process that was taken for dead changes nothing of what others have taken over. Every call
    may raise `Unavailable`, as `transaction` does.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._is_postgres = engine.dialect.name == "postgresql"
        self._life = 0  # how often others may have taken this process for dead
        self.owner = str(secrets.randbelow(2**31))  # as PostgreSQL's advisory locks take it

    async def accept(self, question: Question) -> Turn | None:
        """Writes the question down; None where it had been before.

        Committed when this returns, so the event may be acknowledged.
        """
        life = self._life
        turn = await self._write_down(question)
        while turn and life != self._life:  # others may have taken it over
            life = self._life
            turn = await self.mine(question.key)
        return turn

    async def is_next(self, turn: Turn) -> bool:
        """Whether no earlier turn of its thread is unfinished."""
        async with transaction(self._engine) as connection:
            return not await connection.scalar(_is_behind(turn))

    async def asked_before(self, turn: Turn, *, within: timedelta, most: int) -> list[datetime]:
        """When the person's questions just before this one were accepted, the newest first.

        Those that were refused do not count.
        """
        query = (
            select(turns.c.accepted_at)
            .where(
                turns.c.team == turn.key.team,
                turns.c.user == turn.user,
                turns.c.accepted_at > stored(turn.accepted_at - within),
                turns.c.place < turn.place,
                turns.c.outcome.is_distinct_from("refused"),
            )
            .order_by(turns.c.accepted_at.desc())
            .limit(most)
        )
        async with transaction(self._engine) as connection:
            found = list(await connection.scalars(query))
        return [at.replace(tzinfo=UTC) for at in found]

    async def mine(self, key: TurnKey) -> Turn | None:
        """That turn, if it is this process's and unfinished."""
        async with transaction(self._engine) as connection:
            found = await self._taken(connection, and_(self._is_mine, KEY.in_([key])))
        return found[0] if found else None

    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        """Counts an attempt, and what it is expected to use at least, should this process die."""
        counted = self._mine(turn.key).values(attempts=record.attempt)
        async with transaction(self._engine) as connection:
            if (await connection.execute(counted)).rowcount:
                await record_in(connection, record)

    async def note_messages(self, key: TurnKey, messages: Sequence[str]) -> None:
        """The ``ts`` of the reply's messages as they stand now."""
        async with transaction(self._engine) as connection:
            await connection.execute(self._mine(key).values(reply=list(messages)))

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> None:
        """The turn is over, and what its last attempt used.

        Without a record the model was not asked now: what was begun before came to that outcome.
        """
        ended = self._mine(turn.key).values(finished_at=_now(), outcome=outcome)
        async with transaction(self._engine) as connection:
            if not (await connection.execute(ended)).rowcount:
                return
            if record:
                await record_in(connection, record)
            elif turn.attempts:
                await connection.execute(ending(turn, outcome))
            await self._tell(connection, ":".join(turn.thread))

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        """Gives a turn up that was begun, and keeps what it has used so far."""
        given_up = self._mine(turn.key).values(owner=None)
        async with transaction(self._engine) as connection:
            if not (await connection.execute(given_up)).rowcount:
                return
            if record:
                await record_in(connection, record)
            await self._tell(connection, "")

    async def release(self, keys: Collection[TurnKey]) -> None:
        """Gives turns up that were not begun, for whoever takes them."""
        ordered = list(keys)
        async with transaction(self._engine) as connection:
            for start in range(0, len(ordered), AT_ONCE):
                these = ordered[start : start + AT_ONCE]
                await connection.execute(self._mine(*these).values(owner=None))
            await self._tell(connection, "")

    async def others(self) -> list[str | None]:
        """Who else owns unfinished turns; None where nobody does."""
        query = select(turns.c.owner).where(
            UNFINISHED, or_(turns.c.owner.is_(None), turns.c.owner != self.owner)
        )
        async with transaction(self._engine) as connection:
            return list(await connection.scalars(query.distinct()))

    async def take_over(self, owner: str | None) -> list[Turn]:
        """Some unfinished turns of an owner that is no more, the oldest first; now this one's."""
        theirs = (
            select(turns.c.place)
            .where(UNFINISHED, turns.c.owner.is_not_distinct_from(owner))
            .order_by(turns.c.place)
            .limit(TAKEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        async with transaction(self._engine) as connection:
            taken = await self._taken(connection, turns.c.place.in_(theirs))
            if len(taken) == TAKEN_AT_ONCE:  # there may be more, for the others too
                await self._tell(connection, "")
        return taken

    async def take_all(self) -> list[Turn]:
        """All unfinished turns, whoever's: where no other process can be alive."""
        async with transaction(self._engine) as connection:
            return await self._taken(connection, UNFINISHED)

    async def left_to_me(self) -> list[Turn]:
        """This process's unfinished turns, which others might have taken over until now."""
        self._life += 1
        async with transaction(self._engine) as connection:
            return await self._taken(connection, self._is_mine)

    async def _write_down(self, question: Question) -> Turn | None:
        now = _now()
        row = {
            "team": question.team,
            "channel": question.channel,
            "ts": question.ts,
            "thread_ts": question.thread_ts,
            "user": question.user,
            "accepted_at": now,
            "owner": self.owner,
        }
        async with transaction(self._engine) as connection:
            await self._lock_thread(connection, question)
            place = await connection.scalar(self._inserting(row))
            if place is None:
                return None
            turn = Turn(
                key=question.key,
                thread_ts=question.thread_ts,
                user=question.user,
                place=place,
                accepted_at=now.replace(tzinfo=UTC),
            )
            is_behind = await connection.scalar(_is_behind(turn))
        return turn if is_behind else turn.now_next()

    @property
    def _is_mine(self) -> ColumnElement[bool]:
        return and_(UNFINISHED, turns.c.owner == self.owner)

    async def _taken(self, connection: AsyncConnection, which: ColumnElement[bool]) -> list[Turn]:
        taking = update(turns).where(which).values(owner=self.owner).returning(turns)
        rows = (await connection.execute(taking)).all()
        return sorted(map(_turn, rows), key=lambda turn: turn.place)

    def _mine(self, *keys: TurnKey) -> Update:
        """Nothing where another has taken over meanwhile, or has finished."""
        return update(turns).where(self._is_mine, KEY.in_(keys))

    def _inserting(self, row: dict[str, Any]) -> Any:
        insert = postgresql.insert if self._is_postgres else sqlite.insert
        return insert(turns).values(row).on_conflict_do_nothing().returning(turns.c.place)

    async def _lock_thread(self, connection: AsyncConnection, question: Question) -> None:
        """So that the order of places is the order of commits, whichever replica accepts."""
        if self._is_postgres:
            thread = f"{question.team}:{question.channel}:{question.thread_ts}"
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:thread, 0))")
            await connection.execute(lock, {"thread": thread})

    async def _tell(self, connection: AsyncConnection, news: str) -> None:
        if self._is_postgres:
            tell = text("SELECT pg_notify(:channel, :news)")
            await connection.execute(tell, {"channel": NEWS, "news": news})


def _is_behind(turn: Turn) -> Select[tuple[bool]]:
    team, channel, thread_ts = turn.thread
    return select(
        exists().where(
            turns.c.team == team,
            turns.c.channel == channel,
            turns.c.thread_ts == thread_ts,
            turns.c.place < turn.place,
            UNFINISHED,
        )
    )


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        key=TurnKey(row.team, row.channel, row.ts),
        thread_ts=row.thread_ts,
        user=row.user,
        place=row.place,
        accepted_at=row.accepted_at.replace(tzinfo=UTC),
        attempts=row.attempts,
        messages=tuple(row.reply),
        is_resumed=True,
    )


def _now() -> datetime:
    return stored(datetime.now(UTC))
