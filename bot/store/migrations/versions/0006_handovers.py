"""An attempt that a planned stop ended is told from one whose process died."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("turns", sa.Column("handovers", sa.Integer, nullable=False, server_default="0"))
