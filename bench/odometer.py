"""The odometer against the truth: synthetic drives whose way is known, with the errors of a receiver, and real drives.

The synthetic truth is a smooth path at 20 Hz. The receiver sees it once a second: position off by a Gauss–Markov error (2.5 m,
120 s) and 0.4 m of white noise, each axis; Doppler speed off by 0.05 m/s each axis. The bus tells whole km/h, 2 % too low, late.
"""

import csv
import gzip
import itertools
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core import odometer
from agent.core.motion import STANDING_MPS
from wire.geo import distance_m, moved
from wire.messages import Fix, Quality, Reading

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
DRIVES = ("nds-drive06.csv", "nds-drive10.csv.gz", "nds-drive33.csv.gz")
MPH = 0.44704
TICK_S = 0.05
TICKS = round(1 / TICK_S)
START_MS = 1_760_000_000_000
MILE_M = 1609.344
Leg = tuple[float, float, float]
"""Speed to reach, acceleration to reach it with, and the metres that the leg takes."""
Epoch = tuple[Fix, Reading]
Way = Callable[[list[Epoch]], float]


@dataclass(frozen=True, slots=True)
class Noise:
    """What a receiver does to the truth, in metres and m/s each axis."""

    slow_m: float = 2.5
    white_m: float = 0.4
    doppler_mps: float = 0.05
    tau_s: float = 120.0


def city(chance: random.Random) -> Iterator[Leg]:
    """Between traffic lights, with queues before them."""
    for _ in range(60):
        yield chance.uniform(8, 15), chance.uniform(1.0, 2.2), chance.uniform(150, 700)
        yield 0.0, chance.uniform(1.2, 2.5), chance.uniform(0, 40)
        if chance.random() < 0.3:
            yield chance.uniform(0.8, 2.0), 0.7, chance.uniform(3, 12)
            yield 0.0, 0.7, chance.uniform(0, 20)


def motorway(chance: random.Random) -> Iterator[Leg]:
    """Fast, with few changes."""
    for _ in range(12):
        yield chance.uniform(22, 36), chance.uniform(0.3, 1.0), chance.uniform(2_000, 6_000)
    yield 0.0, 1.5, 30.0


def curves(chance: random.Random) -> Iterator[Leg]:
    """A country road: the turns are in `drive`, which bends the path the more the slower it goes."""
    for _ in range(60):
        yield chance.uniform(9, 22), chance.uniform(0.5, 1.5), chance.uniform(200, 900)
    yield 0.0, 2.0, 10.0


def drive(legs: Iterator[Leg], chance: random.Random, noise: Noise) -> tuple[float, list[Epoch]]:
    """The true metres, and what receiver and bus tell once a second."""
    at_s, speed, heading, turn, metres, north, east = 0.0, 0.0, chance.uniform(0, 6.28), 0.0, 0.0, 0.0, 0.0
    off = [chance.gauss(0, noise.slow_m), chance.gauss(0, noise.slow_m)]
    epochs: list[Epoch] = []
    speeds = [0.0] * TICKS
    for goal, accel, leg_m in legs:
        until_m, pause_s = metres + leg_m, (chance.uniform(3, 45) if goal == 0.0 else 0.0)
        while (metres < until_m and goal > 0) or (goal == 0.0 and (speed > 0 or pause_s > 0)):
            before = speed
            speed += max(-accel * TICK_S, min(accel * TICK_S, goal - speed))
            pause_s -= TICK_S if speed == 0.0 else 0.0
            turn = 0.995 * turn + chance.gauss(0, 0.012)
            heading += turn * TICK_S * min(1.0, speed / 5.0)
            step_m = (before + speed) / 2.0 * TICK_S
            metres, north, east = metres + step_m, north + step_m * math.cos(heading), east + step_m * math.sin(heading)
            at_s += TICK_S
            speeds.append(speed)
            if len(speeds) % TICKS == 0:
                off = [_wandered(each, chance, noise) for each in off]
                place = (north + off[0], east + off[1])
                velocity = (speed * math.cos(heading), speed * math.sin(heading))
                epochs.append(_epoch(len(epochs), place, velocity, (speeds[-8], chance, noise)))
    return metres, epochs


def _wandered(off_m: float, chance: random.Random, noise: Noise) -> float:
    keep = math.exp(-1.0 / noise.tau_s)
    return off_m * keep + chance.gauss(0, noise.slow_m * math.sqrt(1 - keep * keep))


