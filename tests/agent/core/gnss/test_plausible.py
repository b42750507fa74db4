"""Which fixes are refused, and why."""

from agent.core.gnss.plausible import State, step
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
    there = [at(2 + i, 0.5 + i / 10_000) for i in range(7)]
    assert reasons(at(1, 0), *there) == ["ok", *["jump"] * 5, "ok", "ok"]


def test_a_spike_at_ten_positions_a_second_is_not_believed() -> None:
    spike = [Fix(2_000 + i * 100, 48.0 + 1.0, 11.0) for i in range(30)]
    assert set(reasons(at(1, 0), *spike)) == {"ok", "jump"}
    assert reasons(at(1, 0), *spike).count("ok") == 1


def test_jumps_that_disagree_are_not_believed() -> None:
    assert reasons(at(1, 0), at(2, 0.5), at(3, 0.9), at(4, 0.5), at(5, 0.9)) == ["ok", *["jump"] * 4]


def test_one_wrong_date_in_the_future_does_not_silence_the_rest() -> None:
    future = at(9_999_999, 0)
    assert reasons(at(1, 0), future, *(at(i, 0) for i in range(2, 9))) == [
        "ok",
        "ok",
        *["back-in-time"] * 5,
        "ok",
        "ok",
    ]


def judged(fixes: list[Fix], bus_mps: float | None = None) -> list[str]:
    state, out = State(), []
    for fix in fixes:
        state, item = step(state, fix, bus_mps)
        out.append(item.reason if isinstance(item, Rejected) else "ok")
    return out


def driving(second: int, east_deg: float, speed_mps: float | None) -> Fix:
    return Fix(second * 1000, 0.0, east_deg, speed_mps=speed_mps)


def test_a_place_that_stands_still_while_the_receiver_drives_is_frozen_until_it_changes() -> None:
    stuck = [driving(n, 0.001, 10.0) for n in range(1, 9)]
    free = [driving(9, 0.0017, 10.0), driving(10, 0.0018, 10.0)]
    assert judged([*stuck, *free]) == ["ok"] * 4 + ["frozen"] * 4 + ["ok"] * 2


def test_the_bus_knows_too() -> None:
    assert judged([driving(n, 0.001, None) for n in range(1, 7)], 20.0) == ["ok", "ok", *["frozen"] * 4]
    assert judged([driving(n, 0.001, 0.0) for n in range(1, 7)], 20.0) == ["ok", "ok", *["frozen"] * 4]


def test_a_parked_vehicle_is_never_frozen() -> None:
    for speed_mps in (None, 0.0, 0.3, 1.4):
        assert judged([driving(n, 0.001, speed_mps) for n in range(1, 4000)], 0.0) == ["ok"] * 3999


def test_a_coarse_receiver_that_creeps_is_not_frozen() -> None:
    assert judged([driving(n, (n // 6) * 0.000166, 3.0) for n in range(1, 60)]) == ["ok"] * 59


def test_a_gap_counts_little() -> None:
    assert judged([driving(1, 0.001, 10.0), driving(900, 0.001, 10.0)]) == ["ok"] * 2


def driven(*moves: tuple[float, float, float]) -> list[str]:
    """Second, metres to the east, speed in m/s."""
    return reasons(
        *(Fix(round(second * 1000), 0.0, east_m / 111_195.0, speed_mps=speed) for second, east_m, speed in moves)
    )


def test_a_place_that_repeats_while_the_vehicle_drives_is_stale() -> None:
    """A phone at 14 m/s that tells one place twice, as 2.5 % of its fixes do."""
    steady = [(float(i), 14.0 * i + (0.4 if i % 2 else 0.0), 14.0) for i in range(10)]
    slower = [(10.0 + i, 130.0 + 1.0 * i, 2.0) for i in range(5)]
    stale, on = (15.0, 134.0, 14.0), (16.0, 160.0, 14.0)
    assert driven(*steady, *slower, stale, on) == ["ok"] * 15 + ["same-place", "ok"]


def test_a_receiver_that_rounds_coarsely_is_not_called_stale() -> None:
    """Steps of 18 m at 8 m/s: each place comes twice or thrice."""
    assert set(driven(*((float(i), 18.0 * (8 * i // 18), 8.0) for i in range(60)))) == {"ok"}


def test_a_jump_that_neither_speed_explains_is_refused_and_believed_when_it_stays() -> None:
    spike = driven((0, 0, 10), (1, 10, 10), (2, 90, 10), (3, 30, 10))
    assert spike == ["ok", "ok", "jump", "ok"]
    moved_on = driven((0, 0, 10), (1, 10, 10), *((2 + i, 200 + 10 * i, 10) for i in range(7)))
    assert moved_on == ["ok", "ok", *["jump"] * 5, "ok", "ok"]


def test_a_rough_receiver_may_jump_by_what_it_admits() -> None:
    fixes = [Fix(1000, 0.0, 0.0, speed_mps=5.0, accuracy_m=18.0), Fix(2000, 0.0, 60 / 111_195.0, speed_mps=5.0)]
    assert reasons(*fixes) == ["ok", "ok"]
