"""`odograph-agent decode`: what a recording of a receiver says, epoch by epoch, as gpsd would report it."""

import gzip
import io
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TextIO

from agent.core.gnss import dates, plausible
from agent.core.gnss.epochs import Epoch, Gate, fix_of
from agent.core.gnss.receiver import Reader, Told
from agent.core.gnss.sky import Antenna
from wire import BUILT_MS
from wire.errors import DecodeError, SettingsError, UnavailableError
from wire.iso import from_iso, iso
from wire.messages import Fix, Rejected

CHUNK = 65_536
GZIP = b"\x1f\x8b"
MODES = {0: "-", 1: "no fix", 2: "2D", 3: "3D"}
DRIVES = (".csv", ".gpx")
COLUMNS = (
    ("time", 24), ("mode", 6), ("lat", 13), ("lon", 14), ("alt_m", 8), ("speed_mps", 9), ("course_deg", 10), ("hdop", 5),
    ("sats_used", 9), ("sats_seen", 9), ("cn0_dbhz", 8), ("quality", 10), ("rejected", 0),
)  # fmt: skip
DIGITS = {
    "lat": 9, "lon": 9, "alt_m": 3, "speed_mps": 3, "course_deg": 4, "hdop": 2, "pdop": 2, "accuracy_m": 3, "cn0_dbhz": 1,
}  # fmt: skip
Record = dict[str, object]


@dataclass(slots=True)
class Summary:
    """What the whole recording was like."""

    epochs: int = 0
    fixes: int = 0
    first: str = ""
    last: str = ""
    back: int = 0
    repaired: int = 0
    sky: int = 0
    antenna: str = ""
    rejected: Counter[str] = field(default_factory=Counter)
    foreign: str = ""

    def lines(self, heard: int) -> Iterator[str]:
        """The summary for a person."""
        yield f"{heard} sentences and frames, {self.epochs} epochs, {self.fixes} of them with a fix"
        if self.first:
            back = f"; in the order of the file, whose times step back {self.back} times" if self.back else ""
            yield f"from {self.first} to {self.last}{back}"
        if self.repaired:
            yield f"dates repaired: {self.repaired}"
        if self.antenna:
            yield f"antenna: {self.antenna}"
        if self.rejected:
            yield "rejected: " + ", ".join(f"{reason} {n}" for reason, n in self.rejected.most_common())


class Decoder:
    """Bytes in, records out: one for each epoch."""

    def __init__(self, floor_ms: int | None = None) -> None:
        self.summary = Summary()
        self._floor_ms = floor_ms
        self._reader = Reader()
        self._gate = Gate()
        self._judging = plausible.State()
        self._rejected: Counter[str] = Counter()

    @property
    def heard(self) -> int:
        """Valid sentences and frames so far."""
        return self._reader.heard

    def feed(self, chunk: bytes) -> list[Record]:
        return self._records(self._reader.feed(chunk))

    def end(self) -> list[Record]:
        """Nothing more comes. What was refused after the last epoch has a record of its own."""
        records = self._records(self._reader.end())
        if self._rejected:
            records.append(self._with_refusals({"mode": 0}))
        return records

    def _records(self, told: list[Told]) -> list[Record]:
        out = []
        for item in told:
            if isinstance(item, Epoch):
                out.append(self._dated(item))
            elif isinstance(item, Rejected):
                self._rejected[item.reason] += 1
                if item.reason == "foreign":
                    self.summary.foreign = item.detail
            elif isinstance(item, Antenna):
                self.summary.antenna = item.status
            else:
                self.summary.sky += 1
        return out

    def _dated(self, epoch: Epoch) -> Record:
        if self._floor_ms is None or epoch.at_ms is None:
            return self._record(epoch)
        at_ms = dates.repaired(epoch.at_ms, self._floor_ms)
        if at_ms is None:
            self._rejected["date"] += 1
        if at_ms is None or at_ms == epoch.at_ms:
            return self._record(epoch)
        self.summary.repaired += 1
        return self._record(replace(epoch, at_ms=at_ms)) | {"repaired": True}

    def _record(self, epoch: Epoch) -> Record:
        """An epoch is told even where a vehicle would refuse it; `rejected` says that and why."""
        fix = fix_of(epoch)
        if isinstance(fix, Fix):
            self.summary.fixes += 1
            judged = self._gate.check(fix)
            if isinstance(judged, Fix):
                self._judging, judged = plausible.step(self._judging, judged)
            if isinstance(judged, Rejected):
                self._rejected[judged.reason] += 1
        elif epoch.mode > 1:
            self._rejected[fix.reason] += 1
        record = record_of(epoch)
        self.summary.epochs += 1
        if "time" in record:
            time = str(record["time"])
            self.summary.back += time < self.summary.last
            self.summary.last, self.summary.first = time, self.summary.first or time
        return self._with_refusals(record)

    def _with_refusals(self, record: Record) -> Record:
        if self._rejected:
            record["rejected"] = dict(self._rejected)
            self.summary.rejected.update(self._rejected)
            self._rejected.clear()
        return record


