"""What the ledger and the quarantine need: how far a device's store goes, whether it has ended, how large a payload was."""

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is known to be out there until a device tells; a payload that is dropped keeps its size."""
    op.add_column("mark", sa.Column("newest", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("mark", sa.Column("told_ms", sa.BigInteger))
    op.add_column("mark", sa.Column("closed", sa.String(16)))
    op.execute("UPDATE mark SET newest = last")
    op.add_column("quarantine", sa.Column("size", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE quarantine SET size = length(payload)")
    unknown = sa.text("kind = 'unknown'")
    op.create_index("ix_track_chunk_unknown", "track_chunk", ["id"], sqlite_where=unknown, postgresql_where=unknown)
