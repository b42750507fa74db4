"""Tracks as GeoJSON, GPX, CSV and NDJSON, in pieces, with a segment at each gap."""

import csv
import json
from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree as ET

import pytest

from hub.core import exports
from hub.core.exports import FORMATS, Point, points, when
from hub.core.registry import Stay
from tests.hub.makers import STORE, T0, a_batch, a_row
from wire.errors import DecodeError
from wire.iso import iso
from wire.messages import Fix, Lost
from wire.schema import NAMES, row_of
from wire.track import encode_batch

STAY = Stay("gw-a", T0 + 3000, T0 + 6000)
GPX = "{http://www.topografix.com/GPX/1/1}"


def some(*seqs: int) -> list[Point]:
    return [Point("gw-a", STORE, seq, a_row(seq)) for seq in seqs]


def whole(form: str, *parts: list[Point]) -> str:
    export = FORMATS[form]("van <1>")
    return export.head() + "".join(export.part(part) for part in parts) + export.tail()


SEGMENTS = (some(1, 2), some(3), some(100, 101))
BARE = [Point("gw-a", STORE, 5, row_of(Fix(T0, 1.0, 2.0)))]
RICH = [Point("gw-a", STORE, 5, row_of(Fix(T0, 1.0, 2.0, 3.0, hdop=1.2, sats_used=9)))]


def test_points_fall_into_the_stay() -> None:
    found = list(points(encode_batch(a_batch(1, 10)), "gw-a", STAY))
    assert [(point.seq, point.at_ms) for point in found] == [(3, T0 + 3000), (4, T0 + 4000), (5, T0 + 5000)]


def test_geojson() -> None:
    data = json.loads(whole("geojson", *SEGMENTS))
    lines = data["geometry"]["coordinates"]
    assert [len(line) for line in lines] == [3, 2]
    assert data["properties"]["times"][1] == [T0 + 100_000, T0 + 101_000]
    assert data["properties"]["vehicle"] == "van <1>"
    assert lines[0][0] == [-96.0888748, 41.2876786]
    assert json.loads(whole("geojson"))["geometry"]["coordinates"] == []


def test_gpx() -> None:
    root = ET.fromstring(whole("gpx", *SEGMENTS, RICH))
    segments = root.findall(f"{GPX}trk/{GPX}trkseg")
    assert [len(segment) for segment in segments] == [3, 2, 1]
    first, last = segments[0][0], segments[2][0]
    assert first.get("lat") == "41.2876786"
    assert first.findtext(f"{GPX}time") == iso(T0 + 1000)
    assert (last.findtext(f"{GPX}ele"), last.findtext(f"{GPX}sat"), last.findtext(f"{GPX}hdop")) == ("3.0", "9", "1.2")
    assert root.findtext(f"{GPX}trk/{GPX}name") == "van <1>"
    assert ET.fromstring(whole("gpx")).find(f"{GPX}trk/{GPX}trkseg") is None
    assert "<ele>" not in whole("gpx", BARE)


def test_csv() -> None:
    rows = list(csv.reader(StringIO(whole("csv", *SEGMENTS))))
    assert rows[0] == ["time", "segment", *NAMES]
    assert [row[1] for row in rows[1:]] == ["1", "1", "1", "2", "2"]
    assert rows[1][0] == iso(T0 + 1000)
    assert len({len(row) for row in rows}) == 1


def test_ndjson() -> None:
    lines = [json.loads(line) for line in whole("ndjson", *SEGMENTS).splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 100, 101]
    assert [line.get("segment_start", False) for line in lines] == [True, False, False, True, False]
    assert (lines[0]["device"], lines[0]["store"], lines[0]["speed_mps"]) == ("gw-a", STORE, 13.4)


def test_every_format_has_a_content_type() -> None:
    assert FORMATS.keys() == exports.CONTENT_TYPES.keys()
    with pytest.raises(NotImplementedError):
        exports.Export("x").part(some(1))


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [("1760000000000", T0), ("2025-10-09T08:53:20Z", T0), ("2025-10-09T08:53:20", T0), ("2025-10-09T10:53:20+02:00", T0),
     ("0", 0)],
)  # fmt: skip
def test_when(text: str, at_ms: int) -> None:
    assert when(text, "from") == at_ms


@pytest.mark.parametrize("text", ["", "soon", "-5", "9" * 30, "2025-13-01", "0001-01-01T00:00:00+23:00", "1e5", "٣"])
def test_when_refuses(text: str) -> None:
    with pytest.raises(DecodeError, match="from"):
        when(text, "from")


def lossy(*lost: Lost) -> list[Point]:
    """Fixes 1 and 200, and what the receipts between them make of the second."""
    batch = a_batch(1, 1, lost=lost)
    batch = replace(batch, rows=(*batch.rows, (200, a_row(200))), last=200)
    return list(points(encode_batch(batch), "gw-a", Stay("gw-a", 0, T0 * 2)))


def test_a_thinned_track_is_a_whole_line() -> None:
    found = lossy(Lost(2, 199, "thinned", {"fixes": 198}))
    assert [point.broken for point in found] == [None, False]
    assert len(json.loads(whole("geojson", found))["geometry"]["coordinates"]) == 1


@pytest.mark.parametrize("first", ["dropped", "missing", "thinned"])
def test_lost_fixes_break_the_line(first: str) -> None:
    found = lossy(Lost(2, 100, first), Lost(101, 199, "dropped"))
    assert [point.broken for point in found] == [None, True]
    assert len(json.loads(whole("geojson", found))["geometry"]["coordinates"]) == 2
    near = [found[0], Point("gw-a", STORE, 3, a_row(3), broken=True)]
    assert len(json.loads(whole("geojson", near))["geometry"]["coordinates"]) == 2


def test_a_thinned_stretch_at_the_beginning_of_an_export_is_a_beginning() -> None:
    assert whole("csv", lossy(Lost(2, 199, "thinned"))[1:]).splitlines()[1].split(",")[1] == "1"
