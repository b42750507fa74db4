"""NMEA 0183: what the sentences of single makers say, beyond the standard."""

from agent.core.gnss.epochs import ALTITUDE_M
from agent.core.gnss.merging import (
    ALTITUDE,
    CLEAR,
    DOP,
    ERRORS,
    LATLON,
    MODE,
    SATELLITES,
    STATUS,
    TIME,
    VNED,
    State,
)  # fmt: skip
from agent.core.gnss.nmea import DAY_NS, KPH_MPS, Fields, Talk, counted, dop, number, place, tod_of, whole, within
from agent.core.gnss.sentences import SATELLITES_FOR_3D, Handler, course, day, height, letter, speed

FOOT_M = 0.3048
CEP50 = 0.6745
"""Half of a normal distribution lies within so many standard deviations."""

ANTENNA_TEXTS = {b"OK": "ok", b"NORMAL": "ok", b"OPEN": "open", b"SHORT": "short", b"OFF": "off"}
"""What stands behind `ANTSTATUS=` or `ANTENNA` in a text; anything else (INIT, DONTKNOW) says nothing yet."""
MEDIATEK_ANTENNA = {b"1": "short", b"2": "ok", b"3": "ok"}
"""`PGTOP,11` and `PCD,11`: shorted, internal antenna in use, active antenna in use."""
ST_ANTENNA = {b"0": "ok", b"1": "open", b"2": "short"}
TRIMBLE_ANTENNA = {b"1": "ok", b"0": "fault"}
QUECTEL_ANTENNA = {b"1": "ok", b"2": "open", b"3": "short"}


def _garmin_errors(_: Talk, news: State, fields: Fields, __: int) -> int:
    error = within(number(fields[1]), 0.0, float("inf"))
    if error is None or fields[2] != b"M":
        return 0
    news.accuracy_m = error / CEP50
    return ERRORS


def _garmin_height(_: Talk, news: State, fields: Fields, __: int) -> int:
    mask = 0
    if fields[2][:1] == b"f" and fields[1]:
        news.alt_m = within(whole(fields[1]) * FOOT_M, *ALTITUDE_M)
        mask = ALTITUDE
    if fields[3][:1] in {b"1", b"2", b"3"}:
        news.mode = whole(fields[3][:1])
        mask |= MODE
    return mask


def _garmin_velocity(_: Talk, news: State, fields: Fields, __: int) -> int:
    news.east_mps, news.north_mps = number(fields[1]), number(fields[2])
    return VNED if fields[1] and fields[2] and fields[3] else 0


def _garmin_fix(_: Talk, news: State, fields: Fields, __: int) -> int:
    mask, today, tod_ns = 0, day(fields[3]), tod_of(fields[4])
    if today is not None and tod_ns is not None:
        news.time_ns = today * DAY_NS + tod_ns
        mask = TIME
    if fields[10][:1] != b"A":
        return mask
    if place(news, fields, 6):
        mask |= LATLON
    if fields[11][:1] in {b"0", b"1", b"2"}:
        news.mode = whole(fields[11][:1]) + 1
        mask |= MODE
    return mask | course(news, fields[13]) | speed(news, fields[12], KPH_MPS)


def _magellan_mode(_: Talk, news: State, fields: Fields, __: int) -> int:
    mode = whole(fields[3])
    news.mode = mode if fields[4][:1] == b"T" and mode in {2, 3} else 1
    return MODE


def _sirf_errors(talk: Talk, news: State, fields: Fields, _: int) -> int:
    mask = STATUS | talk.told_time(fields[1])
    if fields[2][:1] != b"A":
        return mask
    if fields[3]:
        talk.merger.hdop = dop(fields[3])
        mask |= DOP
    if fields[4]:
        news.accuracy_m = within(number(fields[4]), 0.0, float("inf"))
    return mask


def _skytraq_030(talk: Talk, news: State, fields: Fields, _: int) -> int:
    if fields[3][:1] == b"V" or fields[13][:1] == b"N":
        news.mode = 1
        return MODE | STATUS
    if fields[3][:1] != b"A":
        return 0
    mask = VNED | STATUS
    today = day(fields[12])
    if fields[2] and today is not None and talk.clock(fields[2]):
        talk.day = today
        talk.moment()
        mask |= TIME
    if place(news, fields, 4):
        mask |= LATLON | MODE | height(news, [b""] * 9 + [fields[8]], SATELLITES_FOR_3D)
    news.east_mps, news.north_mps = number(fields[9]), number(fields[10])
    news.status = letter(fields[13])
    return mask


def _averaged(_: Talk, news: State, fields: Fields, __: int) -> int:
    if not place(news, fields, 2):
        return 0
    news.hae_m = number(fields[6])
    return LATLON | ALTITUDE


def _trimble_mode(_: Talk, news: State, fields: Fields, __: int) -> int:
    news.status = {b"A": 1, b"D": 2, b"E": 5}.get(fields[1][:1], 0)
    return STATUS if news.status else 0


def _ashtech(talk: Talk, news: State, fields: Fields, _: int) -> int:
    if fields[1] == b"SAT":
        return SATELLITES
    if fields[1] != b"POS":
        return 0
    mask = MODE | STATUS | CLEAR
    if not fields[2]:
        news.mode = 1
        return mask
    news.mode, news.status = 3, 2 if whole(fields[2]) else 1
    counted(news, fields[3])
    if fields[4] and talk.clock(fields[4]):
        talk.moment()
        mask |= TIME
    if place(news, fields, 5):
        news.hae_m = number(fields[9])
        mask |= LATLON | ALTITUDE
    mask |= course(news, fields[11]) | speed(news, fields[12], KPH_MPS)
    talk.merger.pdop, talk.merger.hdop = dop(fields[14]), dop(fields[15])
    return mask | DOP


def _antenna(talk: Talk, status: str | None) -> int:
    talk.merger.antenna_is(status)
    return 0


def _text(talk: Talk, _: State, fields: Fields, count: int) -> int:
    text = b",".join(fields[4:count]).upper()
    for lead in (b"ANTSTATUS=", b"ANTENNA "):
        if lead in text:
            return _antenna(talk, ANTENNA_TEXTS.get(text.partition(lead)[2].split(b" ")[0].strip()))
    return 0


def _numbered(states: dict[bytes, str], at: int) -> Handler:
    """A sentence whose field `at` numbers the state of the antenna."""
    return lambda talk, _news, fields, _count: _antenna(talk, states.get(fields[at]))


MAKERS: dict[bytes, tuple[int, Handler]] = {
    b"PGRME": (7, _garmin_errors), b"PGRMF": (15, _garmin_fix), b"PGRMV": (4, _garmin_velocity),
    b"PGRMZ": (4, _garmin_height), b"PMGNST": (8, _magellan_mode), b"PSRFEPE": (7, _sirf_errors),
    b"PSTI,030": (16, _skytraq_030), b"PERC,GPavp": (6, _averaged), b"PTNLRNM": (1, _trimble_mode),
    b"PASHR": (3, _ashtech), b"TXT": (5, _text),
    b"PGTOP,11": (3, _numbered(MEDIATEK_ANTENNA, 2)), b"PCD,11": (3, _numbered(MEDIATEK_ANTENNA, 2)),
    b"PSTMANTENNASTATUS": (4, _numbered(ST_ANTENNA, 1)), b"PTNLRBA": (2, _numbered(TRIMBLE_ANTENNA, 1)),
    b"PQTMANTENNASTATUS": (3, _numbered(QUECTEL_ANTENNA, 2)),
}  # fmt: skip
"""Sentence, or sentence and its first field → how many fields it needs, and who reads it."""
