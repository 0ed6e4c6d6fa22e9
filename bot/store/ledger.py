"""The usage records: what answers cost. Ids and numbers, never text."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    Row,
    String,
    Update,
    case,
    cast,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.messages import Outcome, Turn, TurnKey, Usage, UsageRecord
from bot.money import dollars_of, units_of
from bot.periods import Day, days_between, offsets
from bot.store.schema import stored, usage
from bot.store.transactions import transaction
from bot.usage import WAIT_STEPS, By, Detail, Selection, Total

# A record is named by these; a later one of the same name replaces it.
NAME = ("team", "channel", "ts", "attempt", "purpose")

COLUMNS = [column.name for column in usage.columns if column.name != "id"]

# SQLite's sums end at 2^63: costs are summed in two parts, whole millionths of a dollar and the
# rest, so that not even a wrong price a million times over makes a report fail.
PART = 10**6

ANSWER = usage.c.purpose == "answer"
REPORTED = usage.c.input_tokens.is_not(None)
SHOWN = usage.c.seconds_to_first_delta.is_not(None)

# What is counted and summed of each group, by the names of the fields of `Total` and `Usage`. Each
# detail has what those before it have.
USED: dict[str, ColumnElement[Any]] = {
    "answers": func.count().filter(ANSWER),
    "others": func.count().filter(~ANSWER),
    "unreported": func.count().filter(~REPORTED),
    "unpriced": func.count().filter(REPORTED, usage.c.cost.is_(None)),
    "input_tokens": func.sum(usage.c.input_tokens),
    "output_tokens": func.sum(usage.c.output_tokens),
    "cost_parts": func.sum(usage.c.cost // PART),
    "cost_rest": func.sum(usage.c.cost % PART),
}
ENDED = USED | {
    "complete": func.count().filter(ANSWER, usage.c.outcome == "complete"),
    "cut": func.count().filter(ANSWER, usage.c.outcome == "cut"),
    "stopped": func.count().filter(ANSWER, usage.c.outcome == "stopped"),
    "failed": func.count().filter(ANSWER, usage.c.outcome == "failed"),
    "resumed": func.count().filter(ANSWER, usage.c.is_resumed),
    "estimated": func.count().filter(usage.c.is_estimate),
    "cached_tokens": func.sum(usage.c.cached_tokens),
    "reasoning_tokens": func.sum(usage.c.reasoning_tokens),
}
WAITED = ENDED | {
    "waits": func.count().filter(ANSWER, SHOWN),
    "seconds_waited": func.sum(usage.c.seconds_to_first_delta).filter(ANSWER),
}
DETAILS: Mapping[Detail, Mapping[str, ColumnElement[Any]]] = {
    "used": USED,
    "ended": ENDED,
    "waited": WAITED,
}

# Days that are summed one by one. Each takes half a millisecond beside its records.
MOST_DAYS = 100

# Fields of `Total`.
COUNTS = WAITED.keys() & {field.name for field in fields(Total)}

ALL = Selection()


class Ledger:
    """The usage records. ``reports`` is where sums are read, beside those who write."""

    def __init__(self, engine: AsyncEngine, *, reports: AsyncEngine | None = None) -> None:
        self._engine = engine
        self._reports = reports or engine
        self._is_postgres = engine.dialect.name == "postgresql"

    async def record(self, record: UsageRecord) -> None:
        async with transaction(self._engine) as connection:
            await record_in(connection, record)

    async def totals(
        self, by: Sequence[By] = (), selection: Selection = ALL, *, detail: Detail = "waited"
    ) -> list[Total]:
        """The sums of each group, in no order; without ``by``, of all in one.

        A day is written as YYYY-MM-DD. Much detail takes twice the time of little.
        """
        if tuple(by) == ("day",) and (days := self._few_days(selection)):
            return await self._each(days, selection, detail)
        groups = [await self._day(selection) if each == "day" else usage.c[each] for each in by]
        query = _sums(detail, *groups).where(*_conditions(selection)).group_by(*groups)
        return [_total(row, len(groups)) for row in await self._rows(query)]

    async def whole(self, selection: Selection = ALL) -> Total:
        """The sums of all."""
        (total,) = await self.totals((), selection)
        return total

    async def waits(self, selection: Selection = ALL) -> dict[str, Counter[int]]:
        """Of each day, how many answers showed their first words in each step of waiting."""
        day, step = await self._day(selection), _step_of(usage.c.seconds_to_first_delta)
        query = (
            select(day, step, func.count())
            .where(*_conditions(selection), ANSWER, SHOWN)
            .group_by(day, step)
        )
        waits: dict[str, Counter[int]] = defaultdict(Counter)
        for at, number, count in await self._rows(query):
            waits[at][number] = count
        return dict(waits)

    async def partners(self, selection: Selection = ALL) -> dict[str, str]:
        """With whom the bot talks in each of its direct messages: user by channel."""
        query = (
            select(usage.c.channel, func.max(usage.c.user))
            .where(*_conditions(selection), usage.c.channel.startswith("D"))
            .group_by(usage.c.channel)
        )
        return dict(await self._rows(query))

    async def teams(self) -> list[str]:
        """The workspaces of which there are records."""
        # From one to the next by the index of names: few are found among many records.
        found: list[str] = []
        query = select(func.min(usage.c.team))
        async with self._reports.connect() as connection:
            team = await connection.scalar(query)
            while team is not None:
                found.append(team)
                team = await connection.scalar(query.where(usage.c.team > team))
        return found

    async def newest(self) -> UsageRecord | None:
        query = select(usage).order_by(usage.c.id.desc()).limit(1)
        async with self._reports.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _record(dict(row)) if row else None

    async def span(self) -> tuple[datetime, datetime] | None:
        """When the first and the last record were made, in UTC."""
        # Two queries in one: each is then read off the end of the index.
        query = select(
            select(func.min(usage.c.at)).scalar_subquery(),
            select(func.max(usage.c.at)).scalar_subquery(),
        )
        ((first, last),) = await self._rows(query)
        return (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)) if first else None

    def _few_days(self, selection: Selection) -> Sequence[Day]:
        """Those of the selection where it is faster to sum one after the other: SQLite would sort
        all records to group them, but finds those of a day by an index."""
        if self._is_postgres or selection.since is None or selection.until is None:
            return ()
        return days_between(selection.since, selection.until, selection.zone, most=MOST_DAYS)

    async def _each(self, days: Sequence[Day], selection: Selection, detail: Detail) -> list[Total]:
        """Days without records are left out."""
        totals = []
        async with self._reports.connect() as connection:
            for day, since, until in days:
                of_day = replace(selection, since=since, until=until)
                query = _sums(detail).where(*_conditions(of_day))
                total = _total((await connection.execute(query)).one(), 0)
                if total.answers or total.others:
                    totals.append(replace(total, group=(day.isoformat(),)))
        return totals

    async def _day(self, selection: Selection) -> ColumnElement[str]:
        """The day of a record, as the clocks of the selection's zone have it."""
        if selection.since is None or selection.until is None:
            first, last = await self.span() or (datetime.now(UTC), datetime.now(UTC))
            selection = replace(selection, since=first, until=last)
        assert selection.since
        assert selection.until
        changes = offsets(selection.zone, selection.since, selection.until)
        return _pg_day(changes) if self._is_postgres else _sqlite_day(changes)

    async def _rows(self, query: Any) -> Sequence[Any]:
        async with self._reports.connect() as connection:
            return (await connection.execute(query)).all()


