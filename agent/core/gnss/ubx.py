"""UBX, the binary protocol of u-blox receivers: what each frame says. Frames that only hold the time keep the beat.

Rules (gpsd's, so that both say the same of a recording)
1. Date and time are taken from NAV-PVT, NAV-TIMEUTC, NAV-TIMEGPS, NAV-SOL and HNR-PVT when their flags say valid.
2. Those that tell GPS time need the leap seconds; until the receiver tells them they are 18.
3. The fix type alone says 2D, 3D or none: 1 (dead reckoning) is 2D, 4 (with GNSS) and 5 (time only) are 3D.
"""

from collections.abc import Callable
from datetime import date
from struct import Struct

from agent.core.gnss.merging import (
    ALTITUDE,
    DOP,
    ECEF,
    ERRORS,
    LATLON,
    MODE,
    REPORT,
    SATELLITES,
    SPEED,
    STATUS,
    TIME,
    TRACK,
    USED,
    VECEF,
    VNED,
    Merger,
    State,
)  # fmt: skip
from agent.core.gnss.sky import BY_UBX, Satellite

LEAP_SECONDS = 18
"""Since 2017."""
GPS_EPOCH_S = 315_964_800
WEEK_S = 604_800
ERA_WEEKS = 1024
NO_DOP = 9999
SECOND_NS = 1_000_000_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

MODE_OF_TYPE = {1: (2, 5), 2: (2, 1), 3: (3, 1), 4: (3, 6), 5: (3, 7)}
"""Fix type → mode and status. Anything else is no fix."""
ANTENNA = {2: "ok", 3: "short", 4: "open"}
SVINFO_RANGES = (
    (1, 32, "GPS", 0), (33, 64, "BeiDou", 27), (65, 96, "GLONASS", 64), (120, 158, "SBAS", 0), (159, 163, "BeiDou", 158),
    (173, 182, "IMES", 172), (193, 197, "QZSS", 192), (211, 246, "Galileo", 210), (255, 255, "GLONASS", 0),
)  # fmt: skip
"""Satellite numbers of NAV-SVINFO: first, last, system, offset."""

PVT = Struct("<I H BBBBB B I i BBBB iiii II iii i i II")
HNR = Struct("<I H BBBBB B i BB xx iiii i i ii IIII")
POSLLH = Struct("<I iiii II")
HPPOSLLH = Struct("<B2xB I iiii bbbb II")
SOL = Struct("<I i h BB iiiI iiiI H x B")
DOPS = Struct("<I HHHHHHH")
POSECEF = Struct("<I iiiI")
HPPOSECEF = Struct("<B3x I iii bbb B I")
VELNED = Struct("<I iii")
TIMEGPS = Struct("<I i h b B I")
TIMEUTC = Struct("<I I i H BBBBB B")
PVAT = Struct("<I B B H BBBBB x2x i i BBBB ii ii II iii i I iii i")
SAT = Struct("<BBBbhhI")
SVINFO = Struct("<BBBBBbh")


class Context:
    """What outlives a frame: leap seconds, and where positions go."""

    def __init__(self, merger: Merger) -> None:
        self.merger = merger
        self.leap_seconds = LEAP_SECONDS


Handler = Callable[[Context, State, bytes], int]


def _utc_ns(day: tuple[int, int, int], clock: tuple[int, int, int], nano: int) -> int | None:
    year, month, nth = day
    hour, minute, second = clock
    if not (1900 <= year <= 2200 and 1 <= month <= 12 and 1 <= nth <= 31 and hour < 24 and minute < 60 and second < 62):
        return None
    days = date(year, month, 1).toordinal() - EPOCH_ORDINAL + nth - 1
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND_NS + nano


def _gps_ns(context: Context, week: int, tow_ms: int, nano: int) -> int | None:
    """GPS week and time of week to UTC. A week of ten bits belongs to the era that began in 2019."""
    weeks = week + 2 * ERA_WEEKS if 0 <= week < ERA_WEEKS else week
    seconds = GPS_EPOCH_S + weeks * WEEK_S - context.leap_seconds
    return seconds * SECOND_NS + tow_ms * 1_000_000 + nano if weeks > 0 else None


