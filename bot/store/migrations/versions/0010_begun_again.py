"""Which records are of an answer that was begun again, as no attempt that was merely asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# Of what a turn was asked last for, all attempts but the first; of what it was asked before,
# nobody knows any more which were which: they stay as they were written, as not begun again.
OF_THE_SAME_WISH = """
    UPDATE usage SET is_resumed = true WHERE purpose = 'answer' AND attempt > 1 AND EXISTS (
        SELECT 1 FROM turns
        WHERE turns.team = usage.team AND turns.channel = usage.channel AND turns.ts = usage.ts
        AND usage.attempt > turns.attempts_before + 1
    )
"""


def upgrade() -> None:
    no = sa.text("false")
    op.add_column("usage", sa.Column("is_resumed", sa.Boolean, nullable=False, server_default=no))
    op.execute(OF_THE_SAME_WISH)
