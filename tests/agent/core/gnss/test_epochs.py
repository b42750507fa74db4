"""The gate: repeats, steps back, null island, and the way out of a time in the future."""

from dataclasses import replace

from agent.core.gnss.epochs import RECOVER_AFTER, Epoch, Gate, fix_of
from wire.messages import Fix, Mode, Quality, Rejected


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


def epoch(**changed: object) -> Epoch:
    return replace(Epoch(1000, 3, Quality.DGPS, 52.0, 5.0, speed_mps=3.0), **changed)  # type: ignore[arg-type]  # of many types


def test_the_fix_of_an_epoch() -> None:
    assert fix_of(epoch(sats_seen=12, cn0_dbhz=41.5)) == Fix(
        1000, 52.0, 5.0, speed_mps=3.0, quality=Quality.DGPS, sats_seen=12, cn0_dbhz=41.5
    )
    assert fix_of(epoch(quality=Quality.NONE)) == Fix(1000, 52.0, 5.0, speed_mps=3.0)
    assert fix_of(epoch(derived=("speed_mps",))) == Fix(1000, 52.0, 5.0, quality=Quality.DGPS)
    assert fix_of(epoch(speed_mps=None, mode=2)) == Fix(1000, 52.0, 5.0, mode=Mode.FIX_2D, quality=Quality.DGPS)


def test_epochs_that_hold_none() -> None:
    for missing in ({"mode": 1}, {"mode": 0}, {"lat_deg": None}, {"lon_deg": None}, {"void": True}):
        assert fix_of(epoch(**missing)) == Rejected("no-fix")
    assert fix_of(epoch(at_ms=None)) == Rejected("no-date")
    assert fix_of(epoch(speed_mps=700.0)) == Rejected("field", "speed")
    for alt_m in (-1_001.0, 235_960.0):
        assert fix_of(epoch(alt_m=alt_m)) == Rejected("field", "altitude")


def test_a_week_rollover_is_no_step_back() -> None:
    gate, now_ms, era_ms = Gate(), 1_800_000_000_000, 1024 * 7 * 86_400_000
    for at_ms in (now_ms, now_ms + 1_000 - era_ms, now_ms + 2_000 - era_ms, now_ms + 3_000):
        fix = Fix(at_ms, 41.0, -96.0)
        assert gate.check(fix) == fix
    late = Gate()
    late.check(Fix(now_ms, 41.0, -96.0))
    assert isinstance(late.check(Fix(now_ms - era_ms - 1_000, 41.0, -96.0)), Rejected)
