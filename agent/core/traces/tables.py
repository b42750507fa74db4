"""Tables of positions: rows under titles, from CSV or from flat JSON objects, by what their columns mean."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.core.traces import columns, times
from agent.core.traces.columns import BUS, FIX, Meaning
from agent.core.traces.drives import NO_VALUES, Moment, Trace, drives_of
from wire.errors import DecodeError
from wire.messages import Fix, Mode, Quality

EMPTY = frozenset(["", "na", "n/a", "nan", "none", "null", "-", "--"])
DELIMITERS = ",;\t|"
HEAD_LINES = 30
"""The titles stand within the first lines."""
MODES = {"none": Mode.NONE, "no fix": Mode.NONE, "2d": Mode.FIX_2D, "3d": Mode.FIX_3D}
PLT = "lat,lon,zero,altitude_ft,days,date,time"
NULL_ISLAND_DEG = 1e-6
Cell = object


@dataclass(frozen=True, slots=True)
class Found:
    """A column: where it stands, what its unit is worth, and what is believed of it."""

    at: int
    factor: float
    low: float = float("-inf")
    high: float = float("inf")


def number(cell: Cell) -> float | None:
    """A number of a file; empty, NA, text and what is not finite are None."""
    if isinstance(cell, str):
        try:
            value = float(cell)
        except ValueError:
            return None
    elif isinstance(cell, int | float):
        value = float(cell)
    else:
        return None
    return value if math.isfinite(value) else None


def _empty(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in EMPTY)


class Layout:
    """Which column holds what. Without time, latitude and longitude it is not `usable`."""

    def __init__(self, titles: Sequence[str]) -> None:
        named = columns.heads(list(titles))
        self._taken: set[int] = set()
        self.lat = self._find(columns.LATITUDES, named)
        self.lon = self._find(columns.LONGITUDES, named)
        self.time = self._find(columns.TIMES, named)
        self.date = self._find(columns.DATES, named)
        self.fix = {field: found for field, m in FIX.items() if (found := self._find(m, named))}
        self.bus = {key: found for key, m in BUS.items() if (found := self._find(m, named))}
        self.groups = [found.at for m in (columns.VEHICLES, columns.TRIPS) if (found := self._find(m, named))]

    def _find(self, meaning: Meaning, named: list[tuple[str, str]]) -> Found | None:
        hit = columns.find(meaning, named, self._taken)
        if hit is None:
            return None
        self._taken.add(hit[0])
        return Found(*hit, meaning.low, meaning.high)

    @property
    def usable(self) -> bool:
        """Whether a row of it can be a fix."""
        return None not in (self.lat, self.lon, self.time)

    @property
    def lacks(self) -> str:
        """Which of the needed columns are not there."""
        needed = {"time": self.time, "latitude": self.lat, "longitude": self.lon}
        return ", ".join(name for name, found in needed.items() if found is None)

    def group(self, row: Sequence[Cell]) -> str:
        """Whose row this is."""
        return " ".join(str(row[at]).strip() for at in self.groups if at < len(row) and not _empty(row[at]))

    def moment(self, row: Sequence[Cell]) -> Moment | str:
        """The moment of a row, or in a word why it has none."""
        at_ms = self._at_ms(row)
        if isinstance(at_ms, str):
            return at_ms
        place = self._place(row)
        if isinstance(place, str):
            return place
        mode, quality = _mode(row, self.fix.get("mode"))
        if mode is Mode.NONE:
            return "no-fix"
        told = {name: _value(row, found) for name, found in self.fix.items()}
        course, sats = told.get("course_deg"), told.get("sats_used")
        fix = Fix(
            at_ms, *place, alt_m=told.get("alt_m"), speed_mps=told.get("speed_mps"),
            course_deg=None if course is None else course % 360.0, mode=mode, quality=quality, hdop=told.get("hdop"),
            pdop=told.get("pdop"), accuracy_m=told.get("accuracy_m"), sats_used=None if sats is None else int(sats),
        )  # fmt: skip
        values = {key: value for key, found in self.bus.items() if (value := _value(row, found)) is not None}
        return Moment(fix, values or NO_VALUES)

    def _at_ms(self, row: Sequence[Cell]) -> int | str:
        if self.time is None or self.time.at >= len(row):
            return "short-line"
        told, at_ms = row[self.time.at], None
        if self.date is not None and self.date.at < len(row) and isinstance(told, str):
            at_ms = times.at_ms(f"{str(row[self.date.at]).strip()} {told.strip()}")
        at_ms = at_ms or times.at_ms(told, self.time.factor)
        return at_ms or ("no-time" if _empty(told) else "bad-time")

    def _place(self, row: Sequence[Cell]) -> tuple[float, float] | str:
        if self.lat is None or self.lon is None or len(row) <= max(self.lat.at, self.lon.at):
            return "short-line"
        lat, lon = _value(row, self.lat), _value(row, self.lon)
        if lat is None or lon is None:
            return "no-position" if _empty(row[self.lat.at]) or _empty(row[self.lon.at]) else "bad-position"
        if abs(lat) < NULL_ISLAND_DEG and abs(lon) < NULL_ISLAND_DEG:
            return "null-island"
        return lat, lon


def _value(row: Sequence[Cell], found: Found) -> float | None:
    value = number(row[found.at]) if found.at < len(row) else None
    if value is None:
        return None
    value *= found.factor
    return value if found.low <= value <= found.high else None


def _mode(row: Sequence[Cell], found: Found | None) -> tuple[Mode, Quality]:
    """The dimension of a fix: 1 to 3, in words, or as our own exports tell it, ten times that and the quality."""
    if found is None or found.at >= len(row):
        return Mode.FIX_3D, Quality.GNSS
    cell = row[found.at]
    told = number(cell)
    if told is None:
        word = cell.strip().lower() if isinstance(cell, str) else ""
        return MODES.get(word, Mode.FIX_3D), Quality.GNSS
    dimension, quality = divmod(int(told), 10) if told >= 10 else (int(told), 1)
    known = Mode(dimension) if dimension in {1, 2, 3} else Mode.FIX_3D
    return known, Quality(quality) if 0 < quality <= 8 else Quality.GNSS


def trace_of(kind: str, layout: Layout, rows: Iterable[Sequence[Cell]], broken: Counter[str]) -> Trace:
    """The rows as drives, one or more for each vehicle and trip, in the order in which these begin."""
    groups: dict[str, list[Moment]] = {}
    for row in rows:
        moment = layout.moment(row)
        if isinstance(moment, str):
            broken[moment] += 1
        else:
            groups.setdefault(layout.group(row) if layout.groups else "", []).append(moment)
    drives = tuple(drive for name, moments in groups.items() for drive in drives_of(name, moments))
    return Trace(kind, drives, broken)


def objects(kind: str, found: Sequence[Mapping[str, Cell]], broken: Counter[str], where: str) -> Trace:
    """Flat objects, whose keys are the titles."""
    titles = list(dict.fromkeys(key for each in found for key in each))
    layout = Layout(titles)
    if not layout.usable:
        raise DecodeError("no-position", where, f"JSON without {layout.lacks}; it has {_some(titles)}")
    return trace_of(kind, layout, ([each.get(title) for title in titles] for each in found), broken)


def read_csv(text: str, where: str) -> Trace:
    """A table with titles. Raises DecodeError that says which titles were looked for."""
    lines = text.splitlines()
    if lines and lines[0].startswith("Geolife trajectory"):
        lines = [PLT, *lines[6:]]
    split = _head(lines)
    if split is None:
        first = next((line for line in lines if line.strip()), "")
        delimiter = max(DELIMITERS, key=first.count)
        titles = next(csv.reader([first[:10_000]], delimiter=delimiter))
        lacks = Layout(titles).lacks
        raise DecodeError("no-position", where, f"a table without {lacks}; its columns are {_some(titles)}")
    at, delimiter = split
    rows = csv.reader(lines[at:], delimiter=delimiter, skipinitialspace=True)
    titles = next(rows)
    broken: Counter[str] = Counter()
    layout = Layout(titles)
    told: Iterable[Sequence[Cell]] = (row for row in rows if any(cell.strip() for cell in row))
    if delimiter == ";":
        told = ([_pointed(cell) for cell in row] for row in told)
    return trace_of("csv", layout, told, broken)


def _head(lines: Sequence[str]) -> tuple[int, str] | None:
    """Where the titles stand, and what parts them."""
    for at, line in enumerate(lines[:HEAD_LINES]):
        for delimiter in DELIMITERS:
            if delimiter in line and len(line) < 10_000:
                titles = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
                if Layout(titles).usable:
                    return at, delimiter
    return None


_COMMA = re.compile(r"[+-]?\d+,\d+")


def _pointed(cell: Cell) -> Cell:
    """A number with a decimal comma as one with a point."""
    return cell.replace(",", ".") if isinstance(cell, str) and _COMMA.fullmatch(cell.strip()) else cell


def _some(titles: Sequence[str]) -> str:
    shown = ", ".join(title.strip()[:24] for title in titles[:8])
    return shown + (f" and {len(titles) - 8} more" if len(titles) > 8 else "")
