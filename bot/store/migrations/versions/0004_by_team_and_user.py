"""What somebody has asked lately, and what they or a workspace used, is found at once."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("turns_by_user", "turns", ["team", "user", "accepted_at"])
    op.create_index("usage_by_team", "usage", ["team", "at"])
    op.create_index("usage_by_user", "usage", ["team", "user", "at"])
