"""Sentences of the rig: what is made reads back as it was, what is recorded moves in time and in nothing else."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.gnss import nmea, receiver
from agent.core.gnss.framing import fits
from agent.core.rig.sentences import antenna, made, made_blind, moved, sentence
from wire.messages import Fix, Mode, Quality, Rejected

RECORDINGS = Path(__file__).parents[3] / "recordings"
FULL = Fix(
    1717286399900, -33.9999999, 151.0000001, alt_m=12.3, speed_mps=13.4, course_deg=271.25, mode=Mode.FIX_3D,
    quality=Quality.DGPS, hdop=0.87, pdop=1.5, accuracy_m=3.0, sats_used=9,
)  # fmt: skip


@pytest.mark.parametrize(
    "fix",
    [
        FULL,
        Fix(946684801000, 89.99999999, -179.99999999, mode=Mode.FIX_2D),
        Fix(1717243200000, 0.0, 1e-7, mode=Mode.FIX_3D, alt_m=-3.0),
    ],
)
def test_reads_back(fix: Fix) -> None:
    parser = receiver.Parser()
    items = [*parser.feed(made(fix)), *parser.flush()]
    back = next(item for item in items if isinstance(item, Fix | Rejected))
    if abs(fix.lat_deg) < 1e-6 and abs(fix.lon_deg) < 1e-6:
        assert back == Rejected("null-island")
        return
    assert isinstance(back, Fix)
    assert (back.at_ms, back.mode, back.quality) == (fix.at_ms, fix.mode, fix.quality)
    assert (back.sats_used or None) == fix.sats_used, "a GSA without satellites may be told as none"
    assert back.lat_deg == pytest.approx(fix.lat_deg, abs=2e-8)
    assert back.lon_deg == pytest.approx(fix.lon_deg, abs=2e-8)
    for name, near in (("alt_m", 0.05), ("speed_mps", 0.001), ("course_deg", 0.005), ("hdop", 0.005), ("pdop", 0.005)):
        want, got = getattr(fix, name), getattr(back, name)
        assert (got is None) == (want is None)
        assert got is None or got == pytest.approx(want, abs=near)
    assert back.accuracy_m == (None if fix.accuracy_m is None else pytest.approx(fix.accuracy_m, abs=0.01))


def test_satellites_are_those_that_the_fix_counts() -> None:
    lines = made(replace(FULL, sats_used=14, sats_seen=17)).splitlines()
    in_view = [line for line in lines if line[3:6] == b"GSV"]
    assert {line[1:3] for line in in_view} == {b"GP", b"GL", b"GA"}
    assert sum(int(line.split(b",")[3]) for line in in_view if line.split(b",")[2] == b"1") == 17
    used = [line.split(b",")[3:15] for line in lines if line[3:6] == b"GSA"]
    assert sum(bool(number) for numbers in used for number in numbers) == 14
    assert all(fits(line[1:]) for line in lines)
    assert max(map(len, lines)) <= 82
    assert made(FULL) == made(FULL)
    assert b"GSV" not in made(replace(FULL, sats_used=None)), "what the recording does not know is not invented"


def test_without_a_date_and_without_a_position() -> None:
    assert b",271.25,,,,D,V*" in made(FULL, dated=False)
    parser = receiver.Parser()
    blind = made_blind(FULL.at_ms, seen=6, cn0_dbhz=None)
    assert {item.reason for item in parser.feed(blind) + parser.flush() if isinstance(item, Rejected)} == {"no-fix"}
    assert blind.count(b"GSV") == 3
    assert b"GSA,A,1,,,,,,,,,,,,," in blind
    assert antenna("OPEN") == b"$GNTXT,01,01,02,ANTSTATUS=OPEN*35\r\n"


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
    before, after = receiver.Parser().feed(raw), receiver.Parser().feed(later)
    assert len(before) == len(after) > 30
    for one, two in zip(before, after, strict=True):
        if isinstance(one, Fix):
            assert isinstance(two, Fix)
            assert two.at_ms - one.at_ms == 86_400_000 * 2000 + 12_345_000
            assert (one.lat_deg, one.speed_mps, one.hdop) == (two.lat_deg, two.speed_mps, two.hdop)
