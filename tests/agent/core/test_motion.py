"""Motion as a pure step: a walk over every rule."""

import pytest

from agent.core.motion import Motion, State, step
from wire.messages import Fix, Reading


def at(second: int, speed: float | None) -> Fix:
    return Fix(second * 1000, 41.0, -96.0, speed_mps=speed)


@pytest.mark.parametrize(
    ("speed", "bus_kph", "motion"),
    [(0.0, None, Motion.IDLING), (2.0, None, Motion.MOVING), (0.7, None, Motion.IDLING), (1.2, 0, Motion.IDLING), (2.0, 0, Motion.MOVING),
     (0.1, 7, Motion.MOVING), (None, None, Motion.IDLING)],
)  # fmt: skip
def test_first_step(speed: float | None, bus_kph: float | None, motion: Motion) -> None:
    assert step(State(), at(1, speed), Reading(speed_kph=bus_kph)).motion is motion


def test_slow_rolling_stays_moving() -> None:
    state = step(State(), at(1, 5.0), Reading())
    state = step(state, at(2, 0.7), Reading())
    assert state.motion is Motion.MOVING


def test_without_a_bus_a_long_stop_is_parked_and_stays_so() -> None:
    state = State()
    for second in range(181):
        state = step(state, at(second, 0.1), Reading())
        assert state.motion is (Motion.PARKED if second >= 180 else Motion.IDLING)
    state = step(state, at(181, 0.1), Reading())
    assert state.motion is Motion.PARKED
    state = step(state, at(182, 3.0), Reading())
    assert state.motion is Motion.MOVING


def test_ignition_decides_between_idling_and_parked() -> None:
    state = step(State(), at(1, 0.0), Reading(ignition=True))
    assert state.motion is Motion.IDLING
    state = step(state, at(2, 0.0), Reading(ignition=False))
    assert state.motion is Motion.PARKED
    state = step(state, at(500, 0.0), Reading(ignition=True))
    assert state.motion is Motion.IDLING
