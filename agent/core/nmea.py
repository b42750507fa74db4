"""NMEA 0183 to fixes: incremental at any cut, one fix per epoch, given out as soon as the epoch is whole.

Rules
1. Only a sentence whose checksum fits is read; whatever else is on the line is counted noise, never an exception.
2. Sentences with the same time of day are one epoch. Sentences without a time belong to the epoch that is open;
   after an epoch was given out they belong to the next one.
3. An epoch is given out when the sentence comes that ended the last bursts (learned: the same sentence twice in a row),
   when the caller says that the line is silent (`flush`), or when a sentence with another time comes.
4. A sentence that comes too late for its epoch means that the end was learned wrong: it is learned anew.
5. Within an epoch the later sentence wins; a single "no fix" spoils the epoch.
"""

from collections.abc import Callable
from datetime import date

from agent.core.epochs import Gate
from wire.messages import Fix, Mode, Quality, Rejected

KNOT_MPS = 1852.0 / 3600.0
KPH_MPS = 1.0 / 3.6
DAY_MS = 86_400_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
LINE_LIMIT = 256
"""Longest sentence that is read. NMEA says 82; receivers with many signals go to about 120."""
BUFFER_LIMIT = 1024
ACCURACY_PER_HDOP_M = 5.0
DOP_LIMIT = 99.0
"""Receivers write 99.99 for "unknown"."""

Fields = list[bytes]


class Epoch:
    """What the sentences of one epoch have said so far. Mutable: lives only inside the parser."""

    __slots__ = (
        "accuracy_m", "alt_m", "course_deg", "day", "gsa_mode", "hdop", "lat_deg", "lon_deg", "no_fix", "pdop",
        "quality", "sats_used", "speed_mps", "tod_ms",
    )  # fmt: skip

    def __init__(self) -> None:
        self.tod_ms: int | None = None
        self.day: int | None = None
        self.lat_deg: float | None = None
        self.lon_deg = 0.0
        self.alt_m: float | None = None
        self.speed_mps: float | None = None
        self.course_deg: float | None = None
        self.gsa_mode = 0
        self.quality: Quality | None = None
        self.hdop: float | None = None
        self.pdop: float | None = None
        self.accuracy_m: float | None = None
        self.sats_used: int | None = None
        self.no_fix = False

    @property
    def mode(self) -> Mode:
        """As gpsd has it: an altitude makes it three-dimensional, even one that the receiver holds (GSA says 2 then)."""
        return Mode.FIX_3D if self.alt_m is not None else Mode(self.gsa_mode or Mode.FIX_2D)


def fits(sentence: bytes) -> bool:
    """Whether `ADDRESS,fields*hh` (no `$`) carries the right checksum: all its bytes folded by exclusive or."""
    if sentence[-3:-2] != b"*":
        return False
    x = int.from_bytes(sentence[:-3], "big")
    x ^= x >> 1024
    x ^= x >> 512
    x ^= x >> 256
    x ^= x >> 128
    x ^= x >> 64
    x ^= x >> 32
    x ^= x >> 16
    x ^= x >> 8
    return b"%02X" % (x & 255) == sentence[-2:].upper()


def time_of_day_ms(field: bytes) -> int:
    """`hhmmss[.sss]` to milliseconds; a leap second counts as the 61st second of its minute."""
    hour, minute, second = int(field[:2]), int(field[2:4]), float(field[4:])
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):
        raise ValueError("time of day")
    return (hour * 60 + minute) * 60_000 + round(second * 1000)


def day_of(field: bytes) -> int:
    """`ddmmyy` to days since 1970; two-digit years are 1980 to 2079."""
    year = int(field[4:6])
    return date(year + (1900 if year >= 80 else 2000), int(field[2:4]), int(field[:2])).toordinal() - EPOCH_ORDINAL


def _angle(field: bytes, limit: int) -> float:
    point = field.find(b".")
    if point < 0:
        point = len(field)
    degrees, minutes = int(field[: point - 2]), float(field[point - 2 :])
    angle = degrees + minutes / 60.0
    if not (0 <= minutes < 60 and 0 <= angle <= limit):
        raise ValueError("angle")
    return angle


def _within(field: bytes, low: float, high: float) -> float:
    value = float(field)
    if not low <= value <= high:
        raise ValueError("range")
    return value


def _dop(field: bytes) -> float | None:
    if not field:
        return None
    value = _within(field, 0.0, 1000.0)
    return value if 0.0 < value < DOP_LIMIT else None


def _place(epoch: Epoch, fields: Fields, at: int) -> None:
    """The four fields of a position; four empty ones say that the sentence has none."""
    if not fields[at]:
        return
    lat, lon = _angle(fields[at], 90), _angle(fields[at + 2], 180)
    north, east = fields[at + 1], fields[at + 3]
    if north not in {b"N", b"S"} or east not in {b"E", b"W"}:
        raise ValueError("hemisphere")
    epoch.lat_deg = lat if north == b"N" else -lat
    epoch.lon_deg = lon if east == b"E" else -lon


