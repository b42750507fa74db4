"""The first schema: registry, track, marks, events, live state, ledger, quarantine, audit."""

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None

ROWID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make everything."""
    _registry()
    _rights()
    _track()
    _views()
    _events()
    op.execute("INSERT INTO meta (key, value) VALUES ('epoch', 1), ('registry', 1)")


def _registry() -> None:
    op.create_table(
        "fleet",
        sa.Column("fleet", sa.String(32), primary_key=True),
        sa.Column("last_pos", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "vehicle",
        sa.Column("vehicle", sa.String(32), primary_key=True),
        sa.Column("fleet", sa.String(32), sa.ForeignKey("fleet.fleet", name="fk_vehicle_fleet"), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "device",
        sa.Column("device", sa.String(32), primary_key=True),
        sa.Column("fleet", sa.String(32), sa.ForeignKey("fleet.fleet", name="fk_device_fleet"), nullable=False),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "binding",
        sa.Column("device", sa.String(32), sa.ForeignKey("device.device", name="fk_binding_device"), primary_key=True),
        sa.Column("valid_from_ms", sa.BigInteger, primary_key=True),
        sa.Column(
            "vehicle", sa.String(32), sa.ForeignKey("vehicle.vehicle", name="fk_binding_vehicle"), nullable=False
        ),
    )
    op.create_table(
        "credential",
        sa.Column("identity", sa.String(32), primary_key=True),
        sa.Column("hash", sa.String(200), nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )


def _rights() -> None:
    op.create_table(
        "token",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("fleet", sa.String(32), sa.ForeignKey("fleet.fleet", name="fk_token_fleet"), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("expires_ms", sa.BigInteger),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "login_code",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("fleet", sa.String(32), sa.ForeignKey("fleet.fleet", name="fk_login_code_fleet"), nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("used_ms", sa.BigInteger),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", ROWID, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def _track() -> None:
    op.create_table(
        "track_chunk",
        sa.Column("id", ROWID, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("store", sa.String(11), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("t_min_ms", sa.BigInteger),
        sa.Column("t_max_ms", sa.BigInteger),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("device", "store", "first", name="uq_track_chunk_device_store_first"),
    )
    op.create_index("ix_track_chunk_device_t_max_ms", "track_chunk", ["device", "t_max_ms"])
    op.create_table(
        "mark",
        sa.Column("device", sa.String(32), primary_key=True),
        sa.Column("store", sa.String(11), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("h", sa.String(11), nullable=False),
    )


def _views() -> None:
    op.create_table(
        "live_state",
        sa.Column("device", sa.String(32), primary_key=True),
        sa.Column("vehicle", sa.String(32), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("device", sa.String(32), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("what", sa.String(64), primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", ROWID, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("store", sa.String(11), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("id", ROWID, primary_key=True, autoincrement=True),
        sa.Column("device", sa.String(32), nullable=False),
        sa.Column("store", sa.String(11), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("fleet", sa.String(32), nullable=False),
        sa.Column("vehicle", sa.String(32)),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("lat", sa.Float(53)),
        sa.Column("lon", sa.Float(53)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("pos", sa.BigInteger),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.UniqueConstraint("device", "store", "seq", name="uq_event_device_store_seq"),
        sa.UniqueConstraint("fleet", "pos", name="uq_event_fleet_pos"),
    )
    op.create_index("ix_event_fleet_published", "event", ["fleet", "published"])
