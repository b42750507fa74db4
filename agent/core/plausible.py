"""Refuses fixes that can't be: jumps faster than any road vehicle, and times that go back. Each refusal has a reason.

What `BELIEVE_AFTER` fixes in a row agree on is believed: a ferry, a tow, a tunnel, or a receiver that had dated one fix
wrongly into the future.
"""

from dataclasses import dataclass

from wire.geo import distance_m
from wire.messages import Fix, Rejected

TOP_MPS = 90.0
SLACK_M = 60.0
BELIEVE_AFTER = 3


@dataclass(frozen=True, slots=True)
class State:
    """The last accepted fix, and the jumps refused since."""

    last: Fix | None = None
    doubtful: Fix | None = None
    refused: int = 0


def _reachable(start: Fix, end: Fix) -> bool:
    way_m = distance_m(start.lat_deg, start.lon_deg, end.lat_deg, end.lon_deg)
    return way_m <= SLACK_M + TOP_MPS * (end.at_ms - start.at_ms) / 1000.0


def step(state: State, fix: Fix) -> tuple[State, Fix | Rejected]:
    """The fix itself when it is accepted, else why not."""
    if state.last is None:
        return State(fix), fix
    if fix.at_ms == state.last.at_ms:
        return state, Rejected("repeated")
    back = fix.at_ms < state.last.at_ms
    if not back and _reachable(state.last, fix):
        return State(fix), fix
    doubtful = state.doubtful
    agrees = doubtful is not None and fix.at_ms > doubtful.at_ms and _reachable(doubtful, fix)
    refused = state.refused + 1 if agrees else 1
    if refused >= BELIEVE_AFTER:
        return State(fix), fix
    return State(state.last, fix, refused), Rejected("back-in-time" if back else "jump")
