"""Distances against known ones, and the way there and back."""

import pytest

from wire.geo import METRES_PER_DEGREE, bearing_deg, distance_m, in_box, moved


def test_distance_of_a_known_pair() -> None:
    assert distance_m(52.5200, 13.4050, 48.8566, 2.3522) == pytest.approx(877_464, rel=1e-4)
    assert distance_m(0, 0, 0, 180) == pytest.approx(180 * METRES_PER_DEGREE)
    assert distance_m(10, 20, 10, 20) == 0


@pytest.mark.parametrize(("north", "east", "bearing"), [(100, 0, 0), (0, 100, 90), (-100, 0, 180), (0, -100, 270)])
def test_moved_and_measured(north: float, east: float, bearing: float) -> None:
    lat, lon = moved(41.0, -96.0, north, east)
    assert distance_m(41.0, -96.0, lat, lon) == pytest.approx(100, rel=1e-4)
    assert bearing_deg(41.0, -96.0, lat, lon) == pytest.approx(bearing, abs=0.01)


def test_moved_wraps_and_stops_at_the_pole() -> None:
    assert moved(0, 179.9999, 0, 100)[1] == pytest.approx(-179.9992, abs=1e-4)
    assert moved(89.9999, 0, 1000, 0)[0] == 90.0


def test_boxes() -> None:
    assert in_box(1, 1, (0, 0, 2, 2))
    assert not in_box(3, 1, (0, 0, 2, 2))
    assert not in_box(1, 3, (0, 0, 2, 2))
    assert in_box(0, 179, (170, -1, -170, 1))
    assert in_box(0, -179, (170, -1, -170, 1))
    assert not in_box(0, 0, (170, -1, -170, 1))
