"""What flows: fixes, readings, live messages, events, batches, acks. Frozen, slotted, units in the names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

Row = tuple[int | None, ...]
"""One fix with its OBD values as scaled integers, in the order of `wire.schema.COLUMNS`."""


class Mode(IntEnum):
    """Dimension of a fix, numbered as gpsd does."""

    NONE = 1
    FIX_2D = 2
    FIX_3D = 3


class Quality(IntEnum):
    """How the fix was made, numbered as field 6 of NMEA GGA."""

    NONE = 0
    GNSS = 1
    DGPS = 2
    PPS = 3
    RTK_FIXED = 4
    RTK_FLOAT = 5
    ESTIMATED = 6
    MANUAL = 7
    SIMULATED = 8


@dataclass(frozen=True, slots=True)
class Fix:
    """One position of one epoch. `at_ms` is UTC from the receiver; any other field that it did not tell is None.

    `cn0_dbhz` is the mean of the four strongest satellites.
    """

    at_ms: int
    lat_deg: float
    lon_deg: float
    alt_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    mode: Mode = Mode.FIX_3D
    quality: Quality = Quality.GNSS
    hdop: float | None = None
    pdop: float | None = None
    accuracy_m: float | None = None
    sats_used: int | None = None
    sats_seen: int | None = None
    cn0_dbhz: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest values of the vehicle bus; None means unknown or too old. `ignition` comes from rpm and voltage."""

    rpm: float | None = None
    speed_kph: float | None = None
    coolant_c: float | None = None
    throttle_pct: float | None = None
    load_pct: float | None = None
    fuel_pct: float | None = None
    voltage_v: float | None = None
    ignition: bool | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Noise as a value: why some input was dropped. `reason` is a short word for counters."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """Where the vehicle is now, and how it moves: the state that `wire.predict` continues.

    `eps_m` is the error bound that the sender keeps; `waiting` counts fixes still in the outbox. `heartbeat_s` is the longest
    silence of the sender if that is not the usual one.
    """

    at_ms: int
    lat_deg: float
    lon_deg: float
    speed_mps: float = 0.0
    course_deg: float = 0.0
    accel_mps2: float = 0.0
    turn_dps: float = 0.0
    alt_m: float | None = None
    accuracy_m: float | None = None
    eps_m: float = 10.0
    rpm: float | None = None
    ignition: bool | None = None
    waiting: int | None = None
    driver: str | None = None
    heartbeat_s: int | None = None


TIME_KNOWN = "time-known"
"""The event that dates those of its boot that were sent without a time: `detail` has `boot` and `offset_ms`."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a record of the track sequence that is also sent at once on the event lane.

    While nobody has told the vehicle the time, `at_ms` is None, and `boot` and `mono_ms` say when it was: so long after
    which start of the machine.
    """

    seq: int
    at_ms: int | None
    kind: str
    lat_deg: float | None = None
    lon_deg: float | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    boot: str | None = None
    mono_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A receipt for records that will never come: the inclusive range, why, and what they were."""

    first: int
    last: int
    reason: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a track payload. `before` and `after` are the chain hashes before `first` and at `last`."""

    store: str
    first: int
    last: int
    low: int
    before: str
    after: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows, events and receipts that tile `first..last` exactly. `waiting` rows are left in the outbox behind it."""

    store: str
    first: int
    last: int
    low: int
    before: str
    after: str
    rows: tuple[tuple[int, Row], ...] = ()
    events: tuple[Event, ...] = ()
    lost: tuple[Lost, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Ack:
    """What the hub says after its commit.

    Track: `upto` and `h` are the mark of `store`. Events: `events` lists seqs whose fast copy may stop.
    `live_ms` is the time of the newest live message that the hub holds. `bad` refuses the batch in flight
    (header or checksum) and says why. `retry_after_s` asks the device to hold back.
    """

    store: str
    upto: int | None = None
    h: str | None = None
    events: tuple[int, ...] = ()
    live_ms: int | None = None
    bad: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Presence and account of a device. An offline status of another connection id is ignored.

    `days` says of which UTC days (since 1970) the records are that have not come: the day, and the last seq of it.
    """

    online: bool
    connection: str
    version: str = ""
    store: str = ""
    newest_seq: int = 0
    recorded: int = 0
    upload_s: float = 60.0
    reason: str = ""
    days: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What the hub asks of a device. `watch`: keep the live position within `eps_m` until `until_ms`. Idempotent by `id`."""

    id: str
    op: str
    eps_m: float | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What became of a command; `why` is a short word when it was not done."""

    id: str
    ok: bool
    why: str = ""
