"""Positions in JSON: each dialect, several shapes of files, and what holds no position."""

import json

import pytest

from agent.core.traces.drives import Trace
from agent.core.traces.objects import read_json, read_recorder
from wire.errors import DecodeError


def places(trace: Trace) -> list[tuple[int, float, float]]:
    return [(m.fix.at_ms // 1000, m.fix.lat_deg, m.fix.lon_deg) for drive in trace.drives for m in drive.moments]


def read(value: object) -> Trace:
    return read_json(json.dumps(value), "x")


def test_matcher_samples() -> None:
    trace = read([{"point": "POINT(11.5 48.25)", "time": "2014-09-10 06:54:07+0200", "id": "\\x0001"}])
    assert places(trace) == [(1_410_324_847, 48.25, 11.5)]
    assert read([{"point": "POINT Z (11.5 48.25 3)", "time": 10}]).drives[0].moments[0].fix.alt_m == 3.0


def test_envirocar() -> None:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [9.2, 53.1, None]},
        "properties": {
            "time": "2020-03-25T16:31:52Z",
            "phenomenons": {
                "GPS Speed": {"value": 36.0, "unit": "km/h"}, "Speed": {"value": 35.0, "unit": "km/h"},
                "Rpm": {"value": 1500.0, "unit": "u/min"}, "GPS HDOP": {"value": 0.4, "unit": None},
            },
        },
    }  # fmt: skip
    trace = read({"type": "FeatureCollection", "properties": {}, "features": [feature]})
    assert trace.kind == "geojson"
    moment = trace.drives[0].moments[0]
    assert moment.fix.speed_mps == pytest.approx(10.0)
    assert moment.fix.hdop == 0.4
    assert moment.values == {"rp": 1500.0, "vs": pytest.approx(35.0)}


def test_lines_with_times_beside_them() -> None:
    line = {"type": "LineString", "coordinates": [[5, 52, 1], [5.1, 52.1, 2]]}
    for told in ({"coordTimes": [10, 11]}, {"coordinateProperties": {"times": [10, 11]}}):
        assert places(read({"type": "Feature", "geometry": line, "properties": told})) == [
            (10, 52.0, 5.0), (11, 52.1, 5.1),
        ]  # fmt: skip
    many = {"type": "MultiLineString", "coordinates": [[[5, 52]], [[6, 53]], 7]}
    trace = read({"type": "Feature", "geometry": many, "properties": {"times": [[10], [20], [30]]}})
    assert [drive.name for drive in trace.drives] == ["0", "1"]
    for lost in (
        {"type": "Feature", "geometry": line, "properties": None},
        {"type": "LineString", "coordinates": None},
    ):
        with pytest.raises(DecodeError, match="no-position"):
            read(lost)


def test_owntracks() -> None:
    message = {"_type": "location", "tid": "AA", "lat": 52.0, "lon": 5.0, "tst": 10, "vel": 36, "cog": 90, "acc": 5}
    trace = read(message)
    fix = trace.drives[0].moments[0].fix
    assert (trace.kind, trace.drives[0].name, fix.speed_mps, fix.accuracy_m) == ("owntracks", "AA", 10.0, 5.0)
    with pytest.raises(DecodeError, match="without a position: cmd"):
        read({"_type": "cmd", "action": "reportLocation"})
    line = "2015-08-24T05:55:07Z\t*                 \t"
    recording = f"{line}{json.dumps(message)}\n\n{line}{json.dumps({'_type': 'lwt'})}\n{line}broken\n"
    recorded = read_recorder(recording, "x")
    assert places(recorded) == [(10, 52.0, 5.0)]
    assert recorded.broken == {"not-a-position": 1, "not-json": 1}


def test_lines_of_objects() -> None:
    lines = '{"at_ms":10000,"lat_deg":52.0,"lon_deg":5.0,"mode":31}\n\nbroken\n{"class":"SKY"}\n'
    trace = read_json(lines, "x")
    assert places(trace) == [(10, 52.0, 5.0)]
    assert trace.broken == {"not-json": 1, "not-a-position": 1}
    tpv = {"class": "TPV", "time": "2024-06-01T12:00:00Z", "lat": 52.0, "lon": 5.0, "speed": 3.0, "track": 9.0}
    assert read(tpv).drives[0].moments[0].fix.course_deg == 9.0


def test_lists_within_objects() -> None:
    assert places(read({"name": "x", "points": [{"time": 10, "coords": {"latitude": 52, "longitude": 5}}]})) == [
        (10, 52.0, 5.0)
    ]
    assert places(read([{"time": 10, "gps": {"lat": 52, "lon": 5}}])) == [(10, 52.0, 5.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{broken", "not-json"),
        ("[1, 2]", "a value"),
        ("3", "without a position"),
        ("[[1]]", "a list"),
        ('{"features": [], "a": 1}', "JSON without time"),
        ('{"geometry": {"type": "Point", "coordinates": 3}, "time": 1}', "JSON without latitude"),
        ("[" * 100_000, "not-json"),
        ('{"type": "Feature", "geometry": {"type": {"a": 1}}}', "JSON without"),
        ("broken\n" * 30, "not-json"),
        ('[{"_type": "x", "a": 1}, {"a": {"type": "what"}, "_type": 3}]', "without a position: 3, x"),
    ],
)
def test_no_positions(text: str, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read_json(text, "x")


def test_deep_objects_end() -> None:
    deep: dict[str, object] = {"time": 1}
    for _ in range(50):
        deep = {"a": deep}
    with pytest.raises(DecodeError, match="JSON without"):
        read([deep])
