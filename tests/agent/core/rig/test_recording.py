"""Recordings: each format is read, ordered, scheduled; what is not a recording is refused."""

import gzip
import struct
from pathlib import Path

import pytest

from agent.core.gnss.framing import fletcher
from agent.core.rig.recording import Epoch, moving_start_ms, read, sampled, schedule
from wire.errors import DecodeError
from wire.messages import Fix, Mode

RECORDINGS = Path(__file__).parents[3] / "recordings"
CAROBD = "ENGINE_RUN_TINE (),ENGINE_RPM (),OTHER (),COOLANT_TEMPERATURE ()\n" + "".join(
    f"{n // 2}.000000, {800 + n}.000000, 1.0, 81.000000,\n" for n in range(21)
)


def test_a_drive_with_engine_values() -> None:
    recording = read("nds-drive10.csv", gzip.decompress((RECORDINGS / "nds-drive10.csv.gz").read_bytes()))
    assert recording.keys == {"rp", "th"}
    assert len(recording.epochs) == 686
    epoch = next(epoch for epoch in recording.epochs if epoch.at_ms == 1558913259000)
    assert epoch.values == {"rp": 1667.0, "th": 22.7}
    assert epoch.fix == Fix(
        1558913259000, 41.2849731, -96.0515213, alt_m=329.1, speed_mps=35.6853 * 0.44704,
        course_deg=87.68, hdop=1.16, pdop=2.12, sats_used=8,
    )  # fmt: skip
    start = moving_start_ms(recording.epochs)
    assert all((e.fix.speed_mps or 0) > 2 for e in recording.epochs if e.fix and 5000 <= e.at_ms - start <= 15_000)


NDS = "time_utc,gps_long,gps_lat,gps_elevation,gps_heading_raw,gps_fix,gps_sats,gps_pdop,gps_hdop,speed_mph,engine_rpm,engine_throttle\n"


def test_rows_with_holes_and_steps_back() -> None:
    rows = "10,5.0,52.0,,,2,,,,,,\n10,5.0,52.0,,,2,,,,,,\n9,5.0,52.0,,,2,,,,,,\n11,,52.0,,,3,,,,,,\n12,NA,52.0,,,3,,,,,,\n13,inf,52.0,,,3,,,,,,\n"
    assert read("x.csv", (NDS + rows).encode()).epochs == (
        Epoch(10_000, Fix(10_000, 52.0, 5.0, speed_mps=0.0, mode=Mode.FIX_2D)),
    )


def test_the_bus_alone_is_spread_evenly_and_looped() -> None:
    recording = read("carobd.csv", CAROBD.encode())
    assert recording.keys == {"rp", "ct"}
    assert [epoch.at_ms for epoch in recording.epochs[:3]] == [0, 500, 1000]
    assert sampled(recording, 0)["rp"] == 800
    assert sampled(recording, 999)["rp"] == 801
    assert sampled(recording, 10_000 + 1000)["rp"] == 802
    assert moving_start_ms(recording.epochs) == 0


def gpx(*points: str) -> bytes:
    return f'<gpx xmlns="x"><trk><trkseg>{"".join(points)}</trkseg></trk></gpx>'.encode()


def point(second: int, lat: float, inside: str = "") -> str:
    return f'<trkpt lat="{lat}" lon="5.0">{inside}<time>2024-06-01T12:00:{second:02d}Z</time></trkpt>'


def test_gpx_derives_speed_and_course() -> None:
    epochs = read(
        "x.gpx",
        gpx(
            point(0, 52.0),
            point(1, 52.0001),
            point(0, 51.0),
            point(2, 52.0001),
            point(3, 52.0002, "<speed>7.5</speed><course>12</course><ele>3</ele>"),
            '<trkpt lat="1" lon="1"/>',
        ),
    ).epochs
    told = [(e.fix.speed_mps, e.fix.course_deg) for e in epochs if e.fix]
    assert told == [(0.0, None), (pytest.approx(11.12, abs=0.01), 0.0), (0.0, 0.0), (7.5, 12.0)]


