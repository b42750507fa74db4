"""NMEA 0183: what each sentence of the standard says.

Rules (gpsd's, so that both say the same of a recording)
1. The date comes with RMC or ZDA; sentences that only have a time of day use the last one told.
2. A receiver that says that its position is not valid has no fix, whatever position it repeats.
3. RMC and GLL do not tell 2D from 3D: an altitude or four satellites make it 3D.
"""

from collections.abc import Callable
from datetime import date

from agent.core.gnss.epochs import ALTITUDE_M
from agent.core.gnss.merging import (
    ALTITUDE,
    ATTITUDE,
    DOP,
    ERRORS,
    LATLON,
    MODE,
    OTHER,
    SATELLITES,
    SPEED,
    STATUS,
    TIME,
    TRACK,
    USED,
    State,
)  # fmt: skip
from agent.core.gnss.nmea import (
    EPOCH_ORDINAL,
    KNOT_MPS,
    MOST_DBHZ,
    Fields,
    Talk,
    counted,
    day_of,
    dop,
    number,
    place,
    whole,
    within,
)  # fmt: skip

FASTEST_MPS = 9999.9
GSA_FIELDS = 19
"""Tag, two modes, twelve satellites, three dilutions, and the system since NMEA 4.10."""
SATELLITES_FOR_2D, SATELLITES_FOR_3D = 3, 4
MOST_PARTS = 10

STATUS_OF_LETTER = {
    b"": 0, b"O": 0, b"V": 0, b"N": 0, b"D": 2, b"P": 2, b"R": 3, b"F": 4, b"E": 5, b"M": 7, b"S": 8,
}  # fmt: skip
"""Mode letters as gpsd ranks them; any other letter is a plain fix."""
STATUS_OF_QUALITY = {0: 0, 1: 1, 2: 2, 3: 9, 4: 3, 5: 4, 6: 5, 7: 7, 8: 8}
Handler = Callable[[Talk, State, Fields, int], int]


def letter(field: bytes) -> int:
    """A mode letter as a status."""
    return STATUS_OF_LETTER.get(field[:1], 1)


def speed(news: State, field: bytes, unit_mps: float) -> int:
    """A speed; what can't be one is none, and less than none is nonsense."""
    value = within(number(field), 0.0, float("inf"))
    news.speed_mps = None if value is None or value * unit_mps > FASTEST_MPS else value * unit_mps
    return SPEED


def course(news: State, field: bytes) -> int:
    """A course over ground."""
    news.course_deg = within(number(field), 0.0, 360.0)
    return TRACK


def _rmc(talk: Talk, news: State, fields: Fields, count: int) -> int:
    if fields[2] != b"A":
        news.mode, news.void = 1, True
        return STATUS | MODE | (0 if fields[1] and fields[9] else talk.no_time())
    today = day(fields[9]) if count > 9 else None
    mask = 0
    if fields[1] and today is None:
        mask = talk.undated(b"RMC", fields[1])
    elif fields[1] and talk.clock(fields[1]):
        talk.day = today
        talk.dated.add(b"RMC")
        talk.moment()
        mask = TIME
    merger = talk.merger
    if place(news, fields, 3):
        mask |= LATLON
        news.status = 1
        news.mode = max(2, merger.last[1] if merger.last else 2)
    else:
        news.mode = 1
    if fields[7]:
        mask |= speed(news, fields[7], KNOT_MPS)
    if fields[8]:
        mask |= course(news, fields[8])
    if count > 12 and fields[12]:
        news.status, news.void = letter(fields[12]), fields[12][:1] == b"N"
    if merger.sats_used >= SATELLITES_FOR_3D or merger.fix.high:
        news.mode = 3
    return mask | STATUS | MODE


def day(field: bytes) -> int | None:
    """A date, or None if it is none."""
    try:
        return day_of(field) if len(field) == 6 and field.isdigit() else None
    except ValueError:
        return None


