"""Whom to believe about the time: each rule of `agent.core.timing` with its edges."""

import pytest

from agent.core.gnss.dates import ERA_MS
from agent.core.timing import BELIEVE_AFTER, DAY_MS, LEAP_MS, SPAN_MS, Basis, State, Verdict, receiver, system

FLOOR = 1_795_305_600_000
NOW = FLOOR + 100 * DAY_MS


def test_nobody_knows_the_time_at_the_start() -> None:
    assert State().utc_ms(5) is None


def test_the_system_is_asked_only_while_it_is_kept_right_and_the_receiver_is_silent() -> None:
    assert system(State(), NOW, 5, confirmed=False) == State()
    known = system(State(), NOW, 5, confirmed=True)
    assert (known.utc_ms(10), known.basis) == (NOW + 5, Basis.SYSTEM)
    told, _, _ = receiver(known, NOW + 2_000, 1_000, floor_ms=FLOOR)
    assert told.basis is Basis.GNSS
    assert system(told, NOW + DAY_MS, 2_000, confirmed=True) == told


@pytest.mark.parametrize("eras", [-2, -1, 1, 2])
def test_rollovers_are_repaired(eras: int) -> None:
    state, true_ms, verdict = receiver(State(), NOW + eras * ERA_MS, 7, floor_ms=FLOOR)
    assert (true_ms, verdict, state.utc_ms(7)) == (NOW, Verdict.ROLLOVER, NOW)


@pytest.mark.parametrize(
    ("at_ms", "verdict"),
    [
        (FLOOR, Verdict.RIGHT),
        (FLOOR + SPAN_MS - 1, Verdict.RIGHT),
        (FLOOR + SPAN_MS, Verdict.UNUSABLE),
        (FLOOR - 1, Verdict.UNUSABLE),
        (315_964_800_000, Verdict.UNUSABLE),  # 1980-01-06, where GPS begins
        (946_684_800_000, Verdict.UNUSABLE),  # 2000-01-01, where many receivers begin
        (0, Verdict.UNUSABLE),
    ],
)
def test_the_edges_of_what_may_be(at_ms: int, verdict: Verdict) -> None:
    state, true_ms, told = receiver(State(), at_ms, 7, floor_ms=FLOOR)
    assert told is verdict
    assert true_ms == (at_ms if verdict is Verdict.RIGHT else None)
    assert state.basis is (Basis.GNSS if verdict is Verdict.RIGHT else Basis.NOBODY)


def test_without_a_floor_each_date_is_right() -> None:
    assert receiver(State(), 5, 7, floor_ms=0)[1:] == (5, Verdict.RIGHT)


def test_a_confirmed_clock_says_which_era_it_is() -> None:
    """Also beyond the span, and also for a date after the floor: 2034 told in 2015 by a receiver that counts an era too much."""
    late = FLOOR + SPAN_MS + 50 * DAY_MS
    known = State(late, Basis.SYSTEM)
    assert receiver(known, late - ERA_MS + 5, 0, floor_ms=FLOOR)[1:] == (late + 5, Verdict.ROLLOVER)
    known = State(NOW, Basis.SYSTEM)
    assert receiver(known, NOW + ERA_MS, 0, floor_ms=FLOOR)[1:] == (NOW, Verdict.ROLLOVER)
    assert receiver(known, NOW + 5, 0, floor_ms=FLOOR)[1:] == (NOW + 5, Verdict.RIGHT)


def test_a_repair_that_a_confirmed_clock_denies_is_none() -> None:
    known = State(NOW, Basis.SYSTEM)
    state, true_ms, verdict = receiver(known, NOW + 40 * DAY_MS - ERA_MS, 0, floor_ms=FLOOR)
    assert (state, true_ms, verdict) == (known, None, Verdict.UNUSABLE)
    assert receiver(known, NOW + 40 * DAY_MS, 0, floor_ms=FLOOR)[2] is Verdict.RIGHT, (
        "the receiver is believed before it"
    )


def test_a_leap_is_believed_when_several_agree() -> None:
    state, _, _ = receiver(State(), NOW, 0, floor_ms=FLOOR)
    leap = 2 * LEAP_MS
    state, true_ms, verdict = receiver(state, NOW + leap, 1_000, floor_ms=FLOOR)
    assert (true_ms, verdict) == (None, Verdict.LEAP)
    assert state.utc_ms(1_000) == NOW + 1_000, "the clock goes on as before"
    for second in range(2, BELIEVE_AFTER):
        state, true_ms, verdict = receiver(state, NOW + leap + second * 1_000, second * 1_000, floor_ms=FLOOR)
        assert verdict is Verdict.LEAP
    state, true_ms, verdict = receiver(state, NOW + leap + 3_000, 3_000, floor_ms=FLOOR)
    assert (true_ms, verdict) == (NOW + leap + 3_000, Verdict.RIGHT)


def test_leaps_that_do_not_agree_are_never_believed() -> None:
    state, _, _ = receiver(State(), NOW, 0, floor_ms=FLOOR)
    for i in range(1, 10):
        state, true_ms, verdict = receiver(state, NOW + (2 + i % 2 * 3) * LEAP_MS, i, floor_ms=FLOOR)
        assert (true_ms, verdict) == (None, Verdict.LEAP)
    state, true_ms, _ = receiver(state, NOW + 10, 10, floor_ms=FLOOR)
    assert true_ms == NOW + 10
    assert state.doubts == 0