def ending(turn: Turn, outcome: Outcome) -> Update:
    """The statement that corrects the outcome of a turn's latest attempt that has a record."""
    name = {
        "team": turn.key.team,
        "channel": turn.key.channel,
        "ts": turn.key.ts,
        "purpose": "answer",
    }
    latest = select(func.max(usage.c.attempt)).filter_by(**name).scalar_subquery()
    ended = update(usage).filter_by(**name).where(usage.c.attempt == latest)
    return ended.values(outcome=outcome)


async def foreboding_in(connection: AsyncConnection, turn: Turn) -> UsageRecord | None:
    """What was written of a turn's latest attempt when it began, if no more is known of it."""
    name = (*turn.key, turn.attempts, "answer")
    query = select(usage).where(
        *(usage.c[column] == value for column, value in zip(NAME, name, strict=True)),
        usage.c.is_estimate,
        usage.c.output_tokens.is_(None),
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return _record(dict(row)) if row else None


async def record_in(connection: AsyncConnection, record: UsageRecord) -> None:
    """Writes it in the connection's transaction, in place of an earlier one of the same attempt.

    With it, by triggers, the sums that limits are held against: see `bot.store.schema.spent`.
    """
    row = record.fields() | {"at": stored(record.at), "cost": _units(record.cost)}
    await connection.execute(_recording(connection.dialect.name), row)


@cache
def _recording(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(usage)
    others = {name: statement.excluded[name] for name in COLUMNS if name not in NAME}
    return statement.on_conflict_do_update(index_elements=NAME, set_=others)


def _sums(detail: Detail, *groups: ColumnElement[str]) -> Any:
    return select(*groups, *(column.label(name) for name, column in DETAILS[detail].items()))


def _conditions(selection: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if selection.since:
        conditions.append(usage.c.at >= stored(selection.since))
    if selection.until:
        conditions.append(usage.c.at < stored(selection.until))
    if selection.team:
        conditions.append(usage.c.team == selection.team)
    for name in ("channel", "user", "model"):
        if values := getattr(selection, f"{name}s"):
            conditions.append(usage.c[name].in_(values))
    return conditions


def _sqlite_day(changes: Sequence[tuple[datetime, timedelta]]) -> ColumnElement[str]:
    if changes == [(changes[0][0], timedelta())]:  # as it is stored: twice as fast
        return func.substr(usage.c.at, 1, 10, type_=String)
    ahead = _by_time([(at, f"{offset.total_seconds():+.0f} seconds") for at, offset in changes])
    # To the second: SQLite would round the last half millisecond of a day up.
    return func.date(func.substr(usage.c.at, 1, 19), ahead, type_=String)


def _pg_day(changes: Sequence[tuple[datetime, timedelta]]) -> ColumnElement[str]:
    ahead = _by_time([(at, literal(offset, Interval)) for at, offset in changes])
    return func.to_char(usage.c.at + ahead, "YYYY-MM-DD", type_=String)


def _by_time(values: Sequence[tuple[datetime, Any]]) -> Any:
    """The one that holds at the time of a record; each holds from its time on."""
    if len(values) == 1:
        return values[0][1]
    later = [at for at, _ in values[1:]]
    earlier = [value for _, value in values[:-1]]
    whens = [(usage.c.at < stored(at), value) for at, value in zip(later, earlier, strict=True)]
    return case(*whens, else_=values[-1][1])


def _step_of(seconds: ColumnElement[Any]) -> ColumnElement[int]:
    """The number of the step of waiting that so many seconds are in."""
    milliseconds = cast(seconds * 1_000, Integer)
    whens = []
    number = start = 0
    for width, end in WAIT_STEPS:
        whens.append((milliseconds < end, number + (milliseconds - start) // width))
        number, start = number + (end - start) // width, end
    return case(*whens, else_=number)


def _total(row: Row[Any], groups: int) -> Total:
    """What was not asked for is 0 in it, or None."""
    sums = row._asdict()
    cost = sums["cost_parts"]
    return Total(
        group=tuple(row[:groups]),
        usage=Usage(
            sums["input_tokens"],
            sums.get("cached_tokens"),
            sums["output_tokens"],
            sums.get("reasoning_tokens"),
        ),
        cost=None if cost is None else dollars_of(int(cost) * PART + int(sums["cost_rest"])),
        **{name: sums[name] or 0 for name in COUNTS & sums.keys()},
    )


def _record(row: dict[str, Any]) -> UsageRecord:
    return UsageRecord(
        at=row["at"].replace(tzinfo=UTC),
        key=TurnKey(row["team"], row["channel"], row["ts"]),
        user=row["user"],
        model=row["model"],
        usage=Usage(
            row["input_tokens"],
            row["cached_tokens"],
            row["output_tokens"],
            row["reasoning_tokens"],
        ),
        seconds_to_first_delta=row["seconds_to_first_delta"],
        seconds=row["seconds"],
        requests=row["requests"],
        outcome=row["outcome"],
        attempt=row["attempt"],
        is_resumed=row["is_resumed"],
        purpose=row["purpose"],
        is_estimate=row["is_estimate"],
        cost=None if row["cost"] is None else dollars_of(row["cost"]),
        priced_on=row["priced_on"],
    )


def _units(cost: Decimal | None) -> int | None:
    return None if cost is None else units_of(cost)