def test_a_raw_log_is_cut_into_bursts() -> None:
    data = gzip.decompress((RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz").read_bytes())
    recording = read("f9k.nmea", data)
    assert len(recording.epochs) == 1101
    assert b"".join(epoch.raw or b"" for epoch in recording.epochs) == data
    assert recording.epochs[0].at_ms == 1581041657000
    assert recording.epochs[0].fix is not None
    assert recording.keys == frozenset()


def test_comments_are_not_sent_and_midnight_is_crossed() -> None:
    data = (RECORDINGS / "gpsd" / "mt3339.log").read_bytes()
    assert (read("mt3339.log", data).epochs[0].raw or b"").startswith(b"$GPGGA")
    two = b"$GPGLL,,,,,235959,V\n$GPGLL,,,,,000000,V\n$GPRMC,000000,V,,,,,,,,,,N\n$GPRMC,000001,V,,,,,,,020180,,\n"
    fixed = read("x.log", _checked(two)).epochs
    day_ms = 86_400_000
    assert [epoch.at_ms for epoch in fixed] == [day_ms * 3653 - 1000 + day_ms, day_ms * 3654, day_ms * 3653 + 1000]


def _checked(lines: bytes) -> bytes:
    out = b""
    for line in lines.splitlines():
        body = line[1:].partition(b"*")[0]
        total = 0
        for code in body:
            total ^= code
        out += b"$%b*%02X\n" % (body, total)
    return out


def test_odd_sentences_do_not_cut() -> None:
    lines = b"$GPGLL,,,,,120000,V\n$GPGLL,,,,,9,V\n$GPGLL\n$GPRMC,120000,V,,,,,,,991399,,\n$PX\n"
    assert [epoch.at_ms for epoch in read("x.log", _checked(lines)).epochs] == [43_200_000]


def test_a_log_without_a_date_starts_in_1970() -> None:
    lines = b"$GPGLL,,,,,235959,V\n$GPGLL,,,,,000001,V\n"
    assert [epoch.at_ms for epoch in read("x.log", _checked(lines)).epochs] == [86_399_000, 1000]


def test_the_rig_reads_what_replay_reads() -> None:
    lines = b'{"at_ms":10000,"lat_deg":52.0,"lon_deg":5.0}\n{"at_ms":11000,"lat_deg":52.0001,"lon_deg":5.0,"rpm":800}\n'
    recording = read("x", lines)
    assert [epoch.at_ms for epoch in recording.epochs] == [10_000, 11_000]
    assert recording.keys == {"rp"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.bin", b"1"),
        ("x.csv", b"a,b\n1,2\n"),
        ("x.csv", b"\xff\xfe\xfa"),
        ("x.csv", b""),
        ("x.csv", b"ENGINE_RUN_TINE (),ENGINE_RPM ()\n1,2\n"),
        ("x.csv", b"ENGINE_RUN_TINE (),ENGINE_RPM ()\nx,2\ny,3\n"),
        ("x.gpx", b"<gpx"),
        ("x.gpx", b"<gpx/>"),
        ("x.log", b"nothing\n"),
    ],
)
def test_refused(name: str, data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(name, data)


def slots(*times: int) -> list[tuple[int, int]]:
    return [(slot.offset_ms, slot.shift_ms) for slot in schedule([Epoch(at_ms, None) for at_ms in times])]


def test_schedule() -> None:
    assert slots(100, 1100, 2100) == [(0, -100), (1000, -100), (2000, -100)]
    assert slots(0, 60_000, 61_000) == [(0, 0), (5000, -55_000), (6000, -55_000)]
    assert slots(0, 1000, 1000, 500, 1050, 2000) == [(0, 0), (1000, 0), (1100, 0), (1200, 0), (1200, 0), (2000, 0)]


def test_start_of_motion_is_not_before_the_recording() -> None:
    epochs = [Epoch(n * 1000, Fix(n * 1000, 1.0, 1.0, speed_mps=3.0 if n > 1 else None)) for n in range(20)]
    assert moving_start_ms(epochs) == 0


def pvt(second: int) -> bytes:
    """One NAV-PVT of the 2nd of June 2024, 12:00, with a 3D fix."""
    body = struct.pack("<IHBBBBBBIiBBBB", second * 1000, 2024, 6, 2, 12, 0, second, 7, 50, 0, 3, 1, 0, 9)
    body += struct.pack("<iiiiIIiiiiiIIHH", 115000000, 481000000 + second, 500000, 450000, 2000, 3000, *[0] * 9)
    body = b"\x01\x07\x5c\x00" + body.ljust(92, b"\0")
    return b"\xb5\x62" + body + fletcher(body)


def test_a_log_of_ubx_alone_is_told_in_sentences() -> None:
    epochs = read("x.ubx", b"".join(pvt(second) for second in range(5))).epochs
    assert [epoch.at_ms for epoch in epochs] == [1717329600000 + 1000 * i for i in range(5)]
    assert [epoch.fix.lat_deg for epoch in epochs if epoch.fix] == pytest.approx([48.1 + i * 1e-7 for i in range(5)])
    assert {epoch.raw for epoch in epochs} == {None}
