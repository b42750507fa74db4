"""Refuses fixes that can't be: jumps no road vehicle makes, times that go back, a place frozen while the vehicle drives.

What `BELIEVE_AFTER` fixes in a row agree on for `BELIEVE_MS` is believed: a ferry, a tow, a tunnel, or a receiver that had
dated one fix wrongly into the future. A frozen place is believed again as soon as it changes by its last digit. A parked vehicle is never
frozen: neither its receiver nor its bus tells a speed.
"""

from dataclasses import dataclass, replace

from wire.geo import distance_m
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


def _reachable(start: Fix, end: Fix) -> bool:
    way_m = distance_m(start.lat_deg, start.lon_deg, end.lat_deg, end.lon_deg)
    return way_m <= SLACK_M + TOP_MPS * (end.at_ms - start.at_ms) / 1000.0


def step(state: State, fix: Fix, bus_mps: float | None = None) -> tuple[State, Fix | Rejected]:
    """The fix itself when it is accepted, else why not. `bus_mps` is the speed that the vehicle's own bus tells."""
    owed_m = _owed_m(state, fix, bus_mps)
    if owed_m >= FROZEN_M:
        return replace(state, seen=fix, owed_m=owed_m), Rejected("frozen")
    if state.last is None:
        return State(fix, seen=fix), fix
    if fix.at_ms == state.last.at_ms:
        return state, Rejected("repeated")
    back = fix.at_ms < state.last.at_ms
    if not back and _reachable(state.last, fix):
        return State(fix, seen=fix, owed_m=owed_m), fix
    doubtful = state.doubtful
    agrees = doubtful is not None and fix.at_ms > doubtful.at_ms and _reachable(doubtful, fix)
    refused, since_ms = (state.refused + 1, state.since_ms) if agrees else (1, fix.at_ms)
    if refused >= BELIEVE_AFTER and fix.at_ms - since_ms >= BELIEVE_MS:
        return State(fix, seen=fix, owed_m=owed_m), fix
    return State(state.last, fix, refused, since_ms, fix, owed_m), Rejected("back-in-time" if back else "jump")


def _owed_m(state: State, fix: Fix, bus_mps: float | None) -> float:
    seen = state.seen
    if seen is None or (seen.lat_deg, seen.lon_deg) != (fix.lat_deg, fix.lon_deg):
        return 0.0
    speed_mps = max(fix.speed_mps or 0.0, bus_mps or 0.0)
    if speed_mps < DRIVING_MPS:
        return state.owed_m
    return state.owed_m + speed_mps * min(max(0, fix.at_ms - seen.at_ms), LONGEST_GAP_MS) / 1000.0
