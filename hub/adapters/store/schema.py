"""Tables of the store as of the newest migration; a test holds both together."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD = "v0004"
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
ROWID = BigInteger().with_variant(Integer(), "sqlite")

fleet = Table(
    "fleet",
    metadata,
    Column("fleet", String(32), primary_key=True),
    Column("last_pos", BigInteger, nullable=False, server_default="0"),
    Column("made_ms", BigInteger, nullable=False),
)
vehicle = Table(
    "vehicle",
    metadata,
    Column("vehicle", String(32), primary_key=True),
    Column("fleet", ForeignKey("fleet.fleet"), nullable=False),
    Column("name", String(80), nullable=False),
    Column("tags", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)
device = Table(
    "device",
    metadata,
    Column("device", String(32), primary_key=True),
    Column("fleet", ForeignKey("fleet.fleet"), nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)
binding = Table(
    "binding",
    metadata,
    Column("device", ForeignKey("device.device"), primary_key=True),
    Column("valid_from_ms", BigInteger, primary_key=True),
    Column("vehicle", ForeignKey("vehicle.vehicle"), nullable=False),
)
credential = Table(
    "credential",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("hash", String(200), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
)
token = Table(
    "token",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("fleet", ForeignKey("fleet.fleet"), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("expires_ms", BigInteger),
    Column("made_ms", BigInteger, nullable=False),
)
login_code = Table(
    "login_code",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("fleet", ForeignKey("fleet.fleet"), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("made_ms", BigInteger, nullable=False),
)
track_chunk = Table(
    "track_chunk",
    metadata,
    Column("id", ROWID, primary_key=True, autoincrement=True),
    Column("device", String(32), nullable=False),
    Column("store", String(11), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("t_min_ms", BigInteger),
    Column("t_max_ms", BigInteger),
    Column("received_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("device", "store", "first"),
    Index("ix_track_chunk_device_t_max_ms", "device", "t_max_ms"),
    Index(
        "ix_track_chunk_unknown", "id", sqlite_where=text("kind = 'unknown'"), postgresql_where=text("kind = 'unknown'")
    ),
)
mark = Table(
    "mark",
    metadata,
    Column("device", String(32), primary_key=True),
    Column("store", String(11), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("h", String(11), nullable=False),
    Column("newest", BigInteger, nullable=False, server_default="0"),
    Column("told_ms", BigInteger),
    Column("closed", String(16)),
    Column("days", Text),
)
event = Table(
    "event",
    metadata,
    Column("id", ROWID, primary_key=True, autoincrement=True),
    Column("device", String(32), nullable=False),
    Column("store", String(11), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("fleet", String(32), nullable=False),
    Column("vehicle", String(32)),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("lat", Float(53)),
    Column("lon", Float(53)),
    Column("detail", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("pos", BigInteger),
    Column("published", Boolean, nullable=False),
    Column("boot", String(16)),
    Column("mono_ms", BigInteger),
    UniqueConstraint("device", "store", "seq"),
    UniqueConstraint("fleet", "pos"),
    Index("ix_event_fleet_published", "fleet", "published"),
)
live_state = Table(
    "live_state",
    metadata,
    Column("device", String(32), primary_key=True),
    Column("vehicle", String(32), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)
ledger = Table(
    "ledger",
    metadata,
    Column("device", String(32), primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("what", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
)
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", ROWID, primary_key=True, autoincrement=True),
    Column("device", String(32), nullable=False),
    Column("store", String(11), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False, server_default="0"),
)
audit = Table(
    "audit",
    metadata,
    Column("id", ROWID, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("what", String(40), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("detail", Text, nullable=False),
)
meta = Table(
    "meta",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
