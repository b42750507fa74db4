"""GPX dialects: segments, extensions, what a receiver called no fix, and XML that is none."""

import pytest

from agent.core.traces.gpx import read_gpx
from wire.errors import DecodeError


def point(second: int, lat: float, inside: str = "") -> str:
    return f'<trkpt lat="{lat}" lon="5.0">{inside}<time>2024-06-01T12:00:{second:02d}Z</time></trkpt>'


def gpx(*segments: str, name: str = "<name>way</name>") -> str:
    parts = "".join(f"<trkseg>{segment}</trkseg>" for segment in segments)
    return f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="1" lon="2"/><trk>{name}{parts}</trk></gpx>'


def test_each_segment_is_a_drive() -> None:
    trace = read_gpx(gpx(point(0, 52.0) + point(1, 52.0001), point(2, 52.0002)), "x")
    assert [(drive.name, len(drive.moments)) for drive in trace.drives] == [("way", 2), ("way", 1)]
    assert read_gpx(gpx(point(0, 52.0), name=""), "x").drives[0].name == ""


def test_extensions() -> None:
    inside = "<ele>7</ele><sat>9</sat><extensions><a><speed>3</speed><course>4</course></a></extensions>"
    fix = read_gpx(gpx(point(0, 52.0, inside)).encode(), "x").drives[0].moments[0].fix
    assert (fix.alt_m, fix.sats_used, fix.speed_mps, fix.course_deg) == (7.0, 9, 3.0, 4.0)


def test_no_fix_is_believed_where_others_have_one() -> None:
    none, good = "<fix>none</fix>", "<fix>3d</fix>"
    trace = read_gpx(gpx(point(0, 52.0, none) + point(1, 52.0, good) + '<trkpt lat="1" lon="1"/>'), "x")
    assert trace.broken == {"no-fix": 1, "no-time": 1}
    assert len(read_gpx(gpx(point(0, 52.0, none)), "x").drives) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<gpx", "not-xml"),
        ("<kml/>", "only GPX"),
        ("<gpx><wpt/></gpx>", "1 way points"),
        ("<gpx><trk/></gpx>", "empty"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read_gpx(text, "x")