def _gga(talk: Talk, news: State, fields: Fields, _: int) -> int:
    mask = 0
    status = STATUS_OF_QUALITY.get(whole(fields[6])) if fields[6] else None
    news.void = status == 0 or not fields[6]
    if status == 0 and not fields[1]:
        talk.no_time()
    if status is not None:
        news.status, mask = status, STATUS
    talker = talk.gga_talker
    talk.gga_talker = talk.talker
    talk.stuck = talker in {b"", talk.talker} and fields[1] == talk.gga_time
    if talk.stuck:
        news.status = 0
        mask |= STATUS
    else:
        talk.gga_time = fields[1]
    used = counted(news, fields[7])
    mask |= talk.told_time(fields[1])
    news.mode = 1
    if place(news, fields, 2):
        mask |= LATLON | height(news, fields, used)
        if used < SATELLITES_FOR_2D and talk.talker in {b"GP", b"GN"}:
            news.mode = 1
    hdop = dop(fields[8])
    if hdop is not None:
        talk.merger.hdop = hdop
        mask |= DOP
    return mask | MODE


def height(news: State, fields: Fields, used: int) -> int:
    """The altitude of GGA and GNS; with satellites enough it makes the fix three-dimensional."""
    news.mode = 2
    news.alt_m = within(number(fields[9]), *ALTITUDE_M) if fields[9] else None
    if news.alt_m is None:
        return 0
    if used >= SATELLITES_FOR_3D:
        news.mode = 3
    return ALTITUDE


def _gns(talk: Talk, news: State, fields: Fields, _: int) -> int:
    mask = talk.told_time(fields[1])
    if not fields[6] or fields[6][:1] == b"N":
        news.mode, news.void = 1, True
        return mask | MODE
    if fields[13][:1] in {b"U", b"V"} and fields[13]:
        return mask
    used = counted(news, fields[7])
    news.mode = 1
    if place(news, fields, 2):
        mask |= LATLON | height(news, fields, used)
    if fields[8]:
        talk.merger.hdop = dop(fields[8])
        mask |= DOP
    news.status = letter(fields[6])
    return mask | MODE | STATUS


def _gll(talk: Talk, news: State, fields: Fields, count: int) -> int:
    mask = talk.told_time(fields[5])
    merger = talk.merger
    if fields[6][:1] == b"A" and (count < 8 or fields[7][:1] != b"N") and place(news, fields, 1):
        mask |= LATLON
        old = merger.old
        if merger.fix.high or merger.sats_used >= SATELLITES_FOR_3D:
            news.mode = 3
        elif merger.fix.mode < 2 or old is None or not old[4]:
            news.mode = 2
        news.status = letter(fields[7]) if count >= 8 else 1
    else:
        news.mode, news.void = 1, True
    return mask | STATUS | MODE


def _gsa(talk: Talk, news: State, fields: Fields, count: int) -> int:
    """One of these comes per satellite system; not all that they say of the mode is meant for the whole."""
    before, talker = talk.gsa_talker, talk.talker
    mask = 0
    if not talk.stuck:
        mask = _gsa_values(talk, news, fields, count)
        if not before or (before[1:] == talker[1:] and talker[1:] not in {b"N", b"Q"}):
            talk.merger.heaven.used = set()
        talk.gsa_talker = talker
        _gsa_used(talk, fields, count)
    if talker[1:] == b"P" and talk.several_gsa:
        return 0
    if before[1:] != b"N" and talker[1:] == b"N":
        return MODE
    return mask


def _gsa_values(talk: Talk, news: State, fields: Fields, count: int) -> int:
    mask, mode = USED, whole(fields[2])
    if 1 <= mode <= 3:
        news.mode = mode
        mask |= MODE
    if count <= GSA_FIELDS:
        pdop, hdop = dop(fields[15]), dop(fields[16])
        if pdop is not None:
            talk.merger.pdop = pdop
        if hdop is not None:
            talk.merger.hdop = hdop
        if pdop is not None or hdop is not None or dop(fields[17]) is not None:
            mask |= DOP
    return mask


def _gsa_used(talk: Talk, fields: Fields, count: int) -> None:
    talker = talk.talker
    system = 0
    if count == GSA_FIELDS and b"." not in fields[18] and talker in {b"GN", b"PQ"}:
        system = whole(fields[18])
    if talker[1:] in {b"A", b"B", b"D", b"I", b"L", b"N", b"Q", b"Z"}:
        talk.several_gsa = True
    used, named_as = talk.merger.heaven.used, talk.merger.heaven.named
    for field in fields[3 : count - 3]:
        if b"." in field:
            break
        if field:
            named = named_as(talker, field, system)
            if named is not None:
                used.add(named)
    talk.merger.sats_used = len(used)


