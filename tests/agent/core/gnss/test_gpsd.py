"""gpsd's JSON: real output of gpsd, every class at any time, noise."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agent.core.gnss.gpsd import LINE_LIMIT, Parser, Sieve, position
from agent.core.gnss.sky import Antenna, Satellite, Sky
from bench import agree, gpsd322
from wire.messages import Fix, Mode, Quality, Rejected

RECORDINGS = Path(__file__).parents[3] / "recordings" / "gpsd"
TPV: dict[str, Any] = {
    "class": "TPV", "device": "/dev/ttyACM0", "status": 2, "mode": 3, "time": "2024-06-01T12:00:00.250Z", "lat": 52.2,
    "lon": -5.1, "altMSL": 12.5, "alt": 12.5, "speed": 3.5, "track": 271.0, "epx": 6.0, "epy": 8.0,
}  # fmt: skip


def line(report: object) -> bytes:
    return json.dumps(report).encode() + b"\r\n"


def said(data: bytes) -> list[object]:
    parser = Parser()
    return [*parser.feed(data), *parser.flush()]


def without(*keys: str, **changed: Any) -> dict[str, Any]:
    return {key: value for key, value in TPV.items() if key not in keys} | changed


def test_a_report_with_a_sky() -> None:
    sky = {"class": "SKY", "hdop": 0.8, "pdop": 1.4, "uSat": 11, "satellites": []}
    assert said(line({"class": "VERSION", "rev": "3.22"}) + line(sky) + line(TPV)) == [
        Fix(
            1717243200250,
            52.2,
            -5.1,
            alt_m=12.5,
            speed_mps=3.5,
            course_deg=271.0,
            mode=Mode.FIX_3D,
            quality=Quality.DGPS,
            hdop=0.8,
            pdop=1.4,
            accuracy_m=5.0,
            sats_used=11,
        )
    ]
    assert Parser().flush() == []


@pytest.mark.parametrize(
    ("report", "accuracy"),
    [
        (without("epx", eph=9.0), 4.5),
        (without("epx", "epy"), 4.0),
        (without("epy", "epx", "altMSL", "status"), 4.0),
    ],
)
def test_accuracy_from_what_there_is(report: dict[str, Any], accuracy: float) -> None:
    fix = said(line({"class": "SKY", "hdop": 0.8, "pdop": 99.99}) + line(report))[0]
    assert isinstance(fix, Fix)
    assert (fix.accuracy_m, fix.pdop, fix.alt_m) == (accuracy, None, 12.5)


def test_no_sky_no_accuracy() -> None:
    fix = said(line(without("epx", "epy")))[0]
    assert isinstance(fix, Fix)
    assert (fix.accuracy_m, fix.hdop, fix.sats_used) == (None, None, None)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (without(mode=1), "no-fix"),
        (without("mode"), "no-fix"),
        (without(mode=[]), "no-fix"),
        (without("lat"), "no-fix"),
        (without("time"), "no-date"),
        (without(time="yesterday"), "field"),
        (without(time="2024-06-01T12:00:00"), "field"),
        (without(time=7), "field"),
        (without(lat=91.0), "field"),
        (without(lat=None), "field"),
        (without(lat="52"), "field"),
        (without(lon=True), "field"),
        (without(speed=float("nan")), "field"),
        (without(lat=0.0, lon=0.0), "null-island"),
        ([1], "garbage"),
        (7, "garbage"),
    ],
)
def test_refused(report: object, reason: str) -> None:
    items = said(line(report))
    assert [item.reason for item in items if isinstance(item, Rejected)] == [reason]


def test_noise_and_repeats() -> None:
    parser = Parser()
    assert parser.feed(b"\xff\xfe\n\n" + line(TPV)[:-9] + b"\n") == [Rejected("garbage"), Rejected("garbage")]
    assert parser.feed(b"[" * 20_000 + b"\n") == [Rejected("garbage")]
    assert [*parser.feed(line(TPV) * 2), *parser.flush()][1:] == []
    assert [type(item) for item in [*parser.feed(line(TPV)), *parser.flush()]] == [Rejected]


def at(second: int, **changed: Any) -> bytes:
    return line(without(**changed) | {"time": f"2024-06-01T12:00:{second:02d}.000Z"})


def test_the_last_report_of_a_moment_counts_and_waits_only_as_long_as_it_must() -> None:
    parser = Parser()
    assert parser.feed(at(0, mode=2) + at(0)) == []
    first = parser.feed(at(1, mode=2) + at(1))
    assert [item.mode for item in first if isinstance(item, Fix)] == [Mode.FIX_3D]
    assert len(parser.feed(at(2, mode=2))) == 1
    assert [item.mode for item in parser.feed(at(2)) if isinstance(item, Fix)] == [Mode.FIX_3D]
    assert parser.feed(at(3)) == []
    assert [item.mode for item in parser.flush() if isinstance(item, Fix)] == [Mode.FIX_3D]
    assert parser.flush() == []
    assert [type(item) for item in parser.feed(at(4) + line(without(mode=1)))] == [Fix, Rejected]


def test_the_sky_and_the_antenna() -> None:
    satellites = [
        {"PRN": 7, "gnssid": 0, "svid": 7, "el": 40.4, "az": 83.0, "ss": 44.0, "used": True},
        {"PRN": 133, "ss": 0.0},
        {"PRN": "x"},
        {"gnssid": 0},
        7,
    ]
    found = said(
        line({"class": "SKY", "nSat": 9, "satellites": satellites}) + line(without(ant=2)) + line(without(ant=0))
    )
    assert isinstance(found[0], Sky)
    assert found[0].satellites == (Satellite("?", 133), Satellite("GPS", 7, 40, 83, 44.0, used=True))
    assert found[1] == Antenna("open")
    fix = found[-1]
    assert isinstance(fix, Fix)
    assert (fix.sats_seen, fix.cn0_dbhz) == (9, 44.0)
    assert said(line({"class": "SKY", "satellites": [{"PRN": 7}]}))[0] == Sky((Satellite("?", 7),))
    assert said(line({"class": "SKY", "satellites": 3})) == []


@pytest.mark.parametrize("name", agree.names(RECORDINGS))
def test_every_report_of_gpsd_becomes_the_same_fix(name: str) -> None:
    """Of each time the last report, or a refusal that says why; a moment may have been given out before it was corrected."""
    text = agree.content(RECORDINGS / f"{name}{agree.EXPECTED}")
    found = said(b"".join(row for row in text.splitlines(keepends=True) if row.startswith(b"{")))
    told = {item.at_ms: item for item in found if isinstance(item, Fix)}
    theirs = {at_ms: report for at_ms, report in agree.theirs(text).items() if "lat" in report}
    refused = sum(isinstance(item, Rejected) and item.reason in {"back-in-time", "repeated"} for item in found)
    same = 0
    for at_ms, report in theirs.items():
        fix = told.get(at_ms)
        got = None if fix is None else (fix.lat_deg, fix.lon_deg, fix.mode, fix.speed_mps, fix.course_deg)
        same += got == (report["lat"], report["lon"], report["mode"], report.get("speed"), report.get("track"))
    assert same + refused >= len(theirs)


def test_endless_line_is_dropped_once() -> None:
    parser = Parser()
    assert parser.feed(b"x" * (LINE_LIMIT + 1)) == [Rejected("too-long")]
    assert parser.feed(b"y" * (LINE_LIMIT + 1)) == []
    assert [type(item) for item in [*parser.feed(b"z\n" + line(TPV)), *parser.flush()]] == [Fix]


@pytest.mark.parametrize("name", ["gr8013-w", "garmin15x"])
def test_what_gpsd_really_said_at_any_cut(name: str) -> None:
    data = b"".join(
        row for row in (RECORDINGS / f"{name}.expected-gpsd-head.txt").read_bytes().splitlines(keepends=True)
        if row.startswith(b"{")
    )  # fmt: skip
    expected = Parser().feed(data)
    assert sum(isinstance(item, Fix) for item in expected) >= 2
    chance = random.Random(3)
    for _ in range(20):
        parser, got, at = Parser(), [], 0
        while at < len(data):
            step = chance.choice((1, 7, 100, 3000))
            got += parser.feed(data[at : at + step])
            at += step
        assert got == expected


def test_what_is_valid_is_counted_with_or_without_a_fix() -> None:
    parser = Parser()
    parser.feed(b'{"class":"VERSION"}\n{"class":"WATCH"}\nnoise\n[1]\n{}\n{"class":"TPV","mode":1}\n{"class":"SKY"}\n')
    assert (parser.speaks, parser.heard) == ("gpsd's JSON", 2), "what gpsd says of itself is not a receiver that speaks"


def test_what_gpsd_says_of_itself_is_left_out() -> None:
    sieve, got = Sieve(), b""
    data = b'{"class":"VERSION"}\r\nSSH-2.0\r\n{"class":"DEVICES","devices":[]}\n' + line(TPV)
    for i in range(len(data)):
        got += sieve.feed(data[i : i + 1])
    assert got == b"SSH-2.0\r\n" + line(TPV)
    assert sieve.feed(b"x" * (LINE_LIMIT + 1)) == b"x" * (LINE_LIMIT + 1), "what never ends is the parser's to judge"
    assert sieve.feed(b'\n{"class":"ERROR","message":"no"}\n{"class":"SKY"}\n') == b'\n{"class":"SKY"}\n'
    assert sieve.error == "no"
    assert (sieve.feed(b'{"class":"ERROR"\n'), sieve.error) == (b"", "an error")


def test_every_report_of_gpsd_3_22_and_what_comes_out() -> None:
    found = [gpsd322.held(*each) for each in gpsd322.recordings()]
    assert len(found) == 73
    assert all(each.reports_same == each.reports for each in found)
    assert {each.name for each in found if each.times_same < each.times} == set(gpsd322.WHY)
    assert position(without("lon"), {}) == Rejected("no-fix")


def test_a_pause_says_nothing() -> None:
    assert Parser().pause() == []
