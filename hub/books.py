"""What `odograph-hub ledger` and `quarantine` do and say."""

from collections.abc import Collection, Sequence
from pathlib import Path

from hub.adapters.store.books import Kept
from hub.adapters.store.sql import SqlStore
from hub.admin import Said, table
from hub.core import ledger
from hub.core.exports import when
from hub.core.marks import DAY_MS, Incoming, Kind, incoming
from hub.core.registry import Registry
from wire.errors import DecodeError, RefusedError
from wire.iso import iso
from wire.ops.clock import utc_ms
from wire.ops.watch import WatchCall

HEAD_BYTES = 128
PER_LINE = 16


def _devices(registry: Registry, vehicle: str | None, fleet: str | None, device: str | None) -> set[str] | None:
    """The devices that are meant; None: all, those that are not known any more, too."""
    if device is not None:
        if device not in registry.devices:
            raise RefusedError(f"there is no device {device}")
        return {device}
    if vehicle is not None and vehicle not in registry.vehicles:
        raise RefusedError(f"there is no vehicle {vehicle}")
    if fleet is not None and fleet not in registry.fleets:
        raise RefusedError(f"there is no fleet {fleet}")
    if vehicle is None and fleet is None:
        return None
    wanted = {vehicle} if vehicle is not None else {one.vehicle for one in registry.fleet_vehicles(fleet or "")}
    return {one.device for one in registry.devices.values() if wanted & {b.vehicle for b in one.bindings}}


