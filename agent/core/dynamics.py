"""How the vehicle moves, beyond what one fix tells: acceleration and turn rate, and speed and course where no receiver told them.

Rates are taken over about a second whatever the rate of the receiver: differences of neighbours at 20 Hz would be noise.
Speed and course that nobody told come from places that are some metres apart, and so do rates in town.
"""

from dataclasses import dataclass, replace

from wire.geo import bearing_deg, distance_m
from wire.messages import Fix, Reading

BASE_MS = 900
LONGEST_MS = 3_000
TURNING_MPS = 1.5
"""Slower than this the course of a receiver says nothing about a turn."""
APART_M = 12.0
"""Of a vehicle that stood, places so far apart give a course to some degrees, and a speed, with the noise of common receivers."""
NOISE_M = 3.0
ROLLING_M = 1.0
"""One that rolls goes on doing so: there neighbours will do."""
TOWN_MPS, SHRINK = 15.0, 0.8
"""Rates between places are half noise: on the road they are left out, in town they count in part."""
MOST_MPS = 90.0
MOST_MPS2 = 10.0
MOST_DPS = 90.0
"""No vehicle does more: a place that jumped gives no speed that the wire could not carry."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Rates now: m/s² along the way, and ° a second clockwise."""

    accel_mps2: float = 0.0
    turn_dps: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """`fix` is the last one, with speed and course; `newer` and `older` are at least `BASE_MS` apart.

    `anchor` is where the derived course began.
    """

    fix: Fix | None = None
    trend: Trend = Trend()
    older: Fix | None = None
    newer: Fix | None = None
    anchor: Fix | None = None


def step(state: State, fix: Fix, reading: Reading) -> State:
    """The next state, by an accepted fix and what the bus says at its time."""
    told = fix.speed_mps is not None and (fix.course_deg is not None or fix.speed_mps < TURNING_MPS)
    if not told:
        return _derived(state, fix, reading)
    older, newer = state.older, state.newer
    if newer is None or not 0 < fix.at_ms - newer.at_ms < BASE_MS:
        older, newer = newer, fix
    return State(fix, Trend() if older is None else _trend(older, fix), older, newer, fix)


def _trend(older: Fix, fix: Fix) -> Trend:
    lapse_ms = fix.at_ms - older.at_ms
    was, now = older.speed_mps, fix.speed_mps
    if not 0 < lapse_ms <= LONGEST_MS or was is None or now is None:
        return Trend()
    lapse_s = lapse_ms / 1000.0
    accel = max(-MOST_MPS2, min(MOST_MPS2, (now - was) / lapse_s))
    turn = 0.0
    if min(was, now) >= TURNING_MPS and fix.course_deg is not None and older.course_deg is not None:
        turn = ((fix.course_deg - older.course_deg + 180.0) % 360.0 - 180.0) / lapse_s
    return Trend(accel, max(-MOST_DPS, min(MOST_DPS, turn)))


def _derived(state: State, fix: Fix, reading: Reading) -> State:
    """Speed and course by the way from the anchor, which moves on when the way is clear; the bus knows the speed better."""
    anchor = state.anchor
    bus_mps = None if reading.speed_kph is None else reading.speed_kph / 3.6
    told = fix.speed_mps if fix.speed_mps is not None else bus_mps
    lapse_ms = 0 if anchor is None else fix.at_ms - anchor.at_ms
    if anchor is None or lapse_ms <= 0:
        lost = replace(fix, speed_mps=told or 0.0)
        return State(lost, anchor=lost)
    way_m = distance_m(anchor.lat_deg, anchor.lon_deg, fix.lat_deg, fix.lon_deg)
    course = fix.course_deg
    if course is None:
        course = bearing_deg(anchor.lat_deg, anchor.lon_deg, fix.lat_deg, fix.lon_deg)
    if way_m < (ROLLING_M if _rolls_on(anchor, course, lapse_ms) else APART_M):
        slow = told if told is not None else min(anchor.speed_mps or 0.0, (way_m + NOISE_M) * 1000.0 / lapse_ms)
        return replace(state, fix=replace(fix, speed_mps=slow, course_deg=anchor.course_deg), trend=Trend())
    speed = told if told is not None else min(MOST_MPS, way_m * 1000.0 / lapse_ms)
    whole = replace(fix, speed_mps=speed, course_deg=course)
    rates = _trend(anchor, whole) if speed <= TOWN_MPS else Trend()
    return State(whole, Trend(SHRINK * rates.accel_mps2, SHRINK * rates.turn_dps), anchor=whole)


def _rolls_on(anchor: Fix, course_deg: float, lapse_ms: int) -> bool:
    """Whether the way goes on from the anchor as vehicles do: noise turns back and forth."""
    if (anchor.speed_mps or 0.0) < TURNING_MPS or lapse_ms > LONGEST_MS or anchor.course_deg is None:
        return False
    return abs((course_deg - anchor.course_deg + 180.0) % 360.0 - 180.0) <= 90.0