LETTERS = {
    b"N": Quality.NONE, b"A": Quality.GNSS, b"D": Quality.DGPS, b"P": Quality.PPS, b"R": Quality.RTK_FIXED,
    b"F": Quality.RTK_FLOAT, b"E": Quality.ESTIMATED, b"M": Quality.MANUAL, b"S": Quality.SIMULATED,
}  # fmt: skip
BEST_FIRST = b"RFPDAEMS"


def _rmc(epoch: Epoch, fields: Fields) -> None:
    if fields[9]:
        epoch.day = day_of(fields[9])
    if fields[2] != b"A":
        epoch.no_fix = True
        return
    _place(epoch, fields, 3)
    if fields[7]:
        epoch.speed_mps = _within(fields[7], 0, 3000) * KNOT_MPS
    if fields[8]:
        epoch.course_deg = _within(fields[8], 0, 360)
    if epoch.quality is None and len(fields) > 12:
        epoch.quality = LETTERS.get(fields[12])


def _gga(epoch: Epoch, fields: Fields) -> None:
    quality = int(fields[6] or b"0")
    if quality == 0:
        epoch.no_fix = True
        return
    _place(epoch, fields, 2)
    epoch.quality = Quality(min(quality, 8))
    if fields[7]:
        epoch.sats_used = int(fields[7])
    epoch.hdop = _dop(fields[8])
    if fields[9]:
        epoch.alt_m = _within(fields[9], -10_000, 100_000)


def _gns(epoch: Epoch, fields: Fields) -> None:
    best = next((letter for letter in BEST_FIRST if letter in fields[6]), None)
    if best is None:
        epoch.no_fix = True
        return
    _place(epoch, fields, 2)
    epoch.quality = LETTERS[bytes((best,))]
    if fields[7]:
        epoch.sats_used = int(fields[7])
    epoch.hdop = _dop(fields[8])
    if fields[9]:
        epoch.alt_m = _within(fields[9], -10_000, 100_000)


def _gsa(epoch: Epoch, fields: Fields) -> None:
    """One of these comes per satellite system; the best of them says what the epoch is."""
    mode = int(fields[2] or b"0")
    if mode not in {0, 1, 2, 3}:
        raise ValueError("mode")
    epoch.gsa_mode = max(epoch.gsa_mode, mode)
    epoch.pdop = _dop(fields[15]) or epoch.pdop
    if epoch.hdop is None:
        epoch.hdop = _dop(fields[16])


def _vtg(epoch: Epoch, fields: Fields) -> None:
    if fields[5]:
        epoch.speed_mps = _within(fields[5], 0, 3000) * KNOT_MPS
    elif len(fields) > 7 and fields[7]:
        epoch.speed_mps = _within(fields[7], 0, 6000) * KPH_MPS
    if fields[1]:
        epoch.course_deg = _within(fields[1], 0, 360)


def _gll(epoch: Epoch, fields: Fields) -> None:
    if len(fields) > 6 and fields[6] != b"A":
        epoch.no_fix = True
        return
    _place(epoch, fields, 1)


def _zda(epoch: Epoch, fields: Fields) -> None:
    if fields[2] and fields[3] and fields[4]:
        epoch.day = date(int(fields[4]), int(fields[3]), int(fields[2])).toordinal() - EPOCH_ORDINAL


def _gst(epoch: Epoch, fields: Fields) -> None:
    if fields[6] and fields[7]:
        north, east = _within(fields[6], 0, 1e7), _within(fields[7], 0, 1e7)
        epoch.accuracy_m = (north * north + east * east) ** 0.5


TIMED: dict[bytes, int] = {b"RMC": 1, b"GGA": 1, b"GNS": 1, b"GLL": 5, b"GST": 1}
"""Which field holds the time that makes an epoch. ZDA only brings the date: some receivers send it for the next pulse."""
HANDLERS: dict[bytes, Callable[[Epoch, Fields], None]] = {
    b"RMC": _rmc, b"GGA": _gga, b"GNS": _gns, b"GSA": _gsa, b"VTG": _vtg, b"GLL": _gll, b"ZDA": _zda, b"GST": _gst,
}  # fmt: skip


