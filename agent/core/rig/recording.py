"""Recordings for the rig: raw receiver logs and traces of several formats, read into epochs with their bus values."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.gnss import nmea, receiver
from agent.core.gnss.framing import fits
from agent.core.traces import bus, reading
from agent.core.traces.drives import NO_VALUES, with_speeds
from wire.errors import DecodeError
from wire.messages import Fix

HEAD = 400
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
    """By its content; a raw log keeps its bytes. Unpack before. Raises DecodeError."""
    head = data[:HEAD].decode("latin-1")
    if bus.is_alone(head):
        try:
            epochs = [Epoch(at_ms, None, values=values) for at_ms, values in bus.read_bus(data.decode("utf-8-sig"))]
        except ValueError as error:
            raise DecodeError("format", name, str(error)) from error
    elif reading.is_raw(data) or name.endswith((".nmea", ".log", ".txt", ".ubx")):
        epochs = list(_raw(data)) or list(_told(name, data))
    else:
        epochs = list(_forward(_told(name, data)))
    if not epochs:
        raise DecodeError("empty", name, "no epoch found")
    return Recording(tuple(epochs), frozenset(key for epoch in epochs for key in epoch.values))


def _told(name: str, data: bytes) -> Iterator[Epoch]:
    """Fixes without bytes of their own: the rig makes sentences of them.

    So it does for a log of UBX alone, as the times in its frames can't be moved.
    """
    for drive in reading.read(name, data).drives:
        for moment in with_speeds(drive.moments):
            yield Epoch(moment.fix.at_ms, moment.fix, values=moment.values)


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
