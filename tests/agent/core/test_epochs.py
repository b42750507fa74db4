"""The gate: repeats, steps back, null island, and the way out of a time in the future."""

from agent.core.epochs import RECOVER_AFTER, Gate
from wire.messages import Fix, Rejected


def fix(at_ms: int, lat: float = 52.0, lon: float = 5.0) -> Fix:
    return Fix(at_ms, lat, lon)


def test_forward_only() -> None:
    gate = Gate()
    assert gate.check(fix(1000)) == fix(1000)
    assert gate.check(fix(1000)) == Rejected("repeated")
    assert gate.check(fix(400)) == Rejected("back-in-time", "600 ms")
    assert gate.check(fix(1100)) == fix(1100)


def test_null_island_and_its_neighbours() -> None:
    gate = Gate()
    assert gate.check(fix(1, 0.0, 0.0)) == Rejected("null-island")
    assert gate.check(fix(2, 0.0, 5.0)) == fix(2, 0.0, 5.0)
    assert gate.check(fix(3, 0.00001, 0.0)) == fix(3, 0.00001, 0.0)


def test_a_date_of_years_ahead_does_not_silence_for_ever() -> None:
    gate = Gate()
    gate.check(fix(10**12))
    told = [gate.check(fix(1000 * n)) for n in range(1, RECOVER_AFTER + 2)]
    assert [isinstance(item, Fix) for item in told] == [False] * (RECOVER_AFTER - 1) + [True, True]


def test_old_fixes_in_disorder_never_win() -> None:
    gate = Gate()
    gate.check(fix(10**12))
    told = [gate.check(fix(1000 + n % 2)) for n in range(4 * RECOVER_AFTER)]
    assert not any(isinstance(item, Fix) for item in told)
