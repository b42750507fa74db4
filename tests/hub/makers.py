"""Things that hub tests make: registries, batches, views."""

from collections.abc import Sequence

from hub.core.marks import Incoming, incoming
from hub.core.registry import Binding, Device, Registry, Vehicle
from hub.events import HAPPENINGS
from wire.messages import Batch, Event, Fix, Lost, Row
from wire.ops.watch import Watch
from wire.schema import row_of
from wire.track import GENESIS, chain, encode_batch

T0 = 1_760_000_000_000
STORE = "AbCdEf01-_x"
DAY = T0 // 86_400_000


def a_watch() -> Watch:
    return Watch("hub", HAPPENINGS)


def a_registry(**devices: str) -> Registry:
    """Devices by keyword: `gw_a="van-1"`, all of fleet main; without any, gw-a in van-1 and gw-b in van-2."""
    places = {name.replace("_", "-"): vehicle for name, vehicle in devices.items()} or {
        "gw-a": "van-1",
        "gw-b": "van-2",
    }
    vehicles = {vehicle: Vehicle(vehicle, "main", vehicle.title()) for vehicle in places.values()}
    made = {name: Device(name, "main", bindings=(Binding(vehicle, 0),)) for name, vehicle in places.items()}
    return Registry(1, ("main",), vehicles, made)


def a_row(i: int, start_ms: int = T0) -> Row:
    return row_of(Fix(start_ms + 1000 * i, 41.2875786 + i * 1e-4, -96.0888748, 333.7, 13.4, 271.0))


def a_batch(
    first: int = 1,
    n: int = 10,
    *,
    store: str = STORE,
    before: str | None = None,
    low: int = 1,
    events: Sequence[Event] = (),
    lost: Sequence[Lost] = (),
    waiting: int = 0,
    start_ms: int = T0,
) -> Batch:
    """Rows `first` to `first + n − 1`, chained; events and receipts come behind them."""
    rows = tuple((first + i, a_row(first + i, start_ms)) for i in range(n))
    last = max([first + n - 1, *(event.seq for event in events), *(receipt.last for receipt in lost)])
    start = h_at(first - 1, store) if before is None else before
    return Batch(store, first, last, low, start, h_at(last, store), rows, tuple(events), tuple(lost), waiting)


def h_at(seq: int, store: str = STORE) -> str:
    """A hash that stands for the chain at a seq."""
    return GENESIS if seq == 0 else chain(store, seq, b"test")


def an_incoming(
    batch: Batch | None = None, *, device: str = "gw-a", registry: Registry | None = None, at_ms: int = T0 + 100_000
) -> Incoming:
    payload = encode_batch(batch or a_batch())
    return incoming(device, payload, registry=registry or a_registry(), received_ms=at_ms)


def bent_body(batch: Batch) -> bytes:
    """A payload with a good header and checksum, and a body that does not decode."""
    import json
    import zlib

    raw = zlib.compress(b'{"t":[1,2],"la":[1]}', 9)[2:-4]
    head = {
        "v": 1,
        "s": batch.store,
        "f": batch.first,
        "l": batch.last,
        "w": batch.low,
        "a": batch.before,
        "b": batch.after,
    }
    return json.dumps(head | {"c": f"{zlib.crc32(raw):08x}"}).encode() + b"\n" + raw
