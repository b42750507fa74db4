"""The sampler: when a message is due, and what it says. That the bound holds on every recording is in `test_bound`."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from agent.core import sampler
from agent.core.dynamics import Trend
from agent.core.motion import Motion
from agent.core.sampler import Config, State
from wire.geo import METRES_PER_DEGREE, moved
from wire.messages import Fix, Live, Reading

CONFIG = Config()


def sent(state: State, live: Live | None) -> State:
    return state if live is None else sampler.acknowledged(sampler.sending(state, live), live)


def at(second: float, north_m: float, speed: float, course: float = 0.0, accuracy: float = 3.0) -> Fix:
    lat, lon = moved(41.0, -96.0, north_m, 0.0)
    return Fix(round(second * 1000), lat, lon, 300.0, speed, course, accuracy_m=accuracy)


def test_the_first_fix_goes_out_and_steady_driving_needs_no_more() -> None:
    state, live = sampler.step(State(), at(0, 0, 10), Reading(), Motion.MOVING, CONFIG)
    assert live is not None
    state = sent(state, live)
    for second in range(1, 60):
        state, live = sampler.step(state, at(second, 10 * second, 10), Reading(), Motion.MOVING, CONFIG)
        assert live is None
    state, live = sampler.step(state, at(60, 600, 10), Reading(), Motion.MOVING, CONFIG)
    assert live is not None, "the heartbeat"


def test_a_parked_vehicle_beats_seldom() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    beats = 0
    for second in range(1, 901):
        state, live = sampler.step(state, at(second, second % 3, 0.1), Reading(), Motion.PARKED, CONFIG)
        state = sent(state, live)
        beats += live is not None
    assert beats == 3


def stand(*moments: tuple[float, float, float]) -> list[tuple[float, float]]:
    """Seconds, metres to the north, accuracy of a vehicle that was told to stand at 0: when it was moved, and to where."""
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    moves: list[tuple[float, float]] = []
    for second, north_m, accuracy in moments:
        state, live = sampler.step(state, at(second, north_m, 0.1, accuracy=accuracy), Reading(), Motion.PARKED, CONFIG)
        state = sent(state, live)
        if live is not None and live.lat_deg != 41.0:
            moves.append((second, float(round((live.lat_deg - 41.0) * METRES_PER_DEGREE))))
    return moves


def test_a_receiver_that_catches_up_after_the_stop_is_believed_soon() -> None:
    assert stand((1, 12, 3), (2, 13, 3), (3, 14, 3), (4, 14, 3)) == [(3, 14)]


def test_noise_does_not_move_a_held_vehicle() -> None:
    assert stand(*((float(i), 14.0 if i > 20 and i % 40 else 1.0, 3.0) for i in range(1, 400))) == [], (
        "it comes back each 40 s"
    )
    assert stand(*((float(i), 28.0, 10.0) for i in range(1, 200))) == [], "within three times its accuracy"


def test_a_vehicle_that_stays_a_little_elsewhere_is_moved_after_five_minutes() -> None:
    assert stand(*((float(i), 0.0 if i < 30 else 17.0, 3.0) for i in range(1, 400))) == [(330.0, 17)]


def test_a_vehicle_that_is_pushed_slowly_is_seen() -> None:
    """0.4 m/s, which no receiver calls driving: it is moved on whenever it is twice as far as could be noise."""
    moves = stand(*((float(i), 0.4 * i, 3.0) for i in range(1, 300)))
    assert len(moves) >= 4
    assert all(later[1] - before[1] <= 23 for before, later in pairwise([(0.0, 0.0), *moves]))


def test_after_a_gap_a_new_place_is_believed_at_once() -> None:
    first = [(float(i), 0.0, 3.0) for i in range(1, 60)]
    assert stand(*first, *((200.0 + i, 130.0, 3.0) for i in range(5))) == [(200.0, 130)]


def test_a_source_that_is_always_slow_has_no_gaps() -> None:
    assert stand(*((25.0 * i, 16.0 if i % 7 == 0 else 0.0, 3.0) for i in range(1, 100))) == []
    assert stand(*((15.0 * i, 0.0 if i < 20 else 500.0, 3.0) for i in range(1, 60)))[0] == (315.0, 500)


def test_what_is_forced_out_does_not_move_a_held_vehicle() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    for second in range(1, 200):
        state = sampler.forced(state) if second % 5 else sampler.unlinked(state)
        fix = at(second, 14.0 if second > 30 and second % 40 else 1.0, 0.1)
        state, live = sampler.step(state, fix, Reading(), Motion.PARKED, CONFIG)
        assert live is not None
        assert live.lat_deg == 41.0
        assert sampler.first(state, fix, Reading(), CONFIG, waiting=0).lat_deg == 41.0
        state = sent(state, live)


def test_without_an_accuracy_it_is_guessed_from_the_hdop() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    for second in range(1, 6):
        fix = replace(at(second, 28, 0.0), accuracy_m=None, hdop=2.0)
        state, live = sampler.step(state, fix, Reading(), Motion.PARKED, CONFIG)
        assert (live, state.held) == (None, True)


def test_a_vehicle_that_drives_off_is_held_no_more() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    state, _ = sampler.step(state, at(1, 12, 0.1), Reading(), Motion.PARKED, CONFIG)
    assert state.held
    state, live = sampler.step(state, at(2, 16, 4.0), Reading(), Motion.MOVING, CONFIG)
    assert not state.held
    assert live is not None
    assert live.speed_mps == 4.0


def test_a_held_position_is_sent_again_as_it_was() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    _, live = sampler.step(replace(state, force=True), at(5, 3, 0.2), Reading(speed_kph=0), Motion.PARKED, CONFIG)
    assert live is not None
    assert (live.lat_deg, live.speed_mps) == (41.0, 0.0)


def test_a_stop_is_told_when_the_prediction_has_run_away() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 10), Reading(), Motion.MOVING, CONFIG))
    state, live = sampler.step(state, at(1, 5, 0.0), Reading(), Motion.MOVING, CONFIG)
    assert live is None
    state, live = sampler.step(state, at(2, 5, 0.0), Reading(), Motion.MOVING, CONFIG)
    assert live is not None
    assert live.speed_mps == 0.0


def test_what_is_in_flight_counts_and_what_is_lost_does_not() -> None:
    state, live = sampler.step(State(), at(0, 0, 10), Reading(), Motion.MOVING, CONFIG)
    assert live is not None
    state = sampler.sending(state, live)
    assert state.basis == live
    assert sampler.step(state, at(1, 10, 10), Reading(), Motion.MOVING, CONFIG)[1] is None
    state = sampler.unlinked(state)
    assert state.basis is None
    assert sampler.step(state, at(1, 10, 10), Reading(), Motion.MOVING, CONFIG)[1] is not None


def test_an_ack_for_an_older_message_keeps_the_one_in_flight() -> None:
    first, second = Live(1, 0, 0), Live(2, 0, 0)
    state = sampler.acknowledged(sampler.sending(State(), second), first)
    assert (state.acked, state.sent) == (first, second)


def test_the_hub_may_hold_less_than_the_broker_acknowledged() -> None:
    state = State(acked=Live(5000, 0, 0), force=False)
    assert sampler.hub_holds(state, 5000) == state
    assert sampler.hub_holds(State(), 1) == State()
    assert sampler.hub_holds(state, 4000).force


def test_without_a_course_no_prediction_is_made() -> None:
    fix = replace(at(0, 0, 3.0), course_deg=None)
    live = sampler.live_of(fix, Reading(), CONFIG, waiting=0, trend=Trend(1.0, 5.0))
    assert (live.speed_mps, live.course_deg, live.accel_mps2, live.turn_dps) == (0.0, 0.0, 0.0, 0.0)
    assert sampler.live_of(fix, Reading(), CONFIG, waiting=0, keep=Live(1, 0, 0, course_deg=77.0)).course_deg == 77.0


@pytest.mark.parametrize(
    ("speed", "accel", "told"),
    [(10.0, -2.0, -3.0), (10.0, 2.0, 2.2), (32.0, 2.0, 1.1), (40.0, -2.0, -1.5), (10.0, -9.0, -7.0), (0.0, -2.0, 0.0)],
)
def test_rates_are_told_for_what_they_will_have_done(speed: float, accel: float, told: float) -> None:
    live = sampler.live_of(at(0, 0, speed), Reading(), CONFIG, waiting=0, trend=Trend(accel, 10.0))
    assert live.accel_mps2 == pytest.approx(told)
    assert live.turn_dps == (8.5 if speed else 0.0)


def test_a_curve_that_goes_on_needs_fewer_messages_than_going_straight() -> None:
    """A circle at 12 m/s with 6° a second, seen once a second."""
    counts = []
    for trend in (Trend(), Trend(0.0, 6.0)):
        state, count = State(), 0
        for second in range(120):
            angle = math.radians(6.0 * second)
            radius_m = 12.0 / math.radians(6.0)
            lat, lon = moved(41.0, -96.0, radius_m * math.sin(angle), radius_m * (1 - math.cos(angle)))
            fix = Fix(second * 1000, lat, lon, None, 12.0, (6.0 * second) % 360)
            state, live = sampler.step(state, fix, Reading(), Motion.MOVING, CONFIG, trend=trend)
            state = sent(state, live)
            count += live is not None
        counts.append(count)
    assert counts[1] < 0.8 * counts[0]


def test_after_driving_without_a_link_the_place_is_told_where_it_stands() -> None:
    """The hub holds a standing vehicle; it drove on unseen, and stands again somewhere else."""
    state = sampler.unlinked(sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG)))
    state, live = sampler.step(state, at(600, 5000, 0), Reading(), Motion.PARKED, CONFIG)
    assert live is not None
    assert live.lat_deg == pytest.approx(at(600, 5000, 0).lat_deg, abs=1e-6)


def test_a_change_of_the_ignition_goes_out_at_once() -> None:
    off, on = Reading(ignition=False), Reading(ignition=True)
    state = sent(*sampler.step(State(), at(0, 0, 0), off, Motion.PARKED, CONFIG))
    state, live = sampler.step(state, at(1, 2, 0), Reading(), Motion.PARKED, CONFIG)
    assert live is None, "unknown is no change"
    state, live = sampler.step(state, at(2, 2, 0), on, Motion.IDLING, CONFIG)
    assert live is not None
    assert (live.ignition, live.lat_deg) == (True, 41.0), "at the held place"
    assert sampler.step(sent(state, live), at(3, 2, 0), on, Motion.IDLING, CONFIG)[1] is None


def test_an_event_makes_the_next_fix_go_out() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 10), Reading(), Motion.MOVING, CONFIG))
    assert sampler.step(sampler.forced(state), at(1, 10, 10), Reading(), Motion.MOVING, CONFIG)[1] is not None


def test_when_somebody_watches_the_bound_falls_at_once_and_rises_with_the_next_message() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 10), Reading(), Motion.MOVING, CONFIG))
    watched, wide = Config(eps_m=3.0), Config(eps_m=40.0)
    state, live = sampler.step(state, at(1, 10, 10), Reading(), Motion.MOVING, watched)
    assert live is not None
    assert live.eps_m == 3.0
    state = sent(state, live)
    assert sampler.step(state, at(2, 22, 10), Reading(), Motion.MOVING, watched)[1] is None
    state, live = sampler.step(state, at(2, 24, 10), Reading(), Motion.MOVING, wide)
    assert live is not None, "4 m off: what was promised holds until another bound has been told"
    assert live.eps_m == 40.0


def test_a_held_fix_says_so_and_the_heartbeat_keeps_the_place() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    state, live = sampler.step(state, at(300, 14, 0.2, accuracy=9.0), Reading(), Motion.PARKED, CONFIG)
    assert state.held
    assert live is not None
    assert live.lat_deg == 41.0
    state, _ = sampler.step(sent(state, live), at(301, 2, 0.2), Reading(), Motion.PARKED, CONFIG)
    assert not state.held


def test_a_heartbeat_that_is_not_the_usual_one_is_told() -> None:
    slow = Config(heartbeat_moving_ms=120_000, heartbeat_parked_ms=3_600_000)
    told = [sampler.live_of(at(0, 0, speed), Reading(), slow, waiting=0).heartbeat_s for speed in (0.0, 10.0)]
    assert told == [3600, 120]
    usual = [sampler.live_of(at(0, 0, speed), Reading(), CONFIG, waiting=0).heartbeat_s for speed in (0.0, 10.0)]
    assert usual == [None, None]


def test_nonsense_of_a_receiver_is_held_at_the_edge_of_what_a_message_carries() -> None:
    fix = Fix(0, 41.0, -96.0, 9e9, 52_000.0, 0.0, accuracy_m=9e9)
    live = sampler.live_of(fix, Reading(), CONFIG, waiting=0, trend=Trend(9e9, 90.0))
    assert (live.speed_mps, live.alt_m, live.accuracy_m) == (1000.0, 100_000.0, 1_000_000.0)
    assert sampler.live_of(replace(fix, alt_m=-9e9), Reading(), CONFIG, waiting=0).alt_m == -10_000.0
