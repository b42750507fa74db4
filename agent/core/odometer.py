"""How far the vehicle has driven: the integral of the speed, which is far better than the sum of distances between positions.

Rules
1. The speed is the receiver's own (Doppler), or the bus speed where the receiver tells none or is weak. Bus speeds have steps
   of 1 km/h and a scale of their own: the scale is learnt from stretches at which both are good.
2. Two fixes make a trapezoid. Between two fixes below `STANDING_MPS` nothing counts, nor when the bus says 0 at both; a start and a
   stop count whole. While the ignition is known to be off nothing counts: a ferry, a tow and a flatbed turn no wheel.
3. After a gap of more than `GAP_MS` the way is what the bus counted meanwhile (`coast`). What it did not see is the straight line
   between the places, if that is more than noise, and never more than the speeds at both ends make likely. After a restart, and after a
   gap that began with the ignition off, the straight line counts up to `RESUME_M`.
4. Without any speed the straight line counts from each place that lies beyond the noise.
5. Never back, never by more than `TOP_MPS`, never by what is no number.
"""

import math
from dataclasses import dataclass, replace

from agent.core.motion import STANDING_MPS
from wire.geo import distance_m
from wire.messages import Fix, Quality, Reading

TOP_MPS = 90.0
GAP_MS = 3_000
NOISE_M = 25.0
UNSEEN_MPS = 8.0
"""Nobody knows how fast it was in a gap; a vehicle that stood at both ends was not faster than this on the mean."""
HASTE = 1.3
LIKELY_MS = 30_000
"""In so short a gap the speeds at both ends tell of curves, by which the way is longer than the straight line."""
RESUME_M = 2_000.0
WEAK_M = 25.0
WEAK_HDOP = 8.0
LEARN_MPS = 8.0
LEARN_M = 2_000.0
"""The scale of the bus is a mean over about so far; it is used from half of that on."""
SCALES = (0.8, 1.25)


@dataclass(frozen=True, slots=True)
class State:
    """`metres` is what is shown and kept. `bus_m` and `true_m` are ways by bus and by receiver, side by side, for the scale.

    `at_ms`, place and speed are those of the last fix that counted; after a restart only the place is known. `coasted_ms` and
    `coasted_m` are what the bus has counted since that fix.
    """

    metres: float = 0.0
    at_ms: int | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    speed_mps: float | None = None
    bus_mps: float | None = None
    rolled: bool = True
    coasted_ms: int = 0
    coasted_m: float = 0.0
    bus_m: float = 0.0
    true_m: float = 0.0

    @property
    def scale(self) -> float:
        """True speed over bus speed."""
        if self.bus_m < LEARN_M / 2:
            return 1.0
        return min(SCALES[1], max(SCALES[0], self.true_m / self.bus_m))


def step(state: State, fix: Fix, reading: Reading) -> State:
    """The next state, by an accepted fix and what the bus says at its time."""
    rolls = reading.ignition is not False
    bus_mps = None if reading.speed_kph is None else reading.speed_kph / 3.6
    speed_mps = _speed_mps(fix, bus_mps, state.scale)
    now = State(
        metres=state.metres, at_ms=fix.at_ms, lat_deg=fix.lat_deg, lon_deg=fix.lon_deg, speed_mps=speed_mps,
        bus_mps=bus_mps, rolled=rolls, bus_m=state.bus_m, true_m=state.true_m,
    )  # fmt: skip
    if state.at_ms is None:
        way_m = _way_m(state, fix)
        return _further(now, way_m if rolls and NOISE_M < way_m <= RESUME_M else 0.0)
    took_ms = fix.at_ms - state.at_ms
    if took_ms <= 0 or not (state.rolled or rolls):
        return now
    if took_ms > GAP_MS or state.coasted_ms:
        return _further(now, _over_gap_m(state, now, took_ms, _way_m(state, fix)))
    return _by_speed(state, now, fix)


def coast(state: State, reading: Reading, took_ms: int) -> State:
    """No fix comes: the bus counts on, `took_ms` since it was asked last."""
    if reading.speed_kph is None or reading.ignition is False or state.at_ms is None:
        return state
    metres = reading.speed_kph / 3.6 * state.scale * took_ms / 1000.0
    return replace(_further(state, metres), coasted_ms=state.coasted_ms + took_ms, coasted_m=state.coasted_m + metres)


