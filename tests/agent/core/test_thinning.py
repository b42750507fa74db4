"""Thinning: the bound holds everywhere, few fixes are left, and nothing odd in times or places raises."""

import gzip
import random
from itertools import pairwise
from pathlib import Path

import pytest

from agent.core.rig import recording
from agent.core.thinning import BUFFER, GAP_MS, Lines, Point, kept, sed_m
from wire.geo import distance_m, moved

RECORDINGS = Path(__file__).parents[2] / "recordings"
DRIVES = [*sorted(path.name for path in RECORDINGS.glob("*.csv*")), "drive-ublox-f9k-mtv-part1.nmea.gz"]
T = 1_760_000_000_000


def drive(name: str) -> list[Point]:
    raw = (RECORDINGS / name).read_bytes()
    epochs = recording.read(name.removesuffix(".gz"), gzip.decompress(raw) if name.endswith(".gz") else raw).epochs
    return [Point(e.fix.at_ms, e.fix.lat_deg, e.fix.lon_deg) for e in epochs if e.fix is not None]


def walk(seed: int, n: int, *, lat: float = 41.0, lon: float = -96.0, step_m: float = 12.0) -> list[Point]:
    """A random walk that turns, stops and goes on."""
    chance = random.Random(seed)
    north, east, out = 0.0, 0.0, []
    for i in range(n):
        if chance.random() < 0.1:
            north, east = (chance.uniform(-step_m, step_m) for _ in "ne") if chance.random() < 0.7 else (0.0, 0.0)
        lat, lon = moved(lat, lon, north + chance.gauss(0, 0.5), east + chance.gauss(0, 0.5))
        out.append(Point(T + 1000 * i, lat, lon))
    return out


def line(n: int, *, lat: float = 41.0, lon: float = -96.0, north: float = 10.0, east: float = 0.0) -> list[Point]:
    out = []
    for i in range(n):
        out.append(Point(T + 1000 * i, lat, lon))
        lat, lon = moved(lat, lon, north, east)
    return out


def worst_m(points: list[Point], ends: list[int]) -> float:
    return max((sed_m(points[a], points[b], p) for a, b in pairwise(ends) for p in points[a:b]), default=0.0)


def holds(points: list[Point], eps_m: float) -> list[int]:
    """The promises of every result."""
    ends = kept(points, eps_m)
    assert (ends[0], ends[-1]) == (0, len(points) - 1)
    assert all(a < b for a, b in pairwise(ends))
    assert worst_m(points, ends) <= eps_m
    return ends


@pytest.mark.parametrize("eps_m", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("name", DRIVES)
def test_the_bound_holds_on_every_recording(name: str, eps_m: float) -> None:
    points = drive(name)
    ends = holds(points, eps_m)
    again = [points[i] for i in ends]
    assert len(kept(again, eps_m)) >= 0.5 * len(again), "thinned once more, it does not fall apart"


@pytest.mark.parametrize("seed", range(12))
def test_the_bound_holds_on_random_walks(seed: int) -> None:
    chance = random.Random(seed)
    points = walk(seed, 400, lat=chance.uniform(-80, 80), lon=chance.uniform(-180, 180))
    eps_m = chance.choice([0.5, 2.0, 5.0, 30.0])
    assert len(holds(points, eps_m)) <= len(points)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_close_to_the_optimum(seed: int) -> None:
    """Against a shortest path over all lines, tried one by one without any short cut."""
    points = walk(seed, 60)
    fewest = [1] + [len(points)] * (len(points) - 1)
    for a in range(len(points)):
        for b in range(a + 1, len(points)):
            if all(sed_m(points[a], points[b], p) <= 5.0 for p in points[a + 1 : b]):
                fewest[b] = min(fewest[b], fewest[a] + 1)
    assert fewest[-1] <= len(holds(points, 5.0)) <= fewest[-1] + 1


def test_the_octagon_cuts_nothing_off() -> None:
    """What may end a line is exactly what trying all of them finds."""
    points = walk(3, 80)
    lines = Lines(points, 5.0)
    for a in range(len(points) - 1):
        tried = [
            b
            for b in range(a + 1, len(points))
            if all(sed_m(points[a], points[b], p) <= 5.0 - 1e-6 for p in points[a + 1 : b])
        ]
        assert sorted(lines.ends(a, buffer=None, most=None)) == tried


def test_few_points() -> None:
    one = line(1)
    assert kept([], 5.0) == []
    assert kept(one, 5.0) == [0]
    assert kept(line(2), 5.0) == [0, 1]


def test_a_straight_line_takes_the_buffer() -> None:
    assert holds(line(1 + 2 * BUFFER), 5.0) == [0, BUFFER, 2 * BUFFER]
    assert kept(line(101), 5.0, buffer=10) == list(range(0, 101, 10))


def test_hours_at_a_stop_collapse() -> None:
    chance = random.Random(5)
    here = [moved(41.0, -96.0, chance.gauss(0, 0.3), chance.gauss(0, 0.3)) for _ in range(4 * 3600)]
    points = [Point(T + 1000 * i, *place) for i, place in enumerate(here)]
    assert len(holds(points, 5.0)) <= 12
    still = [Point(T + 1000 * i, 41.0, -96.0) for i in range(4 * 3600)]
    assert len(holds(still, 5.0)) == 2


def test_times_that_repeat_or_step_back_stay() -> None:
    points = line(40)
    points[20] = Point(points[19].at_ms, 41.5, -96.0)
    points[30] = Point(points[10].at_ms, *moved(points[30].lat_deg, points[30].lon_deg, 0, 1))
    ends = kept(points, 5.0)
    assert {19, 20, 29, 30} <= set(ends)
    assert len(ends) < 15
    assert sed_m(points[19], points[20], points[19]) == 0.0


def test_a_pause_keeps_both_sides() -> None:
    early = line(20)
    late = [Point(p.at_ms + 20_000 + GAP_MS, p.lat_deg, p.lon_deg) for p in line(20)]
    assert holds(early + late, 5.0) == [0, 19, 20, 39]


def test_the_date_line_is_no_jump() -> None:
    points = line(100, lat=-17.0, lon=179.999, north=0.0, east=10.0)
    assert points[0].lon_deg > 0 > points[-1].lon_deg
    assert holds(points, 5.0) == [0, 99]


def test_over_a_pole() -> None:
    down = [Point(T + 1000 * i, 89.9995 - 0.0001 * i, 10.0) for i in range(50)]
    assert holds(down, 5.0) == [0, 49]
    over = [Point(T - 1000 * (i + 1), p.lat_deg, -170.0) for i, p in enumerate(down)][::-1] + down
    assert distance_m(over[49].lat_deg, 10.0, 90.0, 0.0) < 100
    holds(over, 5.0)
    round_it = [Point(T + 1000 * i, 89.99999, -180.0 + 7.0 * (i % 51)) for i in range(102)]
    assert len(holds([Point(T - 1000, 90.0, 0.0), *round_it], 5.0)) < 30
