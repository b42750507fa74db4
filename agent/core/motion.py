"""Motion state of the vehicle: parked, idling, moving. The ignition comes settled, from `core.ignition`.

Rules, in this order:
  moving   the vehicle's speed has been at least `MOVING_MPS` (GNSS), or the bus says more than 0 km/h
  idling   it stands, and the ignition is on, or it has stood for less than `PARKED_AFTER_MS` with the ignition unknown
  parked   it stands, and the ignition is off, or it has stood for `PARKED_AFTER_MS` with the ignition unknown
The bus is believed before the receiver when it stands still: GNSS speed wanders, a wheel sensor at 0 does not. So is an
ignition that is off. Only a speed that no receiver wanders to (`CARRIED_MPS`) speaks against them: a ferry, a flatbed.
"""

from dataclasses import dataclass
from enum import StrEnum

from wire.messages import Fix, Reading

STANDING_MPS = 0.5
MOVING_MPS = 1.0
CARRIED_MPS = 1.5
PARKED_AFTER_MS = 180_000


class Motion(StrEnum):
    """What the vehicle does."""

    PARKED = "parked"
    IDLING = "idling"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class State:
    """`standing_since_ms` is the time of the first fix of this standstill."""

    motion: Motion = Motion.IDLING
    standing_since_ms: int | None = None


def standing(fix: Fix, reading: Reading) -> bool:
    """Whether the vehicle stands, by bus and ignition if they speak, else by the receiver."""
    speed_mps = fix.speed_mps or 0.0
    if reading.speed_kph == 0 or (reading.ignition is False and not reading.speed_kph):
        return speed_mps < CARRIED_MPS
    return speed_mps < STANDING_MPS and not reading.speed_kph


def step(state: State, fix: Fix, reading: Reading) -> State:
    """The next state, by a fix and what the bus says at its time."""
    if not standing(fix, reading):
        moves = (fix.speed_mps or 0.0) >= MOVING_MPS or bool(reading.speed_kph)
        return State(Motion.MOVING if moves or state.motion is Motion.MOVING else state.motion)
    since_ms = fix.at_ms if state.standing_since_ms is None else state.standing_since_ms
    if reading.ignition is None:
        parked = state.motion is Motion.PARKED or fix.at_ms - since_ms >= PARKED_AFTER_MS
    else:
        parked = not reading.ignition
    return State(Motion.PARKED if parked else Motion.IDLING, since_ms)
