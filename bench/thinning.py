"""Thinned tracks beside the offline optimum: the fewest fixes that keep the same bound, by shortest path over all lines.

`python -m bench.thinning [--data DIR]`: DIR is a folder of nds drives (`nds-*.csv`, also gzipped); without it, those of the tests.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

from agent.core.thinning import Lines, Point, kept, sed_m
from bench.live import drive

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
BOUNDS_M = (5.0, 10.0, 20.0)


def points_of(path: Path) -> list[Point]:
    """The fixes of a recorded drive."""
    return [Point(fix.at_ms, fix.lat_deg, fix.lon_deg) for fix, _ in drive(path)]


def optimum(points: list[Point], eps_m: float) -> int:
    """The least number of fixes, the first and the last among them, with the whole track known and no limit of a buffer."""
    lines, last = Lines(points, eps_m), len(points) - 1
    fewest = [1, *[len(points)] * last]
    for start in range(last):
        for end in lines.ends(start, buffer=None, most=None):
            fewest[end] = min(fewest[end], fewest[start] + 1)
    return fewest[last]


def worst_m(points: list[Point], ends: list[int]) -> float:
    """The largest error of a dropped fix."""
    return max((sed_m(points[a], points[b], p) for a, b in pairwise(ends) for p in points[a + 1 : b]), default=0.0)


def main(folder: Path = RECORDINGS) -> None:
    """Print the table."""
    drives = [points_of(path) for path in sorted(folder.glob("nds-*.csv*"))]
    fixes = sum(map(len, drives))
    print(f"thinning of {len(drives)} recorded drives, {fixes} fixes      kept   optimum   ratio   worst   µs a fix")
    for eps_m in BOUNDS_M:
        before = time.process_time()
        ends = [kept(points, eps_m) for points in drives]
        took_s = time.process_time() - before
        ours, best = sum(map(len, ends)), sum(optimum(points, eps_m) for points in drives)
        worst = max(worst_m(points, some) for points, some in zip(drives, ends, strict=True))
        print(
            f"  within {eps_m:4.0f} m {'':<32} {ours:8} {best:9} {ours / best:7.3f} {worst:5.2f} m {took_s / fixes * 1e6:8.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=RECORDINGS, help="folder of nds drives")
    main(parser.parse_args().data)
