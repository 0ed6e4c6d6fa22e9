"""Turns have a place, an owner and an end; usage an attempt, a cost and its kind of count."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.rename_table("turns", "turns_0001")
    op.rename_table("usage", "usage_0001")
    op.create_table(
        "turns",
        sa.Column("place", Number, primary_key=True),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("ts", sa.String, nullable=False),
        sa.Column("thread_ts", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("accepted_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
        sa.Column("owner", sa.String),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reply", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("outcome", sa.String),
        sa.UniqueConstraint("team", "channel", "ts", name="turns_by_message"),
    )
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "turns_unfinished",
        "turns",
        ["team", "channel", "thread_ts", "place"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "usage",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("ts", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
        sa.Column("purpose", sa.String, nullable=False, server_default="answer"),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("cached_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("reasoning_tokens", sa.Integer),
        sa.Column("is_estimate", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("cost", sa.BigInteger),
        sa.Column("priced_on", sa.String),
        sa.Column("seconds_to_first_delta", sa.Float),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.UniqueConstraint("team", "channel", "ts", "attempt", "purpose", name="usage_once"),
    )
    op.create_table(
        "calls",
        sa.Column("call", sa.String, primary_key=True),
        sa.Column("state", sa.JSON, nullable=False),
    )
    _carry_over()
    op.drop_table("turns_0001")
    op.drop_table("usage_0001")
    op.create_index("usage_by_time", "usage", ["at"])


def _carry_over() -> None:
    """That version knew nothing of unfinished turns, so none of its turns is begun again."""
    op.execute(
        """
        INSERT INTO turns (team, channel, ts, thread_ts, "user", accepted_at, finished_at)
        SELECT team, channel, ts, thread_ts, "user", accepted_at, accepted_at
        FROM turns_0001 ORDER BY accepted_at, ts
        """
    )
    op.execute(
        """
        INSERT INTO usage (
            at, team, channel, ts, "user", model, input_tokens, cached_tokens, output_tokens,
            reasoning_tokens, seconds_to_first_delta, seconds, requests, outcome
        )
        SELECT at, team, channel, ts, "user", model, input_tokens, cached_tokens, output_tokens,
            reasoning_tokens, seconds_to_first_delta, seconds, attempts, outcome
        FROM usage_0001 AS old
        WHERE id = (
            SELECT max(id) FROM usage_0001 AS twin
            WHERE twin.team = old.team AND twin.channel = old.channel AND twin.ts = old.ts
        )
        ORDER BY id
        """
    )
