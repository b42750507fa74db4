"""Sentences of the rig: what is made reads back as it was, what is recorded moves in time and in nothing else."""

import gzip
from pathlib import Path

import pytest

from agent.core import nmea
from agent.core.rig_sentences import made, moved, sentence
from wire.messages import Fix, Mode, Quality, Rejected

RECORDINGS = Path(__file__).parents[2] / "recordings"
FULL = Fix(
    1717286399900, -33.9999999, 151.0000001, alt_m=12.3, speed_mps=13.4, course_deg=271.25, mode=Mode.FIX_3D,
    quality=Quality.DGPS, hdop=0.87, pdop=1.5, accuracy_m=3.0, sats_used=9,
)  # fmt: skip


@pytest.mark.parametrize(
    "fix",
    [
        FULL,
        Fix(315532800000, 89.99999999, -179.99999999, mode=Mode.FIX_2D),
        Fix(1717243200000, 0.0, 1e-7, mode=Mode.FIX_3D, alt_m=-3.0),
    ],
)
def test_reads_back(fix: Fix) -> None:
    parser = nmea.Parser()
    back = (parser.feed(made(fix)) + parser.flush())[0]
    if abs(fix.lat_deg) < 1e-6 and abs(fix.lon_deg) < 1e-6:
        assert back == Rejected("null-island")
        return
    assert isinstance(back, Fix)
    assert (back.at_ms, back.mode, back.quality, back.sats_used) == (fix.at_ms, fix.mode, fix.quality, fix.sats_used)
    assert back.lat_deg == pytest.approx(fix.lat_deg, abs=2e-8)
    assert back.lon_deg == pytest.approx(fix.lon_deg, abs=2e-8)
    for name, near in (("alt_m", 0.05), ("speed_mps", 0.001), ("course_deg", 0.005), ("hdop", 0.005), ("pdop", 0.005)):
        want, got = getattr(fix, name), getattr(back, name)
        assert (got is None) == (want is None)
        assert got is None or got == pytest.approx(want, abs=near)
    assert back.accuracy_m == (None if fix.accuracy_m is None else pytest.approx(fix.accuracy_m, abs=0.01))


MOVES = [
    (b"GNRMC,235959.50,A,,,,,,,010624,,,A", b"GNRMC,000001.50,A,,,,,,,020624,,,A"),
    (b"GNRMC,235959,V,,,,,,,,,,N", b"GNRMC,000001,V,,,,,,,,,,N"),
    (b"GNGGA,235959.5000,,,,,,", b"GNGGA,000001.5000,,,,,,"),
    (b"GNGLL,,,,,235959.000,V", b"GNGLL,,,,,000001.000,V"),
    (b"GNZDA,235959,01,06,2024,00,00", b"GNZDA,000001,02,06,2024,00,00"),
    (b"GNZDA,235959,,,,00,00", b"GNZDA,000001,,,,00,00"),
    (b"GNGSA,A,3,235959", b"GNGSA,A,3,235959"),
    (b"PUBX,00,235959", b"PUBX,00,235959"),
    (b"GNRMC,,V,,,,,,,,,,N", b"GNRMC,,V,,,,,,,,,,N"),
    (b"GNRMC", b"GNRMC"),
    (b"GNRMC,999999,V,,,,,,,,,,N", b"GNRMC,999999,V,,,,,,,,,,N"),
]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_moved(before: bytes, after: bytes) -> None:
    day = nmea.day_of(b"010624")
    assert moved(sentence(before.decode()), day, 2000) == sentence(after.decode())


def test_corrupt_and_binary_stay() -> None:
    raw = b"$GNRMC,235959,V*00\r\n\xb5\x62\x01\n# text\n"
    assert moved(raw, 0, 2000) == raw


def test_a_real_log_keeps_everything_but_its_time() -> None:
    raw = gzip.decompress((RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz").read_bytes())[:60_000]
    day = nmea.day_of(b"070220")
    later = moved(raw, day, 86_400_000 * 2000 + 12_345_000)
    before, after = nmea.Parser().feed(raw), nmea.Parser().feed(later)
    assert len(before) == len(after) > 30
    for one, two in zip(before, after, strict=True):
        if isinstance(one, Fix):
            assert isinstance(two, Fix)
            assert two.at_ms - one.at_ms == 86_400_000 * 2000 + 12_345_000
            assert (one.lat_deg, one.speed_mps, one.hdop) == (two.lat_deg, two.speed_mps, two.hdop)
