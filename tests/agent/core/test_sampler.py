"""The sampler: the bound is kept, on made-up moves and on real drives."""

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core import sampler
from agent.core.motion import Motion
from agent.core.sampler import Config, State
from wire.geo import distance_m, moved
from wire.messages import Fix, Live, Reading
from wire.predict import predict

CONFIG = Config()
RECORDINGS = Path(__file__).parent.parent.parent / "recordings"


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


def test_noise_does_not_move_a_held_vehicle_but_a_tow_does() -> None:
    state = sent(*sampler.step(State(), at(0, 0, 0), Reading(), Motion.PARKED, CONFIG))
    state, live = sampler.step(state, at(1, 12, 0.1), Reading(), Motion.PARKED, CONFIG)
    assert live is None
    state, live = sampler.step(state, at(2, 1, 0.1), Reading(), Motion.PARKED, CONFIG)
    assert (live, state.away) == (None, 0)
    state, live = sampler.step(state, at(3, 15, 0.1, accuracy=20.0), Reading(), Motion.PARKED, CONFIG)
    assert (live, state.away) == (None, 0), "within three times the accuracy"
    told = []
    for second in range(4, 8):
        state, live = sampler.step(state, at(second, 30, 0.1), Reading(), Motion.PARKED, CONFIG)
        state = sent(state, live)
        told.append(live)
    assert [live is not None for live in told] == [False, False, True, False]
    assert told[2] is not None
    assert told[2].lat_deg == pytest.approx(at(0, 30, 0).lat_deg, abs=1e-6)


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
    live = sampler.live_of(fix, Reading(), CONFIG, waiting=0)
    assert (live.speed_mps, live.course_deg) == (0.0, 0.0)
    assert sampler.live_of(fix, Reading(), CONFIG, waiting=0, held=Live(1, 0, 0, course_deg=77.0)).course_deg == 77.0


def drive(name: str) -> list[Fix]:
    raw = (RECORDINGS / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    return [
        Fix(
            int(r["time_utc"]) * 1000, float(r["gps_lat"]), float(r["gps_long"]), None, float(r["speed_mph"]) * 0.44704,
            float(r["gps_heading_raw"] or 0),
        )
        for r in csv.DictReader(io.StringIO(text))
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["nds-drive10.csv.gz", "nds-drive06.csv", "nds-drive33.csv.gz"])
def test_on_a_real_drive_the_error_is_bounded_for_few_messages(name: str) -> None:
    state, messages, worst, last_ms, fixes = State(), 0, 0.0, 0, 0
    for fix in drive(name):
        if fix.at_ms <= last_ms:
            continue
        last_ms, fixes = fix.at_ms, fixes + 1
        state, live = sampler.step(state, fix, Reading(), Motion.MOVING, CONFIG)
        state = sent(state, live)
        messages += live is not None
        assert state.basis is not None
        error = distance_m(*predict(state.basis, fix.at_ms), fix.lat_deg, fix.lon_deg)
        if state.basis.speed_mps > 0 or (fix.speed_mps or 0) >= 0.5:
            worst = max(worst, error)
    assert worst <= 10.0 + 0.2
    assert messages < fixes / 6
