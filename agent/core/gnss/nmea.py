"""NMEA 0183: how its fields are read, and what a talker has said that outlives an epoch."""

from collections.abc import Callable
from datetime import date
from operator import attrgetter

from agent.core.gnss.framing import fits
from agent.core.gnss.merging import REPORT, TIME, Merger, State
from wire.messages import Quality

__all__ = ["fits"]
"""How a sentence is checked belongs to the framing; who writes sentences looks for it here."""

KNOT_MPS = 1852.0 / 3600.0
KPH_MPS = 1.0 / 3.6
DAY_MS = 86_400_000
DAY_NS = DAY_MS * 1_000_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
SECOND_NS = 1_000_000_000
CENTURY_PIVOT = 69
"""Two-digit years are 1969 to 2068, as gpsd reads them."""
MOST_SATELLITES = 255
MOST_DBHZ = 99
"""The field for C/N0 has two digits."""
DOP_RANGE = (0.01, 89.99)
"""Receivers write 0.00, 99.00 or 99.99 for "unknown"."""

Fields = list[bytes]
PAD: Fields = [b""] * 20
"""Receivers leave off what is empty at the end; a field that is not there reads as empty."""

LETTERS = {
    b"N": Quality.NONE, b"A": Quality.GNSS, b"D": Quality.DGPS, b"P": Quality.PPS, b"R": Quality.RTK_FIXED,
    b"F": Quality.RTK_FLOAT, b"E": Quality.ESTIMATED, b"M": Quality.MANUAL, b"S": Quality.SIMULATED,
}  # fmt: skip
"""Mode letters as the standard has them, for the sentences that we write ourselves."""
TIMED: dict[bytes, int] = {b"RMC": 1, b"GGA": 1, b"GNS": 1, b"GLL": 5, b"GST": 1}
"""Which field holds the time of the fix."""


def time_of_day_ms(field: bytes) -> int:
    """`hhmmss[.sss]` to milliseconds; a leap second counts as the 61st second of its minute."""
    hour, minute, second = int(field[:2]), int(field[2:4]), float(field[4:])
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):
        raise ValueError("time of day")
    return (hour * 60 + minute) * 60_000 + round(second * 1000)


def day_of(field: bytes) -> int:
    """`ddmmyy` to days since 1970."""
    year = int(field[4:6])
    year += 1900 if year >= CENTURY_PIVOT else 2000
    return date(year, int(field[2:4]), int(field[:2])).toordinal() - EPOCH_ORDINAL


def whole(field: bytes) -> int:
    """The digits that the field begins with, as a number; 0 without any."""
    if field.isdigit():
        return int(field)
    stripped = field.strip()
    sign = -1 if stripped[:1] == b"-" else 1
    digits = stripped[1:] if stripped[:1] in {b"-", b"+"} else stripped
    end = 0
    while end < len(digits) and digits[end : end + 1].isdigit():
        end += 1
    return sign * int(digits[:end] or b"0")


def number(field: bytes) -> float | None:
    try:
        value = float(field)
    except ValueError:
        return None
    return value if -1e12 < value < 1e12 else None


def angle(field: bytes, limit: int) -> float | None:
    point = field.find(b".")
    if point < 0:
        return None
    whole = int(field[:point] or b"0")
    degrees, minutes = divmod(whole, 100)
    value = degrees + (minutes + float(b"0" + field[point:])) / 60.0
    if not (0 <= minutes < 60 and 0 <= value <= limit):
        raise ValueError("angle")
    return value


def place(news: State, fields: Fields, at: int) -> bool:
    """The four fields of a position; False if one of them is empty or has no fraction."""
    if not (fields[at] and fields[at + 1] and fields[at + 2] and fields[at + 3]):
        return False
    lat, lon = angle(fields[at], 90), angle(fields[at + 2], 180)
    north, east = fields[at + 1], fields[at + 3]
    if north not in {b"N", b"S"} or east not in {b"E", b"W"}:
        raise ValueError("hemisphere")
    if lat is None or lon is None:
        return False
    news.lat_deg = lat if north == b"N" else -lat
    news.lon_deg = lon if east == b"E" else -lon
    return True


