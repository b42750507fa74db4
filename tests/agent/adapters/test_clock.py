"""The agent's clock: the system's UTC before the first fix, the receiver's afterwards, never stepping in between."""

import pytest

from agent.adapters.clock import GnssClock
from wire.ops import clock


def test_it_follows_the_receiver_once_it_has_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    mono, utc = [5_000], [1_000_000]
    monkeypatch.setattr(clock, "mono_ms", lambda: mono[0])
    monkeypatch.setattr(clock, "utc_ms", lambda: utc[0])
    own = GnssClock()
    assert (own.utc_ms(), own.mono_ms()) == (1_000_000, 5_000)
    own.heard(1_760_000_000_000)
    mono[0], utc[0] = 5_250, 99
    assert (own.utc_ms(), own.mono_ms()) == (1_760_000_000_250, 5_250)
    own.heard(1_760_000_000_100)
    assert own.utc_ms() == 1_760_000_000_100
