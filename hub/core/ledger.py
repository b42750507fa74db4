"""The ledger as an account: by vehicle and UTC day, recorded = received + lost by reason + still out there.

Every seq of a device's store is in exactly one of these: the ledger has a line for each that the mark has passed, and the
device tells how far its store goes. A day is the record's own; receipts, and what can't be read, stand on the day on
which they came; what is still out there stands on the day that the device tells, or on the day on which it last told.
The account of a device, over all days, says by how much it does not close, and why.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from hub.core.marks import DAY_MS
from hub.core.registry import Registry
from wire.iso import iso
from wire.kinds import REASONS

LOST = "lost:"
RECEIVED = ("rows", "events", "unknown")
OUT_THERE = "out-there"
SILENT_MS = 15 * 60_000
OTHER = "other"
FIRST_DAY, LAST_DAY = -1, (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Line:
    """How many of something a device had on a UTC day (days since 1970)."""

    device: str
    day: int
    what: str
    n: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the hub holds a device's store, and how far it goes as the device told. `closed` says why it has ended.

    `days` are pairs of a UTC day and the last seq of it, for what has not come.
    """

    device: str
    store: str
    last: int
    newest: int
    told_ms: int | None
    closed: str | None = None
    days: tuple[tuple[int, int], ...] = ()

    @property
    def out_there(self) -> int:
        """What has not come yet."""
        return max(0, self.newest - self.last)


@dataclass(slots=True)
class Day:
    """A vehicle's day; without a vehicle, what came from devices that sat in none.

    `told_ms` is when its device has told last (of several: the one that is silent for longest): what was recorded after that
    is not in it.
    """

    vehicle: str | None
    day: int
    received: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    out_there: int = 0
    notes: list[str] = field(default_factory=list)
    told_ms: int | None = None

    @property
    def recorded(self) -> int:
        """All that the vehicle had on that day, as far as it has told."""
        return self.received + self.lost.total() + self.out_there


@dataclass(frozen=True, slots=True)
class Balance:
    """A device over all days, as of its last word. `off` is by how much it does not close, `why` says why."""

    device: str
    recorded: int
    received: int
    lost: Mapping[str, int]
    out_there: int
    why: tuple[str, ...] = ()
    told_ms: int | None = None

    @property
    def off(self) -> int:
        """Recorded, less all that is accounted for."""
        return self.recorded - self.received - sum(self.lost.values()) - self.out_there


def reason_label(what: str) -> str:
    """A reason for a metric: one of those that we know, or `other`, so that no device can make up labels."""
    reason = what.removeprefix(LOST)
    return reason if reason in REASONS else OTHER


def days(
    lines: Iterable[Line], reaches: Sequence[Reach], *, registry: Registry, first: int, last: int, now_ms: int
) -> list[Day]:
    """The days from `first` to `last`, by day and vehicle."""
    found: dict[tuple[int, str], Day] = {}
    waiting = _waiting(reaches, now_ms)
    words = {device: told_ms for device, told_ms, _ in waiting}

    def of(device: str, day: int) -> Day:
        vehicle, note = _vehicle_on(registry, device, day)
        one = found.setdefault((day, vehicle or ""), Day(vehicle, day))
        one.told_ms = min((at_ms for at_ms in (one.told_ms, words.get(device)) if at_ms is not None), default=None)
        if note and note not in one.notes:
            one.notes.append(note)
        return one

    still = [Line(device, day, OUT_THERE, n) for device, _, by_day in waiting for day, n in by_day.items()]
    for line in chain(lines, still):
        if not first <= line.day <= last:
            continue
        if line.what.startswith(LOST):
            of(line.device, line.day).lost[line.what.removeprefix(LOST)] += line.n
        elif line.what in RECEIVED:
            of(line.device, line.day).received += line.n
        elif line.what == OUT_THERE:
            of(line.device, line.day).out_there += line.n
    for device, told_ms, _ in waiting:
        day = (now_ms if told_ms is None else told_ms) // DAY_MS
        silent = told_ms is not None and now_ms - told_ms > SILENT_MS
        if silent and first <= day <= last and (day, _vehicle_on(registry, device, day)[0] or "") in found:
            of(device, day).notes.append(_silent(device, told_ms or 0))
    return [found[key] for key in sorted(found)]


