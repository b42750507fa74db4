"""UBX: each frame, field by field, against what it was made from."""

import struct
from typing import Any

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.framing import fletcher
from agent.core.gnss.receiver import Reader
from agent.core.gnss.sky import Antenna, Satellite, Sky
from wire.messages import Quality

TOW = 475_218_000
T = 1717243200000
WEEK = 2316
PLACE = (51_000_000, 521_000_000, 60_000, 20_000)


def ubx(kind: int, payload: bytes) -> bytes:
    body = kind.to_bytes(2, "big") + len(payload).to_bytes(2, "little") + payload
    return b"\xb5\x62" + body + fletcher(body)


def pvt(*, fix: int = 3, flags: int = 1, valid: int = 7, tow: int = TOW, second: int = 0, nano: int = 0) -> bytes:
    head = struct.pack("<IHBBBBBBIi", tow, 2024, 6, 1, 12, 0, second, valid, 30, nano)
    place = struct.pack("<BBBBiiii", fix, flags, 0, 11, *PLACE)
    rest = struct.pack("<IIiiiiiII", 2500, 4000, 1, 2, 3, 12_500, 27_100_000, 300, 500)
    return ubx(0x0107, head + place + rest + b"\0" * 16)


def hnr(*, fix: int = 3, valid: int = 7) -> bytes:
    head = struct.pack("<IHBBBBBBi", TOW + 100, 2024, 6, 1, 12, 0, 0, valid, 100_000_000)
    rest = struct.pack("<BBxxiiiiiiiiIIII", fix, 3, *PLACE, 12_500, 12_600, 27_100_000, 0, 2500, 4000, 300, 500)
    return ubx(0x2800, head + rest + b"\0" * 4)


def pvat(*, fix: int = 3, valid: int = 7) -> bytes:
    head = struct.pack("<IBBHBBBBBxxxii", TOW, 0, valid, 2024, 6, 1, 12, 0, 0, 0, 0)
    place = struct.pack("<BBBBiiii", fix, 3, 0, 11, *PLACE)
    rest = struct.pack("<IIiiiiIiiii", 2500, 4000, 3000, 4000, 0, 5000, 300, 0, 0, 0, 5_313_000)
    return ubx(0x0117, head + place + rest + b"\0" * 28)


def llh(place: tuple[int, ...] = PLACE) -> bytes:
    return ubx(0x0102, struct.pack("<IiiiiII", TOW, *place, 2500, 4000))


def utc(*, valid: int = 7, month: int = 6) -> bytes:
    return ubx(0x0121, struct.pack("<IIiHBBBBBB", TOW, 30, -250_000_000, 2024, month, 1, 12, 0, 1, valid))


def gps(*, valid: int = 7, week: int = WEEK, leap: int = 18) -> bytes:
    return ubx(0x0120, struct.pack("<IihbBI", 561_618_000, 0, week, leap, valid, 30))


def sol(*, fix: int = 3, flags: int = 0x0D, week: int = WEEK, pdop: int = 140) -> bytes:
    ecef = (391_000_000, 34_900_000, 500_900_000)
    body = struct.pack("<IihBB", 561_618_000, 0, week, fix, flags)
    rest = struct.pack("<iiiIiiiIHBB", *ecef, 300, 0, 100, 0, 50, pdop, 0, 9)
    return ubx(0x0106, body + rest + b"\0" * 4)


def status(fix: int, flags: int, state: int, flags2: int) -> bytes:
    return ubx(0x0103, struct.pack("<IBBBBII", TOW, fix, flags, state, flags2, 0, 0))


def told(*frames: bytes) -> list[object]:
    reader = Reader(at_once=True)
    return [*reader.feed(b"".join(frames)), *reader.end()]


