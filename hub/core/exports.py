"""A track as GeoJSON, GPX, CSV or NDJSON: pieces of text as rows come, a new segment at each gap.

A gap is a minute without a fix, or fixes that were lost. Thinned fixes are no gap: the line was never farther from them than the
bound of the thinning, whatever time lies between those that are left.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from hub.core.registry import Stay
from wire.codec import dump
from wire.errors import DecodeError
from wire.iso import from_iso, iso
from wire.kinds import THINNED
from wire.messages import Row
from wire.schema import AT_MS, LAT, LON, NAMES, named
from wire.track import decode_batch

GAP_MS = 60_000
MAX_TIME_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Point:
    """A row with its place in the device's sequence.

    `broken` says whether the line to it is broken (fixes before it were lost) or whole (they were thinned); with None the time
    between tells.
    """

    device: str
    store: str
    seq: int
    row: Row
    broken: bool | None = None

    @property
    def at_ms(self) -> int:
        """Time of the fix."""
        return self.row[AT_MS] or 0


CONTENT_TYPES = {
    "geojson": "application/geo+json",
    "gpx": "application/gpx+xml",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
}


def when(text: str, where: str) -> int:
    """A time as ISO 8601 or in milliseconds since 1970; DecodeError names the parameter."""
    try:
        at_ms = int(text[:20]) if text.isascii() and text.isdigit() else from_iso(text)
    except (ValueError, OverflowError):
        raise DecodeError("not-a-time", where, "wants ISO 8601 or milliseconds since 1970") from None
    if not 0 <= at_ms <= MAX_TIME_MS:
        raise DecodeError("out-of-range", where)
    return at_ms


def points(payload: bytes, device: str, stay: Stay) -> Iterator[Point]:
    """The rows of a stored payload that fall into a stay."""
    batch = decode_batch(payload)
    receipts = sorted((one.first, one.reason) for one in batch.lost)
    behind = 0
    for seq, row in batch.rows:
        reasons = set()
        while behind < len(receipts) and receipts[behind][0] < seq:
            reasons.add(receipts[behind][1])
            behind += 1
        if stay.from_ms <= (row[AT_MS] or 0) < stay.until_ms:
            yield Point(device, batch.store, seq, row, reasons != {THINNED} if reasons else None)


def _degrees(point: Point) -> tuple[float, float]:
    return (point.row[LAT] or 0) / 1e7, (point.row[LON] or 0) / 1e7


class Export:
    """Base of the formats: `head`, then `part` for rows as they come, then `tail`."""

    def __init__(self, vehicle: str) -> None:
        self._vehicle = vehicle
        self._last_ms: int | None = None

    def head(self) -> str:
        """What comes before the first row."""
        return ""

    def part(self, rows: Iterable[Point]) -> str:
        """The text of some rows."""
        return "".join(self._one(point, fresh=self._is_new_segment(point)) for point in rows)

    def tail(self) -> str:
        """What comes after the last row."""
        return ""

    def _is_new_segment(self, point: Point) -> bool:
        last_ms, self._last_ms = self._last_ms, point.at_ms
        if last_ms is None:
            return True
        return abs(point.at_ms - last_ms) > GAP_MS if point.broken is None else point.broken

    def _one(self, point: Point, *, fresh: bool) -> str:
        raise NotImplementedError


class GeoJson(Export):
    """One feature with a MultiLineString; the times stand in `properties.times`, a list for each line."""

    def __init__(self, vehicle: str) -> None:
        super().__init__(vehicle)
        self._times: list[list[int]] = []

    def head(self) -> str:
        """Opens the feature."""
        return '{"type":"Feature","geometry":{"type":"MultiLineString","coordinates":['

    def _one(self, point: Point, *, fresh: bool) -> str:
        lat, lon = _degrees(point)
        place = f"[{lon:.7f},{lat:.7f}]"
        if not fresh:
            self._times[-1].append(point.at_ms)
            return "," + place
        self._times.append([point.at_ms])
        return f"{'],' if len(self._times) > 1 else ''}[{place}"

    def tail(self) -> str:
        """Closes the lines and tells the times."""
        closing = "]" if self._times else ""
        properties = dump({"vehicle": self._vehicle, "times": self._times}).decode()
        return f'{closing}]}},"properties":{properties}}}\n'


class Gpx(Export):
    """GPX 1.1 with one track; a segment for each stretch without a gap."""

    def __init__(self, vehicle: str) -> None:
        super().__init__(vehicle)
        self._open = False

    def head(self) -> str:
        """Opens the track."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<gpx version="1.1" creator="Odograph" xmlns="http://www.topografix.com/GPX/1/1">\n'
            f"<trk><name>{escape(self._vehicle)}</name>\n"
        )

    def _one(self, point: Point, *, fresh: bool) -> str:
        lat, lon = _degrees(point)
        values = named(point.row)
        height = f"<ele>{values['alt_m']}</ele>" if "alt_m" in values else ""
        used = f"<sat>{values['sats_used']}</sat>" if "sats_used" in values else ""
        hdop = f"<hdop>{values['hdop']}</hdop>" if "hdop" in values else ""
        text = f'<trkpt lat="{lat:.7f}" lon="{lon:.7f}">{height}<time>{iso(point.at_ms)}</time>{used}{hdop}</trkpt>\n'
        if fresh:
            text = f"{'</trkseg>' if self._open else ''}<trkseg>\n{text}"
            self._open = True
        return text

    def tail(self) -> str:
        """Closes the track."""
        return f"{'</trkseg>' if self._open else ''}</trk>\n</gpx>\n"


class Csv(Export):
    """One line for each fix, with the exported names of the schema; `segment` counts stretches without a gap."""

    def __init__(self, vehicle: str) -> None:
        super().__init__(vehicle)
        self._segment = 0

    def head(self) -> str:
        """The names of the columns."""
        return ",".join(["time", "segment", *NAMES]) + "\r\n"

    def _one(self, point: Point, *, fresh: bool) -> str:
        self._segment += fresh
        values = named(point.row)
        line = io.StringIO()
        csv.writer(line).writerow([iso(point.at_ms), self._segment, *(values.get(name, "") for name in NAMES)])
        return line.getvalue()


class NdJson(Export):
    """One JSON object for each fix, with device, store and seq."""

    def _one(self, point: Point, *, fresh: bool) -> str:
        start = {"segment_start": True} if fresh else {}
        place = {"device": point.device, "store": point.store, "seq": point.seq}
        return dump(place | named(point.row) | start).decode() + "\n"


FORMATS: dict[str, type[Export]] = {"geojson": GeoJson, "gpx": Gpx, "csv": Csv, "ndjson": NdJson}