def _gsv(talk: Talk, _: State, fields: Fields, count: int) -> int:
    parts, part, extra = whole(fields[1]), whole(fields[2]), count % 4
    if not 1 <= part <= parts <= MOST_PARTS or extra == 3:
        return 0
    for field in fields[7 : count - extra : 4]:
        if len(field) > 2:
            within(whole(field), 0, MOST_DBHZ)
    talker = talk.talker
    talk.gsv_talker = talker
    if talker[1:] != b"P":
        talk.several_gsv = True
    signal = fields[count - extra] if extra else b""
    talk.merger.heaven.part(talker + signal, fields, first=part == 1, last=part == parts)
    if part < parts:
        talk.more = True
        return 0
    if talk.several_gsv and talker[1:] == b"P" and talk.gsv_ended[1:] != b"P":
        return 0
    return SATELLITES


def _vtg(_: Talk, news: State, fields: Fields, count: int) -> int:
    if not (fields[1] and fields[5]) or (count > 9 and fields[9][:1] in {b"E", b"N"} and fields[9]):
        return 0
    return course(news, fields[1]) | speed(news, fields[5], KNOT_MPS)


def _zda(talk: Talk, news: State, fields: Fields, _: int) -> int:
    if fields[1] and not fields[2] and b"ZDA" in talk.dated:
        return talk.undated(b"ZDA", fields[1])
    if not (fields[1] and fields[2] and fields[3] and fields[4] and talk.clock(fields[1])):
        return 0
    year, month, nth = whole(fields[4]), whole(fields[3]), whole(fields[2])
    if not (1900 <= year <= 2200 and 1 <= month <= 12 and 1 <= nth <= 31):
        return 0
    talk.day = date(year, month, 1).toordinal() - EPOCH_ORDINAL + nth - 1
    talk.dated.add(b"ZDA")
    news.time_ns = talk.now_ns()
    talk.moment()
    return TIME


def gst(_: Talk, news: State, fields: Fields, __: int) -> int:
    """Deviations of latitude and longitude, in metres."""
    north, east = number(fields[6]), number(fields[7])
    if north is not None and east is not None and north >= 0 and east >= 0:
        news.accuracy_m = (north * north + east * east) ** 0.5
    return ERRORS


def _gbs(talk: Talk, news: State, fields: Fields, __: int) -> int:
    before_ns = talk.tod_ns
    if fields[1] and talk.clock(fields[1]):
        talk.moment()
    if before_ns is None or talk.tod_ns is None or before_ns // 1_000_000_000 != talk.tod_ns // 1_000_000_000:
        talk.tod_ns = before_ns
        return 0
    talk.tod_ns = before_ns
    return gst(talk, news, [b"", b"", b"", b"", b"", b"", fields[2], fields[3]], 8)


def _says(mask: int) -> Handler:
    """A sentence of which only matters that it came."""
    return lambda _talk, _news, _fields, _count: mask


SENTENCES: dict[bytes, tuple[int, Handler]] = {
    b"RMC": (8, _rmc), b"GGA": (13, _gga), b"GNS": (13, _gns), b"GLL": (7, _gll), b"GSA": (18, _gsa),
    b"GSV": (4, _gsv), b"VTG": (5, _vtg), b"ZDA": (4, _zda), b"GST": (9, gst), b"GBS": (7, _gbs),
    b"HDT": (1, _says(ATTITUDE)), b"HDM": (3, _says(ATTITUDE)), b"ROT": (3, _says(ATTITUDE)), b"XDR": (5, _says(ATTITUDE)),
    b"HDG": (0, _says(OTHER)), b"MTW": (3, _says(OTHER)), b"MWD": (0, _says(OTHER)), b"MWV": (0, _says(OTHER)),
    b"DBT": (7, _says(OTHER)), b"DPT": (4, _says(OTHER)),
}  # fmt: skip
"""Sentence of any talker → how many fields it needs, and who reads it."""
