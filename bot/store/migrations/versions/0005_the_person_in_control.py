"""Turns are stopped, corrected and asked for again; people say what they think of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    no = sa.text("false")
    for column in (
        sa.Column("is_first", sa.Boolean, nullable=False, server_default=no),
        sa.Column("asked", sa.Integer, nullable=False, server_default="1"),
        sa.Column("asked_at", sa.DateTime),
        sa.Column("attempts_before", sa.Integer, nullable=False, server_default="0"),
        sa.Column("is_continued", sa.Boolean, nullable=False, server_default=no),
        sa.Column("stopped_by", sa.String),
        sa.Column("edited_ts", sa.String),
    ):
        op.add_column("turns", column)
    op.create_table(
        "feedback",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("ts", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("is_good", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String),
        sa.UniqueConstraint("team", "channel", "ts", "user", name="feedback_once"),
    )
    op.create_index("feedback_by_time", "feedback", ["at"])