def _mode(news: State, fix_type: int) -> int:
    news.mode, news.status = MODE_OF_TYPE.get(fix_type, (1, 0))
    return MODE | STATUS


def _corrected(news: State, flags: int) -> None:
    """Differential corrections and the carrier solution raise the status."""
    if flags & 0x02 and news.status != 7:
        news.status = 3 if flags & 0x80 else 4 if flags & 0x40 else 2


def _pvt(_: Context, news: State, payload: bytes) -> int:
    (_tow, year, month, day, hour, minute, second, valid, _t_acc, nano, fix_type, flags, _flags2, sats, lon, lat, hae, msl,
     h_acc, _v_acc, _vn, _ve, _vd, speed, course, _s_acc, _c_acc) = PVT.unpack_from(payload)  # fmt: skip
    mask = _mode(news, fix_type) | LATLON | ALTITUDE | SPEED | TRACK
    _corrected(news, flags)
    if valid & 3 == 3:
        news.time_ns = _utc_ns((year, month, day), (hour, minute, second), nano)
        mask |= TIME
    _place(news, lat, lon, hae, msl)
    news.speed_mps, news.course_deg, news.accuracy_m = speed / 1e3, course / 1e5, h_acc / 1e3
    news.counted = sats
    return mask


def _place(news: State, lat: int, lon: int, hae: int, msl: int) -> None:
    if abs(lat) <= 900_000_000 and abs(lon) <= 1_800_000_000:
        news.lat_deg, news.lon_deg = lat / 1e7, lon / 1e7
    news.hae_m, news.alt_m = hae / 1e3, msl / 1e3


def _hnr_pvt(_: Context, news: State, payload: bytes) -> int:
    (_tow, year, month, day, hour, minute, second, valid, nano, fix_type, flags, lon, lat, hae, msl, speed, _speed3d,
     course, _heading, h_acc, _v_acc, _s_acc, _c_acc) = HNR.unpack_from(payload)  # fmt: skip
    mask = _mode(news, fix_type) | LATLON | ALTITUDE | SPEED | TRACK | REPORT
    _corrected(news, flags)
    if valid & 3 == 3:
        news.time_ns = _utc_ns((year, month, day), (hour, minute, second), nano)
        mask |= TIME
    _place(news, lat, lon, hae, msl)
    news.speed_mps, news.course_deg, news.accuracy_m = speed / 1e3, course / 1e5, h_acc / 1e3
    return mask


def _pvat(_: Context, news: State, payload: bytes) -> int:
    (_tow, _version, valid, year, month, day, hour, minute, second, _t_acc, nano, fix_type, flags, _flags2, sats, lon, lat,
     hae, msl, h_acc, _v_acc, north, east, _down, speed, _s_acc, _r, _p, _h, course) = PVAT.unpack_from(payload)  # fmt: skip
    mask = _mode(news, fix_type) | SPEED | VNED
    _corrected(news, flags)
    if valid & 3 == 3:
        news.time_ns = _utc_ns((year, month, day), (hour, minute, second), nano)
        mask |= TIME
    if news.mode > 1:
        _place(news, lat, lon, hae, msl)
        mask |= LATLON | (ALTITUDE if news.mode == 3 else 0)
    news.speed_mps, news.accuracy_m = speed / 1e3, h_acc / 1e3
    news.north_mps, news.east_mps = north / 1e3, east / 1e3
    news.course_deg = course / 1e5
    news.counted = sats
    return mask | TRACK


def _posllh(_: Context, news: State, payload: bytes) -> int:
    _tow, lon, lat, hae, msl, h_acc, _v_acc = POSLLH.unpack_from(payload)
    _place(news, lat, lon, hae, msl)
    news.accuracy_m = h_acc / 1e3
    return LATLON | ALTITUDE | ERRORS


def _hpposllh(_: Context, news: State, payload: bytes) -> int:
    (_version, _flags, _tow, lon, lat, hae, msl, lon_hp, lat_hp, hae_hp, msl_hp, h_acc, _v_acc) = HPPOSLLH.unpack_from(
        payload
    )
    lat, lon = lat * 100 + lat_hp, lon * 100 + lon_hp
    if abs(lat) <= 90 * 10**9 and abs(lon) <= 180 * 10**9:
        news.lat_deg, news.lon_deg = lat / 1e9, lon / 1e9
    news.hae_m, news.alt_m = hae / 1e3 + hae_hp / 1e4, msl / 1e3 + msl_hp / 1e4
    news.accuracy_m = h_acc / 1e4
    return LATLON | ALTITUDE | ERRORS


