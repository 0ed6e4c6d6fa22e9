"""What should not be kept: old records and turns, and everything of a person who asks for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.budgets import period_of
from bot.store.schema import (
    asked_again,
    channel_changes,
    feedback,
    greeted,
    limit_changes,
    limits,
    spent,
    stored,
    turns,
    usage,
)
from bot.store.transactions import transaction, writing
from bot.usage import FORGOTTEN_DM, FORGOTTEN_USER

# Rows of one transaction: a few milliseconds, between which others have their turn.
BATCH = 500

DAY = timedelta(days=1)

# Sums of days and months that are over are of no use; this long they may be looked into.
SUMS_ARE_KEPT = timedelta(days=62)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows are gone, or without a trace of somebody."""

    records: int
    turns: int
    unfinished: int = 0  # turns that are left, as their answers are under way


class Retention:
    """Removes rows in small transactions, beside a bot that goes on.

    Every call raises `bot.errors.Unavailable` where the database cannot be reached.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prune(self, before: datetime | None, *, now: datetime) -> Removed:
        """Removes the usage records and the finished turns from before that time; None: keeps all.

        What was used in the days and months that limits are about stays known: it is in sums of
        its own, of which old ones are removed in any case. Changes of limits and of the settings of
        channels are kept.
        """
        async with transaction(self._engine) as connection:
            over = period_of("month", now - SUMS_ARE_KEPT)
            await connection.execute(delete(spent).where(spent.c.period < over))
            await connection.execute(
                delete(asked_again).where(asked_again.c.at < stored(now - DAY))
            )
        if before is None:
            return Removed(0, 0)
        oldest = select(feedback.c.id).where(feedback.c.at < stored(before)).limit(BATCH)
        await self._in_batches(delete(feedback).where(feedback.c.id.in_(oldest)))
        return Removed(await self._prune_records(before), await self._prune_turns(before))

    async def forget(self, user: str) -> Removed:
        """Leaves no trace of a person, but keeps every sum as it is.

        Records are not deleted: what was paid for them was paid, and a channel's sums would change
        in hindsight. They lose what leads to the person: the id, that of the direct messages, and
        the time stamp by which Slack names the question. All who are forgotten share one name.
        Turns are deleted, and so are limits for the person, what the person thought of answers,
        and what others thought of answers to the person. Nothing keeps the person from asking
        again.
        """
        direct = await self._direct_messages(user)
        records = await self._unname_records(user)
        return Removed(records, *await self._remove_rest(user, direct))

    async def _prune_records(self, before: datetime) -> int:
        oldest = (
            select(usage.c.id)
            .where(usage.c.at < stored(before))
            .order_by(usage.c.at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)  # another replica removes those
        )
        return await self._in_batches(delete(usage).where(usage.c.id.in_(oldest)))

    async def _prune_turns(self, before: datetime) -> int:
        """From the oldest on, past those that are not finished, up to the first that is younger."""
        removed, place = 0, 0
        while True:
            batch = (
                select(turns.c.place, turns.c.accepted_at, turns.c.finished_at)
                .where(turns.c.place > place)
                .order_by(turns.c.place)
                .limit(BATCH)
            )
            async with transaction(writing(self._engine)) as connection:
                rows = (await connection.execute(batch)).all()
                old = [row for row in rows if row.accepted_at < stored(before)]
                over = [row.place for row in old if _is_before(row.finished_at, before)]
                if over:
                    await connection.execute(delete(turns).where(turns.c.place.in_(over)))
            removed += len(over)
            if len(old) < BATCH:
                return removed
            place = rows[-1].place

    async def _direct_messages(self, user: str) -> list[str]:
        queries = [
            select(table.c.channel).where(table.c.user == user, table.c.channel.like("D%"))
            for table in (usage, turns)
        ]
        async with transaction(self._engine) as connection:
            found = [await connection.scalars(query.distinct()) for query in queries]
            return sorted({channel for channels in found for channel in channels})

    async def _unname_records(self, user: str) -> int:
        # Records of answers under way are written again: then they must be found by their name.
        is_under_way = exists().where(
            turns.c.team == usage.c.team,
            turns.c.channel == usage.c.channel,
            turns.c.ts == usage.c.ts,
            turns.c.finished_at.is_(None),
        )
        some = select(usage.c.id).where(usage.c.user == user, ~is_under_way).limit(BATCH)
        return await self._in_batches(
            update(usage)
            .where(usage.c.id.in_(some))
            .values(
                user=FORGOTTEN_USER,
                channel=_unnamed_channel(usage.c.channel),
                # Records need a name of their own; the number of the row says nothing.
                ts=literal("forgotten-") + cast(usage.c.id, String),
            )
        )

    async def _remove_rest(self, user: str, direct: Sequence[str]) -> tuple[int, int]:
        """How many turns are removed, and how many are left."""
        own = turns.c.user == user
        over = turns.c.finished_at.is_not(None)
        async with transaction(writing(self._engine)) as connection:
            await connection.execute(delete(feedback).where(_is_feedback_of(user)))
            await connection.execute(delete(asked_again).where(asked_again.c.user == user))
            await connection.execute(delete(greeted).where(greeted.c.user == user))
            removed = (await connection.execute(delete(turns).where(own, over))).rowcount
            left = await connection.scalar(select(func.count()).select_from(turns).where(own))
            for table in (spent, limits):
                await connection.execute(delete(table).where(_is_of(table, user, direct)))
            await _unname_changes(connection, user, direct)
        return removed, left or 0

    async def _in_batches(self, statement: Any) -> int:
        """Again and again, until it finds fewer rows than a batch; of how many in all."""
        total = 0
        while True:
            async with transaction(self._engine) as connection:
                count = (await connection.execute(statement)).rowcount
            total += count
            if count < BATCH:
                return total


async def _unname_changes(connection: AsyncConnection, user: str, direct: Sequence[str]) -> None:
    for changes in (limit_changes, channel_changes):
        nameless = update(changes).where(changes.c.by == user).values(by=FORGOTTEN_USER)
        await connection.execute(nameless)
    await connection.execute(
        update(limit_changes)
        .where(_is_of(limit_changes, user, direct))
        .values(who=case((limit_changes.c.scope == "person", FORGOTTEN_USER), else_=FORGOTTEN_DM))
    )


def _is_of(table: Any, user: str, direct: Sequence[str]) -> ColumnElement[bool]:
    """Rows that are about a person, or about the direct messages with that person."""
    return or_(
        and_(table.c.scope == "person", table.c.who == user),
        and_(table.c.scope == "channel", table.c.who.in_(direct)),
    )


def _is_feedback_of(user: str) -> ColumnElement[bool]:
    asked = exists().where(
        turns.c.team == feedback.c.team,
        turns.c.channel == feedback.c.channel,
        turns.c.ts == feedback.c.ts,
        turns.c.user == user,
    )
    return or_(feedback.c.user == user, asked)


def _unnamed_channel(channel: ColumnElement[str]) -> ColumnElement[str]:
    return case((channel.like("D%"), FORGOTTEN_DM), else_=channel)


def _is_before(at: datetime | None, other: datetime) -> bool:
    return at is not None and at < stored(other)
