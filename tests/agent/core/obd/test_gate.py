"""The gate: first values and jumps wait for a second answer."""

from agent.core.obd.gate import FORGET_MS, Gate


def test_first_value_waits_and_a_near_one_passes() -> None:
    gate = Gate()
    assert not gate.passes("vs", 50.0, 40.0, 0)
    assert gate.passes("vs", 52.0, 40.0, 100)
    assert gate.passes("vs", 90.0, 40.0, 200)


def test_a_jump_is_believed_when_told_twice_and_forgotten_when_not() -> None:
    gate = Gate()
    gate.passes("vs", 50.0, 40.0, 0)
    gate.passes("vs", 50.0, 40.0, 1)
    assert not gate.passes("vs", 178.0, 40.0, 100)
    assert gate.passes("vs", 51.0, 40.0, 200)
    assert not gate.passes("vs", 178.0, 40.0, 300)
    assert gate.passes("vs", 179.0, 40.0, 400)


def test_what_is_old_says_nothing() -> None:
    gate = Gate()
    gate.passes("vs", 50.0, 40.0, 0)
    assert not gate.passes("vs", 50.0, 40.0, FORGET_MS + 1)
    assert gate.passes("vs", 50.0, 40.0, 2 * FORGET_MS)
    assert gate.passes("vs", 50.0, 40.0, 10 * FORGET_MS, 20 * FORGET_MS)
