"""The hunt for the speed of a line: every rate and phase on a simulated line, what is kept, and what is given up."""

import pytest

from agent.core.gnss import baud
from agent.core.gnss.baud import Config, State, Turn, start, step
from agent.core.rig.sentences import made
from agent.core.rig.uart import heard_at
from wire.messages import Fix

CONFIG = Config()
SENTENCES = made(Fix(1717286399900, 48.1, 11.5, alt_m=500.0, speed_mps=3.0, course_deg=20.0, hdop=0.9, pdop=1.2))
SLICE_MS = 20


def frame(length: int) -> bytes:
    body = bytes((1, 7)) + length.to_bytes(2, "little") + bytes(i % 256 for i in range(length))
    first = second = 0
    for byte in body:
        first, second = first + byte & 255, second + first + byte & 255
    return b"\xb5\x62" + body + bytes((first, second))


def lock(data: bytes, sent: int, phase_ms: int, state: State, *, limit_ms: int = 30_000) -> tuple[int, State]:
    """Bursts of a 1 Hz receiver, the first at `phase_ms`, as a line brings them: when was it found, and what."""
    now_ms = 0
    while now_ms < limit_ms:
        heard = b""
        for begin_ms in range(phase_ms - 1000, now_ms + SLICE_MS, 1000):
            low = max(0, (now_ms - begin_ms) * sent // 10_000)
            high = max(0, (now_ms + SLICE_MS - begin_ms) * sent // 10_000)
            heard += heard_at(data[low:high], sent, state.rate)
        now_ms += SLICE_MS
        state, turn = step(state, heard, now_ms, CONFIG)
        if turn is Turn.FOUND:
            return now_ms, state
    raise AssertionError(f"{sent} is not found")


STREAMS = {
    "one sentence": SENTENCES[: SENTENCES.index(b"\n") + 1],
    "a burst": SENTENCES,
    "a long burst": SENTENCES * 6,
    "one frame": frame(92),
    "frames": frame(92) + frame(400),
    "both": SENTENCES + frame(400),
}


@pytest.mark.parametrize(
    ("name", "sent"),
    [(name, sent) for name, data in STREAMS.items() for sent in baud.RATES if len(data) * 10 / sent <= 0.9],
)  # what a line can carry in a second
def test_every_rate_is_found_within_ten_seconds(name: str, sent: int) -> None:
    for phase_ms in (310, 770):
        found_ms, state = lock(STREAMS[name], sent, phase_ms, start(0, CONFIG))
        assert state.rate == sent
        assert found_ms <= 10_000


@pytest.mark.parametrize("sent", [9600, 460_800])
def test_the_last_good_rate_comes_first(sent: int) -> None:
    found_ms, state = lock(SENTENCES, sent, 500, start(0, CONFIG, known=sent))
    assert (found_ms < 800, state.rate, state.order.count(sent)) == (True, sent, 1)
    assert sorted(state.order) == sorted(baud.RATES)


def test_a_silent_line_is_tried_at_all_rates_for_longer_and_longer() -> None:
    state, now_ms, dwells = start(0, CONFIG), 0, []
    while state.lap < 8:
        wake_ms = baud.wake_at(state, CONFIG)
        assert wake_ms is not None
        assert step(state, b"", wake_ms - 1, CONFIG)[1] is None
        before = state.lap
        state, turn = step(state, b"", wake_ms, CONFIG)
        assert turn is Turn.NEXT
        dwells.append((before, wake_ms - now_ms))
        now_ms = wake_ms
    assert len(dwells) == 7 * len(baud.RATES)
    assert {lap: dwell for lap, dwell in dwells if lap in {1, 2, 7}} == {1: 1250, 2: 2500, 7: 6000}


def test_a_burst_of_garbage_ends_a_rate_early_and_a_fragment_does_not() -> None:
    noise = bytes(range(128, 228))
    state, turn = step(start(0, CONFIG), noise, 10, CONFIG)
    state, turn = step(state, b"", 80, CONFIG)
    assert (turn, state.rate) == (None, 9600), "opened in the middle of a burst: it may be the end of a frame"
    state, _ = step(state, noise, 400, CONFIG)
    assert baud.wake_at(state, CONFIG) == 400 + baud.GAP_MS
    state, turn = step(state, b"", 460, CONFIG)
    assert (turn, state.rate) == (Turn.NEXT, 115_200)


def test_an_endless_stream_of_garbage_ends_a_rate_too() -> None:
    state, turns = start(0, CONFIG), []
    for now_ms in range(20, 3000, 20):
        state, turn = step(state, b"\xaa" * 10, now_ms, CONFIG)
        turns += [now_ms] if turn else []
    assert turns == [840, 1680, 2520]


def test_a_sync_keeps_the_whole_dwell_as_its_frame_may_be_long() -> None:
    state, _ = step(start(0, CONFIG), b"", 200, CONFIG)
    state, _ = step(state, b"\xb5\x62" + b"\xaa" * 60, 300, CONFIG)
    assert baud.wake_at(state, CONFIG) == CONFIG.dwell_ms


def found() -> State:
    state, turn = step(start(0, CONFIG), SENTENCES, 10, CONFIG)
    assert turn is Turn.FOUND
    return state


def test_what_was_found_is_kept_through_silence_and_noise_of_less_than_the_limit() -> None:
    state = found()
    assert baud.wake_at(state, CONFIG) is None
    assert step(state, b"", 3_600_000, CONFIG) == (state, None)
    assert step(state, b"\xaa" * 50, 900, CONFIG) == (state, None), "not even looked at"
    state, turn = step(state, b"\xaa" * 50, 3_600_000, CONFIG)
    assert turn is None
    state, turn = step(state, b"\xaa" * 50, 3_604_900, CONFIG)
    assert turn is None
    state, turn = step(state, SENTENCES, 3_605_500, CONFIG)
    assert (turn, state.good_ms, state.rate) == (None, 3_605_500, 9600)


def test_noise_alone_starts_a_new_hunt_with_the_rate_that_was_good() -> None:
    state, turn = lock(SENTENCES, 57_600, 500, start(0, CONFIG))[1], None
    for now_ms in range(20_000, 26_000, 500):
        state, turn = step(state, b"\xaa" * 50, now_ms, CONFIG)
        if turn:
            break
    assert (turn, now_ms, state.found, state.rate) == (Turn.NEXT, 25_000, False, 57_600)


def test_reopened_it_goes_on_where_it_was() -> None:
    state = found()
    assert baud.reopened(state, 5_000) == State(state.order, 5_000, found=True, good_ms=5_000)
    hunting, _ = step(start(0, CONFIG), b"", 1_250, CONFIG)
    again = baud.reopened(hunting, 9_000)
    assert (again.rate, again.since_ms, again.found) == (115_200, 9_000, False)


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"xx$GPRMC,1,2*" + b"00\r\n", False),
        (SENTENCES[10:], True),
        (SENTENCES[:40], False),
        (b"$GPTXT,a$" + SENTENCES[1:80], True),
        (b"\xb5\x62" + frame(30), True),
        (frame(30)[:-1], False),
        (frame(30)[:-1] + b"\xee", False),
        (b"\xb5\x62\x01\x07\xff\xff" + bytes(100), False),
        (b"", False),
    ],
)
def test_valid(data: bytes, good: bool) -> None:  # noqa: FBT001  # a column of the table
    assert baud.valid(data) is good


@pytest.mark.parametrize(
    ("heard", "good"),
    [
        (b"ATI\rELM327 v1.5\r\r>", True),
        (b"?\r\n\r\n>", True),
        (b"\0STOPPED\r\r>", True),
        (b"ELM327 v1.5\r\r", False),
        (b"\xf8ELM327>", False),
        (b"", False),
    ],
)
def test_answers(heard: bytes, good: bool) -> None:  # noqa: FBT001  # a column of the table
    assert baud.answers(heard) is good
