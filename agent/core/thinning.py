"""Thinning of a track: which fixes to keep so that each dropped one stays within `eps_m` of the line, at its own time.

The error is time-synchronised (SED): a dropped fix is compared with the place between its kept neighbours that linear
interpolation of latitude and longitude gives for its time. Each fix after a vertex bounds the velocities that the line may have
by a disc; while the discs have a common part, later fixes may still end the line. All those that fit are tried exactly, not only
those before the first failure, and the one is taken from which the next line reaches farthest.
Times that repeat or step back, and pauses longer than `GAP_MS`, end a line on both sides: what is there is kept.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wire.geo import METRES_PER_DEGREE, distance_m

GAP_MS = 60_000
BUFFER = 120
TRIED = 4
"""So many ends of a line, the farthest first, are compared by how far the line after them reaches."""
SLACK_M = 1e-6
"""Less than the bound, for what floating point adds between here and who checks."""
STANDING = 0.25
"""Fixes within this share of the bound of each other take one place in the buffer: hours at a stop are one line."""


@dataclass(frozen=True, slots=True)
class Point:
    """A fix, as far as thinning cares."""

    at_ms: int
    lat_deg: float
    lon_deg: float


def sed_m(a: Point, b: Point, p: Point) -> float:
    """How far `p` is from where the line from `a` to `b` is at its time."""
    share = (p.at_ms - a.at_ms) / (b.at_ms - a.at_ms) if b.at_ms != a.at_ms else 0.0
    lon_deg = a.lon_deg + share * _turn(b.lon_deg - a.lon_deg)
    return distance_m(a.lat_deg + share * (b.lat_deg - a.lat_deg), lon_deg, p.lat_deg, p.lon_deg)


def _turn(lon_deg: float) -> float:
    """A difference of longitudes the short way round."""
    return (lon_deg + 180.0) % 360.0 - 180.0


def kept(points: Sequence[Point], eps_m: float, *, buffer: int = BUFFER) -> list[int]:
    """Indices of the fixes to keep, first and last among them; at most `buffer` fixes are looked ahead."""
    if not points:
        return []
    lines, last = Lines(points, eps_m), len(points) - 1
    at, ends = 0, [0]
    reach = lines.ends(0, buffer=buffer, most=TRIED)
    while at < last:
        at, reach = _best(lines, reach, buffer)
        ends.append(at)
    return ends


def _best(lines: "Lines", ends: list[int], buffer: int) -> tuple[int, list[int]]:
    """Of the ends of a line, the farthest first: the one from which the next reaches farthest, and the ends of that one."""
    best, best_next = -1, [-1]
    for end in ends:
        if end == lines.last:
            return end, []
        following = lines.ends(end, buffer=buffer, most=TRIED)
        if following[0] > best_next[0]:
            best, best_next = end, following
    return best, best_next


class Lines:
    """Which fixes a line that begins at one of them may end at. Latitude in metres, longitude unrolled in degrees."""

    def __init__(self, points: Sequence[Point], eps_m: float) -> None:
        self.last = len(points) - 1
        self._eps_m = eps_m - SLACK_M
        self._t = [point.at_ms / 1000.0 for point in points]
        self._y = [point.lat_deg * METRES_PER_DEGREE for point in points]
        self._x = list(_unrolled(points))
        widest = (
            self._eps_m / METRES_PER_DEGREE
        )  # the scale of longitude a little nearer to the equator: never too small
        self._k = [
            METRES_PER_DEGREE * max(1e-9, math.cos(math.radians(max(0.0, abs(point.lat_deg) - widest))))
            for point in points
        ]

    def ends(self, start: int, *, buffer: int | None, most: int | None) -> list[int]:
        """Fixes that a line from `start` may end at, the farthest first, at most so many; the next fix always may."""
        found = []
        for end in reversed(self._candidates(start, buffer)):
            if self._fits(start, end):
                found.append(end)
                if len(found) == most:
                    break
        return found or [start + 1]

    def _candidates(self, start: int, buffer: int | None) -> list[int]:
        """Fixes whose velocity is in an octagon around the common part of the discs, until that is empty."""
        t, y, x, k, eps = self._t, self._y, self._x, self._k, self._eps_m
        t0, y0, x0, k0 = t[start], y[start], x[start], k[start]
        low_y = low_x = low_p = low_m = -math.inf
        high_y = high_x = high_p = high_m = math.inf
        found, near, place, places, before = [], eps * STANDING, start, 0, t0
        for i in range(start + 1, self.last + 1):
            now = t[i]
            if not 0.0 < now - before <= GAP_MS / 1000.0:
                break
            before, rate, dx = now, 1.0 / (now - t0), (x[i] - x0) * k0
            vy, vx = (y[i] - y0) * rate, dx * rate
            p, m = vy + vx, vy - vx
            if low_y <= vy <= high_y and low_x <= vx <= high_x and low_p <= p <= high_p and low_m <= m <= high_m:
                found.append(i)
            r, rx = eps * rate, eps * rate * k0 / k[i]
            rd = math.sqrt(r * r + rx * rx)
            low_y, high_y = max(low_y, vy - r), min(high_y, vy + r)
            low_x, high_x = max(low_x, vx - rx), min(high_x, vx + rx)
            low_p, high_p = max(low_p, p - rd), min(high_p, p + rd)
            low_m, high_m = max(low_m, m - rd), min(high_m, m + rd)
            if low_y > high_y or low_x > high_x or low_p > high_p or low_m > high_m:
                break
            if buffer is not None and (abs(y[i] - y[place]) > near or abs(x[i] - x[place]) * k[i] > near):
                place, places = i, places + 1
                if places >= buffer:
                    break
        return found

    def _fits(self, start: int, end: int) -> bool:
        """Whether all fixes between are within the bound of the line."""
        t, y, x, k = self._t, self._y, self._x, self._k
        t0, y0, x0 = t[start], y[start], x[start]
        if abs(x[end] - x0) > 180.0:
            return False  # half-way round a pole: who draws the line would take the other side
        rate = 1.0 / (t[end] - t0)
        vy, vx, bound = (y[end] - y0) * rate, (x[end] - x0) * rate, self._eps_m * self._eps_m
        for i in range(end - 1, start, -1):
            after = t[i] - t0
            dy, dx = y0 + vy * after - y[i], (x0 + vx * after - x[i]) * k[i]
            if dy * dy + dx * dx > bound:
                return False
        return True


def _unrolled(points: Sequence[Point]) -> Iterator[float]:
    """Longitudes that go on over the date line."""
    lon_deg = points[0].lon_deg
    yield lon_deg
    for before, point in pairwise(points):
        lon_deg += _turn(point.lon_deg - before.lon_deg)
        yield lon_deg
