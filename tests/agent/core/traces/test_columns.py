"""Columns are found by what people call them, in the units that they tell."""

import pytest

from agent.core.traces import columns
from agent.core.traces.columns import BUS, FIX, TIMES, Meaning, find, heads


@pytest.mark.parametrize(
    ("meaning", "titles", "at", "factor"),
    [
        (columns.LATITUDES, ["id", "gps_lat"], 1, 1.0),
        (columns.LATITUDES, ["Latitude [deg]"], 0, 1.0),
        (columns.LATITUDES, ["lat_deg"], 0, 1.0),
        (columns.LONGITUDES, ["gpsLong"], 0, 1.0),
        (columns.LATITUDES, ["latitudeE7"], 0, 1e-7),
        (columns.LATITUDES, ["position_lat (semicircles)"], 0, 180 / 2**31),
        (columns.LONGITUDES, ["location_lng"], 0, 1.0),
        (TIMES, ["time_cst", "time_utc"], 1, 0.0),
        (TIMES, ["at_ms"], 0, 1.0),
        (TIMES, ["Timestamp (ms)"], 0, 1.0),
        (FIX["speed_mps"], ["speed_source", "speed_mph"], 1, columns.MPH),
        (FIX["speed_mps"], ["Speed (km/h)"], 0, columns.KPH),
        (FIX["speed_mps"], ["vel"], 0, columns.KPH),
        (FIX["speed_mps"], ["spd"], 0, 1.0),
        (FIX["speed_mps"], ["speed", "GPS Speed (km/h)"], 1, columns.KPH),
        (FIX["course_deg"], ["gyro_heading_raw", "gps_heading", "gps_heading_raw"], 2, 1.0),
        (FIX["alt_m"], ["altitude_ft"], 0, columns.FOOT),
        (BUS["th"], ["Throttle Position (%)"], 0, 1.0),
        (BUS["rp"], ["Rpm (u/min)"], 0, 1.0),
        (BUS["vs"], ["obd_speed_mph"], 0, columns.MPH * 3.6),
        (BUS["mv"], ["battery_voltage_mv"], 0, 0.001),
        (FIX["hdop"], ["hdop (parsecs)"], 0, 1.0),
    ],
)
def test_found(meaning: Meaning, titles: list[str], at: int, factor: float) -> None:
    found = find(meaning, heads(titles), set())
    assert found is not None
    assert found[0] == at
    assert found[1] == pytest.approx(factor)


def test_not_found() -> None:
    assert find(columns.LATITUDES, heads(["latency", "plate", "accel_x"]), set()) is None
    assert find(columns.LATITUDES, heads(["lat"]), {0}) is None, "another field has it"
