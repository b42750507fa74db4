"""A line that gives nothing usable is told once, and its recovery too."""

from agent.core.gnss.hearing import BACK, Heard, State, opened, step

OPEN = State("/dev/x", "NMEA", 1000)


def walk(state: State, *said: tuple[Heard, int]) -> list[str | None]:
    out = []
    for heard, now_ms in said:
        state, told = step(state, heard, now_ms)
        out.append(told)
    return out


def test_silence_is_told_once() -> None:
    told = walk(OPEN, *((Heard.NOTHING, now_ms) for now_ms in (6000, 6001, 7000)))
    assert told == [None, "/dev/x is silent: wrong port, or a receiver without power?", None]


def test_bytes_without_a_sentence_are_told_once() -> None:
    told = walk(OPEN, (Heard.NOISE, 2000), (Heard.NOTHING, 6001), (Heard.NOISE, 6100), (Heard.NOISE, 60_000))
    assert told == [None, "/dev/x gives no NMEA: wrong port or wrong baud?", None, None]
    assert walk(OPEN, (Heard.NOISE, 6001)) == [told[1]], "without waiting for a silence"


def test_a_sentence_begins_anew_and_is_told_after_a_complaint() -> None:
    assert walk(OPEN, (Heard.VALID, 5000), (Heard.NOISE, 9000), (Heard.NOTHING, 10_000)) == [None] * 3
    told = walk(OPEN, (Heard.NOTHING, 6001), (Heard.VALID, 6002), (Heard.VALID, 6003), (Heard.NOTHING, 11_003))
    assert told[1:] == [BACK, None, None]
    told = walk(OPEN, (Heard.NOISE, 6001), (Heard.VALID, 6002), (Heard.NOTHING, 11_003))
    assert told[2] == "/dev/x is silent: wrong port, or a receiver without power?", "the noise of before is forgotten"


def test_a_line_that_is_opened_again_is_not_told_again() -> None:
    told, _ = step(OPEN, Heard.NOTHING, 6001)
    again = opened(told, OPEN.place, OPEN.speaks, 9000)
    assert step(again, Heard.NOTHING, 20_000)[1] is None
    assert step(again, Heard.VALID, 20_000)[1] == BACK
    assert step(opened(told, "/dev/y", OPEN.speaks, 9000), Heard.NOTHING, 20_000)[1] is not None
    assert opened(None, OPEN.place, OPEN.speaks, 9) == State(OPEN.place, OPEN.speaks, 9)
