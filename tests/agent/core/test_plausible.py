"""Which fixes are refused, and why."""

from agent.core.plausible import State, step
from wire.messages import Fix, Rejected


def at(second: float, east_deg: float) -> Fix:
    return Fix(round(second * 1000), 0.0, east_deg)


def reasons(*fixes: Fix) -> list[str]:
    state, out = State(), []
    for fix in fixes:
        state, judged = step(state, fix)
        out.append(judged.reason if isinstance(judged, Rejected) else "ok")
    return out


def test_steady_driving_is_accepted() -> None:
    assert reasons(at(1, 0), at(2, 0.0003), at(3, 0.0006)) == ["ok", "ok", "ok"]


def test_time_must_rise() -> None:
    assert reasons(at(2, 0), at(2, 0), at(1, 0), at(3, 0)) == ["ok", "repeated", "back-in-time", "ok"]


def test_one_jump_is_refused_and_driving_goes_on() -> None:
    assert reasons(at(1, 0), at(2, 0.5), at(3, 0.0002)) == ["ok", "jump", "ok"]


def test_a_new_place_is_believed_when_it_stays() -> None:
    assert reasons(at(1, 0), at(2, 0.5), at(3, 0.5001), at(4, 0.5002), at(5, 0.5003)) == [
        "ok",
        "jump",
        "jump",
        "ok",
        "ok",
    ]


def test_jumps_that_disagree_are_not_believed() -> None:
    assert reasons(at(1, 0), at(2, 0.5), at(3, 0.9), at(4, 0.5), at(5, 0.9)) == ["ok", *["jump"] * 4]


def test_one_wrong_date_in_the_future_does_not_silence_the_rest() -> None:
    future = at(9_999_999, 0)
    assert reasons(at(1, 0), future, at(2, 0), at(3, 0), at(4, 0), at(5, 0)) == [
        "ok", "ok", "back-in-time", "back-in-time", "ok", "ok",
    ]  # fmt: skip
