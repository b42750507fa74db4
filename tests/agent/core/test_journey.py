"""A fix on its way: what is refused, when batches go, that they hold every row in a true chain, and the ignition."""

from agent.core import journey, sampler
from agent.core.journey import Config, Passed, State
from wire.codec import decode_ack, decode_live
from wire.geo import moved
from wire.messages import Fix, Reading, Rejected
from wire.schema import row_of
from wire.track import GENESIS, decode_batch

START_MS = 1_760_000_000_000


def fix(second: int, *, north_m: float = 0.0, speed_mps: float = 0.0) -> Fix:
    lat, lon = moved(50.0, 10.0, north_m, 0.0)
    return Fix(START_MS + second * 1000, lat, lon, speed_mps=speed_mps, course_deg=0.0)


def drive(seconds: int, config: Config, state: State | None = None) -> tuple[State, list[Passed]]:
    state, out = state or State(), []
    for second in range(seconds):
        state, passed = journey.step(state, fix(second, north_m=10.0 * second, speed_mps=10.0), Reading(), config)
        assert isinstance(passed, Passed)
        out.append(passed)
    return state, out


def test_a_steady_drive_sends_little_and_keeps_all() -> None:
    state, passed = drive(100, Config(upload_ms=60_000))
    lives = [each for each in passed if each.live is not None]
    assert [each.fix.at_ms for each in lives[:1]] == [START_MS]
    assert len(lives) <= 3
    assert decode_live(lives[0].live or b"").waiting == 1
    assert [i for i, each in enumerate(passed) if each.uploads] == [60]
    state, rest = journey.finish(state, passed[-1].fix.at_ms)
    uploads = [*passed[60].uploads, *rest]
    batches = [decode_batch(upload.payload) for upload in uploads]
    assert [(batch.first, batch.last) for batch in batches] == [(1, 60), (61, 61), (62, 100)]
    assert batches[0].before == GENESIS
    assert [batch.before for batch in batches[1:]] == [batch.after for batch in batches[:-1]]
    rows = [row for batch in batches for _, row in batch.rows]
    assert rows == [row_of(each.fix) for each in passed]
    assert journey.finish(state, START_MS)[1] == ()
    ack = decode_ack(uploads[0].ack)
    assert (ack.upto, ack.h) == (60, batches[0].after)
    assert ack.live_ms == START_MS + 60_000, "the heartbeat of this second came first"
    assert state.newest == 100


def test_batches_grow_to_what_the_hub_answers_at_once() -> None:
    _, passed = drive(1300, Config(upload_ms=600_000))
    batches = [[decode_batch(upload.payload) for upload in each.uploads] for each in passed if each.uploads]
    sizes = [[batch.last - batch.first + 1 for batch in some] for some in batches]
    assert sizes == [[60, 541], [600]]


def test_a_jump_is_refused_and_nothing_else_changes() -> None:
    state, _ = drive(5, Config())
    after, refused = journey.step(state, fix(5, north_m=90_000.0), Reading(speed_kph=36.0), Config())
    assert refused == Rejected("jump")
    assert after.newest == state.newest
    assert after.sampling == state.sampling


def test_a_standing_vehicle_is_held() -> None:
    state, held = State(), []
    for second in range(8):
        far_m = 30.0 if second == 5 else 0.0
        state, passed = journey.step(state, fix(second, north_m=far_m), Reading(), Config(sampler.Config()))
        assert isinstance(passed, Passed)
        assert passed.standing
        held.append(passed.held)
    assert held == [False] * 5 + [True] + [False] * 2


def ignitions(readings: list[Reading], step_s: int = 1) -> list[bool | None]:
    state, out = State(), []
    for i, reading in enumerate(readings):
        state, passed = journey.step(state, fix(i * step_s), reading, Config())
        assert isinstance(passed, Passed)
        out.append(passed.reading.ignition)
    return out


def test_the_ignition_is_told_or_settled_or_unknown() -> None:
    assert ignitions([Reading(ignition=False), Reading(ignition=True)]) == [False, True]
    running, silent = Reading(rpm=800.0), Reading()
    assert ignitions([silent, running, silent]) == [None, True, True]
    assert ignitions([running, *[silent] * 4], 10) == [True, True, True, True, None], (
        "the recorder was lost, not the engine"
    )
    assert ignitions([Reading(voltage_v=14.2)]) == [True]


def test_an_upload_has_both_directions() -> None:
    state, _ = drive(3, Config())
    _, uploads = journey.finish(state, START_MS)
    assert (
        [decode_batch(each.payload).last for each in uploads] == [decode_ack(each.ack).upto for each in uploads] == [3]
    )
