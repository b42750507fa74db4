"""Tables: any order, any unit, blank cells, broken lines that are counted, several vehicles in one file."""

from collections import Counter

import pytest

from agent.core.traces.drives import Moment
from agent.core.traces.tables import Layout, number, objects, read_csv
from wire.errors import DecodeError
from wire.messages import Fix, Mode, Quality


def fixes(text: str) -> list[Fix]:
    return [moment.fix for drive in read_csv(text, "x").drives for moment in drive.moments]


def test_a_table_of_a_phone() -> None:
    trace = read_csv("Time;Longitude;Latitude;Speed (km/h)\r\n2024-06-01 12:00:00;5,5;52,25;36,0\r\n", "x")
    assert [m.fix for m in trace.drives[0].moments] == [Fix(1_717_243_200_000, 52.25, 5.5, speed_mps=10.0)]
    assert trace.kind == "csv"


def test_date_and_time_apart() -> None:
    assert fixes("date,time,lat,lon\n2024-06-01,12:00:00,52,5\n")[0].at_ms == 1_717_243_200_000
    assert fixes("lat,lon,date\n52,5,2024-06-01\n")[0].at_ms == 1_717_200_000_000
    assert fixes("date,time,lat,lon\n1,2024-06-01 12:00:00,52,5\n")[0].at_ms == 1_717_243_200_000


def test_what_a_receiver_tells() -> None:
    head = "time,lat,lon,alt,speed,course,hdop,pdop,acc,sats,fix\n"
    fix = fixes(head + "10,52,5,3,4,370,1.1,2.2,6,7,2\n")[0]
    assert fix == Fix(
        10_000, 52.0, 5.0, 3.0, 4.0, 10.0, mode=Mode.FIX_2D, hdop=1.1, pdop=2.2, accuracy_m=6.0, sats_used=7
    )
    odd = fixes(head + "10,52,5,1e9,-4,x,nan,,-1,,\n")[0]
    assert (odd.alt_m, odd.speed_mps, odd.course_deg, odd.hdop, odd.accuracy_m) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("told", "mode", "quality"),
    [
        ("3d", Mode.FIX_3D, Quality.GNSS),
        ("2", Mode.FIX_2D, Quality.GNSS),
        ("34", Mode.FIX_3D, Quality.RTK_FIXED),
        ("20", Mode.FIX_2D, Quality.GNSS),
        ("9", Mode.FIX_3D, Quality.GNSS),
        ("what", Mode.FIX_3D, Quality.GNSS),
    ],
)
def test_modes(told: str, mode: Mode, quality: Quality) -> None:
    fix = fixes(f"time,lat,lon,mode\n10,52,5,{told}\n")[0]
    assert (fix.mode, fix.quality) == (mode, quality)


def test_broken_lines_are_counted() -> None:
    rows = [
        "10,52,5,3", "11,,5,3", ",52,5,3", "soon,52,5,3", "12,x,5,3", "13,91,5,3", "14", "15,0,0,3", "16,52,5,none",
        "", "17,52,5", "18,52",
    ]  # fmt: skip
    trace = read_csv("time,lat,lon,fix\n" + "\n".join(rows), "x")
    assert trace.broken == {
        "no-position": 1, "no-time": 1, "bad-time": 1, "bad-position": 2, "short-line": 2, "null-island": 1, "no-fix": 1,
    }  # fmt: skip
    assert len(trace.drives[0].moments) == 2


def test_values_of_the_bus() -> None:
    trace = read_csv("lat,lon,time,engine_rpm,Throttle (%),coolant\n52,5,10,800,,400\n52,5,11,,12.5,\n", "x")
    assert [dict(m.values) for m in trace.drives[0].moments] == [{"rp": 800.0}, {"th": 12.5}]


def test_vehicles_and_trips() -> None:
    trace = read_csv("vehicle_id,trip_id,time,lat,lon\na,1,10,52,5\nb,,10,53,5\na,1,11,52,5\na,2,12,52,5\n", "x")
    assert [(drive.name, len(drive.moments)) for drive in trace.drives] == [("a 1", 2), ("b", 1), ("a 2", 1)]


def test_lines_before_the_titles_and_plt() -> None:
    assert len(fixes("a log of 2024\n# of my phone, it is\n\ntime,lat,lon\n10,52,5\n")) == 1
    plt = "Geolife trajectory\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2\n0\n"
    fix = fixes(plt + "39.9,116.3,0,492,39744.1,2008-10-23,02:53:04\n")[0]
    assert (fix.at_ms, round(fix.alt_m or 0)) == (1_224_730_384_000, 150)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "time, latitude, longitude"),
        ("lat,lon\n1,2\n", "without time;"),
        ("hello", "without time"),
        (",".join(f"c{n}" for n in range(20)), "and 12 more"),
        ("", "without time"),
    ],
)
def test_no_table_of_positions(text: str, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read_csv(text, "x")


def test_objects_are_rows_too() -> None:
    broken: Counter[str] = Counter()
    trace = objects("json", [{"t": 10, "lat": 52, "lon": 5, "spd": 3}, {"t": 11, "lat": 52}], broken, "x")
    assert [m.fix.speed_mps for m in trace.drives[0].moments] == [3.0]
    assert trace.broken == {"no-position": 1}
    with pytest.raises(DecodeError, match="JSON without time"):
        objects("json", [{"lat": 52, "lon": 5}], broken, "x")


def test_numbers() -> None:
    cells: list[object] = ["1.5", " 2 ", "x", "inf", None, True, 3, []]
    assert [number(cell) for cell in cells] == [1.5, 2.0, None, None, None, 1.0, 3.0, None]


def test_a_layout_without_a_place_makes_no_moment() -> None:
    layout = Layout(["time"])
    assert not layout.usable
    assert layout.moment(["10"]) == "short-line"
    assert Layout(["lat", "lon"]).moment(["1", "2"]) == "short-line"
    assert isinstance(Layout(["time", "lat", "lon", "mode"]).moment(["10", "1", "2"]), Moment)
