"""Motion as a pure step: a walk over every rule."""

import pytest

from agent.core.motion import Motion, State, step
from wire.messages import Fix, Reading


def at(second: int, speed: float | None) -> Fix:
    return Fix(second * 1000, 41.0, -96.0, speed_mps=speed)


@pytest.mark.parametrize(
    ("speed", "bus_kph", "motion"),
    [(0.0, None, Motion.IDLING), (2.0, None, Motion.MOVING), (0.7, None, Motion.IDLING), (2.0, 0, Motion.IDLING),
     (0.1, 7, Motion.MOVING), (None, None, Motion.IDLING)],
)  # fmt: skip
def test_first_step(speed: float | None, bus_kph: float | None, motion: Motion) -> None:
    state, change = step(State(), at(1, speed), Reading(speed_kph=bus_kph), 0)
    assert (state.motion, change) == (motion, None)


def test_slow_rolling_stays_moving() -> None:
    state, _ = step(State(), at(1, 5.0), Reading(), 0)
    state, _ = step(state, at(2, 0.7), Reading(), 1000)
    assert state.motion is Motion.MOVING


def test_without_a_bus_a_long_stop_is_parked_and_stays_so() -> None:
    state = State()
    for second in range(181):
        state, _ = step(state, at(second, 0.1), Reading(), second * 1000)
        assert state.motion is (Motion.PARKED if second >= 180 else Motion.IDLING)
    state, _ = step(state, at(181, 0.1), Reading(), 181_000)
    assert state.motion is Motion.PARKED
    state, _ = step(state, at(182, 3.0), Reading(), 182_000)
    assert state.motion is Motion.MOVING


def test_ignition_decides_between_idling_and_parked() -> None:
    state, change = step(State(), at(1, 0.0), Reading(ignition=True), 0)
    assert (state.motion, change) == (Motion.IDLING, "ignition-on")
    state, change = step(state, at(2, 0.0), Reading(ignition=False), 1000)
    assert change is None
    state, change = step(state, at(3, 0.0), Reading(ignition=False), 2000)
    assert change is None
    state, change = step(state, at(4, 0.0), Reading(ignition=False), 3000)
    assert (state.motion, change) == (Motion.PARKED, "ignition-off")
    state, change = step(state, at(5, 0.0), Reading(ignition=True), 4000)
    state, change = step(state, at(7, 0.0), Reading(ignition=True), 6000)
    assert (state.motion, change) == (Motion.IDLING, "ignition-on")


def test_a_doubt_that_passes_is_forgotten() -> None:
    state, _ = step(State(ignition=True), at(1, 0.0), Reading(ignition=False), 0)
    state, change = step(state, at(2, 0.0), Reading(ignition=True), 1000)
    assert (state.doubted_since_ms, change) == (None, None)


def test_a_bus_that_falls_silent_means_off_after_half_a_minute() -> None:
    state, changes = State(ignition=True), []
    for second in range(32):
        state, change = step(state, at(second, 0.0), Reading(), second * 1000)
        changes.append(change)
    assert changes.index("ignition-off") == 30


def test_off_at_first_sight_is_no_event() -> None:
    assert step(State(), at(1, 0.0), Reading(ignition=False), 0)[1] is None
    assert step(State(ignition=False), at(1, 0.0), Reading(), 0) == step(
        State(ignition=False), at(1, 0.0), Reading(), 9
    )
