"""Limits, who changed them, and the sums that they are held against."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


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
    _sum_up(datetime.now(UTC).replace(tzinfo=None))


def _sum_up(now: datetime) -> None:
    """What was used this day and this month. Nobody had a limit in those before."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for period, since in ((f"{now:%Y-%m-%d}", midnight), (f"{now:%Y-%m}", midnight.replace(day=1))):
        for scope, who in (("workspace", "team"), ("channel", "channel"), ("person", '"user"')):
            summing = sa.text(
                f"""
                INSERT INTO spent (team, scope, who, period, cost, tokens, unpriced)
                SELECT team, :scope, {who}, :period, sum(coalesce(cost, 0) / 1000),
                    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)),
                    sum(CASE WHEN cost IS NULL THEN 1 ELSE 0 END)
                FROM usage WHERE at >= :since GROUP BY team, {who}
                """
            ).bindparams(
                sa.bindparam("scope", scope, type_=sa.String),
                sa.bindparam("period", period, type_=sa.String),
                sa.bindparam("since", since, type_=sa.DateTime),
            )
            op.execute(summing)