def balances(totals: Iterable[Line], reaches: Sequence[Reach], *, now_ms: int) -> list[Balance]:
    """Each device over all days; `totals` are its lines, of whatever day."""
    sums: dict[str, Counter[str]] = {}
    for line in totals:
        sums.setdefault(line.device, Counter())[line.what] += line.n
    stores: dict[str, list[Reach]] = {}
    for reach in reaches:
        stores.setdefault(reach.device, []).append(reach)
    return [
        _balance(device, sums.get(device, Counter()), stores.get(device, []), now_ms)
        for device in sorted(sums.keys() | stores.keys())
    ]


def day_text(day: int) -> str:
    """A UTC day, as ISO 8601."""
    return iso(day * DAY_MS)[:10]


def day_data(one: Day) -> dict[str, object]:
    """A vehicle's day for scripts and for the API."""
    return {
        "vehicle": one.vehicle, "day": day_text(one.day), "recorded": one.recorded, "received": one.received,
        "lost": {reason: n for reason, n in sorted(one.lost.items()) if n}, "out_there": one.out_there,
        "told_ms": one.told_ms, "notes": list(one.notes),
    }  # fmt: skip


def balance_data(one: Balance) -> dict[str, object]:
    """A device over all days, likewise."""
    return {
        "device": one.device, "recorded": one.recorded, "received": one.received, "lost": dict(one.lost),
        "out_there": one.out_there, "told_ms": one.told_ms, "off": one.off, "why": list(one.why),
    }  # fmt: skip


def _balance(device: str, sums: Mapping[str, int], stores: Sequence[Reach], now_ms: int) -> Balance:
    lost = {what.removeprefix(LOST): n for what, n in sorted(sums.items()) if what.startswith(LOST) and n}
    received = sum(sums.get(what, 0) for what in RECEIVED)
    still = [one for one in stores if one.closed is None]
    why = [
        f"store {one.store} ended ({one.closed}) with {one.out_there} records that have not come: they come when they are "
        "salvaged, or never"
        for one in stores
        if one.closed is not None and one.out_there
    ]
    astray = sum(one.last for one in stores) - received - sum(lost.values())
    if astray:
        why.append(f"the marks and the lines differ by {astray}: the store was changed by other hands")
    told_ms = max((one.told_ms for one in still if one.told_ms is not None), default=None)
    if told_ms is not None and now_ms - told_ms > SILENT_MS:
        why.append(_silent(device, told_ms))
    recorded = sum(max(one.newest, one.last) for one in stores)
    return Balance(device, recorded, received, lost, sum(one.out_there for one in still), tuple(why), told_ms)


def _silent(device: str, told_ms: int) -> str:
    return f"{device} has not reported since {iso(told_ms)}: what it recorded after that is not known here"


def _waiting(reaches: Iterable[Reach], now_ms: int) -> list[tuple[str, int | None, Counter[int]]]:
    """By device: when it last told, and how many records of open stores have not come, by day."""
    told: dict[str, tuple[int | None, Counter[int]]] = {}
    for one in reaches:
        if one.closed is None:
            at_ms, days = told.get(one.device, (None, Counter()))
            told[one.device] = max(at_ms or 0, one.told_ms or 0) or None, days + _days_of(one, now_ms)
    return [(device, at_ms, days) for device, (at_ms, days) in told.items()]


def _days_of(one: Reach, now_ms: int) -> Counter[int]:
    """How many records have not come, by their day; what the device has not told a day of stands on that of its word."""
    found: Counter[int] = Counter()
    at = one.last
    for day, upto in one.days:
        if (end := min(upto, one.newest)) > at:
            found[day] += end - at
            at = end
    if one.newest > at:
        found[(now_ms if one.told_ms is None else one.told_ms) // DAY_MS] += one.newest - at
    return found


def _vehicle_on(registry: Registry, device: str, day: int) -> tuple[str | None, str]:
    """The vehicle that the device was in for most of a day, and a note if there were several."""
    known = registry.devices.get(device)
    start, end = day * DAY_MS, (day + 1) * DAY_MS
    if known is None or not known.bindings:
        return None, f"{device} is in no vehicle"
    stays: Counter[str] = Counter()
    ends = [binding.valid_from_ms for binding in known.bindings[1:]] + [end]
    for binding, until in zip(known.bindings, ends, strict=True):
        if (span := min(until, end) - max(binding.valid_from_ms, start)) > 0:
            stays[binding.vehicle] += span
    if not stays:
        return None, f"{device} was in no vehicle yet"
    note = f"{device} sat in more than one vehicle on this day; all of it stands here" if len(stays) > 1 else ""
    return stays.most_common(1)[0][0], note
