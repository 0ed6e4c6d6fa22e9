"""The questions that were accepted, each once, and how far their answers are."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Update,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.errors import AskedTooFast
from bot.messages import Outcome, Question, Turn, TurnKey, UsageRecord
from bot.store.ledger import ending, foreboding_in, record_in
from bot.store.schema import asked_again, stored, turns
from bot.store.transactions import transaction, writing

UNFINISHED = turns.c.finished_at.is_(None)
KEY = tuple_(turns.c.team, turns.c.channel, turns.c.ts)

# PostgreSQL's NOTIFY channels: of NEWS, "team:channel:thread_ts" where a turn ended, "" where turns
# were given up; of WISHES, "team:channel:ts" of a turn that was stopped or asked for again.
NEWS = "llmbot_turns"
WISHES = "llmbot_wishes"

MINUTE = timedelta(minutes=1)

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

    async def find(self, key: TurnKey) -> Turn | None:
        """Whoever's it is, finished or not."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(turns).where(KEY.in_([key])))).one_or_none()
        return _turn(row) if row else None

    async def unfinished(self, thread: tuple[str, str, str]) -> list[Turn]:
        """Those of a thread, in the order in which they are answered."""
        query = select(turns).where(UNFINISHED, _is_of(thread)).order_by(turns.c.place)
        async with transaction(self._engine) as connection:
            return list(map(_turn, await connection.execute(query)))

    async def is_next(self, turn: Turn) -> bool:
        """Whether no earlier turn of its thread is unfinished."""
        async with transaction(self._engine) as connection:
            return not await connection.scalar(_is_behind(turn))

    async def asked_before(self, turn: Turn, *, within: timedelta, most: int) -> list[datetime]:
        """When the person asked just before this question, the newest first, as `_lately` does."""
        async with transaction(self._engine) as connection:
            since = turn.accepted_at - within
            return await self._lately(connection, turn.key.team, turn.user, since, most, turn)

    async def asked_lately(
        self, team: str, user: str, *, since: datetime, most: int
    ) -> list[datetime]:
        """When somebody asked since then, the newest first, as `_lately` does."""
        async with transaction(self._engine) as connection:
            return await self._lately(connection, team, user, since, most)

    async def mine(self, key: TurnKey) -> Turn | None:
        """That turn, if it is this process's and unfinished."""
        async with transaction(self._engine) as connection:
            found = await self._taken(connection, and_(self._is_mine, KEY.in_([key])))
        return found[0] if found else None

    async def take_up(self, turn: Turn) -> None:
        """Counts an attempt before the model can be asked: its process may die of the thread."""
        counted = self._mine(turn.key).values(attempts=turn.attempts + 1)
        async with transaction(self._engine) as connection:
            await connection.execute(counted)

    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        """Counts an attempt, and what it is expected to use at least, should this process die."""
        counted = self._mine(turn.key).values(attempts=record.attempt)
        async with transaction(self._engine) as connection:
            if (await connection.execute(counted)).rowcount:
                await record_in(connection, record)

    async def lost(self, turn: Turn) -> UsageRecord | None:
        """What is kept of its latest attempt where the process died in it: nothing of what was
        written."""
        async with transaction(self._engine) as connection:
            return await foreboding_in(connection, turn)

    async def note_messages(self, key: TurnKey, messages: Sequence[str]) -> None:
        """The ``ts`` of the reply's messages as they stand now."""
        async with transaction(self._engine) as connection:
            # Also when it has just been finished: buttons are found by these.
            own = update(turns).where(turns.c.owner == self.owner, KEY.in_([key]))
            await connection.execute(own.values(reply=list(messages)))

    async def record(self, record: UsageRecord) -> None:
        """What an attempt used that was given up, because something else is asked now."""
        async with transaction(self._engine) as connection:
            await record_in(connection, record)

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> Turn | None:
        """The turn is over, and what its last attempt used; except where it was asked for again
        meanwhile: then as what.

        Without a record the model was not asked now: what was begun before came to that outcome.
        """
        mine = self._mine(turn.key)
        if record:  # an attempt counts also where it ended before it was begun
            mine = mine.values(attempts=record.attempt)
        ended = mine.where(turns.c.asked == turn.asked).values(outcome=outcome, finished_at=_now())
        # All that was begun so far was for what was asked before.
        before = record.attempt if record else turns.c.attempts
        later = mine.where(turns.c.asked > turn.asked).values(attempts_before=before)
        async with transaction(self._engine) as connection:
            is_over = (await connection.execute(ended)).rowcount > 0
            row = (await connection.execute(later.returning(turns))).one_or_none()
            again = _turn(row) if row else None
            if not (is_over or again):
                return None
            if record:
                await record_in(connection, record)
            elif turn.attempts:
                await connection.execute(ending(turn, outcome))
            if is_over:
                await self._tell(connection, NEWS, ":".join(turn.thread))
        return again

    # -- what people want of them

    async def stop(self, key: TurnKey, by: str) -> Turn | None:
        """Nothing more is to be written. None where it is over, or was stopped before.

        ``by`` is a person's id, or `DELETED`.
        """
        stopping = (
            update(turns)
            .where(UNFINISHED, turns.c.stopped_by.is_(None), KEY.in_([key]))
            .values(stopped_by=by)
            .returning(turns)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(stopping)).one_or_none()
            if row:
                await self._tell(connection, WISHES, str(key))
        return _turn(row) if row else None

    async def ask_again(
        self, key: TurnKey, *, asked: int, is_continued: bool, by: str, most: int | None
    ) -> Turn | None:
        """An answer is wanted anew. None where it was asked for since it had been ``asked`` for
        so often: the same wish, told twice.

        Where the turn was over, it is this owner's now, behind all that its thread still waits for.

        :raises AskedTooFast: the person has asked ``most`` times within a minute.
        """
        async with transaction(writing(self._engine)) as connection:
            row = await self._locked(connection, key)
            if row is None or row.asked != asked:
                return None
            await self._count(connection, row.team, by, most)
            return await self._ask(connection, row, is_continued=is_continued)

    async def correct(
        self, key: TurnKey, *, edited_ts: str, within: timedelta, most: int | None
    ) -> Turn | None:
        """The same for another wording, of whoever asked. None where there is no such turn, it
        ended longer ago, or this edit or a later one has been told before."""
        async with transaction(writing(self._engine)) as connection:
            row = await self._locked(connection, key)
            if row is None or (row.edited_ts or "") >= edited_ts:
                return None
            if row.finished_at and row.finished_at < _now() - within:
                return None
            await self._count(connection, row.team, row.user, most)
            return await self._ask(connection, row, edited_ts=edited_ts)

    async def _count(
        self, connection: AsyncConnection, team: str, user: str, most: int | None
    ) -> None:
        now = datetime.now(UTC)
        if most is not None:
            before = await self._lately(connection, team, user, now - MINUTE, most)
            if len(before) >= most:
                raise AskedTooFast(most, before[-1])
        row = {"at": stored(now), "team": team, "user": user}
        await connection.execute(insert(asked_again).values(row))

    async def _lately(
        self,
        connection: AsyncConnection,
        team: str,
        user: str,
        since: datetime,
        most: int,
        turn: Turn | None = None,
    ) -> list[datetime]:
        """When somebody asked, or asked again, the newest first; perhaps only what came before a
        turn of theirs. Questions that were refused do not count."""
        whose = (turns.c.team == team, turns.c.user == user, turns.c.accepted_at > stored(since))
        questions = select(turns.c.accepted_at.label("at")).where(
            *whose, turns.c.outcome.is_distinct_from("refused")
        )
        again = select(asked_again.c.at).where(
            asked_again.c.team == team, asked_again.c.user == user, asked_again.c.at > stored(since)
        )
        if turn:
            questions = questions.where(turns.c.place < turn.place)
            again = again.where(asked_again.c.at < stored(turn.accepted_at))
        both = union_all(questions, again).subquery()
        query = select(both.c.at).order_by(both.c.at.desc()).limit(most)
        return [at.replace(tzinfo=UTC) for at in await connection.scalars(query)]

    async def _locked(self, connection: AsyncConnection, key: TurnKey) -> Row[Any] | None:
        query = select(turns).where(KEY.in_([key])).with_for_update()
        return (await connection.execute(query)).one_or_none()

    async def _ask(self, connection: AsyncConnection, row: Row[Any], **values: Any) -> Turn:
        values |= {"asked": row.asked + 1, "asked_at": _now(), "attempts_before": row.attempts}
        values |= {"handovers": 0}
        values = {"is_continued": False, "stopped_by": None, **values}
        key = TurnKey(row.team, row.channel, row.ts)
        if row.finished_at:
            await self._lock_thread(connection, key, row.thread_ts)
            values |= {"finished_at": None, "outcome": None, "owner": self.owner}
            values |= {"place": self._last_place()}
        asking = update(turns).where(KEY.in_([key])).values(values).returning(turns)
        turn = _turn((await connection.execute(asking)).one())
        await self._tell(connection, WISHES, str(key))
        return turn

    # -- who answers them

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        """Gives a turn up that was begun, and keeps what it has used so far."""
        given_up = self._mine(turn.key).values(owner=None)
        if record:
            given_up = given_up.values(attempts=record.attempt, handovers=turns.c.handovers + 1)
        async with transaction(self._engine) as connection:
            if not (await connection.execute(given_up)).rowcount:
                return
            if record:
                await record_in(connection, record)
            await self._tell(connection, NEWS, "")

    async def release(self, keys: Collection[TurnKey]) -> None:
        """Gives turns up that were not begun, for whoever takes them."""
        ordered = list(keys)
        async with transaction(self._engine) as connection:
            for start in range(0, len(ordered), AT_ONCE):
                these = ordered[start : start + AT_ONCE]
                await connection.execute(self._mine(*these).values(owner=None))
            await self._tell(connection, NEWS, "")

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
                await self._tell(connection, NEWS, "")
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
        row = {
            "team": question.team,
            "channel": question.channel,
            "ts": question.ts,
            "thread_ts": question.thread_ts,
            "user": question.user,
            "accepted_at": _now(),
            "owner": self.owner,
            "is_first": _is_empty(question.team, question.channel),
            "is_follow_up": question.is_follow_up,
        }
        async with transaction(self._engine) as connection:
            await self._lock_thread(connection, question.key, question.thread_ts)
            inserted = (await connection.execute(self._inserting(row))).one_or_none()
            if inserted is None:
                return None
            turn = replace(_turn(inserted), is_resumed=False)
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
        inserting = postgresql.insert if self._is_postgres else sqlite.insert
        return inserting(turns).values(row).on_conflict_do_nothing().returning(turns)

    def _last_place(self) -> ColumnElement[int]:
        """The one that a new turn would get."""
        if self._is_postgres:
            return func.nextval(func.pg_get_serial_sequence("turns", "place"))
        return select(func.max(turns.c.place) + 1).scalar_subquery()

    async def _lock_thread(self, connection: AsyncConnection, key: TurnKey, thread_ts: str) -> None:
        """So that the order of places is the order of commits, whichever replica accepts."""
        if self._is_postgres:
            thread = f"{key.team}:{key.channel}:{thread_ts}"
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:thread, 0))")
            await connection.execute(lock, {"thread": thread})

    async def _tell(self, connection: AsyncConnection, channel: str, news: str) -> None:
        if self._is_postgres:
            tell = text("SELECT pg_notify(:channel, :news)")
            await connection.execute(tell, {"channel": channel, "news": news})


def _is_behind(turn: Turn) -> Select[tuple[bool]]:
    return select(exists().where(_is_of(turn.thread), turns.c.place < turn.place, UNFINISHED))


def _is_of(thread: tuple[str, str, str]) -> ColumnElement[bool]:
    team, channel, thread_ts = thread
    return and_(turns.c.team == team, turns.c.channel == channel, turns.c.thread_ts == thread_ts)


def _is_empty(team: str, channel: str) -> ColumnElement[bool]:
    """Whether nothing was ever asked there."""
    other = turns.alias()
    return ~exists().where(other.c.team == team, other.c.channel == channel)


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
        is_first=row.is_first,
        owner=row.owner,
        asked=row.asked,
        asked_at=row.asked_at and row.asked_at.replace(tzinfo=UTC),
        attempts_before=row.attempts_before,
        handovers=row.handovers,
        is_continued=row.is_continued,
        stopped_by=row.stopped_by,
        is_finished=row.finished_at is not None,
        is_follow_up=row.is_follow_up,
    )


def _now() -> datetime:
    return stored(datetime.now(UTC))
