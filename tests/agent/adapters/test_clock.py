"""The agent's clock: nobody knows the time until the receiver has spoken, or the kernel says that the system's is kept right."""

import pytest

from agent.adapters.clock import GnssClock
from agent.core.timing import Basis, Verdict
from wire.ops import clock

T = 1_795_400_000_000


class Machine:
    """The machine's clocks, as the test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mono, self.utc, self.kept, self.boot, self.asked = 5_000, 0, False, "0123456789abcdef", 0
        monkeypatch.setattr(clock, "mono_ms", lambda: self.mono)
        monkeypatch.setattr(clock, "utc_ms", lambda: self.utc)
        monkeypatch.setattr(clock, "boot_id", lambda: self.boot)
        monkeypatch.setattr(clock, "confirmed", self.confirmed)

    def confirmed(self) -> bool:
        self.asked += 1
        return self.kept


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("begins", [0, 946_684_800_000, T + 3_600_000], ids=["1970", "2000", "an hour off"])
def test_a_clock_that_nobody_keeps_right_is_not_believed(machine: Machine, begins: int) -> None:
    machine.utc = begins
    own = GnssClock()
    assert (own.now().at_ms, own.now().boot, own.now().mono_ms) == (None, machine.boot, 5_000)
    assert own.judge(T) == (T, Verdict.RIGHT)
    machine.mono, machine.utc = 6_250, begins + 3_600_000
    assert own.now().at_ms == T + 1_250, "the system's clock jumped an hour, ours did not"
    assert own.basis is Basis.GNSS


def test_a_clock_that_is_kept_right_is_believed_until_the_receiver_speaks(machine: Machine) -> None:
    own = GnssClock()
    machine.utc, machine.kept = T, True
    assert own.now().at_ms == T
    machine.mono, machine.utc, machine.kept = machine.mono + 20_000, 0, False
    assert own.now().at_ms == T + 20_000, "what was right once goes on by the clock that never steps"
    assert own.judge(T + 21_000) == (T + 21_000, Verdict.RIGHT)
    asked = machine.asked
    assert own.now().at_ms == T + 21_000
    assert machine.asked == asked, "nobody else is asked any more"


def test_the_kernel_is_asked_seldom(machine: Machine) -> None:
    own = GnssClock()
    for _ in range(100):
        own.now()
    assert machine.asked == 1


def test_a_machine_without_a_boot_id_gets_one(machine: Machine) -> None:
    machine.boot = ""
    assert len(GnssClock().now().boot) == 16


def test_a_receiver_of_another_era_is_put_right(machine: Machine) -> None:
    own = GnssClock(floor_ms=T)
    era_ms = 1024 * 7 * 86_400_000
    assert own.judge(T + 5 - era_ms) == (T + 5, Verdict.ROLLOVER)
    assert own.judge(0)[0] is None