async def account(
    store: SqlStore,
    *,
    vehicle: str | None = None,
    fleet: str | None = None,
    device: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Said:
    """The ledger: recorded = received + lost by reason + still out there."""
    registry, now_ms = await store.registry(), utc_ms()
    first = ledger.FIRST_DAY if start is None else when(start, "--from") // DAY_MS
    last = ledger.LAST_DAY if end is None else when(end, "--to") // DAY_MS
    devices = _devices(registry, vehicle, fleet, device)
    lines, reaches = await store.ledgers(devices, first, last), await store.reaches(devices)
    days = ledger.days(lines, reaches, registry=registry, first=first, last=last, now_ms=now_ms)
    if vehicle is not None:
        days = [one for one in days if one.vehicle == vehicle]
    if fleet is not None:
        of = {one.vehicle for one in registry.fleet_vehicles(fleet)}
        days = [one for one in days if one.vehicle in of]
    sums = ledger.balances(await store.totals(devices), reaches, now_ms=now_ms)
    text = f"{_days_table(days)}\n\nOver all days, by device:\n{_sums_table(sums)}"
    data = {"days": [ledger.day_data(one) for one in days], "devices": [ledger.balance_data(one) for one in sums]}
    return Said(text, data)


def _reasons(lost: Collection[tuple[str, int]]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(lost) if n) or "-"


def _told(told_ms: int | None) -> str:
    """Up to when the account can know: `out there 0` says nothing of what was recorded after that."""
    return "-" if told_ms is None else f"{iso(told_ms)[:19]}Z"


def _days_table(days: Sequence[ledger.Day]) -> str:
    rows = [
        (ledger.day_text(one.day), one.vehicle or "-", str(one.recorded), str(one.received), _reasons(one.lost.items()),
         str(one.out_there), _told(one.told_ms))
        for one in days
    ]  # fmt: skip
    notes = [f"{ledger.day_text(one.day)} {one.vehicle or '-'}: {note}" for one in days for note in one.notes]
    return "\n".join(
        [table(("DAY", "VEHICLE", "RECORDED", "RECEIVED", "LOST", "OUT THERE", "TOLD UNTIL"), rows), *notes]
    )


def _sums_table(sums: Sequence[ledger.Balance]) -> str:
    rows = [
        (one.device, str(one.recorded), str(one.received), _reasons(one.lost.items()), str(one.out_there),
         _told(one.told_ms), "closes" if not one.off else f"off by {one.off}")
        for one in sums
    ]  # fmt: skip
    why = [f"{one.device}: {text}" for one in sums for text in one.why]
    return "\n".join([table(("DEVICE", "RECORDED", "RECEIVED", "LOST", "OUT THERE", "TOLD UNTIL", ""), rows), *why])


def _kept_data(one: Kept) -> dict[str, object]:
    return {
        "id": one.name, "device": one.device, "store": one.store, "first": one.first, "last": one.last,
        "reason": one.reason, "received_ms": one.received_ms, "bytes": one.size, "there": one.there,
    }  # fmt: skip


async def quarantine_list(store: SqlStore, *, device: str | None) -> Said:
    """What could not be read, oldest first."""
    kept = await store.kept(device)
    rows = [
        (one.name, one.device, iso(one.received_ms), f"{one.first}-{one.last}", str(one.size) if one.there else "dropped",
         one.reason)
        for one in kept
    ]  # fmt: skip
    text = table(("ID", "DEVICE", "CAME", "SEQS", "BYTES", "WHY"), rows) if kept else "nothing is in quarantine"
    return Said(text, [_kept_data(one) for one in kept])


async def _one(store: SqlStore, name: str) -> tuple[Kept, bytes]:
    found = await store.kept(name=name)
    if not found:
        raise RefusedError(f"there is no {name} in quarantine; see: odograph-hub quarantine list")
    return found[0], found[0].raw or b""


async def quarantine_show(store: SqlStore, name: str) -> Said:
    """Its header line, and the head of its body as hex."""
    one, raw = await _one(store, name)
    header, _newline, body = raw.partition(b"\n")
    dump = [
        f"{i:04x}  {body[i : i + PER_LINE].hex(' '):<47}  {_printed(body[i : i + PER_LINE])}"
        for i in range(0, min(len(body), HEAD_BYTES), PER_LINE)
    ]
    facts = [f"{key}: {value}" for key, value in _kept_data(one).items()]
    shown = _printed(header) if one.there else "the raw payload was dropped: the quarantine was full"
    data = _kept_data(one) | {"header": _printed(header), "head": body[:HEAD_BYTES].hex()}
    return Said("\n".join([*facts, f"header: {shown}", *dump]), data)


def _printed(raw: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)


async def quarantine_export(store: SqlStore, name: str, *, out: str) -> Said:
    """The raw payload, as it came, into a new file."""
    one, raw = await _one(store, name)
    if not one.there:
        raise RefusedError(f"the raw payload of {name} was dropped: the quarantine was full")
    try:
        with Path(out).open("xb") as file:  # noqa: ASYNC230  # a command of its own, nothing else waits
            file.write(raw)
    except OSError as error:
        raise RefusedError(f"{out} can't be written: {error.strerror}") from None
    return Said(f"wrote {len(raw)} bytes to {out}", {"id": name, "out": out, "bytes": len(raw)})


async def quarantine_retry(store: SqlStore, name: str | None) -> Said:
    """Read again what could not be read; what can be now is booked, once, in its place."""
    if name is not None:
        await _one(store, name)
    registry, done, still = await store.registry(), [], {}
    for listed in await store.kept(name=name):
        if not listed.there:
            still[listed.name] = "its raw payload was dropped"
            continue
        one, raw = await _one(store, listed.name)
        read = reread(one, raw, registry)
        why = read if isinstance(read, str) else await store.retry(one, read)
        if why:
            still[one.name] = why
        else:
            done.append(one.name)
    text = [f"booked {len(done)}: {', '.join(done) or '-'}", *(f"{name}: {why}" for name, why in still.items())]
    return Said("\n".join(text), {"booked": done, "still": still})


def reread(one: Kept, raw: bytes, registry: Registry) -> Incoming | str:
    """The payload as we read it now, or why it still can't be read."""
    try:
        read = incoming(one.device, raw, registry=registry, received_ms=one.received_ms)
    except DecodeError as error:
        return str(error)
    if read.kind is not Kind.ROWS:
        return read.reason
    header = read.header
    if (header.store, header.first, header.last) != (one.store, one.first, one.last):
        return "its header is of another range"
    return read


async def after_upgrade(store: SqlStore, watch: WatchCall) -> None:
    """Book what came in a schema that was unknown then and is known now. What is still unknown waits."""
    registry, booked = await store.registry(), 0
    for listed in await store.kept():
        if listed.kind is Kind.UNKNOWN:
            one, raw = await _one(store, listed.name)
            read = reread(one, raw, registry)
            if isinstance(read, Incoming) and not await store.retry(one, read):
                booked += 1
    if booked:
        watch("track.booked-late", n=booked)