class Parser:
    """Feed it bytes as they come; call `flush` after some 80 ms of silence on the line. `heard` counts valid sentences."""

    speaks = "NMEA"

    def __init__(self) -> None:
        self.heard = 0
        self._tail = b""
        self._noisy = False
        self._gate = Gate()
        self._epoch = Epoch()
        self._closed_tod_ms: int | None = None
        self._closed_tags: frozenset[bytes] = frozenset()
        self._counts: dict[bytes, int] = {}
        self._last: tuple[bytes, int] | None = None
        self._ender: tuple[bytes, int] | None = None
        self._candidate: tuple[bytes, int] | None = None
        self._silent = False
        self._untimed: bytes | None = None
        self._day: int | None = None
        self._day_tod_ms = 0

    def feed(self, chunk: bytes) -> list[Fix | Rejected]:
        out: list[Fix | Rejected] = []
        lines = (self._tail + chunk).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            self._line(line, out)
        if len(self._tail) > BUFFER_LIMIT:
            at = self._tail.rfind(b"$")
            self._tail = self._tail[at:] if at >= 0 and len(self._tail) - at <= BUFFER_LIMIT else b""
            self._noise("garbage", out)
        return out

    def flush(self) -> list[Fix | Rejected]:
        """The line is silent: the burst is over. An epoch that has no position yet stays open."""
        out: list[Fix | Rejected] = []
        if self._epoch.tod_ms is not None and (self._epoch.lat_deg is not None or self._epoch.no_fix):
            self._close(out)
        if self._last is not None:
            self._learn()
            self._silent = True
        return out

    def _noise(self, reason: str, out: list[Fix | Rejected], detail: str = "") -> None:
        if reason == "garbage":
            if self._noisy:
                return
            self._noisy = True
        out.append(Rejected(reason, detail))

    def _line(self, line: bytes, out: list[Fix | Rejected]) -> None:
        before, *sentences = line.split(b"$")
        if before.strip(b"\r\0 "):
            self._noise("garbage", out)
        for piece in sentences:
            sentence = piece.rstrip(b"\r \0")
            if len(sentence) > LINE_LIMIT:
                self._noise("too-long", out)
            elif fits(sentence):
                self._noisy = False
                self.heard += 1
                if sentence[5:6] == b"," and sentence[2:5] in HANDLERS:
                    self._sentence(sentence[2:5], sentence[:-3].split(b","), out)
            else:
                self._noise("checksum" if sentence[-3:-2] == b"*" else "cut", out, _shown(sentence))

    def _sentence(self, tag: bytes, fields: Fields, out: list[Fix | Rejected]) -> None:
        at = TIMED.get(tag)
        try:
            if at is not None:
                if not (at < len(fields) and fields[at]):
                    self._without_time(tag, out)
                    return
                if not self._opens(tag, time_of_day_ms(fields[at]), out):
                    return
            HANDLERS[tag](self._epoch, fields)
        except (ValueError, IndexError):
            out.append(Rejected("field", tag.decode()))
            return
        count = self._counts[tag] = self._counts.get(tag, 0) + 1
        self._last = (tag, count)
        if self._last == self._ender and self._epoch.tod_ms is not None:
            self._close(out)

    def _opens(self, tag: bytes, tod_ms: int, out: list[Fix | Rejected]) -> bool:
        """Put a sentence with a time into its epoch; False if it comes too late for it."""
        epoch = self._epoch
        if tod_ms == epoch.tod_ms:
            return True
        if epoch.tod_ms is not None:
            self._close(out)
        elif tod_ms == self._closed_tod_ms and tag not in self._closed_tags:
            self._ender = self._candidate = None
            self._counts[tag] = self._counts.get(tag, 0) + 1
            self._last = (tag, self._counts[tag])
            return False
        if not self._silent and self._last is not None:
            self._learn()
        self._silent = False
        self._untimed = None
        self._epoch.tod_ms = tod_ms
        return True

    def _learn(self) -> None:
        if self._last == self._candidate:
            self._ender = self._last
        self._candidate = self._last
        self._last = None
        self._counts = {}

    def _without_time(self, tag: bytes, out: list[Fix | Rejected]) -> None:
        """A receiver that does not know the time has no fix; say so once a burst."""
        if self._untimed is None:
            self._untimed = tag
        if self._untimed == tag:
            out.append(Rejected("no-fix"))

    def _close(self, out: list[Fix | Rejected]) -> None:
        epoch = self._epoch
        self._epoch = Epoch()
        self._closed_tod_ms = epoch.tod_ms
        self._closed_tags = frozenset(self._counts)
        assert epoch.tod_ms is not None
        day = self._dated(epoch.tod_ms, epoch.day)
        if epoch.no_fix or epoch.gsa_mode == Mode.NONE or epoch.quality == Quality.NONE:
            out.append(Rejected("no-fix"))
        elif epoch.lat_deg is None:
            return
        elif day is None:
            out.append(Rejected("no-date"))
        else:
            out.append(self._gate.check(_fix(epoch, day * DAY_MS + epoch.tod_ms, epoch.lat_deg)))

    def _dated(self, tod_ms: int, day: int | None) -> int | None:
        """The day of the epoch; one without a date of its own goes on from the last, over midnight too."""
        if day is None and self._day is not None:
            day = self._day + (self._day_tod_ms - tod_ms > DAY_MS // 2)
        self._day, self._day_tod_ms = day, tod_ms
        return day


def _shown(sentence: bytes) -> str:
    return sentence[:6].decode("ascii", "replace")


def _fix(epoch: Epoch, at_ms: int, lat_deg: float) -> Fix:
    accuracy_m = epoch.accuracy_m
    if accuracy_m is None and epoch.hdop is not None:
        accuracy_m = epoch.hdop * ACCURACY_PER_HDOP_M
    return Fix(
        at_ms, lat_deg, epoch.lon_deg,
        alt_m=epoch.alt_m, speed_mps=epoch.speed_mps, course_deg=epoch.course_deg,
        mode=epoch.mode, quality=epoch.quality or Quality.GNSS,
        hdop=epoch.hdop, pdop=epoch.pdop, accuracy_m=accuracy_m, sats_used=epoch.sats_used,
    )  # fmt: skip
