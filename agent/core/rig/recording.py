"""Recordings for the rig: raw receiver logs and traces of several formats, read into epochs with their bus values."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from xml.etree import ElementTree as ET

from agent.core.gnss import nmea, receiver
from agent.core.gnss.framing import fits
from wire.errors import DecodeError
from wire.geo import bearing_deg, distance_m
from wire.messages import Fix, Mode

MPH_MPS = 0.44704
NO_VALUES: Mapping[str, float] = MappingProxyType({})
START_MPS, START_HELD_MS, START_LEAD_MS = 2.0, 10_000, 5_000
STEP_BACK_MS = 100
"""A raw log that repeats a time or steps back does so again in the rig, this long after the burst before it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One moment: `raw` sentences as recorded, or None, and then the rig makes them from `fix`.

    `fix` is None for a burst without a position. `values` are bus values by wire key; absent means that the
    recording has none at this moment.
    """

    at_ms: int
    fix: Fix | None
    raw: bytes | None = None
    values: Mapping[str, float] = field(default_factory=lambda: NO_VALUES)


@dataclass(frozen=True, slots=True)
class Recording:
    """Epochs in the order of the recording; `keys` are the bus values that it has anywhere.

    A recording of the bus alone has epochs without fix and raw.
    """

    epochs: tuple[Epoch, ...]
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Slot:
    """When an epoch is sent, counted from the start, and what is added to its times besides the start."""

    offset_ms: int
    shift_ms: int
    epoch: Epoch


def read(name: str, data: bytes) -> Recording:
    """By the name's ending (without `.gz`; unpack before). Raises DecodeError."""
    try:
        if name.endswith(".csv"):
            text = data.decode("utf-8-sig")
            epochs = list(_carobd(text) if "ENGINE_RUN_TI" in text[:200] else _forward(_nds(text)))
        elif name.endswith(".gpx"):
            epochs = list(_forward(_gpx(data)))
        elif name.endswith((".nmea", ".log", ".txt", ".ubx")):
            epochs = list(_raw(data)) or list(_binary(data))
        else:
            raise DecodeError("format", name, "known are .csv, .gpx, .nmea, .ubx and .log, each also with .gz")
    except (ValueError, KeyError, ET.ParseError) as error:
        raise DecodeError("format", name, str(error)) from error
    if not epochs:
        raise DecodeError("empty", name, "no epoch found")
    return Recording(tuple(epochs), frozenset(key for epoch in epochs for key in epoch.values))


def schedule(epochs: Sequence[Epoch], *, max_gap_ms: int = 5_000) -> Iterator[Slot]:
    """Offsets from the first epoch; a longer silence than `max_gap_ms` is shortened to it, by moving what follows."""
    shift_ms = -epochs[0].at_ms
    offset_ms = 0
    before_ms = epochs[0].at_ms
    for epoch in epochs:
        gap_ms = epoch.at_ms - before_ms
        if gap_ms > max_gap_ms:
            shift_ms -= gap_ms - max_gap_ms
        if gap_ms > 0:
            offset_ms = max(offset_ms, epoch.at_ms + shift_ms)
        elif epoch is not epochs[0]:
            offset_ms += STEP_BACK_MS
        before_ms = epoch.at_ms
        yield Slot(offset_ms, shift_ms, epoch)


def moving_start_ms(epochs: Sequence[Epoch]) -> int:
    """When the vehicle first goes for ten seconds, less five seconds; the beginning if it never does."""
    since_ms: int | None = None
    for epoch in epochs:
        if epoch.fix is None or (epoch.fix.speed_mps or 0.0) <= START_MPS:
            since_ms = None
        else:
            since_ms = epoch.at_ms if since_ms is None else since_ms
            if epoch.at_ms - since_ms >= START_HELD_MS:
                return max(epochs[0].at_ms, since_ms - START_LEAD_MS)
    return epochs[0].at_ms


def sampled(recording: Recording, at_ms: int) -> Mapping[str, float]:
    """The bus values of a looped recording, `at_ms` after its start."""
    epochs = recording.epochs
    first_ms, last_ms = epochs[0].at_ms, epochs[-1].at_ms
    moment_ms = first_ms + at_ms % max(1, last_ms - first_ms)
    low, high = 0, len(epochs) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if epochs[middle].at_ms <= moment_ms else (low, middle - 1)
    return epochs[low].values


def _forward(epochs: Iterable[Epoch]) -> Iterator[Epoch]:
    newest_ms = -1
    for epoch in epochs:
        if epoch.at_ms > newest_ms:
            newest_ms = epoch.at_ms
            yield epoch


def _number(text: str | None) -> float | None:
    """A number of a file; empty, NA and what is not finite are None."""
    if text is None or text.strip() in {"", "NA"}:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _nds(text: str) -> Iterator[Epoch]:
    """Columns of the DrivePlotR naturalistic drives: one row a second, OBD speed is not among them."""
    for row in csv.DictReader(text.splitlines()):
        lat, lon, mph = _number(row["gps_lat"]), _number(row["gps_long"]), _number(row["speed_mph"])
        at_s = _number(row["time_utc"])
        if lat is None or lon is None or at_s is None:
            continue
        sats = _number(row["gps_sats"])
        course = _number(row["gps_heading_raw"])
        fix = Fix(
            round(at_s * 1000), lat, lon,
            alt_m=_number(row["gps_elevation"]), speed_mps=None if mph is None else mph * MPH_MPS,
            course_deg=None if course is None else course % 360.0,
            mode=Mode.FIX_2D if row["gps_fix"] == "2" else Mode.FIX_3D,
            hdop=_number(row["gps_hdop"]), pdop=_number(row["gps_pdop"]),
            sats_used=None if sats is None else int(sats),
        )  # fmt: skip
        named = {"rp": _number(row["engine_rpm"]), "th": _number(row["engine_throttle"])}
        yield Epoch(fix.at_ms, fix, values={key: value for key, value in named.items() if value is not None})