SAYS: dict[str, tuple[tuple[bytes, ...], dict[str, Any]]] = {
    "NAV-PVT": ((pvt(nano=-500_000),), {
        "at_ms": T, "mode": 3, "lat_deg": 52.1, "lon_deg": 5.1, "alt_m": 20.0, "speed_mps": 12.5, "course_deg": 271.0,
        "accuracy_m": 2.5, "sats_used": 11, "quality": Quality.GNSS,
    }),
    "NAV-PVT before the second": ((pvt(nano=-400_000_000),), {"at_ms": T - 400}),
    "NAV-PVT without date": ((pvt(valid=6),), {"at_ms": None, "mode": 3}),
    "NAV-PVT none": ((pvt(fix=0),), {"at_ms": T, "mode": 1, "lat_deg": None}),
    "NAV-PVT dead reckoning": ((pvt(fix=1),), {"mode": 2, "quality": Quality.ESTIMATED}),
    "NAV-PVT 2D": ((pvt(fix=2),), {"mode": 2}),
    "NAV-PVT combined": ((pvt(fix=4),), {"mode": 3, "quality": Quality.ESTIMATED}),
    "NAV-PVT time only": ((pvt(fix=5, flags=3),), {"mode": 3, "quality": Quality.MANUAL}),
    "NAV-PVT differential": ((pvt(flags=3),), {"quality": Quality.DGPS}),
    "NAV-PVT float": ((pvt(flags=0x43),), {"quality": Quality.RTK_FLOAT}),
    "NAV-PVT fixed": ((pvt(flags=0x83),), {"quality": Quality.RTK_FIXED}),
    "HNR-PVT": ((hnr(),), {"at_ms": T + 100, "mode": 3, "speed_mps": 12.5, "quality": Quality.DGPS}),
    "HNR-PVT without time": ((hnr(valid=0),), {"at_ms": None}),
    "NAV-PVAT": ((pvat(),), {"at_ms": T, "mode": 3, "lat_deg": 52.1, "speed_mps": 5.0, "course_deg": 53.13, "alt_m": 20.0}),
    "NAV-PVAT 2D": ((pvat(fix=2, valid=0),), {"at_ms": None, "mode": 2, "alt_m": None}),
    "NAV-PVAT none": ((pvat(fix=0),), {"mode": 1}),
    "NAV-POSLLH": ((status(3, 1, 0, 0), llh()), {"lat_deg": 52.1, "alt_m": 20.0, "accuracy_m": 2.5}),
    "NAV-POSLLH nowhere": ((status(3, 1, 0, 0), llh((0, 910_000_000, 0, 0))), {"lat_deg": None}),
    "NAV-HPPOSLLH": ((status(3, 1, 0, 0), ubx(0x0114, struct.pack(
        "<BxxBIiiiibbbbII", 0, 0, TOW, *PLACE, 5, -5, 3, 2, 140, 200))), {
        "lat_deg": 52.1 - 5e-9, "lon_deg": 5.1 + 5e-9, "alt_m": 20.0002, "accuracy_m": 0.014,
    }),
    "NAV-HPPOSLLH nowhere": ((status(3, 1, 0, 0), ubx(0x0114, struct.pack(
        "<BxxBIiiiibbbbII", 0, 0, TOW, 1_900_000_000, 0, 0, 0, 0, 0, 0, 0, 140, 200))), {"lat_deg": None}),
    "NAV-TIMEUTC": ((status(3, 1, 0, 0), utc()), {"at_ms": T + 750}),
    "NAV-TIMEUTC not valid": ((status(3, 1, 0, 0), utc(valid=3)), {"at_ms": None}),
    "NAV-TIMEUTC of no month": ((status(3, 1, 0, 0), utc(month=13)), {"at_ms": None}),
    "NAV-TIMEGPS": ((gps(), status(3, 1, 0, 0), llh()), {"mode": 3}),
    "NAV-SOL": ((sol(),), {"at_ms": T, "mode": 3, "pdop": 1.4, "sats_used": 9, "quality": Quality.GNSS}),
    "NAV-SOL differential": ((sol(flags=0x0F),), {"quality": Quality.DGPS}),
    "NAV-SOL without time": ((sol(flags=0x05, pdop=9999),), {"at_ms": None, "pdop": None}),
    "NAV-SOL with a week of ten bits": ((sol(week=WEEK % 1024),), {"at_ms": T}),
    "NAV-SOL of no week": ((sol(week=-5),), {"at_ms": None}),
    "leap seconds from NAV-TIMEGPS": ((gps(valid=4, leap=17), sol()), {"at_ms": T + 1000}),
    "leap seconds from NAV-TIMELS": ((ubx(0x0126, b"\0" * 9 + b"\x11" + b"\0" * 13 + b"\1"), sol()), {"at_ms": T + 1000}),
    "no leap seconds": ((ubx(0x0126, b"\0" * 24), sol()), {"at_ms": T}),
    "NAV-DOP": ((pvt(), ubx(0x0104, struct.pack("<IHHHHHHH", TOW, 200, 140, 1, 2, 80, 3, 4))), {"pdop": 1.4, "hdop": 0.8}),
    "NAV-DOP unknown": ((pvt(), ubx(0x0104, struct.pack("<I7H", TOW, *[9999] * 7))), {"pdop": None, "hdop": None}),
    "NAV-POSECEF": ((status(3, 1, 0, 0), ubx(0x0101, struct.pack("<IiiiI", TOW, 637_813_700, 0, 0, 300))), {
        "lat_deg": 0.0, "lon_deg": 0.0
    }),
    "NAV-HPPOSECEF": ((status(3, 1, 0, 0), ubx(0x0113, struct.pack("<BxxxIiiibbbBI", 0, TOW, 637_813_700, 0, 0, 9, 0, 0, 0, 1))), {
        "lat_deg": 0.0
    }),
    "NAV-VELECEF": ((status(3, 1, 0, 0), ubx(0x0111, struct.pack("<IiiiI", TOW, 0, 300, 0, 1)),
        ubx(0x0101, struct.pack("<IiiiI", TOW, 637_813_700, 0, 0, 300))), {"speed_mps": 3.0, "course_deg": 90.0}),
    "NAV-VELNED": ((status(3, 1, 0, 0), llh(), ubx(0x0112, struct.pack("<IiiiIIiII", TOW, 300, 400, 0, 0, 0, 0, 0, 0))), {
        "speed_mps": 5.0
    }),
    "NAV-STATUS not ok": ((llh(), status(3, 0, 0, 0)), {"mode": 1}),
    "NAV-STATUS differential": ((llh(), status(3, 1, 1, 0)), {"quality": Quality.DGPS}),
    "NAV-STATUS 2D differential": ((llh(), status(2, 1, 2, 0)), {"quality": Quality.DGPS, "mode": 2}),
    "NAV-STATUS float": ((llh(), status(3, 1, 2, 0x40)), {"quality": Quality.RTK_FLOAT}),
    "NAV-STATUS fixed": ((llh(), status(3, 1, 2, 0x80)), {"quality": Quality.RTK_FIXED}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_says(name: str) -> None:
    frames, expected = SAYS[name]
    epoch = [item for item in told(*frames) if isinstance(item, Epoch)][-1]
    for key, value in expected.items():
        got = getattr(epoch, key)
        assert got == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value), key


def satellites(*frames: bytes) -> tuple[Satellite, ...]:
    return next((item.satellites for item in told(pvt(), *frames) if isinstance(item, Sky)), ())


def test_satellites() -> None:
    sats = struct.pack("<BBBbhhI", 0, 7, 44, 40, 83, 0, 0x08) + struct.pack("<BBBbhhI", 2, 3, 0, -91, 400, 0, 0)
    sats += struct.pack("<BBBbhhI", 9, 1, 20, 5, 360, 0, 0)
    assert satellites(ubx(0x0135, struct.pack("<IBBH", TOW, 1, 3, 0) + sats)) == (
        Satellite("?", 1, 5, 0, 20.0), Satellite("GPS", 7, 40, 83, 44.0, used=True), Satellite("Galileo", 3),
    )  # fmt: skip
    assert satellites(ubx(0x0135, struct.pack("<IBBH", TOW, 2, 0, 0))) == ()
    assert satellites(ubx(0x0135, struct.pack("<IBBH", TOW, 1, 9, 0))) == ()


def test_satellites_of_old_receivers() -> None:
    rows = b"".join(
        struct.pack("<BBBBBbhi", 0, number, 1, 7, 30, 20, 100, 0)
        for number in (7, 40, 70, 133, 160, 195, 220, 255, 100)
    )
    found = satellites(ubx(0x0130, struct.pack("<IBBH", TOW, 9, 0, 0) + rows))
    assert sorted((each.system, each.id) for each in found) == [
        ("BeiDou", 2), ("BeiDou", 13), ("GLONASS", 6), ("GLONASS", 255), ("GPS", 7), ("Galileo", 10), ("QZSS", 3), ("SBAS", 133),
    ]  # fmt: skip
    assert satellites(ubx(0x0130, struct.pack("<IBBH", TOW, 9, 0, 0))) == ()


def block(size: int, antenna: int, jamming: int = 0, power: int = 2) -> bytes:
    if size == 24:
        return bytes((0, 0, antenna, power)) + b"\0" * 12 + bytes((jamming,)) + b"\0" * 7
    return bytes((0, antenna, power)) + b"\0" * 17


@pytest.mark.parametrize(
    ("kind", "payload", "status_word"),
    [
        (0x0A09, b"\0" * 20 + b"\2\1" + b"\0" * 46, "ok"),
        (0x0A09, b"\0" * 20 + b"\3\2" + b"\0" * 38, "short"),
        (0x0A09, b"\0" * 20 + b"\0\2" + b"\0" * 34, None),
        (0x0A38, b"\0\2\0\0" + block(24, 2) + block(24, 4, 9), "open"),
        (0x0A38, b"\0\2\0\0" + block(20, 2) + block(20, 2), "ok"),
        (0x0A38, b"\0\1\0\0" + block(24, 0), None),
        (0x0A38, b"\1\1\0\0" + block(24, 2), None),
        (0x0A38, b"\0\0\0\0", None),
        (0x0A38, b"\0\1\0\0" + b"\0" * 10, None),
    ],
)
def test_antenna(kind: int, payload: bytes, status_word: str | None) -> None:
    found = [item.status for item in told(pvt(), ubx(kind, payload)) if isinstance(item, Antenna)]
    assert found == ([] if status_word is None else [status_word])


def test_short_frames_are_harmless() -> None:
    for kind in range(0x0100, 0x0162):
        for size in (0, 4, 8, 20, 40):
            assert told(ubx(kind, b"\xff" * size)) is not None