def _way_m(state: State, fix: Fix) -> float:
    """Straight from the last place, if there is one."""
    if state.lat_deg is None or state.lon_deg is None:
        return 0.0
    return distance_m(state.lat_deg, state.lon_deg, fix.lat_deg, fix.lon_deg)


def _by_speed(state: State, now: State, fix: Fix) -> State:
    """Two fixes close together."""
    assert now.at_ms is not None
    assert state.at_ms is not None
    ends = [told for told in (state.speed_mps, now.speed_mps) if told is not None]
    if not ends:
        return _by_places(state, now, fix)
    if _stands(ends[-1], now.bus_mps) and _stands(ends[0], state.bus_mps):
        return now
    metres = sum(ends) / len(ends) * (now.at_ms - state.at_ms) / 1000.0
    return _learnt(state, _further(now, metres), fix, metres)


def _speed_mps(fix: Fix, bus_mps: float | None, scale: float) -> float | None:
    told = fix.speed_mps
    good = told is not None and 0.0 <= told <= TOP_MPS
    if bus_mps is not None and (not good or _weak(fix)):
        return bus_mps * scale
    return told if good else None


def _weak(fix: Fix) -> bool:
    return fix.quality is Quality.ESTIMATED or (fix.accuracy_m or 0.0) > WEAK_M or (fix.hdop or 0.0) > WEAK_HDOP


def _stands(speed_mps: float, bus_mps: float | None) -> bool:
    """By the bus if it speaks, as everywhere."""
    return bus_mps == 0 or (speed_mps < STANDING_MPS and not bus_mps)


def _over_gap_m(state: State, now: State, took_ms: int, way_m: float) -> float:
    """What is to be added for a gap, beyond what the bus has counted."""
    unseen_ms = took_ms - state.coasted_ms
    over_m = way_m - state.coasted_m
    if over_m <= NOISE_M or unseen_ms <= 0:
        return _short_gap_m(state, now, unseen_ms)
    fastest = max(UNSEEN_MPS, HASTE * (state.speed_mps or 0.0), HASTE * (now.speed_mps or 0.0))
    if (
        state.speed_mps is None and now.speed_mps is None
    ):  # a source that tells no speeds: there the places are all there is
        fastest = TOP_MPS
    left_m = min(over_m, fastest * unseen_ms / 1000.0, math.inf if state.rolled else RESUME_M)
    if unseen_ms > LIKELY_MS:
        return left_m
    return max(left_m, min(_trapezoid_m(state, now, unseen_ms), HASTE * left_m))


def _short_gap_m(state: State, now: State, unseen_ms: int) -> float:
    """Two places within the noise say nothing about the way between them, but over some seconds the speeds do."""
    return _trapezoid_m(state, now, unseen_ms) if 0 < unseen_ms <= 2 * GAP_MS else 0.0


def _trapezoid_m(state: State, now: State, unseen_ms: int) -> float:
    if state.speed_mps is None or now.speed_mps is None:
        return 0.0
    if _stands(state.speed_mps, state.bus_mps) and _stands(now.speed_mps, now.bus_mps):
        return 0.0
    return (state.speed_mps + now.speed_mps) / 2.0 * unseen_ms / 1000.0


def _by_places(state: State, now: State, fix: Fix) -> State:
    """No speed at all: the place that counted last stays until the vehicle is beyond the noise of it."""
    way_m = _way_m(state, fix)
    if way_m <= max(NOISE_M, 3.0 * (fix.accuracy_m or 0.0)):
        return replace(now, lat_deg=state.lat_deg, lon_deg=state.lon_deg)
    return _further(now, min(way_m, RESUME_M))


def _learnt(before: State, now: State, fix: Fix, metres: float) -> State:
    """The scale, from stretches at speed that receiver and bus both saw."""
    if now.bus_mps is None or before.bus_mps is None or min(now.bus_mps, before.bus_mps) < LEARN_MPS or _weak(fix):
        return now
    assert now.at_ms is not None
    assert before.at_ms is not None
    bus_m = (now.bus_mps + before.bus_mps) / 2.0 * (now.at_ms - before.at_ms) / 1000.0
    keep = math.exp(-metres / LEARN_M)
    return replace(now, bus_m=now.bus_m * keep + bus_m, true_m=now.true_m * keep + metres)


def _further(state: State, metres: float) -> State:
    """Never back, and nothing that is no number."""
    return replace(state, metres=state.metres + metres) if 0.0 < metres < math.inf else state