def _epoch(
    second: int,
    place: tuple[float, float],
    velocity: tuple[float, float],
    rest: tuple[float, random.Random, Noise],
) -> Epoch:
    late_mps, chance, noise = rest
    white = [chance.gauss(0, noise.white_m) for _ in range(2)]
    lat, lon = moved(48.0, 11.0, place[0] + white[0], place[1] + white[1])
    told = [each + chance.gauss(0, noise.doppler_mps) for each in velocity]
    fix = Fix(
        START_MS + second * 1000,
        lat,
        lon,
        speed_mps=math.hypot(*told),
        course_deg=math.degrees(math.atan2(told[1], told[0])) % 360,
    )
    return fix, Reading(speed_kph=float(int(late_mps * 3.6 * 0.98 + 0.5)))


def odometer_m(epochs: list[Epoch]) -> float:
    """Ours."""
    state = odometer.State()
    for fix, reading in epochs:
        state = odometer.step(state, fix, reading)
    return state.metres


def _without_bus(epochs: list[Epoch]) -> float:
    return odometer_m([(fix, Reading()) for fix, _ in epochs])


def _bus_only(epochs: list[Epoch]) -> float:
    """A receiver that is weak for the second half: what was learnt in the first has to serve."""
    half = len(epochs) // 2
    weak = [
        (Fix(f.at_ms, f.lat_deg, f.lon_deg, speed_mps=None, quality=Quality.ESTIMATED), r) for f, r in epochs[half:]
    ]
    return odometer_m(epochs[:half] + weak)


def _with_gaps(epochs: list[Epoch]) -> float:
    """Twenty seconds without a fix, every five minutes."""
    return _without_bus([epoch for at, epoch in enumerate(epochs) if at % 300 < 280])


def _positions(epochs: list[Epoch]) -> float:
    fixes = [fix for fix, _ in epochs]
    return sum(distance_m(a.lat_deg, a.lon_deg, b.lat_deg, b.lon_deg) for a, b in itertools.pairwise(fixes))


def _gated(epochs: list[Epoch]) -> float:
    """The plain integral of the speed of at least 0.5 m/s."""
    speeds = [told if (told := fix.speed_mps or 0.0) >= STANDING_MPS else 0.0 for fix, _ in epochs]
    return sum((a + b) / 2.0 for a, b in itertools.pairwise(speeds))


WAYS: dict[str, Way] = {
    "odometer, receiver alone": _without_bus, "odometer with the bus": odometer_m,
    "bus for the second half": _bus_only, "20 s of each 300 s lost": _with_gaps,
    "gated speed, plain": _gated, "sum of positions": _positions,
}  # fmt: skip
LANDS = {"city": city, "motorway": motorway, "curves": curves}


def errors_percent(noise: Noise, seeds: range) -> dict[str, dict[str, float]]:
    """For each way of counting and each land, the error over all seeds together."""
    out: dict[str, dict[str, float]] = {name: {} for name in WAYS}
    for land, legs in LANDS.items():
        drives = []
        for seed in seeds:
            chance = random.Random(f"{land}{seed}")  # noqa: S311  # a simulation
            drives.append(drive(legs(chance), chance, noise))
        true_m = sum(metres for metres, _ in drives)
        for name, way in WAYS.items():
            out[name][land] = 100.0 * (sum(way(epochs) for _, epochs in drives) / true_m - 1.0)
    return out


def real(path: Path) -> tuple[float, float, float]:
    """Of a drive of the nds set: our metres, its own column of distances, the sum of its positions."""
    raw = path.read_bytes()
    rows = list(csv.DictReader((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines()))
    epochs: list[Epoch] = []
    for row in rows:
        fix = Fix(
            int(row["time_utc"]) * 1000, float(row["gps_lat"]), float(row["gps_long"]),
            speed_mps=float(row["speed_mph"]) * MPH, hdop=float(row["gps_hdop"]),
        )  # fmt: skip
        if not epochs or fix.at_ms > epochs[-1][0].at_ms:
            epochs.append((fix, Reading()))
    told_m = sum(float(row["distance_miles"] or 0) for row in rows) * MILE_M
    return odometer_m(epochs), told_m, _positions(epochs)


def main(paths: list[Path] | None = None) -> None:
    """Print the tables."""
    table = errors_percent(Noise(), range(5))
    print("odometer against the truth, 5 drives each     " + "".join(f"{land:>12}" for land in LANDS))
    for name, errors in table.items():
        print(f"  {name:<44}" + "".join(f"{error:>+11.3f}%" for error in errors.values()))
    for path in paths or [RECORDINGS / name for name in DRIVES]:
        ours_m, told_m, places_m = real(path)
        print(
            f"  {path.name:<24} ours {ours_m / 1000:8.3f} km, its own column {told_m / 1000:8.3f} ({ours_m / told_m - 1:+.3%}), "
            f"positions {places_m / 1000:8.3f} ({ours_m / places_m - 1:+.3%})"
        )


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
