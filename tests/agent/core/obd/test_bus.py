"""The newest value of each signal, its age."""

from agent.core.obd.bus import BusValue, State, reading, step
from wire.messages import Reading


def after(*values: BusValue, now_ms: int = 1000) -> State:
    state = State()
    for value in values:
        state = step(state, value, now_ms)
    return state


def test_newest_wins_and_ages() -> None:
    state = after(BusValue("rp", 800, 100), BusValue("vs", 50, 900), BusValue("rp", 900, 500), BusValue("rp", 1, 400))
    assert reading(state, 1000) == Reading(rpm=900, speed_kph=50)
    assert reading(state, 15_600) == Reading(speed_kph=50)
    assert reading(state, 900, 300) == Reading(speed_kph=50)


def test_the_future_is_left_out() -> None:
    assert after(BusValue("rp", 800, 2000)) == State()


def test_what_it_means_for_the_ignition_is_not_said_here() -> None:
    assert reading(after(BusValue("rp", 0, 1), BusValue("mv", 13.3, 1)), 1000) == Reading(rpm=0, voltage_v=13.3)
    assert reading(State(), 1000) == Reading()