def _sol(context: Context, news: State, payload: bytes) -> int:
    (tow_ms, nano, week, fix_type, flags, x, y, z, _p_acc, vx, vy, vz, _s_acc, pdop, used) = SOL.unpack_from(payload)
    mask = _mode(news, fix_type) | ECEF | VECEF | REPORT
    if flags & 0x0C == 0x0C:
        news.time_ns = _gps_ns(context, week, tow_ms, nano)
        mask |= TIME
    news.ecef_m, news.ecef_mps = (x / 100, y / 100, z / 100), (vx / 100, vy / 100, vz / 100)
    if pdop < NO_DOP:
        context.merger.pdop = pdop / 100
        mask |= DOP
    context.merger.sats_used = used
    if flags & 0x02:
        news.status = 2
    return mask


def _dop(context: Context, _: State, payload: bytes) -> int:
    _tow, _gdop, pdop, _tdop, _vdop, hdop, _ndop, _edop = DOPS.unpack_from(payload)
    if pdop < NO_DOP:
        context.merger.pdop = pdop / 100
    if hdop < NO_DOP:
        context.merger.hdop = hdop / 100
    return DOP if min(pdop, hdop) < NO_DOP else 0


def _posecef(_: Context, news: State, payload: bytes) -> int:
    _tow, x, y, z, _acc = POSECEF.unpack_from(payload)
    news.ecef_m = (x / 100, y / 100, z / 100)
    return ECEF


def _hpposecef(_: Context, news: State, payload: bytes) -> int:
    _version, _tow, x, y, z, x_hp, y_hp, z_hp, _flags, _acc = HPPOSECEF.unpack_from(payload)
    news.ecef_m = (x / 100 + x_hp / 1e4, y / 100 + y_hp / 1e4, z / 100 + z_hp / 1e4)
    return ECEF


def _velecef(_: Context, news: State, payload: bytes) -> int:
    _tow, vx, vy, vz, _acc = POSECEF.unpack_from(payload)
    news.ecef_mps = (vx / 100, vy / 100, vz / 100)
    return VECEF


def _velned(_: Context, news: State, payload: bytes) -> int:
    _tow, north, east, _down = VELNED.unpack_from(payload)
    news.north_mps, news.east_mps = north / 100, east / 100
    return VNED


def _status(_: Context, news: State, payload: bytes) -> int:
    fix_type, flags, fix_state, flags2 = payload[4:8]
    if not flags & 1:
        news.mode = 1
        return MODE | STATUS
    mask = _mode(news, fix_type)
    if fix_state & 2 and flags2 & 0xC0:
        news.status = 4 if flags2 & 0x40 else 3
    elif fix_state & 1 or (fix_type == 2 and fix_state & 2):
        news.status = 2
    return mask


def _timegps(context: Context, news: State, payload: bytes) -> int:
    tow_ms, nano, week, leap_seconds, valid, _acc = TIMEGPS.unpack_from(payload)
    if valid & 4:
        context.leap_seconds = leap_seconds
    if valid & 3 != 3:
        return 0
    news.time_ns = _gps_ns(context, week, tow_ms, nano)
    return TIME


def _timeutc(_: Context, news: State, payload: bytes) -> int:
    _tow, _acc, nano, year, month, day, hour, minute, second, valid = TIMEUTC.unpack_from(payload)
    if not valid & 4:
        return 0
    news.time_ns = _utc_ns((year, month, day), (hour, minute, second), nano)
    return TIME


def _timels(context: Context, _: State, payload: bytes) -> int:
    if payload[4] == 0 and payload[23] & 1:
        context.leap_seconds = int.from_bytes(payload[9:10], "little", signed=True)
    return 0


