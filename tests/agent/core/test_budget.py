"""The data budget in virtual months: kept to 2 %, never acting without need, and never against events."""

from dataclasses import replace

import pytest

from agent.core.budget import (
    BLIND_M,
    DAY_MS,
    SPENT,
    Config,
    Spent,
    State,
    days_left,
    eps_m,
    forecast,
    held,
    keepalive_s,
    kept,
    month_end_ms,
    month_start_ms,
    reserve_bytes,
    restored,
    step,
)
from bench.months import START, Van, plan
from wire.errors import DecodeError
from wire.iso import from_iso, iso


@pytest.mark.parametrize(("hours", "mb"), [(2, 10), (10, 5), (10, 10), (10, 30), (16, 3), (24, 5)])
def test_a_budget_that_is_too_small_is_kept(hours: int, mb: float) -> None:
    van = Van(plan(mb), hours)
    for _ in range(2):
        used = van.month()
        assert 0.85 * mb * 1e6 <= used <= 1.02 * mb * 1e6
    assert van.levels[-1] > 0
    assert len([word for word in van.told if word != "month"]) <= 40, "it does not flap"


@pytest.mark.parametrize(("hours", "mb"), [(2, 18), (2, 100), (10, 70)])
def test_with_a_budget_that_suffices_nothing_is_ever_changed(hours: int, mb: float) -> None:
    van = Van(plan(mb), hours)
    assert van.month() <= mb * 1e6
    van.month()
    assert set(van.levels) == {0}
    assert van.told == ["month", "month"]


def test_without_a_budget_bytes_are_counted_and_forecast() -> None:
    van = Van(Config(), 2)
    used = van.month()
    assert used > 10e6
    assert set(van.levels) == {0}
    told = forecast(van.state, van.config)
    assert told is not None
    assert 0.8 * used <= told <= 1.2 * used
    assert days_left(van.state, van.config) is None
    assert held(van.state, van.config) is False


def test_a_long_outage_is_paid_for_slowly() -> None:
    van = Van(plan(10), 2)
    van.waiting = 1_000_000
    van.state, told = step(van.state, Spent({}, waiting=van.waiting), START, van.config)
    assert (told, van.state.level) == ("over", SPENT - 1)
    assert van.month() <= 10.2e6
    assert van.waiting > 0


def at(now: str, **changes: object) -> State:
    """A month of which much is used."""
    now_ms = from_iso(now)
    state, _ = step(State(), Spent({}), now_ms, plan(10))
    return replace(state, since_ms=START, **changes)  # type: ignore[arg-type]  # fields of a State


def test_what_is_used_up_leaves_heartbeats_and_events() -> None:
    state = at("2026-03-20T12:00:00Z", lanes=(("live", 9_990_000),))
    state, told = step(state, Spent({"live": 1}), from_iso("2026-03-20T12:01:00Z"), plan(10))
    assert (told, state.level, held(state, plan(10))) == ("spent", SPENT, True)
    assert eps_m(state.level, 10.0) == BLIND_M
    assert reserve_bytes(state, plan(10)) > 0
    days = days_left(state, plan(10))
    assert days is not None
    assert 0 < days < 20
    state, told = step(state, Spent({}), from_iso("2026-03-20T12:02:00Z"), plan(10))
    assert (told, state.level) == (None, SPENT)
    state, told = step(state, Spent({}), from_iso("2026-04-01T00:00:10Z"), plan(10))
    assert (told, state.level, state.used) == ("month", 0, 0)


def test_a_larger_budget_ends_the_last_level() -> None:
    state = at("2026-03-20T12:00:00Z", lanes=(("live", 5_000_000),), level=SPENT)
    state, told = step(state, Spent({}), from_iso("2026-03-20T12:01:00Z"), plan(20))
    assert (told, state.level) == ("eased", SPENT - 1)
    state, told = step(state, Spent({}), from_iso("2026-03-20T12:02:00Z"), Config())
    assert (told, state.level) == (None, 0)


def test_the_clock_decides_only_when_it_is_sure_and_goes_on() -> None:
    state, told = step(State(), Spent({"live": 500}), None, plan(1))
    assert (state.used, state.month_ms, told, forecast(state, plan(1)), days_left(state, plan(1))) == (
        500,
        None,
        None,
        None,
        None,
    )
    assert (reserve_bytes(state, plan(1)), held(replace(state, level=SPENT), plan(1))) == (0.0, False)
    state, _ = step(state, Spent({"live": 500}), START + 1000, plan(100))
    assert (state.used, state.month_ms) == (1000, START)
    back, told = step(state, Spent({"event": 1}), START - DAY_MS, plan(100))
    assert (back.used, back.month_ms, told) == (1001, START, None)


@pytest.mark.parametrize(
    ("now", "first", "began", "ends"),
    [
        ("2026-03-15T00:00:00Z", 1, "2026-03-01", "2026-04-01"),
        ("2026-03-15T00:00:00Z", 15, "2026-03-15", "2026-04-15"),
        ("2026-03-14T23:59:59Z", 15, "2026-02-15", "2026-03-15"),
        ("2026-01-05T00:00:00Z", 28, "2025-12-28", "2026-01-28"),
        ("2025-12-31T23:59:59Z", 1, "2025-12-01", "2026-01-01"),
    ],
)
def test_the_month_of_the_plan(now: str, first: int, began: str, ends: str) -> None:
    at_ms = from_iso(now)
    assert iso(month_start_ms(at_ms, first))[:10] == began
    assert iso(month_end_ms(at_ms, first))[:10] == ends


def test_eps_never_falls_below_what_was_chosen() -> None:
    assert [eps_m(level, 10.0) for level in range(SPENT + 1)] == [10, 15, 20, 30, 50, 100, BLIND_M]
    assert [eps_m(level, 200.0) for level in range(SPENT)] == [200.0] * SPENT


def test_pings_take_a_twentieth_at_most() -> None:
    assert keepalive_s(Config(), 30) == 30
    assert keepalive_s(plan(1000), 30) == 30
    assert keepalive_s(plan(30), 30) == 364
    assert keepalive_s(plan(1), 30) == 1200
    assert keepalive_s(plan(1), 1200) == 1200


def test_what_is_kept_comes_back() -> None:
    van = Van(plan(10), 10)
    van.month()
    again = restored(kept(van.state))
    assert again == replace(van.state, days=again.days, waiting=0)
    assert [day.day for day in again.days] == [day.day for day in van.state.days]
    fresh, _ = step(State(), Spent({"live": 7}), None, plan(1))
    assert restored(kept(fresh)) == fresh


@pytest.mark.parametrize(
    "change",
    [
        {"lanes": 7}, {"days": {}}, {"sent": None}, {"sent": [1]}, {"sent": [1, "x"]}, {"days": [[1, 2]]}, {"days": [7]},
        {"lanes": {"live": -1}}, {"level": 99}, {"changed_ms": "x"}, {"month_ms": "x"},
    ],
)  # fmt: skip
def test_a_note_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        restored(kept(State()) | change)


def test_what_a_fix_costs_is_learnt_anew_in_time() -> None:
    state = State(sent_rows=200_000.0, sent_bytes=200_000.0 * 30)
    state, _ = step(state, Spent({"track": 1000}, delivered=100), None, Config())
    assert state.sent_rows == 100_100.0
    waits = replace(state, level=SPENT)
    assert step(waits, Spent({"track": 650}), None, Config())[0].sent_bytes == pytest.approx(state.sent_bytes + 1000)
