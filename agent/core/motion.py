"""Motion state of the vehicle: parked, idling, moving; and ignition, debounced.

Rules, in this order:
  moving   the vehicle's speed has been at least `MOVING_MPS` (GNSS), or the bus says more than 0 km/h
  idling   it stands, and the ignition is on, or it has stood for less than `PARKED_AFTER_MS` with the ignition unknown
  parked   it stands, and the ignition is off, or it has stood for `PARKED_AFTER_MS` with the ignition unknown
The bus is believed before the receiver when it stands still: GNSS speed wanders, a wheel sensor at 0 does not.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from wire.messages import Fix, Reading

STANDING_MPS = 0.5
MOVING_MPS = 1.0
PARKED_AFTER_MS = 180_000
IGNITION_DEBOUNCE_MS = 2_000
SILENT_BUS_MS = 30_000


class Motion(StrEnum):
    """What the vehicle does."""

    PARKED = "parked"
    IDLING = "idling"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class State:
    """`standing_since_ms` is the time of the first fix of this standstill; `ignition` is the debounced value."""

    motion: Motion = Motion.IDLING
    standing_since_ms: int | None = None
    ignition: bool | None = None
    doubted_since_ms: int | None = None


def standing(fix: Fix, reading: Reading) -> bool:
    """Whether the vehicle stands, by the bus if it speaks, else by the receiver."""
    if reading.speed_kph is not None and reading.speed_kph == 0:
        return True
    return (fix.speed_mps or 0.0) < STANDING_MPS and not reading.speed_kph


def step(state: State, fix: Fix, reading: Reading, now_ms: int) -> tuple[State, str | None]:
    """The next state, and `ignition-on` or `ignition-off` when that has just become certain."""
    state, change = _ignition(state, reading, now_ms)
    if not standing(fix, reading):
        moves = (fix.speed_mps or 0.0) >= MOVING_MPS or bool(reading.speed_kph)
        motion = Motion.MOVING if moves or state.motion is Motion.MOVING else state.motion
        return replace(state, motion=motion, standing_since_ms=None), change
    since_ms = fix.at_ms if state.standing_since_ms is None else state.standing_since_ms
    if state.ignition is None:
        parked = state.motion is Motion.PARKED or fix.at_ms - since_ms >= PARKED_AFTER_MS
    else:
        parked = not state.ignition
    return replace(state, motion=Motion.PARKED if parked else Motion.IDLING, standing_since_ms=since_ms), change


def _ignition(state: State, reading: Reading, now_ms: int) -> tuple[State, str | None]:
    """Debounce; a bus that falls silent after the ignition was on means off, after a longer wait."""
    seen = reading.ignition
    if seen is None and not state.ignition:
        return replace(state, doubted_since_ms=None), None
    if seen == state.ignition:
        return replace(state, doubted_since_ms=None), None
    if state.ignition is None:
        return replace(state, ignition=seen, doubted_since_ms=None), "ignition-on" if seen else None
    if state.doubted_since_ms is None:
        return replace(state, doubted_since_ms=now_ms), None
    if now_ms - state.doubted_since_ms < (SILENT_BUS_MS if seen is None else IGNITION_DEBOUNCE_MS):
        return state, None
    return replace(state, ignition=bool(seen), doubted_since_ms=None), "ignition-on" if seen else "ignition-off"
