"""Which days the records are of that a device still has."""

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """As JSON, pairs of a day and its last seq; nothing until a device tells."""
    op.add_column("mark", sa.Column("days", sa.Text))
