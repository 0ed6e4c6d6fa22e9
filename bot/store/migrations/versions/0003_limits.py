"""Limits, who changed them, and the sums that they are held against."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# What a record counts for, and in which days and months, by the way in which a database says so.
SUBJECTS = {"workspace": "team", "channel": "channel", "person": '"user"'}
PERIODS = {
    "sqlite": ("substr({}.at, 1, 10)", "substr({}.at, 1, 7)"),
    "postgresql": ("to_char({}.at, 'YYYY-MM-DD')", "to_char({}.at, 'YYYY-MM')"),
}

# Billionths of a dollar, tokens, and whether there is no cost.
AMOUNTS = {
    "cost": "(coalesce({}.cost, 0) + 500) / 1000",
    "tokens": "coalesce({0}.input_tokens, 0) + coalesce({0}.output_tokens, 0)",
    "unpriced": "CASE WHEN {}.cost IS NULL THEN 1 ELSE 0 END",
}


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("team", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("who", sa.String, primary_key=True),
        sa.Column("every", sa.String, primary_key=True),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "limit_changes",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("every", sa.String, nullable=False),
        sa.Column("unit_before", sa.String),
        sa.Column("amount_before", sa.BigInteger),
        sa.Column("unit_after", sa.String),
        sa.Column("amount_after", sa.BigInteger),
    )
    op.create_table(
        "spent",
        sa.Column("team", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("who", sa.String, primary_key=True),
        sa.Column("period", sa.String, primary_key=True),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.Integer, nullable=False),
        sa.Column("told_at", sa.DateTime),
    )
    _sum_up()
    if op.get_context().dialect.name == "postgresql":
        _count_on_postgresql()
    else:
        _count_on_sqlite()


def _sum_up() -> None:
    """What was used this month, and each day of it."""
    month = datetime.now(UTC).replace(tzinfo=None, day=1, hour=0, minute=0, second=0, microsecond=0)
    counted = _counted("usage", op.get_context().dialect.name, "FROM usage WHERE at >= :month")
    summing = sa.text(_added(counted)).bindparams(sa.bindparam("month", month, sa.DateTime))
    op.execute(summing)


def _count_on_sqlite() -> None:
    new, old = _counted("new", "sqlite"), _counted("old", "sqlite", sign="-")
    for name, when, counted in (
        ("usage_added", "INSERT", new),
        # Not where people are forgotten: sums are of whoever it was.
        (
            "usage_changed",
            "UPDATE OF at, cost, input_tokens, output_tokens",
            f"{new} UNION ALL {old}",
        ),
    ):
        op.execute(f"CREATE TRIGGER {name} AFTER {when} ON usage BEGIN {_added(counted)}; END")


def _count_on_postgresql() -> None:
    new = _counted("new", "postgresql")
    old = _counted("old", "postgresql", "WHERE tg_op = 'UPDATE'", sign="-")
    op.execute(
        f"""
        CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {_added(f"{new} UNION ALL {old}")}; RETURN NULL; END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER usage_counted
        AFTER INSERT OR UPDATE OF at, cost, input_tokens, output_tokens ON usage
        FOR EACH ROW EXECUTE FUNCTION count_usage()
        """
    )


def _counted(row: str, dialect: str, source: str = "", *, sign: str = "") -> str:
    """A query of what a row, or each row of a table, adds to the sums."""
    amounts = ", ".join(f"{sign}({sql.format(row)}) AS {name}" for name, sql in AMOUNTS.items())
    return " UNION ALL ".join(
        f"SELECT {row}.team AS team, '{scope}' AS scope, {row}.{who} AS who,"
        f" {period.format(row)} AS period, {amounts} {source}"
        for scope, who in SUBJECTS.items()
        for period in PERIODS[dialect]
    )


def _added(counted: str) -> str:
    """Adds that to the sums; always in the same order, so that no two wait for each other."""
    sums = [f"sum({name})" for name in AMOUNTS]
    adding = ", ".join(f"{name} = spent.{name} + excluded.{name}" for name in AMOUNTS)
    return f"""
        INSERT INTO spent (team, scope, who, period, {", ".join(AMOUNTS)})
        SELECT team, scope, who, period, {", ".join(sums)} FROM ({counted}) AS counted WHERE true
        GROUP BY team, scope, who, period
        HAVING {" OR ".join(f"{each} <> 0" for each in sums)}
        ORDER BY scope DESC, who, period
        ON CONFLICT (team, scope, who, period) DO UPDATE SET {adding}
    """
