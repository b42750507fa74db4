"""Ignition from the bus: each rule, and the patience before a change counts."""

import pytest

from agent.core.ignition import DEBOUNCE_MS, SILENT_MS, STOP_START_MS, State, batteries, step
from wire.messages import Reading

RUNNING, STOPPED, CHARGING, RESTING, NOTHING = (
    Reading(rpm=800.0), Reading(rpm=0.0), Reading(voltage_v=14.1), Reading(voltage_v=12.5), Reading(),
)  # fmt: skip


def run(
    state: State, reading: Reading, *, since_ms: int = 0, for_ms: int, rest_v: float | None = None
) -> tuple[State, list[str]]:
    """Step once a second; what was said."""
    said = []
    for now_ms in range(since_ms, since_ms + for_ms + 1, 1_000):
        state, change = step(state, reading, now_ms, rest_v=rest_v)
        said += [change] if change else []
    return state, said


@pytest.mark.parametrize(
    ("reading", "on"), [(RUNNING, True), (CHARGING, True), (STOPPED, False), (RESTING, None), (NOTHING, None)]
)
def test_the_first_knowledge_counts_at_once(reading: Reading, *, on: bool | None) -> None:
    state, change = step(State(), reading, 0)
    assert state.on is on
    assert change == ("ignition-on" if on else None)


def test_a_change_must_last() -> None:
    state, said = run(State(on=False), RUNNING, for_ms=DEBOUNCE_MS - 1_000)
    assert (state.on, said) == (False, [])
    state, _ = step(state, STOPPED, DEBOUNCE_MS)
    state, said = run(state, RUNNING, since_ms=10_000, for_ms=DEBOUNCE_MS)
    assert (state.on, said) == (True, ["ignition-on"])


@pytest.mark.parametrize(
    ("reading", "after_ms"), [(STOPPED, STOP_START_MS), (NOTHING, SILENT_MS), (RESTING, SILENT_MS)]
)
def test_off_is_believed_after_its_own_patience(reading: Reading, after_ms: int) -> None:
    state, said = run(State(on=True), reading, for_ms=after_ms - 1_000)
    assert (state.on, said) == (True, [])
    state, said = run(State(on=True), reading, for_ms=after_ms)
    assert (state.on, said) == (False, ["ignition-off"])


def test_a_red_light_is_no_end() -> None:
    state, said = run(State(on=True), STOPPED, for_ms=90_000)
    state, more = run(state, RUNNING, since_ms=91_000, for_ms=5_000)
    assert (state, said + more) == (State(on=True), [])


def test_a_smart_alternator_that_rests_is_no_end_while_the_engine_turns() -> None:
    state, said = run(State(on=True), Reading(rpm=800.0, voltage_v=12.4), for_ms=300_000)
    assert (state.on, said) == (True, [])


def test_a_rise_above_rest_is_a_start() -> None:
    assert step(State(on=False, doubted_since_ms=0), Reading(voltage_v=13.0), 5_000, rest_v=12.3)[1] == "ignition-on"
    assert step(State(on=False, doubted_since_ms=0), Reading(voltage_v=12.7), 5_000, rest_v=12.3)[1] is None


def test_trucks_have_twice_as_much() -> None:
    assert (batteries(12.6), batteries(25.2)) == (1, 2)
    assert step(State(), Reading(voltage_v=25.2), 0)[0].on is None
    assert step(State(), Reading(voltage_v=28.2), 0)[0].on is True
