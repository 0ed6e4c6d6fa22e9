"""How many questions somebody has asked lately is found at once."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("turns_by_user", "turns", ["team", "user", "accepted_at"])
