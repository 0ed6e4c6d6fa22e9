"""What people think of answers, and their reasons where they gave some."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import TurnKey
from bot.store.schema import feedback, stored
from bot.store.transactions import transaction

ONCE = ("team", "channel", "ts", "user")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person thinks of one answer."""

    at: datetime  # UTC
    key: TurnKey  # of the turn
    attempt: int  # of the turn, whose text the person saw
    user: str
    is_good: bool
    reason: str | None = None  # in the person's words


@dataclass(frozen=True, slots=True)
class Tally:
    """How many found answers good or bad."""

    channel: str
    good: int
    bad: int


class Feedback:
    """The table of feedback. Every call may raise `Unavailable`, as `transaction` does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rate(self, key: TurnKey, *, attempt: int, user: str, is_good: bool) -> None:
        """In place of what the same person thought of it before, and of their reason for that."""
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        found = {
            "at": stored(datetime.now(UTC)),
            "attempt": attempt,
            "is_good": is_good,
            "reason": None,
        }
        row = dict(zip(ONCE, (*key, user), strict=True)) | found
        rating = insert(feedback).values(row)
        async with transaction(self._engine) as connection:
            await connection.execute(rating.on_conflict_do_update(index_elements=ONCE, set_=found))

    async def explain(self, key: TurnKey, *, user: str, reason: str) -> None:
        """Adds the reason of somebody who has found that answer bad, and of nobody else."""
        whose = dict(zip(ONCE, (*key, user), strict=True))
        explaining = update(feedback).filter_by(**whose, is_good=False).values(reason=reason)
        async with transaction(self._engine) as connection:
            await connection.execute(explaining)

    async def tally(self, *, since: datetime, until: datetime | None = None) -> list[Tally]:
        """How many, by channel, the one with the most first; ``until`` does not count any more."""
        good = func.sum(case((feedback.c.is_good, 1), else_=0))
        query = (
            select(feedback.c.channel, good, func.count() - good)
            .where(_at(since, until))
            .group_by(feedback.c.channel)
            .order_by(func.count().desc(), feedback.c.channel)
        )
        async with transaction(self._engine) as connection:
            return [Tally(*row) for row in await connection.execute(query)]

    async def newest(
        self, *, since: datetime, limit: int, is_good: bool | None = None
    ) -> list[Opinion]:
        """The newest opinions, the newest first; None: good ones and bad ones."""
        query = (
            select(feedback)
            .where(_at(since))
            .order_by(feedback.c.at.desc(), feedback.c.id.desc())
            .limit(limit)
        )
        if is_good is not None:
            query = query.where(feedback.c.is_good == is_good)
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [
            Opinion(
                at=row.at.replace(tzinfo=UTC),
                key=TurnKey(row.team, row.channel, row.ts),
                attempt=row.attempt,
                user=row.user,
                is_good=row.is_good,
                reason=row.reason,
            )
            for row in rows
        ]


def _at(since: datetime, until: datetime | None = None) -> ColumnElement[bool]:
    begun = feedback.c.at >= stored(since)
    return and_(begun, feedback.c.at < stored(until)) if until else begun
