"""Acceleration and turn rate, and the speed and course that a receiver did not tell."""

import pytest

from agent.core.dynamics import State, Trend, step
from wire.geo import moved
from wire.messages import Fix, Reading


def told(at_ms: int, speed: float | None, course: float | None, north_m: float = 0.0) -> Fix:
    lat, lon = moved(41.0, -96.0, north_m, 0.0)
    return Fix(at_ms, lat, lon, None, speed, course)


def after(*fixes: Fix, reading: Reading = Reading()) -> State:  # noqa: B008  # frozen
    state = State()
    for fix in fixes:
        state = step(state, fix, reading)
    return state


@pytest.mark.parametrize(
    ("first", "second", "trend"),
    [
        (told(0, 10.0, 350.0), told(1000, 12.0, 5.0), Trend(2.0, 15.0)),
        (told(0, 12.0, 5.0), told(2000, 10.0, 351.0), Trend(-1.0, -7.0)),
        (told(0, 10.0, 350.0), told(3001, 12.0, 5.0), Trend()),
        (told(0, 1.0, 350.0), told(1000, 12.0, 5.0), Trend(10.0, 0.0)),
        (told(0, 12.0, 0.0), told(1000, 0.0, None), Trend(-10.0, 0.0)),
        (told(0, 12.0, 0.0), told(1000, 12.0, 170.0), Trend(0.0, 90.0)),
    ],
)
def test_rates(first: Fix, second: Fix, trend: Trend) -> None:
    assert after(first, second).trend == trend


def test_at_ten_fixes_a_second_rates_are_taken_over_about_a_second() -> None:
    """Speed rises by 2 m/s², and each reading is off by 0.3 m/s to either side."""
    state = State()
    for i in range(40):
        state = step(state, told(i * 100, 5.0 + 0.2 * i + (0.3 if i % 2 else -0.3), 0.0), Reading())
        if i > 20:
            assert state.trend.accel_mps2 == pytest.approx(2.0, abs=0.7)


def test_a_step_back_in_time_gives_no_rate() -> None:
    assert after(told(5000, 10.0, 0.0), told(6000, 10.0, 0.0), told(1000, 12.0, 0.0)).trend == Trend()


def test_speed_and_course_come_from_places_that_are_apart() -> None:
    state = after(*(told(i * 1000, None, None, north_m=8.0 * i) for i in range(6)))
    assert state.fix is not None
    assert state.fix.speed_mps == pytest.approx(8.0, rel=0.01)
    assert state.fix.course_deg == pytest.approx(0.0, abs=0.1)
    assert state.trend.accel_mps2 == pytest.approx(0.0, abs=1e-6)


def test_in_town_places_give_rates_too_and_on_the_road_they_do_not() -> None:
    """Speeding up by 1 m/s², and then 30 m/s with the noise of places."""
    state = after(*(told(i * 1000, None, None, north_m=0.5 * i * i) for i in range(12)))
    assert state.trend.accel_mps2 == pytest.approx(0.8, abs=0.05)
    state = after(*(told(i * 1000, None, None, north_m=30.0 * i + (i % 2)) for i in range(12)))
    assert state.trend == Trend()


def test_noise_of_a_parked_receiver_makes_no_speed() -> None:
    """Driving, then 200 fixes that wander within 5 m: the derived speed falls away."""
    state = after(*(told(i * 1000, None, None, north_m=8.0 * i) for i in range(6)))
    speeds = []
    for i in range(200):
        state = step(state, told(6000 + i * 1000, None, None, north_m=40.0 + 5.0 * (i % 3 - 1)), Reading())
        assert state.fix is not None
        speeds.append(state.fix.speed_mps or 0.0)
    assert max(speeds[30:]) < 0.5


def test_the_bus_knows_the_speed_that_the_receiver_does_not_tell() -> None:
    state = after(told(0, None, None), told(2000, None, None, north_m=20.0), reading=Reading(speed_kph=36.0))
    assert state.fix is not None
    assert (state.fix.speed_mps, round(state.fix.course_deg or 0.0, 3)) == (10.0, 0.0)


def test_a_course_that_is_told_stays_and_a_speed_alone_gets_a_course() -> None:
    state = after(told(0, None, 45.0), told(2000, None, 45.0, north_m=20.0))
    assert state.fix is not None
    assert (state.fix.course_deg, round(state.fix.speed_mps or 0.0, 2)) == (45.0, 10.0)
    state = after(told(0, 9.0, None), told(2000, 9.0, None, north_m=20.0))
    assert state.fix is not None
    assert (state.fix.speed_mps, round(state.fix.course_deg or 0.0, 3)) == (9.0, 0.0)
    state = after(told(0, 9.0, None), told(1000, 9.0, None, north_m=0.5))
    assert state.fix is not None
    assert (state.fix.speed_mps, state.fix.course_deg) == (9.0, None)


def test_after_a_pause_the_mean_of_the_way_is_the_speed() -> None:
    state = after(told(0, None, None), told(200_000, None, None, north_m=500.0))
    assert state.fix is not None
    assert state.fix.speed_mps == pytest.approx(2.5)
    assert state.fix.course_deg == pytest.approx(0.0, abs=1e-6)
    state = after(told(5000, None, None), told(4000, None, None, north_m=500.0))
    assert state.fix is not None
    assert (state.fix.speed_mps, state.fix.course_deg) == (0.0, None)


def test_a_place_that_jumped_gives_no_impossible_speed() -> None:
    state = after(told(0, None, None), told(1000, None, None, north_m=4_000_000.0))
    assert state.fix is not None
    assert state.fix.speed_mps == 90.0
