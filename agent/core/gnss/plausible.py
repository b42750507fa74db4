"""Refuses fixes that can't be: jumps no road vehicle makes, times that go back, a place that stands while the vehicle drives.

A fix is stale when it repeats the place before it although the vehicle has come farther than this receiver has ever been
seen to round; phones and slow chips do that for a second or two. When it goes on the place is frozen.
A jump is a place that neither of the speeds told, before and now, leads to.

What `BELIEVE_AFTER` fixes in a row agree on for `BELIEVE_MS` is believed: a ferry, a tow, a tunnel, or a receiver that had
dated one fix wrongly into the future. A frozen place is believed again as soon as it changes by its last digit. A parked vehicle is never
frozen: neither its receiver nor its bus tells a speed.
"""

from dataclasses import dataclass, replace

from wire.geo import METRES_PER_DEGREE, distance_m
from wire.messages import Fix, Rejected

TOP_MPS = 90.0
SLACK_M = 60.0
BELIEVE_AFTER = 3
BELIEVE_MS = 5_000
"""A receiver that gives ten positions a second makes three of them in the blink of an eye."""
FROZEN_M = 40.0
"""So far it should have come while the place did not change: more than the coarsest receiver rounds (18 m)."""
DRIVING_MPS = 1.5
"""Slower is what receivers tell of a vehicle that stands."""
LONGEST_GAP_MS = 2_000
STALE_M = 4.0
STALE_STEPS = 3.0
"""A repeated place is stale when it should be so many of the receiver's own smallest steps away."""
STEP_UNKNOWN_M = 18.0
MORE_MPS = 6.0
JUMP_SLACK_M = 30.0
SPEED_HOLDS_MS = 5_000
"""For so long the speeds told at both ends say how far a vehicle can have come: it was hardly faster in between."""


@dataclass(frozen=True, slots=True)
class State:
    """The last accepted fix, the jumps refused since, and how far the vehicle should have come since the place changed.

    `since_ms` is the time of the first refused fix that the others agree with.
    """

    last: Fix | None = None
    doubtful: Fix | None = None
    refused: int = 0
    since_ms: int = 0
    seen: Fix | None = None
    owed_m: float = 0.0
    step_m: float = STEP_UNKNOWN_M


def _reachable(start: Fix, end: Fix, bus_mps: float | None = None) -> bool:
    way_m = distance_m(start.lat_deg, start.lon_deg, end.lat_deg, end.lon_deg)
    lapse_s = (end.at_ms - start.at_ms) / 1000.0
    if start.speed_mps is None or end.speed_mps is None or lapse_s * 1000.0 > SPEED_HOLDS_MS:
        return way_m <= SLACK_M + TOP_MPS * lapse_s
    speed_mps = max(start.speed_mps, end.speed_mps, bus_mps or 0.0)
    unsure_m = 3.0 * max(start.accuracy_m or 0.0, end.accuracy_m or 0.0)
    return way_m <= max(JUMP_SLACK_M, min(unsure_m, SLACK_M)) + (speed_mps + MORE_MPS) * lapse_s


def step(state: State, fix: Fix, bus_mps: float | None = None) -> tuple[State, Fix | Rejected]:
    """The fix itself when it is accepted, else why not. `bus_mps` is the speed that the vehicle's own bus tells."""
    if state.last is None:
        return State(fix, seen=fix), fix
    owed_m = _owed_m(state, fix, bus_mps)
    step_m = state.step_m if state.seen is None else min(state.step_m, _step_m(state.seen, fix))
    if refusal := _repeats(state.last, fix, owed_m, step_m):
        return replace(state, seen=fix, owed_m=owed_m), Rejected(refusal)
    back = fix.at_ms < state.last.at_ms
    if not back and _reachable(state.last, fix, bus_mps):
        return State(fix, seen=fix, owed_m=owed_m, step_m=step_m), fix
    doubtful = state.doubtful
    agrees = doubtful is not None and fix.at_ms > doubtful.at_ms and _reachable(doubtful, fix)
    refused, since_ms = (state.refused + 1, state.since_ms) if agrees else (1, fix.at_ms)
    if refused >= BELIEVE_AFTER and fix.at_ms - since_ms >= BELIEVE_MS:
        return State(fix, seen=fix, owed_m=owed_m, step_m=step_m), fix
    unlikely = Rejected("back-in-time" if back else "jump")
    return State(state.last, fix, refused, since_ms, fix, owed_m, step_m), unlikely


def _repeats(last: Fix, fix: Fix, owed_m: float, step_m: float) -> str:
    """Why the fix says nothing new."""
    if owed_m >= FROZEN_M:
        return "frozen"
    if fix.at_ms == last.at_ms:
        return "repeated"
    return "same-place" if owed_m >= max(STALE_M, STALE_STEPS * step_m) else ""


def _step_m(before: Fix, fix: Fix) -> float:
    """The smallest step of the receiver that these two show, along either axis; large if they show none."""
    north = abs(fix.lat_deg - before.lat_deg)
    east = abs(fix.lon_deg - before.lon_deg)
    steps = [step for step in (north, east) if step > 0.0]
    return min(steps) * METRES_PER_DEGREE if steps else STEP_UNKNOWN_M


def _owed_m(state: State, fix: Fix, bus_mps: float | None) -> float:
    seen = state.seen
    if seen is None or (seen.lat_deg, seen.lon_deg) != (fix.lat_deg, fix.lon_deg):
        return 0.0
    speed_mps = max(fix.speed_mps or 0.0, bus_mps or 0.0)
    if speed_mps < DRIVING_MPS:
        return state.owed_m
    return state.owed_m + speed_mps * min(max(0, fix.at_ms - seen.at_ms), LONGEST_GAP_MS) / 1000.0
