"""Dead reckoning: the vectors that Python and the pages share, and the rules in words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wire.geo import distance_m
from wire.messages import Live
from wire.predict import bound_m, predict

VECTORS = json.loads((Path(__file__).parent.parent / "recordings" / "predict.json").read_text(encoding="utf-8"))
T = 1_760_000_000_000


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors(vector: dict[str, object]) -> None:
    data = vector["live"]
    assert isinstance(data, dict)
    at_ms = vector["at_ms"]
    assert isinstance(at_ms, int)
    live = Live(data["t"], data["lat"], data["lon"], data["spd"], data["crs"], data["a"], data["w"])
    assert predict(live, at_ms) == (vector["lat"], vector["lon"])


def way_m(live: Live, seconds: float) -> float:
    return distance_m(live.lat_deg, live.lon_deg, *predict(live, live.at_ms + round(seconds * 1000)))


def test_straight_on() -> None:
    assert way_m(Live(T, 41.0, -96.0, 10.0, 90.0), 30) == pytest.approx(300, rel=1e-4)


def test_acceleration_acts_for_two_seconds() -> None:
    live = Live(T, 41.0, -96.0, 10.0, 90.0, 1.0)
    assert way_m(live, 2) == pytest.approx(22, rel=1e-3)
    assert way_m(live, 12) == pytest.approx(22 + 120, rel=1e-3)


def test_braking_stops_and_never_reverses() -> None:
    live = Live(T, 41.0, -96.0, 2.0, 90.0, -4.0)
    assert way_m(live, 60) == way_m(live, 2)
    assert way_m(live, 2) == pytest.approx(0.5, abs=0.3)


def test_turning_acts_for_two_seconds() -> None:
    live = Live(T, 0.0, 0.0, 10.0, 0.0, 0.0, 45.0)
    lat2, lon2 = predict(live, T + 2000)
    lat9, lon9 = predict(live, T + 9000)
    assert lat9 == pytest.approx(lat2)
    assert lon9 > lon2


def test_no_time_no_way_and_never_back() -> None:
    live = Live(T, 41.0, -96.0, 10.0, 90.0, 1.0, 1.0)
    assert predict(live, T) == predict(live, T - 5000) == (41.0, -96.0)


def test_the_bound_holds_while_heartbeats_come_and_grows_after() -> None:
    moving, parked = Live(T, 0, 0, 10.0, 0, eps_m=10.0), Live(T, 0, 0, 0.0, 0, eps_m=10.0)
    assert bound_m(moving, T + 64_000, online=True) == 10.0
    assert bound_m(moving, T + 66_000, online=True) == pytest.approx(50.0)
    assert bound_m(parked, T + 300_000, online=True) == 10.0
    assert bound_m(replace(parked, heartbeat_s=3600), T + 3_604_000, online=True) == 10.0
    assert bound_m(replace(moving, heartbeat_s=10), T + 16_000, online=True) == pytest.approx(50.0)
    assert bound_m(parked, T + 1_000, online=False) == pytest.approx(50.0)
