"""The usage records: what answers cost. Ids and numbers, never text."""

from datetime import UTC
from decimal import Decimal
from typing import Any

from sqlalchemy import Update, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Outcome, Turn, TurnKey, Usage, UsageRecord
from bot.store.schema import usage
from bot.usage import Total

# A record is named by these; a later one of the same name replaces it.
NAME = ("team", "channel", "ts", "attempt", "purpose")

# The column's unit, in dollars: the price of one token is a whole number of them.
COST_UNIT = Decimal(1).scaleb(-12)


class Ledger:
    """The usage records."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, record: UsageRecord) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(recording(record, self._engine.dialect.name))

    async def by_channel(self) -> list[Total]:
        """The sums of each channel, the one with the most tokens first."""
        tokens = func.coalesce(func.sum(usage.c.input_tokens), 0) + func.coalesce(
            func.sum(usage.c.output_tokens), 0
        )
        query = (
            select(
                usage.c.channel,
                func.count(),
                func.sum(case((usage.c.outcome == "complete", 1), else_=0)),
                func.sum(case((usage.c.input_tokens.is_(None), 1), else_=0)),
                func.sum(usage.c.input_tokens),
                func.sum(usage.c.cached_tokens),
                func.sum(usage.c.output_tokens),
                func.sum(usage.c.reasoning_tokens),
            )
            .group_by(usage.c.channel)
            .order_by(tokens.desc(), usage.c.channel)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Total(row[0], row[1], row[2], row[3], Usage(*row[4:])) for row in rows]

    async def newest(self) -> UsageRecord | None:
        query = select(usage).order_by(usage.c.id.desc()).limit(1)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _record(dict(row)) if row else None


def ending(turn: Turn, outcome: Outcome) -> Update:
    """The statement that corrects the outcome of a turn's latest attempt."""
    name = {
        "team": turn.key.team,
        "channel": turn.key.channel,
        "ts": turn.key.ts,
        "attempt": turn.attempts,
        "purpose": "answer",
    }
    return update(usage).filter_by(**name).values(outcome=outcome)


def recording(record: UsageRecord, dialect: str) -> Any:
    """The statement that writes it, in place of an earlier one of the same attempt."""
    row = record.fields() | {"at": record.at.replace(tzinfo=None), "cost": _units(record.cost)}
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    others = {name: value for name, value in row.items() if name not in NAME}
    return insert(usage).values(row).on_conflict_do_update(index_elements=NAME, set_=others)


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
        purpose=row["purpose"],
        is_estimate=row["is_estimate"],
        cost=None if row["cost"] is None else row["cost"] * COST_UNIT,
        priced_on=row["priced_on"],
    )


def _units(cost: Decimal | None) -> int | None:
    return None if cost is None else int((cost / COST_UNIT).to_integral_value())
