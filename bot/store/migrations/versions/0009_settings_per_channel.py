"""What is set for channels, who set it; and which questions go on without a mention."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("team", sa.String, primary_key=True),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("is_allowed", sa.Boolean, nullable=False),
        sa.Column("follows_up", sa.Boolean, nullable=False),
        sa.Column("instructions", sa.String, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("temperature", sa.Float),
        sa.Column("max_tokens", sa.Integer),
    )
    op.create_table(
        "channel_changes",
        sa.Column("id", Number, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("after", sa.JSON, nullable=False),
    )
    op.create_index("channel_changes_by_channel", "channel_changes", ["team", "channel"])
    no = sa.text("false")
    op.add_column("turns", sa.Column("is_follow_up", sa.Boolean, nullable=False, server_default=no))
    op.create_index(
        "turns_answered",
        "turns",
        ["team", "channel", "thread_ts"],
        sqlite_where=sa.text("attempts > 0"),
        postgresql_where=sa.text("attempts > 0"),
    )
