"""The figures: percentiles, ways, parked time and phantom metres, what is read back from the bytes, pooling."""

import json
from dataclasses import replace

import pytest

from agent.core import journey, sampler, tally
from agent.core.journey import Passed
from agent.core.motion import Motion
from agent.core.replay_keys import KEYS
from agent.core.tally import DriveTally, Sums, per, percentiles, sed_max_m
from agent.core.thinning import Point
from wire.codec import encode_live
from wire.geo import moved
from wire.messages import Fix, Live, Reading

START_MS = 1_760_000_000_000
NOTHING = Passed(Fix(0, 0.0, 0.0), Reading(), (), Motion.MOVING, standing=False, held=False, live=None, uploads=())


def place(north_m: float) -> tuple[float, float]:
    return moved(50.0, 10.0, north_m, 0.0)


def passed(
    second: int, north_m: float = 0.0, *, standing: bool = False, motion: Motion = Motion.MOVING, held: bool = False,
    live_m: float | None = None, accuracy_m: float | None = None,
) -> Passed:  # fmt: skip
    at_ms = START_MS + second * 1000
    fix = Fix(at_ms, *place(north_m), accuracy_m=accuracy_m)
    live = None if live_m is None else encode_live(Live(at_ms, *place(live_m)))
    return replace(NOTHING, fix=fix, standing=standing, motion=motion, held=held, live=live)


def new() -> DriveTally:
    return DriveTally(journey.Config(sampler.Config()), thinned_eps_m=5.0)


def test_percentiles() -> None:
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None, "max": None}
    assert percentiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert per(3, 0.0) is None
    assert per(3, 2.0) == 1.5


def test_nothing_has_figures_without_nan() -> None:
    figures = Sums().figures(thinned_eps_m=5.0)
    assert figures["live_per_hour"] is None
    assert figures["refused_or_held_share"] is None
    json.dumps(figures, allow_nan=False)


def test_a_drive() -> None:
    look = new()
    look.passes(passed(0))
    assert len(look.sums.errors) == 0, "before the first message the hub says nothing"
    look.passes(passed(1, 0.0, live_m=0.0))
    look.passes(passed(2, 10.0))
    look.passes(passed(3, 50.0, held=True))
    look.passes(passed(400, 100.0))
    look.refused("jump", Fix(START_MS, 1.0, 1.0, speed_mps=9.0), Reading())
    look.refused("jump", Fix(START_MS, 1.0, 1.0), Reading())
    sums = look.end(99.0)
    assert (sums.fixes, sums.driven_ms, sums.messages, sums.held) == (5, 3000, 1, 1), "a long silence is no driving"
    assert sums.way_m == pytest.approx(100.0, abs=0.01)
    assert list(sums.errors) == pytest.approx([0.0, 10.0, 100.0], abs=0.1)
    assert (sums.refused, sums.going, sums.going_refused, sums.going_held) == (2, 6, 1, 1)
    assert sums.rejected == {"jump": 2}
    assert sums.thinned_sed_m <= 5.0
    figures = sums.figures(thinned_eps_m=5.0)
    assert figures["refused_or_held_share"] == pytest.approx(3 / 7, abs=1e-5)
    assert figures["odometer_m"] == 99.0


def test_standing_is_no_way() -> None:
    look = new()
    for second, north_m in enumerate((0.0, 3.0, -3.0, 4.0)):
        look.passes(passed(second, north_m, standing=second > 0))
    assert look.end(0.0).way_m == 0.0


def parked(*, drifts: bool, beats: bool, carried_m: float = 0.0, leaves: bool = True) -> Sums:
    """Two minutes at a stop, as the hub sees it."""
    look = new()
    for second in range(121):
        live_m = 0.0 if second == 0 else (second * 0.5 if drifts and second % 10 == 0 else None)
        if beats and second == 90:
            live_m = 0.0
        look.passes(passed(second, carried_m * second / 120, standing=True, live_m=live_m))
    if leaves:
        look.passes(passed(121))
    return look.end(0.0)


def test_parked_time_messages_and_phantoms() -> None:
    calm = parked(drifts=False, beats=True)
    assert (calm.parked_ms, calm.parked_messages, calm.parked_beyond, calm.phantom_m) == (90_000, 1, 0, 0.0)
    wild = parked(drifts=True, beats=False)
    assert (wild.parked_messages, wild.parked_beyond) == (10, 10)
    assert wild.phantom_m == pytest.approx(50.0, abs=0.5)
    towed = parked(drifts=True, beats=False, carried_m=80.0, leaves=False)
    assert towed.phantom_m == pytest.approx(0.0, abs=0.5), "what really moved is no phantom"


