"""Events whose time is provisional: the boot and the monotonic clock that will date them."""

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns; both empty for an event whose time is known."""
    op.add_column("event", sa.Column("boot", sa.String(16)))
    op.add_column("event", sa.Column("mono_ms", sa.BigInteger))
