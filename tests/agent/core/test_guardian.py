"""The guardian of the battery: quiet when parked, awake for a reason, the resting voltage learnt, a warning in time."""

from itertools import pairwise

import pytest

from agent.core.facts import Fact
from agent.core.guardian import SLOTS, Config, Seen, Slot, State, days_left, fallen, step, voltage_ms

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CONFIG = Config()
OFF = Seen(ignition=False, voltage_v=None)


def parked(
    state: State, *, from_ms: int = 0, to_ms: int, volts: tuple[float, float] = (12.6, 12.6), every_ms: int = 60_000
) -> tuple[State, list[Fact]]:
    """A parking with a voltage that goes from one value to the other in a straight line."""
    facts = []
    for now_ms in range(from_ms, to_ms + 1, every_ms):
        share = (now_ms - from_ms) / max(1, to_ms - from_ms)
        volt = volts[0] + share * (volts[1] - volts[0])
        state, told = step(state, Seen(ignition=False, voltage_v=volt), now_ms, CONFIG)
        facts += told
    return state, facts


def test_the_bus_is_left_alone_after_a_while() -> None:
    state, _ = step(State(), OFF, 0, CONFIG)
    assert not state.quiet
    state, _ = step(state, OFF, CONFIG.wind_down_ms - 1, CONFIG)
    assert not state.quiet
    state, _ = step(state, OFF, CONFIG.wind_down_ms, CONFIG)
    assert state.quiet
    assert voltage_ms(state, CONFIG) == 60_000
    state, facts = step(state, Seen(ignition=True, voltage_v=14.0), 500_000, CONFIG)
    assert (state.quiet, facts) == (False, [])


@pytest.mark.parametrize(
    "sign",
    [Seen(ignition=False, voltage_v=None, moving=True), Seen(ignition=None, voltage_v=13.2)],
    ids=["it moves", "the voltage rose"],
)
def test_it_looks_when_there_is_a_sign_and_ever_more_seldom_when_there_was_none(sign: Seen) -> None:
    state, _ = parked(State(), to_ms=HOUR_MS)
    assert state.quiet
    now_ms, looks = HOUR_MS, []
    while now_ms < 8 * HOUR_MS:
        was_quiet = state.quiet
        state, _ = step(state, sign, now_ms, CONFIG)
        if was_quiet and not state.quiet:
            looks.append(now_ms)
        if state.quiet:
            state, _ = step(state, Seen(ignition=False, voltage_v=12.6), now_ms, CONFIG)
        now_ms += 10_000
    pauses = [b - a for a, b in pairwise(looks)]
    assert pauses[:3] == [CONFIG.wake_ms + n * CONFIG.voltage_ms for n in (1, 2, 4)]
    assert max(pauses) == CONFIG.wake_ms + CONFIG.cap_ms


def test_a_look_that_finds_the_ignition_stays_awake() -> None:
    state, _ = parked(State(), to_ms=HOUR_MS)
    state, _ = step(state, Seen(ignition=False, voltage_v=None, moving=True), HOUR_MS, CONFIG)
    assert not state.quiet
    state, _ = step(state, OFF, HOUR_MS + 10_000, CONFIG)
    assert not state.quiet, "it still looks"
    state, _ = step(state, Seen(ignition=True, voltage_v=14.2), HOUR_MS + 20_000, CONFIG)
    assert (state.quiet, state.rest_v, state.pause_ms) == (False, 12.6, 0)


def test_no_sign_no_look() -> None:
    state, _ = parked(State(), to_ms=DAY_MS)
    assert state.quiet
    state, _ = step(state, OFF, DAY_MS + 1, CONFIG)
    assert state.quiet


def test_the_resting_voltage_is_learnt_once_a_parking_after_the_battery_has_settled() -> None:
    state, _ = parked(State(), to_ms=CONFIG.settle_ms - 1)
    assert state.rest_v is None
    state, _ = parked(State(), to_ms=3 * HOUR_MS)
    assert state.rest_v == 12.6
    state, _ = step(state, Seen(ignition=True, voltage_v=14.0), 4 * HOUR_MS, CONFIG)
    state, _ = parked(state, from_ms=5 * HOUR_MS, to_ms=8 * HOUR_MS, volts=(12.1, 12.1))
    assert state.rest_v == pytest.approx(12.5)


def test_low_is_told_once_and_recovery_too() -> None:
    state, _ = parked(State(), to_ms=2 * HOUR_MS)
    state, facts = parked(state, from_ms=2 * HOUR_MS, to_ms=30 * HOUR_MS, volts=(12.6, 11.9))
    assert [fact.kind for fact in facts] == ["battery-low"]
    assert facts[0].detail["rest_v"] == 12.6
    assert 0.4 < float(str(facts[0].detail["days_left"])) < 1.0
    assert (state.low, voltage_ms(state, CONFIG)) == (True, CONFIG.low_voltage_ms)
    charged, facts = parked(state, from_ms=30 * HOUR_MS, to_ms=31 * HOUR_MS, volts=(12.5, 12.5))
    assert [fact.kind for fact in facts] == ["battery-ok"]
    assert not charged.low
    started, facts = step(state, Seen(ignition=True, voltage_v=14.0), 31 * HOUR_MS, CONFIG)
    assert ([fact.kind for fact in facts], started.low) == (["battery-ok"], False)


def test_a_starter_motor_is_no_low_battery() -> None:
    state, _ = step(State(rest_v=12.6), Seen(ignition=False, voltage_v=9.8), 0, CONFIG)
    assert not state.low


def test_the_floor_counts_when_nothing_is_learnt_and_for_trucks_twice() -> None:
    _, facts = parked(State(), to_ms=HOUR_MS, volts=(11.7, 11.7))
    assert [fact.kind for fact in facts] == ["battery-low"]
    _, facts = parked(State(), to_ms=HOUR_MS, volts=(24.8, 24.8))
    assert facts == []
    _, facts = parked(State(), to_ms=HOUR_MS, volts=(23.4, 23.4))
    assert [fact.kind for fact in facts] == ["battery-low"]


def test_days_left_by_the_trend() -> None:
    state, _ = parked(State(), to_ms=2 * DAY_MS, volts=(12.6, 12.4))
    assert days_left(state, CONFIG) == pytest.approx((12.4 - 11.6) / 0.1, abs=0.2)
    state, _ = parked(State(), to_ms=2 * DAY_MS)
    assert days_left(state, CONFIG) is None, "it does not fall"
    state, _ = parked(State(), to_ms=3 * HOUR_MS, volts=(12.6, 12.0))
    assert days_left(state, CONFIG) is None, "too short to tell"
    slow = State(slots=tuple(Slot(i * 900_000, 12.6 - i * 1e-7, 1) for i in range(30)))
    assert days_left(slow, CONFIG) == 365.0


def test_a_long_parking_is_remembered_for_two_weeks() -> None:
    state, _ = parked(State(), to_ms=20 * DAY_MS, every_ms=600_000)
    assert len(state.slots) == SLOTS


def test_a_voltage_that_falls() -> None:
    high: float | None = None
    told = []
    for voltage_v in (None, 12.6, 14.2, None, 14.0, 13.8, 13.7, 13.5, 28.4, 27.5, 27.4):
        high, falls = fallen(high, voltage_v)
        told.append(falls)
    assert told == [False] * 6 + [True, False, False, False, True], "a truck's by twice as much"
