"""Limits of use: set and removed by admins, and held against what was used."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.budgets import (
    EACH,
    SCOPES,
    SPANS,
    Change,
    Limit,
    Scope,
    Span,
    Subject,
    Use,
    period_of,
)
from bot.store.schema import limit_changes, limits, spent, stored
from bot.store.transactions import transaction, writing

SUMS = ("cost", "tokens", "unpriced")

COARSE = 1_000  # of `bot.money.UNIT`s make one of those that the sums are in

MOST_SHOWN = 5  # of those for whom limits for each hold


class Limits:
    """The limits of all workspaces in this database.

    Every call raises `bot.errors.Unavailable` where the database cannot be reached.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]:
        """The limits that hold for a question, and how much of each was used.

        One query of a few rows, however much was used. A limit for each channel does not hold for
        direct messages: those are their person's.
        """
        channels = [channel] if channel.startswith("D") else [channel, EACH]
        holds = or_(
            limits.c.scope == "workspace",
            and_(limits.c.scope == "channel", limits.c.who.in_(channels)),
            and_(limits.c.scope == "person", limits.c.who.in_([user, EACH])),
        )
        whose = case(
            (limits.c.scope == "channel", literal(channel)),
            (limits.c.scope == "person", literal(user)),
            else_=literal(team),
        )
        return _own_first(await self._used(team, holds, whose, now))

    async def first_to_tell(self, team: str, use: Use, *, now: datetime) -> bool:
        """Whether nobody has told people yet, in this day or month, that little is left.

        Of several who ask at once, one is told so.
        """
        telling = _sums_of(team, use.limit.subject.scope, [period_of(use.limit.every, now)]).where(
            spent.c.who == use.who, spent.c.told_at.is_(None)
        )
        async with transaction(self._engine) as connection:
            told = await connection.execute(telling.values(told_at=stored(now)))
        return told.rowcount == 1

    async def set(self, team: str, limit: Limit, *, by: str, at: datetime) -> Limit | None:
        """In place of what was set for the same subject and span, which it returns."""
        return await self._change(team, limit.subject, limit.every, limit, by=by, at=at)

    async def remove(
        self, team: str, subject: Subject, every: Span, *, by: str, at: datetime
    ) -> Limit | None:
        """What was set; None: nothing was."""
        return await self._change(team, subject, every, None, by=by, at=at)

    async def all(self, team: str) -> list[Limit]:
        """By scope, those for each first."""
        query = select(limits).where(limits.c.team == team)
        async with transaction(self._engine) as connection:
            return sorted(map(_limit, await connection.execute(query)), key=_place)

    async def standing(self, team: str, *, now: datetime) -> list[Use]:
        """How much was used of each limit; of one for each, by those who used most of it."""
        own = await self._used(team, limits.c.who != EACH, limits.c.who, now)
        each = await self._used(team, limits.c.who == EACH, None, now)
        most = sorted(each, key=lambda use: use.share, reverse=True)
        found = _own_first([*sorted(own, key=lambda use: _place(use.limit)), *most])
        return found[: len(own) + MOST_SHOWN]

    async def changes(self, team: str, *, most: int = 50) -> list[Change]:
        """The newest first."""
        query = (
            select(limit_changes)
            .where(limit_changes.c.team == team)
            .order_by(limit_changes.c.id.desc())
            .limit(most)
        )
        async with transaction(self._engine) as connection:
            return list(map(_change, await connection.execute(query)))

    async def _used(
        self, team: str, which: ColumnElement[bool], whose: Any, now: datetime
    ) -> list[Use]:
        """Limits with what was used of them by ``whose`` id; None: by each for whom there are sums.

        Direct messages are in none of the latter.
        """
        same = [
            spent.c.team == limits.c.team,
            spent.c.scope == limits.c.scope,
            spent.c.period
            == case(*((limits.c.every == every, period_of(every, now)) for every in SPANS)),
            spent.c.who.not_like("D%") if whose is None else spent.c.who == whose,
        ]
        who = func.coalesce(spent.c.who, limits.c.who) if whose is None else whose
        query = (
            select(limits, who.label("whose"), *(spent.c[name] for name in (*SUMS, "told_at")))
            .select_from(limits.outerjoin(spent, and_(*same)))
            .where(limits.c.team == team, which)
        )
        async with transaction(self._engine) as connection:
            return list(map(_use, await connection.execute(query)))

    async def _change(
        self,
        team: str,
        subject: Subject,
        every: Span,
        after: Limit | None,
        *,
        by: str,
        at: datetime,
    ) -> Limit | None:
        """The limit, and who changed it; nothing where it is so already."""
        name = {"team": team, "scope": subject.scope, "who": subject.who, "every": every}
        query = select(limits).filter_by(**name).with_for_update()
        async with transaction(writing(self._engine)) as connection:
            row = (await connection.execute(query)).first()
            before = _limit(row) if row else None
            if before == after:
                return before
            await connection.execute(delete(limits).filter_by(**name))
            if after:
                await connection.execute(
                    insert(limits).values(name | {"unit": after.unit, "amount": after.amount})
                )
            change = name | _columns("before", before) | _columns("after", after)
            change |= {"at": stored(at), "by": by}
            await connection.execute(insert(limit_changes).values(change))
            # What was told of another limit is to be told again, should it come true of this one.
            untelling = _sums_of(team, subject.scope, [period_of(every, at)])
            if subject.who != EACH:
                untelling = untelling.where(spent.c.who == subject.who)
            await connection.execute(untelling.values(told_at=None))
        return before


def _sums_of(team: str, scope: Scope, periods: Sequence[str]) -> Update:
    return update(spent).where(
        spent.c.team == team, spent.c.scope == scope, spent.c.period.in_(periods)
    )


def _own_first(uses: Sequence[Use]) -> list[Use]:
    """Without those limits for each in the place of which somebody has one of their own."""
    own = {
        (use.limit.subject.scope, use.who, use.limit.every)
        for use in uses
        if use.limit.subject.who != EACH
    }
    return [
        use
        for use in uses
        if use.limit.subject.who != EACH
        or (use.limit.subject.scope, use.who, use.limit.every) not in own
    ]


def _place(limit: Limit) -> tuple[int, str, Span]:
    return SCOPES.index(limit.subject.scope), limit.subject.who, limit.every


def _limit(row: Any) -> Limit:
    return Limit(Subject(row.scope, row.who), row.amount, row.unit, row.every)


def _use(row: Any) -> Use:
    used = (row.cost or 0) * COARSE if row.unit == "dollars" else row.tokens or 0
    return Use(_limit(row), row.whose, used, row.unpriced or 0, row.told_at is not None)


def _columns(when: str, limit: Limit | None) -> dict[str, Any]:
    return {
        f"unit_{when}": limit and limit.unit,
        f"amount_{when}": None if limit is None else limit.amount,
    }


def _change(row: Any) -> Change:
    subject = Subject(row.scope, row.who)
    before, after = (
        None if unit is None else Limit(subject, amount, unit, row.every)
        for unit, amount in (
            (row.unit_before, row.amount_before),
            (row.unit_after, row.amount_after),
        )
    )
    return Change(row.at.replace(tzinfo=UTC), row.by, subject, row.every, before, after)