def dop(field: bytes) -> float | None:
    value = number(field) if field else None
    return value if value is not None and DOP_RANGE[0] <= value <= DOP_RANGE[1] else None


def counted(news: State, field: bytes) -> int:
    """How many satellites the fix was made with."""
    used = whole(field)
    within(used, 0, MOST_SATELLITES)
    news.counted = used if field else None
    return used


def within(value: float | None, least: float, most: float) -> float | None:
    """The value; ValueError if there is no such value."""
    if value is not None and not least <= value <= most:
        raise ValueError("range")
    return value


KEPT = ("day", "tod_ns", "moment_ns", "before_ns", "stuck", "gga_talker", "gga_time")
KEPT_OF: Callable[["Talk"], tuple[object, ...]] = attrgetter(*KEPT)


class Talk:
    """What a talker has said that outlives an epoch: the date, and what its sentences are like."""

    def __init__(self, merger: Merger, *, past_midnight: bool = False) -> None:
        self.merger = merger
        self.past_midnight = past_midnight
        """Whether a date goes on over midnight by itself until the next one is told; gpsd does not do that."""
        self.talker = b""
        self.day: int | None = None
        self.dated: set[bytes] = set()
        """The sentences that have told a date."""
        self.tod_ns: int | None = None
        self.timed = False
        self.more = False
        self.moment_ns = self.before_ns = 0
        self.stuck = False
        """The last GGA repeated its time: what comes with it is not believed."""
        self.gga_talker = b""
        self.gga_time: bytes | None = None
        self.gsa_talker = b""
        self.gsv_talker = b""
        self.gsv_ended = b""
        self.several_gsa = False
        self.several_gsv = False

    def now_ns(self) -> int | None:
        return None if self.day is None or self.tod_ns is None else self.day * DAY_NS + self.tod_ns

    def clock(self, field: bytes) -> bool:
        """Take in the time of day; False if it is none."""
        tod_ns = tod_of(field)
        if tod_ns is None:
            return False
        if self.past_midnight and self.day is not None and (self.tod_ns or 0) - tod_ns > DAY_NS // 2:
            self.day += 1
        self.tod_ns = tod_ns
        return True

    def moment(self) -> None:
        """The sentence's time says which epoch it belongs to."""
        self.before_ns, self.moment_ns = self.moment_ns, self.tod_ns or 0
        self.timed = True

    def told_time(self, field: bytes) -> int:
        """A time of day that needs a date told before; the mask."""
        if not (field and self.clock(field)):
            return 0
        self.moment()
        return 0 if self.day is None else TIME

    def undated(self, kind: bytes, field: bytes) -> int:
        """A time of day without the date that belongs to it; the mask.

        For a vehicle the date is over if this kind of sentence used to tell it: the receiver has begun anew, and nobody
        knows how many days it was off. gpsd goes on with the last date.
        """
        if not self.past_midnight:
            return 0
        if kind in self.dated:
            self.day = None
        if not self.clock(field):
            return 0
        self.moment()
        return TIME

    def kept(self) -> tuple[object, ...]:
        """What a sentence may change before it turns out to be nonsense."""
        return KEPT_OF(self)

    def back_to(self, kept: tuple[object, ...]) -> None:
        """The sentence was nonsense: it has said nothing."""
        for name, value in zip(KEPT, kept, strict=True):
            setattr(self, name, value)

    def no_time(self) -> int:
        """The receiver has lost its time: the date is forgotten and nothing is known to end a cycle."""
        self.day = self.tod_ns = None
        self.merger.reliable = False
        return REPORT | TIME


def tod_of(field: bytes) -> int | None:
    """`hhmmss[.sss]` to nanoseconds; None if it is no time, ValueError if there is no such time."""
    if not field[:6].isdigit() or len(field) < 6:
        return None
    hour, minute, second = int(field[:2]), int(field[2:4]), int(field[4:6])
    if hour > 23 or minute > 59 or second > 61:
        raise ValueError("time of day")
    fraction = field[7:] if field[6:7] == b"." else b""
    nanos = int(fraction[:9].ljust(9, b"0")) if fraction.isdigit() else 0
    return ((hour * 60 + minute) * 60 + second) * SECOND_NS + nanos