def _sat(context: Context, _: State, payload: bytes) -> int:
    count = payload[5]
    if payload[4] != 1 or 8 + 12 * count > len(payload):
        return 0
    satellites = []
    for at in range(8, 8 + 12 * count, 12):
        system, number, cn0, elevation, azimuth, _residual, flags = SAT.unpack_from(payload, at)
        satellites.append(_satellite((BY_UBX.get(system, "?"), number), cn0, elevation, azimuth, flags & 0x08))
    return _seen(context, satellites)


def _svinfo(context: Context, _: State, payload: bytes) -> int:
    count = payload[4]
    if 8 + 12 * count > len(payload):
        return 0
    satellites = []
    for at in range(8, 8 + 12 * count, 12):
        _channel, number, flags, _quality, cn0, elevation, azimuth = SVINFO.unpack_from(payload, at)
        for first, last, system, offset in SVINFO_RANGES:
            if first <= number <= last:
                satellites.append(_satellite((system, number - offset), cn0, elevation, azimuth, flags & 1))
    return _seen(context, satellites)


def _satellite(named: tuple[str, int], cn0: int, elevation: int, azimuth: int, used: int) -> Satellite:
    return Satellite(
        named[0], named[1], elevation if abs(elevation) <= 90 else None,
        azimuth % 360 if 0 <= azimuth <= 360 else None, float(cn0) if cn0 else None, bool(used),
    )  # fmt: skip


def _seen(context: Context, satellites: list[Satellite]) -> int:
    context.merger.heaven.whole(satellites)
    context.merger.sats_used = sum(each.used for each in satellites)
    return SATELLITES | USED


def _mon_hw(context: Context, _: State, payload: bytes) -> int:
    jamming = payload[53] if len(payload) == 68 else payload[45] if len(payload) == 60 else 0
    return _antenna(context, (payload[20],), jamming, payload[21])


def _mon_rf(context: Context, _: State, payload: bytes) -> int:
    blocks = payload[1]
    size = (len(payload) - 4) // blocks if blocks else 0
    if payload[0] or len(payload) != 4 + size * blocks or size not in {20, 24}:
        return 0
    at = 4 + (2 if size == 24 else 1)
    states = tuple(payload[at + n * size] for n in range(blocks))
    jamming = max(payload[20 + n * size] for n in range(blocks)) if size == 24 else 0
    return _antenna(context, states, jamming, payload[at + 1 + (blocks - 1) * size])


def _antenna(context: Context, states: tuple[int, ...], jamming: int, power: int) -> int:
    """The worst antenna counts. Like gpsd, what is known of antenna or jamming is a report."""
    known = [ANTENNA[state] for state in states if state in ANTENNA]
    worst = next((status for status in ("open", "short", "ok") if status in known), None)
    context.merger.antenna_is(worst)
    return REPORT if jamming or known or power in {0, 1} else 0


MESSAGES: dict[int, tuple[int, int | None, Handler | None]] = {
    0x0101: (20, 0, _posecef), 0x0102: (28, 0, _posllh), 0x0103: (16, 0, _status), 0x0104: (18, 0, _dop),
    0x0106: (52, 0, _sol), 0x0107: (84, 0, _pvt), 0x0111: (20, 0, _velecef), 0x0112: (36, 0, _velned),
    0x0113: (28, 4, _hpposecef), 0x0114: (36, 4, _hpposllh), 0x0117: (98, 0, _pvat), 0x0120: (16, 0, _timegps),
    0x0121: (20, 0, _timeutc), 0x0122: (20, 0, None), 0x0126: (24, 0, _timels), 0x0130: (8, 0, _svinfo),
    0x0131: (16, 0, None), 0x0132: (12, 0, None), 0x0135: (8, 0, _sat), 0x013B: (40, 4, None), 0x013C: (40, 4, None),
    0x013D: (16, 0, None), 0x0143: (8, 0, None), 0x0145: (8, 4, None), 0x0161: (4, 0, None), 0x0220: (8, 0, None),
    0x0A09: (56, None, _mon_hw), 0x0A38: (4, None, _mon_rf), 0x1010: (16, 0, None), 0x1014: (16, 0, None),
    0x1015: (36, 8, None), 0x2800: (72, None, _hnr_pvt),
}  # fmt: skip
"""Class and id → shortest payload, where the time of week stands, who reads it (None: it only keeps the beat)."""
