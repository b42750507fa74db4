"""The odometer: against a truth that is known, and that standing, gaps, ferries, restarts and nonsense drive no metres."""

import math
from dataclasses import replace

import pytest

from agent.core.odometer import State, coast, step
from bench.odometer import Noise, errors_percent
from wire.geo import moved
from wire.messages import Fix, Quality, Reading

DRIVEN = State(1000.0)
OFF, ON = Reading(ignition=False), Reading(ignition=True)


def fix(second: float, north_m: float, speed_mps: float | None = 0.0, **more: object) -> Fix:
    lat, lon = moved(48.0, 11.0, north_m, 0.0)
    return replace(Fix(round(second * 1000), lat, lon, speed_mps=speed_mps), **more)  # type: ignore[arg-type]  # keywords of a Fix


def after(*fixes: Fix, state: State = DRIVEN, reading: Reading = ON) -> float:
    """Metres that the fixes add."""
    before = state.metres
    for each in fixes:
        state = step(state, each, reading)
    return state.metres - before


def test_a_thousandth_against_the_truth() -> None:
    for name, errors in errors_percent(Noise(), range(1)).items():
        if name.startswith("odometer"):
            assert all(abs(error) <= 0.1 for error in errors.values()), (name, errors)
        if name.startswith("bus"):
            assert all(abs(error) <= 0.3 for error in errors.values()), (name, errors)
        if name.startswith("20 s"):
            assert all(abs(error) <= 2.0 for error in errors.values()), (name, errors)


def test_five_metres_of_noise() -> None:
    errors = errors_percent(Noise(slow_m=5.0, white_m=1.0, doppler_mps=0.1), range(1))["odometer, receiver alone"]
    assert all(abs(error) <= 0.5 for error in errors.values()), errors


def test_two_fixes_make_a_trapezoid_and_the_first_none() -> None:
    assert after(fix(0, 0, 10.0)) == 0.0
    assert after(fix(0, 0, 10.0), fix(1, 11, 12.0)) == pytest.approx(11.0)
    assert after(fix(0, 0, 10.0), fix(0.1, 1, 10.0)) == pytest.approx(1.0)


def test_standing_drives_no_metres_and_starts_and_stops_count_whole() -> None:
    assert after(*(fix(i, i % 7, 0.4) for i in range(60))) == 0.0
    assert after(fix(0, 0, 0.2), fix(1, 1, 2.0), fix(2, 3, 0.2)) == pytest.approx(2.2)
    creeping = Reading(speed_kph=1.0)
    assert after(fix(0, 0, 0.3), fix(1, 0, 0.3), reading=creeping) == pytest.approx(0.3)
    assert after(fix(0, 0, 1.3), fix(1, 0, 1.3), reading=Reading(speed_kph=0.0)) == 0.0


def test_a_ferry_a_tow_and_a_flatbed_turn_no_wheel() -> None:
    assert after(*(fix(i, 9 * i, 9.0) for i in range(30)), reading=OFF) == 0.0
    parked = step(step(DRIVEN, fix(0, 0, 9.0), ON), fix(1, 9, 9.0), OFF)
    assert parked.metres == pytest.approx(1009.0), "the ignition went off after the way"
    assert step(parked, fix(2, 18, 9.0), ON).metres == pytest.approx(1018.0)


def test_time_that_stands_or_goes_back_adds_nothing() -> None:
    assert after(fix(5, 0, 10.0), fix(5, 90, 10.0), fix(4, 99, 10.0)) == 0.0


@pytest.mark.parametrize("speed", [math.nan, math.inf, -3.0, 500.0])
def test_a_speed_that_can_not_be_is_none(speed: float) -> None:
    assert after(fix(0, 0, speed), fix(1, 12, speed)) == 0.0
    assert after(fix(0, 0, speed), fix(1, 10, speed), reading=Reading(speed_kph=36.0)) == pytest.approx(10.0)


def test_without_any_speed_places_count_beyond_the_noise() -> None:
    assert after(*(fix(i, 5 * i, None) for i in range(101))) == pytest.approx(500.0, abs=30.0)
    assert after(*(fix(i, i % 20, None) for i in range(100))) == 0.0
    assert after(fix(0, 0, 10.0), fix(1, 10, None), fix(2, 20, 10.0)) == pytest.approx(20.0), "one speed is missing"
    assert after(fix(0, 0, None), fix(1, 40, None, accuracy_m=30.0)) == 0.0


