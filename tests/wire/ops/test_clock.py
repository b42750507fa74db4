"""The machine's clocks: what the kernel says about them."""

import ctypes
from pathlib import Path

import pytest

from wire.ops import clock


class Libc:
    """A libc whose adjtimex says what the test wants."""

    def __init__(self, state: object) -> None:
        self._state = state

    def adjtimex(self, _timex: object) -> object:
        return self._state


def test_clocks_go_on() -> None:
    assert clock.mono_ms() <= clock.mono_ms()
    assert clock.stopwatch_ms() <= clock.stopwatch_ms()
    assert clock.utc_ms() > 1_700_000_000_000


@pytest.mark.parametrize(("state", "right"), [(0, True), (1, True), (4, True), (5, False), (-1, False)])
def test_a_clock_is_right_when_the_kernel_says_so(monkeypatch: pytest.MonkeyPatch, state: int, *, right: bool) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Libc(state))
    assert clock.confirmed() is right


def test_the_real_kernel_answers() -> None:
    assert clock.confirmed() in {True, False}


def test_without_adjtimex_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert not clock.confirmed()


def test_a_boot_has_an_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert clock.boot_id() == clock.boot_id()
    assert len(clock.boot_id()) == 16
    monkeypatch.setattr(clock, "BOOT_ID", tmp_path / "none")
    assert not clock.boot_id()
