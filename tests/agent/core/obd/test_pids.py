"""Parameters: formula, inverse, range, bitmaps, and the tie to the signals and the schema."""

from collections.abc import Iterator

import pytest

from agent.core.obd.pids import BY_NAME, PIDS, TRACK, Part, bitmap, supported
from wire.schema import COLUMNS
from wire.signals import ALL, NAMED, SIGNALS

EXAMPLES: list[tuple[int, str, list[tuple[str, float | str]]]] = [
    (0x0C, "1AF8", [("rp", 1726.0)]), (0x0D, "32", [("vs", 50.0)]), (0x05, "7B", [("ct", 83.0)]),
    (0x11, "FF", [("th", 100.0)]), (0x04, "00", [("ld", 0.0)]), (0x2F, "80", [("fu", 12800 / 255)]),
    (0x42, "30D4", [("mv", 12.5)]), (0x06, "80", [("trim_short_1", 0.0)]), (0x0A, "64", [("fuel_pressure", 300.0)]),
    (0x0E, "90", [("timing_advance", 8.0)]), (0x10, "01F4", [("maf", 5.0)]),
    (0x14, "5AC0", [("o2_1_voltage", 0.45), ("o2_1_trim", 50.0)]), (0x1F, "0E10", [("run_time", 3600.0)]),
    (0x22, "03E8", [("rail_pressure_vacuum", 79.0)]), (0x24, "80004000", [("o2w_1_lambda", 1.0), ("o2w_1_voltage", 2.0)]),
    (0x32, "FFFC", [("evap_pressure", -1.0)]), (0x34, "80008100", [("o2c_1_lambda", 1.0), ("o2c_1_current", 1.0)]),
    (0x3C, "1388", [("catalyst_1_1", 460.0)]), (0x43, "00FF", [("load_absolute", 100.0)]), (0x44, "8000", [("lambda_wanted", 1.0)]),
    (0x4F, "02030405", [("max_lambda", 2.0), ("max_o2_voltage", 3.0), ("max_o2_current", 4.0), ("max_manifold_pressure", 50.0)]),
    (0x50, "05000000", [("max_maf", 50.0)]), (0x51, "04", [("fuel_type", "diesel")]), (0x54, "FFFE", [("evap_pressure_alternate", -2.0)]),
    (0x5D, "6900", [("injection_timing", 0.0)]), (0x5E, "0064", [("fuel_rate", 5.0)]), (0x62, "96", [("torque_actual", 25.0)]),
    (0x66, "0101000000", [("maf_a", 8.0)]), (0x67, "037B7C", [("coolant_1", 83.0), ("coolant_2", 84.0)]),
    (0x9D, "00640032", [("fuel_rate_engine", 2.0), ("fuel_rate_vehicle", 1.0)]), (0xA6, "000F4240", [("odometer", 100_000.0)]),
]  # fmt: skip


def parts() -> Iterator[tuple[int, Part]]:
    return ((number, part) for number, pid in PIDS.items() for part in pid.parts)


@pytest.mark.parametrize(("pid", "data", "told"), EXAMPLES)
def test_examples(pid: int, data: str, told: list[tuple[str, float | str]]) -> None:
    values = PIDS[pid].values(bytes.fromhex(data))
    assert [part.signal.key for part, _ in values] == [key for key, _ in told]
    for (_, value), (_, expected) in zip(values, told, strict=True):
        assert value == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("pid", [pid for pid in PIDS if PIDS[pid].parts[0].words is None])
def test_range_and_inverse(pid: int) -> None:
    one = PIDS[pid]
    part = one.parts[0]
    for value in (one.low, one.high, (one.low + one.high) / 2):
        back = part.value(one.data(value).ljust(one.width, b"\0"))
        assert back == pytest.approx(value, abs=part.scale)
    assert one.data(one.low - 1000) == one.data(one.low)
    assert one.data(one.high + 1e6) == one.data(one.high)
    assert 0 < part.jump < one.high - one.low


@pytest.mark.parametrize("pid", TRACK)
def test_the_track_has_room(pid: int) -> None:
    one = PIDS[pid]
    column = next(column for column in COLUMNS if column.key == one.signal.key)
    assert column.unit == one.signal.unit
    assert column.low * column.scale <= one.low
    assert one.high <= column.high * column.scale
    assert one.value(one.data(one.low).ljust(one.width, b"\0")) == pytest.approx(one.low)


def test_every_signal_has_its_parameter_and_every_parameter_its_signals() -> None:
    assert len(NAMED) == len(ALL)
    assert {part.signal.key for _, part in parts()} == set(NAMED) == set(BY_NAME)
    for number, part in parts():
        assert part.signal.pid == number == PIDS[number].number
        assert part.start + part.width <= PIDS[number].width
    assert {signal.key for signal in SIGNALS} == {PIDS[pid].signal.key for pid in TRACK}


def test_all_that_python_obd_knows_of_mode_01_is_there() -> None:
    lists = {0x00, 0x20, 0x40}
    assert set(range(0x60)) - lists <= set(PIDS)


def test_bitmaps() -> None:
    assert bitmap(0, {0x01, 0x0C, 0x20, 0x21}) == bytes.fromhex("80100001")
    assert supported(0, bytes.fromhex("80100001")) == {0x01, 0x0C, 0x20}
    assert supported(0x40, bitmap(0x40, {0x42})) == {0x42}