def test_a_gap_is_straight_but_no_faster_than_likely() -> None:
    assert after(fix(0, 0, 20.0), fix(60, 1200, 20.0)) == pytest.approx(1200.0)
    assert after(fix(0, 0, 20.0), fix(60, 5000, 20.0)) == pytest.approx(60 * 26.0)
    assert after(fix(0, 0, 20.0), fix(10, 180, 20.0)) == pytest.approx(200.0), "a curve"
    assert after(fix(0, 0, 20.0), fix(10, 100, 20.0)) == pytest.approx(130.0), "it must have stood meanwhile"


def test_a_jump_while_it_stands_is_no_way() -> None:
    assert after(fix(0, 0, 0.0), fix(6, 20_000, 0.0)) <= 48.0
    assert after(fix(0, 0, 0.0), fix(600, 12, 0.0)) == 0.0
    assert after(fix(0, 0, 0.0), fix(5, 12, 0.0)) == 0.0
    assert after(fix(0, 0, 2.0), fix(5, 12, 2.0)) == pytest.approx(10.0)
    assert after(fix(0, 0, None), fix(5, 12, 2.0)) == 0.0


def test_a_sparse_source_without_speeds_counts_its_places() -> None:
    """A tracker's export with a place every 25 s, at 20 m/s."""
    state = State()
    for i in range(10):
        lat, lon = moved(50.0, 10.0, 500.0 * i, 0.0)
        state = step(state, Fix(1_000_000 + 25_000 * i, lat, lon), Reading())
    assert state.metres == pytest.approx(4500.0, rel=0.001)


def test_a_gap_that_began_with_the_ignition_off_is_short() -> None:
    aboard = step(DRIVEN, fix(0, 0, 0.0), OFF)
    assert step(aboard, fix(7200, 40_000, 3.0), ON).metres == pytest.approx(3000.0)


def test_after_a_restart_the_way_from_the_last_place_counts() -> None:
    known = State(5000.0, lat_deg=48.0, lon_deg=11.0)
    assert after(fix(0, 400, 8.0), state=known) == pytest.approx(400.0)
    assert after(fix(0, 12, 8.0), state=known) == 0.0, "noise"
    assert after(fix(0, 30_000, 8.0), state=known) == 0.0, "carried there, or another vehicle"
    assert after(fix(0, 400, 8.0), state=known, reading=OFF) == 0.0


def test_the_bus_counts_on_without_a_fix() -> None:
    start = step(DRIVEN, fix(0, 0, 20.0), Reading(speed_kph=72.0))
    state = start
    for _ in range(59):
        state = coast(state, Reading(speed_kph=72.0), 1000)
    assert state.metres == pytest.approx(1000 + 59 * 20.0)
    out = step(state, fix(60, 900, 20.0), Reading(speed_kph=72.0))
    assert out.metres == pytest.approx(1000 + 60 * 20.0), (
        "the last second by the trapezoid; the straight line is shorter"
    )
    assert step(state, fix(59, 900, 20.0), Reading(speed_kph=72.0)).metres == state.metres
    near = step(state, fix(60, 3, 20.0), Reading(speed_kph=72.0))
    assert near.metres == pytest.approx(1000 + 60 * 20.0), "a circle"
    assert coast(start, Reading(), 1000) == start
    assert coast(start, Reading(speed_kph=72.0, ignition=False), 1000) == start
    assert coast(DRIVEN, Reading(speed_kph=72.0), 1000) == DRIVEN, "no place yet: the straight line will count"


def test_the_scale_of_the_bus_is_learnt_and_serves_where_the_receiver_is_weak() -> None:
    state, reading = State(), Reading(speed_kph=72.0)
    for second in range(200):
        state = step(state, fix(second, 21 * second, 21.0), reading)
    assert state.scale == pytest.approx(1.05)
    weak = (
        fix(200, 4200, 35.0, hdop=20.0),
        fix(201, 4220, 35.0, accuracy_m=90.0),
        fix(202, 4240, 3.0, quality=Quality.ESTIMATED),
    )
    assert after(*weak, state=state, reading=reading) == pytest.approx(63.0)
    assert State(bus_m=2000.0, true_m=9000.0).scale == 1.25
    assert State(bus_m=2000.0, true_m=90.0).scale == 0.8
    slow = step(step(State(), fix(0, 0, 2.0), Reading(speed_kph=7.0)), fix(1, 2, 2.0), Reading(speed_kph=7.0))
    assert slow.bus_m == 0.0
