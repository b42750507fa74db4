"""What to do with a track batch: the mark, the chain, duplicates, roll-back.

A batch is appended if it starts right behind the mark and its hash before the first row is the hash at the mark.
It is appended over a gap if the device can no longer send what the hub lacks (`low` is beyond the mark): then the
hub's own mark went back, the gap is booked as lost, and the chain is not checked across it.
Everything else is answered with the mark and not stored; the device cuts again from there.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hub.core.registry import Registry
from wire.codec import MAX_SEQ, MAX_TIME_MS, integer, load_object, store_id
from wire.errors import DecodeError
from wire.kinds import QUARANTINE, ROLLBACK
from wire.messages import TIME_KNOWN, Batch, Event, Header
from wire.schema import AT_MS, SCHEMA_VERSION
from wire.track import GENESIS, MAX_HEADER_BYTES, decode_body, decode_header

DAY_MS = 86_400_000
MOST_DEPTH = 8


class Kind(StrEnum):
    """What a payload is: known rows, a schema that we do not know yet, or a body that does not decode."""

    ROWS = "rows"
    UNKNOWN = "unknown"
    POISON = "poison"


class Verdict(StrEnum):
    """What the store does with a batch."""

    APPEND = "append"
    ROLLBACK = "rollback"
    DUPLICATE = "duplicate"
    ANSWER = "answer"
    REFUSED = "refused"
    """Not of `decide`: the store could not take it, not even raw."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to which seq the hub holds a device's store, and the chain hash there.

    `newest` is the newest seq that the device has told of, and `told_ms` when, and `days` of which days
    what has not come is: for the ledger, not for the verdict.
    """

    last: int = 0
    h: str = GENESIS
    newest: int = field(default=0, compare=False)
    told_ms: int | None = field(default=None, compare=False)
    days: tuple[tuple[int, int], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with where it came from and whom it is shown to; `pos` is its place in the fleet's log."""

    device: str
    store: str
    event: Event
    fleet: str
    vehicle: str | None
    received_ms: int
    pos: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A track payload as it came, with everything that the store needs to know about it.

    `counts` are the ledger's lines: UTC day and what, to how many.
    """

    device: str
    fleet: str
    header: Header
    kind: Kind
    payload: bytes
    received_ms: int
    reason: str = ""
    rows: int = 0
    t_min_ms: int | None = None
    t_max_ms: int | None = None
    waiting: int = 0
    events: tuple[StoredEvent, ...] = ()
    counts: Mapping[tuple[int, str], int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Device and store: what has a mark of its own."""
        return self.device, self.header.store

    @property
    def span(self) -> int:
        """How many seqs the batch covers."""
        return self.header.last - self.header.first + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the store did, and the mark that holds now. `lost` counts seqs that were booked over a roll-back."""

    verdict: Verdict
    mark: Mark
    lost: int = 0


def decide(mark: Mark, header: Header) -> Verdict:
    """The verdict about a batch at a mark."""
    if header.last <= mark.last:
        return Verdict.DUPLICATE
    if header.first == mark.last + 1:
        return Verdict.APPEND if header.before == mark.h else Verdict.ANSWER
    if mark.last + 1 < header.low == header.first:
        return Verdict.ROLLBACK
    return Verdict.ANSWER


def moved(batch: Incoming, mark: Mark) -> Mark:
    """The mark behind a batch that was taken. A body that was not read does not tell how much waits behind it."""
    last = batch.header.last
    newest = last + batch.waiting if batch.kind is Kind.ROWS else max(last, mark.newest)
    return Mark(last, batch.header.after, newest, batch.received_ms, mark.days)


@dataclass(frozen=True, slots=True)
class Closed:
    """A device has left a store for another one. `newest` is what the store had at least; None if all of it came along.

    `salvaged` says that nothing more of it will come than did; without a `store`, as older agents told it, that is so for all
    stores that have ended.
    """

    store: str | None
    why: str
    newest: int | None = None
    salvaged: bool = False


def closed(batch: Incoming) -> list[Closed]:
    """Which stores a batch says have come to their end."""
    return [told for one in batch.events if (told := _closed(one.event)) is not None]


def _closed(event: Event) -> Closed | None:
    if event.kind == "outbox-damaged":
        return _salvaged(event) if "salvaged" in event.detail else None
    if event.kind not in {"fork", "store-new"}:
        return None
    try:
        prev, newest = store_id(event.detail, "prev"), integer(event.detail, "prev_seq", 0, MAX_SEQ)
    except DecodeError:  # a store that can't be has left nothing behind
        return None
    return Closed(prev, event.kind, newest if event.kind == "store-new" else None)


def _salvaged(event: Event) -> Closed:
    try:
        return Closed(store_id(event.detail, "prev"), event.kind, salvaged=True)
    except DecodeError:
        return Closed(None, event.kind, salvaged=True)


def alarm(batch: Incoming, mark: Mark) -> StoredEvent:
    """The hub's own event about seqs that it lost. Its seq is negative: it is not of the device's sequence."""
    low = batch.header.low
    told = Event(1 - low, batch.received_ms, ROLLBACK, detail={"from": mark.last + 1, "to": low - 1})
    return StoredEvent(batch.device, batch.header.store, told, batch.fleet, None, batch.received_ms)


def spoken_store(payload: bytes) -> str | None:
    """The store that a damaged header names, if it can still be read."""
    try:
        return store_id(load_object(payload.partition(b"\n")[0], max_bytes=MAX_HEADER_BYTES), "s")
    except DecodeError:
        return None


def incoming(device: str, payload: bytes, *, registry: Registry, received_ms: int) -> Incoming:
    """Take a track payload in. Raises DecodeError for a bad header or checksum: that is answered `bad`."""
    header, raw = decode_header(payload)
    version = load_object(payload.partition(b"\n")[0], max_bytes=MAX_HEADER_BYTES)["v"]
    known = registry.devices.get(device)
    bare = Incoming(device, known.fleet if known else "", header, Kind.ROWS, payload, received_ms)
    day = received_ms // DAY_MS
    if version != SCHEMA_VERSION:
        counts = {(day, "unknown"): bare.span}
        return replace(bare, kind=Kind.UNKNOWN, reason=f"version {version}", counts=counts)
    try:
        batch = decode_body(header, raw)
    except DecodeError as error:
        return poisoned(bare, str(error))
    events = tuple(stored(device, header.store, event, registry=registry, received_ms=received_ms)
                   for event in batch.events)  # fmt: skip
    times = [row[AT_MS] or 0 for _, row in batch.rows] + [one.event.at_ms or received_ms for one in events]
    return replace(
        bare, rows=len(batch.rows), t_min_ms=min(times, default=None), t_max_ms=max(times, default=None),
        waiting=batch.waiting, events=events, counts=_counts(batch, day),
    )  # fmt: skip


def _counts(batch: Batch, day: int) -> Counter[tuple[int, str]]:
    """Rows and events stand on the day of their time; receipts, and events without a time, on the day that they came."""
    counts: Counter[tuple[int, str]] = Counter()
    for _, row in batch.rows:
        counts[(row[AT_MS] or 0) // DAY_MS, "rows"] += 1
    for event in batch.events:
        counts[day if event.at_ms is None else event.at_ms // DAY_MS, "events"] += 1
    for receipt in batch.lost:
        counts[day, f"lost:{printable(receipt.reason)}"] += receipt.last - receipt.first + 1
    return counts


def stored(device: str, store: str, event: Event, *, registry: Registry, received_ms: int) -> StoredEvent:
    """An event with the fleet and the vehicle that it belongs to. Without a time of its own it gets that of its coming.

    It keeps its boot then, which says that the time is provisional.
    """
    at_ms = received_ms if event.at_ms is None else event.at_ms
    detail = event.detail if _depth(event.detail) <= MOST_DEPTH else {"unreadable": "nested too deeply"}
    boot = None if event.boot is None else printable(event.boot)
    fit = replace(event, at_ms=at_ms, kind=printable(event.kind), detail=detail, boot=boot)
    vehicle = registry.vehicle_at(device, at_ms)
    if vehicle is not None:
        return StoredEvent(device, store, fit, vehicle.fleet, vehicle.vehicle, received_ms)
    known = registry.devices.get(device)
    return StoredEvent(device, store, fit, known.fleet if known else "", None, received_ms)


def dating(event: Event) -> tuple[str, int] | None:
    """What a `time-known` event says: the boot, and what to add to its clock to get UTC."""
    boot, offset_ms = event.detail.get("boot"), event.detail.get("offset_ms")
    if event.kind != TIME_KNOWN or not isinstance(boot, str) or not isinstance(offset_ms, int):
        return None
    return (boot, offset_ms) if 0 <= offset_ms < MAX_TIME_MS else None


def _depth(value: object) -> int:
    """How deeply lists and objects are nested, counted without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def poisoned(batch: Incoming, reason: str) -> Incoming:
    """The same batch as one that goes to quarantine."""
    counts = {(batch.received_ms // DAY_MS, f"lost:{QUARANTINE}"): batch.span}
    return Incoming(
        batch.device, batch.fleet, batch.header, Kind.POISON, batch.payload, batch.received_ms,
        printable(reason, 200), counts=counts,
    )  # fmt: skip


def printable(text: str, longest: int = 32) -> str:
    """A word from outside, made fit for a column and a label."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:longest]
