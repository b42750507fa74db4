"""Sentences for the rig: made from a fix as a receiver of today writes them, or recorded ones moved to another time."""

from datetime import date

from agent.core.gnss import nmea
from agent.core.gnss.framing import fits
from agent.core.rig.sky import STRONG_DBHZ, Satellite, active, heaven, in_view
from wire.messages import Fix, Mode

TIME_AT = {b"RMC": 1, b"GGA": 1, b"GNS": 1, b"GST": 1, b"ZDA": 1, b"GBS": 1, b"GRS": 1, b"GLL": 5}
LETTER_OF = {quality: letter.decode() for letter, quality in nmea.LETTERS.items()}


def sentence(body: str) -> bytes:
    """`$body*hh` with the checksum."""
    total = 0
    for char in body.encode():
        total ^= char
    return f"${body}*{total:02X}\r\n".encode()


def made(fix: Fix, *, dated: bool = True) -> bytes:
    """RMC, GGA, GSA and, as far as known, GST and GSV. Minutes have seven decimals: finer than 1e-7 degrees."""
    tod = _tod_text(fix.at_ms % nmea.DAY_MS, 3)
    day = f"{_day(fix.at_ms):%d%m%y}" if dated else ""
    place = f"{_angle(fix.lat_deg, 2)},{'N' if fix.lat_deg >= 0 else 'S'},"
    place += f"{_angle(fix.lon_deg, 3)},{'E' if fix.lon_deg >= 0 else 'W'}"
    speed = "" if fix.speed_mps is None else f"{fix.speed_mps / nmea.KNOT_MPS:.3f}"
    course = "" if fix.course_deg is None else f"{fix.course_deg % 360.0:.2f}"
    hdop, pdop = _text(fix.hdop, 2), _text(fix.pdop, 2)
    used = "" if fix.sats_used is None else f"{fix.sats_used:02d}"
    sky: tuple[Satellite, ...] = ()
    if fix.sats_used is not None:
        cn0 = STRONG_DBHZ if fix.cn0_dbhz is None else fix.cn0_dbhz
        sky = heaven(fix.at_ms, fix.sats_used, fix.sats_seen, cn0)
    bodies = [
        f"GNRMC,{tod},A,{place},{speed},{course},{day},,,{LETTER_OF[fix.quality]},V",
        f"GNGGA,{tod},{place},{int(fix.quality)},{used},{hdop},{_text(fix.alt_m, 1)},M,,M,,",
        *active(sky, 3 if fix.mode == Mode.FIX_3D else 2, pdop, hdop),
        *in_view(sky),
    ]
    if fix.accuracy_m is not None:
        sigma = fix.accuracy_m / 2**0.5
        bodies.append(f"GNGST,{tod},,,,,{sigma:.2f},{sigma:.2f},")
    return b"".join(sentence(body) for body in bodies)


def made_blind(at_ms: int, *, seen: int, cn0_dbhz: float | None) -> bytes:
    """What a receiver says that knows the time and no position: `seen` satellites, none used."""
    tod = _tod_text(at_ms % nmea.DAY_MS, 3)
    sky = heaven(at_ms, 0, seen, cn0_dbhz)
    bodies = [
        f"GNRMC,{tod},V,,,,,,,{_day(at_ms):%d%m%y},,,N,V",
        f"GNGGA,{tod},,,,,0,00,99.99,,M,,M,,",
        *active(sky, 1, "99.99", "99.99"),
        *in_view(sky),
    ]
    return b"".join(sentence(body) for body in bodies)


def antenna(status: str) -> bytes:
    """What a u-blox receiver tells of its antenna: OK, OPEN or SHORT."""
    return sentence(f"GNTXT,01,01,02,ANTSTATUS={status}")


def moved(raw: bytes, day: int, shift_ms: int) -> bytes:
    """Recorded lines with their times moved by `shift_ms`; `day` is the recorded day. What is corrupt stays as it is."""
    return b"".join(_moved(line, day, shift_ms) for line in raw.splitlines(keepends=True))


def _moved(line: bytes, day: int, shift_ms: int) -> bytes:
    body = line.strip(b"\r\n \0")
    if not body.startswith(b"$") or not fits(body[1:]):
        return line
    fields = body[1:-3].split(b",")
    at = TIME_AT.get(fields[0][2:]) if len(fields[0]) == 5 else None
    if at is None or at >= len(fields) or not fields[at]:
        return line
    try:
        moment_ms = day * nmea.DAY_MS + nmea.time_of_day_ms(fields[at]) + shift_ms
    except ValueError:
        return line
    decimals = len(fields[at].partition(b".")[2])
    fields[at] = _tod_text(moment_ms % nmea.DAY_MS, decimals).encode()
    today = _day(moment_ms)
    if fields[0][2:] == b"RMC" and len(fields) > 9 and fields[9]:
        fields[9] = f"{today:%d%m%y}".encode()
    elif fields[0][2:] == b"ZDA" and len(fields) > 4 and fields[4]:
        fields[2:5] = f"{today:%d,%m,%Y}".encode().split(b",")
    return sentence(b",".join(fields).decode("latin-1")) if line.isascii() else line


def _day(at_ms: int) -> date:
    return date.fromordinal(nmea.EPOCH_ORDINAL + at_ms // nmea.DAY_MS)


def _tod_text(tod_ms: int, decimals: int) -> str:
    seconds, ms = divmod(tod_ms, 1000)
    text = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    return text if decimals == 0 else f"{text}.{ms:03d}"[: 7 + decimals].ljust(7 + decimals, "0")


def _angle(angle: float, width: int) -> str:
    """`ddmm.mmmmmmm`, rounded once in units of 1e-7 minutes so that no 60th minute appears."""
    units = round(abs(angle) * 60 * 10**7)
    degrees, rest = divmod(units, 60 * 10**7)
    minutes, fraction = divmod(rest, 10**7)
    return f"{degrees:0{width}d}{minutes:02d}.{fraction:07d}"


def _text(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