CAROBD = {
    "ENGINE_RPM": "rp", "VEHICLE_SPEED": "vs", "THROTTLE": "th", "ENGINE_LOAD": "ld", "COOLANT_TEMPERATURE": "ct",
    "FUEL_TANK": "fu", "CONTROL_MODULE_VOLTAGE": "mv",
}  # fmt: skip


def _carobd(text: str) -> Iterator[Epoch]:
    """Rows of carOBD: the clock is the engine's run time in whole seconds, the rows are evenly spaced within it."""
    lines = list(csv.reader(text.splitlines()))
    keys = {at: CAROBD[name] for at, title in enumerate(lines[0]) if (name := title.split(" ")[0]) in CAROBD}
    rows = [row for row in lines[1:] if len(row) > max(keys)]
    if len(rows) < 2:
        return
    step_ms = max(1.0, (float(rows[-1][0]) - float(rows[0][0])) * 1000 / (len(rows) - 1))
    for i, row in enumerate(rows):
        values = {key: value for at, key in keys.items() if (value := _number(row[at])) is not None}
        yield Epoch(round(i * step_ms), None, values=values)


def _gpx(data: bytes) -> Iterator[Epoch]:
    """Track points; speed and course are taken from the file (GPX 1.0) or derived from the points before."""
    root = ET.fromstring(data)  # noqa: S314  # a recording that the user names; expat of Python 3.11 bounds entities
    before: Fix | None = None
    for point in root.iter():
        if point.tag.rpartition("}")[2] != "trkpt":
            continue
        texts = {child.tag.rpartition("}")[2]: child.text for child in point}
        if not texts.get("time"):
            continue
        moment = datetime.fromisoformat(texts["time"] or "")
        at_ms = round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
        fix = Fix(
            at_ms, float(point.attrib["lat"]), float(point.attrib["lon"]), alt_m=_number(texts.get("ele")),
            speed_mps=_number(texts.get("speed")), course_deg=_number(texts.get("course")),
            hdop=_number(texts.get("hdop")),
        )  # fmt: skip
        fix = _derived(before, fix)
        if before is None or fix.at_ms > before.at_ms:
            before = fix
        yield Epoch(at_ms, fix)


def _derived(before: Fix | None, fix: Fix) -> Fix:
    if fix.speed_mps is not None:
        return fix
    if before is None or fix.at_ms <= before.at_ms:
        return replace(fix, speed_mps=0.0)
    way_m = distance_m(before.lat_deg, before.lon_deg, fix.lat_deg, fix.lon_deg)
    course = before.course_deg
    if way_m > 0.5:
        course = bearing_deg(before.lat_deg, before.lon_deg, fix.lat_deg, fix.lon_deg)
    return replace(fix, speed_mps=way_m * 1000 / (fix.at_ms - before.at_ms), course_deg=course)


def _raw(data: bytes) -> Iterator[Epoch]:
    """Bursts of a raw log, split where a sentence brings another time; comment lines at the head are not sent."""
    day = next((day for line in data.split(b"\n") if (day := _day(_fields(line))) is not None), None)
    burst: list[bytes] = []
    tod_ms: int | None = None
    for line in re.sub(rb"\A(#[^\n]*\n)+", b"", data).splitlines(keepends=True):
        fields = _fields(line)
        now_ms = _tod(fields)
        if now_ms is not None and tod_ms is not None and now_ms != tod_ms:
            yield _burst(day or 0, tod_ms, burst)
            burst = []
            if day is not None and tod_ms - now_ms > nmea.DAY_MS // 2:
                day += 1
        tod_ms = tod_ms if now_ms is None else now_ms
        day = _day(fields) or day
        burst.append(line)
    if tod_ms is not None:
        yield _burst(day or 0, tod_ms, burst)


def _binary(data: bytes) -> Iterator[Epoch]:
    """A log of UBX alone: its fixes, which the rig tells in sentences, as the times in its frames can't be moved."""
    parser = receiver.Parser()
    for item in [*parser.feed(data), *parser.flush()]:
        if isinstance(item, Fix):
            yield Epoch(item.at_ms, item)


def _burst(day: int, tod_ms: int, lines: list[bytes]) -> Epoch:
    raw = b"".join(lines)
    parser = receiver.Parser()
    found = parser.feed(raw) + parser.flush()
    fix = next((item for item in found if isinstance(item, Fix)), None)
    return Epoch(day * nmea.DAY_MS + tod_ms, fix, raw)


def _fields(line: bytes) -> list[bytes]:
    """The fields of a line that is one sentence with a good checksum, else nothing."""
    sentence = line.strip(b"\r\n \0")
    if not sentence.startswith(b"$") or not fits(sentence[1:]):
        return []
    return sentence[1:-3].split(b",")


def _tod(fields: list[bytes]) -> int | None:
    at = nmea.TIMED.get(fields[0][2:5]) if fields and len(fields[0]) == 5 else None
    try:
        return None if at is None or not fields[at] else nmea.time_of_day_ms(fields[at])
    except (ValueError, IndexError):
        return None


def _day(fields: list[bytes]) -> int | None:
    try:
        if fields and fields[0][2:] == b"RMC" and fields[9]:
            return nmea.day_of(fields[9])
    except (ValueError, IndexError):
        return None
    return None