def record_of(epoch: Epoch) -> Record:
    """The epoch as one JSON object; what the receiver did not tell is left out."""
    record: Record = {} if epoch.at_ms is None else {"time": iso(epoch.at_ms)}
    record["mode"] = epoch.mode
    if epoch.mode > 1:
        told = {
            "lat": epoch.lat_deg, "lon": epoch.lon_deg, "alt_m": epoch.alt_m, "speed_mps": epoch.speed_mps,
            "course_deg": epoch.course_deg, "hdop": epoch.hdop, "pdop": epoch.pdop, "accuracy_m": epoch.accuracy_m,
        }  # fmt: skip
        record |= {key: round(value, DIGITS[key]) for key, value in told.items() if value is not None}
        record["quality"] = epoch.quality.name.lower()
    for key, value in (("sats_used", epoch.sats_used), ("sats_seen", epoch.sats_seen), ("cn0_dbhz", epoch.cn0_dbhz)):
        if value is not None:
            record[key] = value
    if epoch.derived:
        record["derived"] = list(epoch.derived)
    return record


def row_of(record: Record) -> str:
    """The record as a line of the table."""
    cells = []
    for key, width in COLUMNS:
        value = record.get(key)
        if key == "mode":
            value = MODES[record["mode"]] if isinstance(record["mode"], int) else None
        elif key == "rejected":
            told = [f"{reason} {n}" for reason, n in value.items()] if isinstance(value, dict) else []
            value = ", ".join([*told, *(["(date repaired)"] if "repaired" in record else [])])
        elif isinstance(value, float):
            value = f"{value:.{DIGITS[key]}f}"
        cells.append(str("-" if value is None else value).ljust(width))
    return " ".join(cells).rstrip()


def floor_of(date: str | None) -> int:
    """The date before which dates are repaired: the one given, or when this software was built."""
    try:
        return BUILT_MS if date is None else from_iso(date)
    except (ValueError, OverflowError) as error:
        raise SettingsError([f"--floor {date}: not a date like 2019-04-07"]) from error


def decode(path: str, *, as_json: bool, floor_ms: int | None = None) -> int:
    """Decode a file (or `-`, standard input) to standard output; gives the exit status."""
    decoder = Decoder(floor_ms)
    try:
        fault = _pour(path, decoder, sys.stdout, as_json=as_json)
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    for line in decoder.summary.lines(decoder.heard):
        print(line, file=sys.stderr)
    if fault is not None:
        raise fault
    spoken = decoder.summary.foreign
    if spoken and not decoder.summary.epochs:
        raise DecodeError("nothing that is NMEA or UBX of a position", path, f"{spoken} binary; gpsd reads that")
    if not decoder.heard:
        raise DecodeError("neither NMEA nor UBX", path, _guess(path))
    return 0


def _guess(path: str) -> str:
    """What else the file may be."""
    if path.lower().removesuffix(".gz").endswith(DRIVES):
        return f"a drive for the rig: odograph-agent rig {path} --link DIR"
    return "wrong baud, or another kind of file?"


def _pour(path: str, decoder: Decoder, out: TextIO, *, as_json: bool) -> DecodeError | None:
    head = "" if as_json else " ".join(name.ljust(width) for name, width in COLUMNS).rstrip() + "\n"
    shown = json.dumps if as_json else row_of
    fault = None
    with _opened(path) as (source, size):
        chunks = _chunks(source)
        while fault is None:
            try:
                chunk = next(chunks, b"")
            except (OSError, EOFError, zlib.error) as error:
                fault = DecodeError("damaged file", path, str(error))
                chunk = b""
            records = decoder.feed(chunk) if chunk else decoder.end()
            if records:
                out.write(head + "".join(f"{shown(record)}\n" for record in records))
                head = ""
            out.flush()
            _progress(source, size, done=not chunk)
            if not chunk:
                break
    return fault


class _opened:  # noqa: N801 - used as a function
    """The bytes of a file or of standard input, unpacked if they are packed, and how many there are on disk."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> tuple[BinaryIO, int]:
        if self._path == "-":
            raw: io.BufferedReader = sys.stdin.buffer  # type: ignore[assignment]  # it is one
            size = 0
        else:
            try:
                raw = Path(self._path).open("rb")
                size = Path(self._path).stat().st_size
            except OSError as error:
                raise UnavailableError(f"{self._path}: {error.strerror}") from error
        self._raw = raw
        if raw.peek(2)[:2] == GZIP:
            return gzip.GzipFile(fileobj=raw), size  # type: ignore[return-value]  # reads like a file
        return raw, size

    def __exit__(self, *_: object) -> None:
        if self._path != "-":
            self._raw.close()


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    read = getattr(source, "read1", source.read)
    while chunk := read(CHUNK):
        yield chunk


def _progress(source: BinaryIO, size: int, *, done: bool) -> None:
    """A line that counts, where a person looks on and the file is long."""
    if size < 20 * CHUNK or not sys.stderr.isatty():
        return
    raw = getattr(source, "fileobj", None) or source
    share = 100 if done else min(99, raw.tell() * 100 // size)
    print(f"\r{share:3d} %", end="\n" if done else "", file=sys.stderr, flush=True)
