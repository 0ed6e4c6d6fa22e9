"""What people think of answers, and their reasons where they gave some."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import TurnKey
from bot.opinions import Opinion, Tally
from bot.store.schema import feedback, stored
from bot.store.transactions import transaction
from bot.usage import Selection

ONCE = ("team", "channel", "ts", "user")


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

    async def tally(self, selection: Selection) -> list[Tally]:
        """How many were given then and there, by channel, the one with the most first.

        Whose they are and of which model is not looked at.
        """
        good = func.sum(case((feedback.c.is_good, 1), else_=0))
        query = (
            select(feedback.c.channel, good, func.count() - good)
            .where(*_conditions(selection))
            .group_by(feedback.c.channel)
            .order_by(func.count().desc(), feedback.c.channel)
        )
        async with transaction(self._engine) as connection:
            return [Tally(*row) for row in await connection.execute(query)]

    async def newest(
        self, selection: Selection, *, limit: int, is_explained: bool = False
    ) -> list[Opinion]:
        """Those that were given then and there, the newest first; perhaps only with reasons."""
        query = (
            select(feedback)
            .where(*_conditions(selection))
            .order_by(feedback.c.at.desc(), feedback.c.id.desc())
            .limit(limit)
        )
        if is_explained:
            query = query.where(feedback.c.reason.is_not(None))
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


def _conditions(selection: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if selection.since:
        conditions.append(feedback.c.at >= stored(selection.since))
    if selection.until:
        conditions.append(feedback.c.at < stored(selection.until))
    if selection.team:
        conditions.append(feedback.c.team == selection.team)
    if selection.channels:
        conditions.append(feedback.c.channel.in_(selection.channels))
    return conditions
