"""Parameters: formula, inverse, range, bitmaps, and the tie to the signals and the schema."""

import pytest

from agent.core.pids import PIDS, bitmap, supported
from wire.schema import COLUMNS

EXAMPLES = [
    (0x0C, "1AF8", 1726.0), (0x0D, "32", 50.0), (0x05, "7B", 83.0), (0x11, "FF", 100.0), (0x04, "00", 0.0),
    (0x2F, "80", 12800 / 255), (0x42, "30D4", 12.5),
]  # fmt: skip


@pytest.mark.parametrize(("pid", "data", "value"), EXAMPLES)
def test_both_directions(pid: int, data: str, value: float) -> None:
    assert PIDS[pid].value(bytes.fromhex(data)) == pytest.approx(value)
    assert PIDS[pid].data(value) == bytes.fromhex(data)


@pytest.mark.parametrize("pid", PIDS)
def test_range_and_edges(pid: int) -> None:
    one = PIDS[pid]
    assert one.data(one.low - 1000) == bytes(one.width)
    assert one.value(one.data(one.high + 1e6)) == pytest.approx(one.high)
    column = next(column for column in COLUMNS if column.key == one.signal.key)
    assert column.unit == one.signal.unit
    assert column.low * column.scale <= one.low
    assert one.high <= column.high * column.scale


def test_bitmaps() -> None:
    assert bitmap(0, {0x01, 0x0C, 0x20, 0x21}) == bytes.fromhex("80100001")
    assert supported(0, bytes.fromhex("80100001")) == {0x01, 0x0C, 0x20}
    assert supported(0x40, bitmap(0x40, {0x42})) == {0x42}