def test_a_short_stop_is_not_parked_but_one_with_the_ignition_off_is() -> None:
    look = new()
    look.passes(passed(0, standing=True, live_m=0.0))
    look.passes(passed(20, standing=True))
    look.passes(passed(21, motion=Motion.PARKED))
    for second in (60, 160, 260, 360, 400):
        look.passes(passed(second, motion=Motion.PARKED, live_m=0.0 if second in {60, 400} else None))
    sums = look.end(0.0)
    assert (sums.parked_messages, sums.parked_beyond) == (2, 1), "300 s is the heartbeat of the parked"
    assert sums.parked_ms == 340_000


def test_after_a_long_silence_it_is_another_standstill() -> None:
    """It stood, nobody saw it for five minutes, and it stands a hundred metres farther: that is no phantom."""
    look = new()
    for second in range(60):
        look.passes(passed(second, standing=True, live_m=0.0 if second == 0 else None))
    for second in range(360, 400):
        look.passes(passed(second, 100.0, standing=True, live_m=100.0 if second == 360 else None))
    sums = look.end(0.0)
    assert (sums.parked_messages, sums.phantom_m) == (0, 0.0)


def test_a_message_that_ends_the_way_is_no_phantom() -> None:
    look = new()
    at_ms = START_MS - 5000
    look.passes(passed(0, standing=True))
    look.passes(replace(passed(1, standing=True), live=encode_live(Live(at_ms, *place(0.0), 0.1))))
    for second in range(2, 60):
        look.passes(passed(second, standing=True, live_m=9.0 if second == 50 else None))
    sums = look.end(0.0)
    assert (sums.parked_messages, sums.parked_beyond, sums.phantom_m) == (1, 0, 0.0)


def test_the_ignition_is_news() -> None:
    look = new()
    look.passes(passed(0, standing=True, live_m=0.0))
    look.passes(passed(40, standing=True))
    fix = passed(41, standing=True)
    look.passes(replace(fix, live=encode_live(Live(fix.fix.at_ms, *place(0.0), ignition=False))))
    assert look.end(0.0).parked_beyond == 0


def test_before_the_first_message_nothing_is_shown() -> None:
    look = new()
    for second in range(40):
        look.passes(passed(second, standing=True, live_m=0.0 if second == 35 else None))
    assert look.end(0.0).phantom_m == 0.0


def test_batches_are_read_back() -> None:
    state, look = journey.State(), new()
    for second in range(100):
        fix = Fix(START_MS + second * 1000, *place(second * 10.0), speed_mps=10.0, course_deg=0.0)
        state, out = journey.step(state, fix, Reading(), journey.Config())
        assert isinstance(out, Passed)
        look.passes(out)
    _, uploads = journey.finish(state, START_MS)
    look.uploads(uploads)
    sums = look.end(0.0)
    assert 0.0 < sums.track_sed_m < 0.02
    assert sums.track_bytes > 500
    assert sums.thinned == 2
    assert len(look.kept) == 2
    figures = sums.figures(thinned_eps_m=5.0)
    assert isinstance(figures["bytes"], dict)
    assert figures["bytes"]["total_per_hour_tls"] > figures["bytes"]["live_per_hour_tls"]


def test_what_was_dropped_is_measured_against_the_line() -> None:
    points = [Point(i * 1000, *place(10.0 * i)) for i in range(5)]
    bent = [*points[:2], Point(2000, *moved(50.0, 10.0, 20.0, 7.0)), *points[3:]]
    assert sed_max_m(points, [points[0], points[-1]]) == pytest.approx(0.0, abs=0.001)
    assert sed_max_m(bent, [bent[0], bent[-1]]) == pytest.approx(7.0, abs=0.01)
    assert sed_max_m(points, []) == 0.0
    assert sed_max_m(points, points[:2]) == pytest.approx(30.0, abs=0.1), "what is missing at the end shows"
    assert sed_max_m(points, points[3:]) == pytest.approx(30.0, abs=0.1), "and at the beginning"


def test_pooling() -> None:
    one, other = parked(drifts=True, beats=False), parked(drifts=False, beats=True)
    whole = Sums(track_sed_m=1.0)
    whole.add(one)
    whole.add(other)
    assert whole.messages == one.messages + other.messages
    assert len(whole.errors) == len(one.errors) + len(other.errors)
    assert whole.phantom_m == one.phantom_m
    assert whole.track_sed_m == 1.0


def test_topics_are_of_usual_length() -> None:
    assert [tally.LIVE, tally.TRACK, tally.ACK] == [23, 24, 24]


def test_each_figure_has_its_meaning() -> None:
    figures = Sums().figures(thinned_eps_m=5.0)
    inner = {"thinned", "bytes", "parked"}
    names = {name for name in figures if name not in inner}
    for group in inner:
        parts = figures[group]
        assert isinstance(parts, dict)
        names |= {f"{group}.{name}" for name in parts}
    assert names <= set(KEYS)
    assert all(KEYS.values())
