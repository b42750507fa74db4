"""Time for the agent: the machine's clocks, and what `core.timing` makes of them and of the receiver's word."""

import secrets

from agent.core import timing
from agent.core.dating import Moment
from wire.ops import clock

ASK_EVERY_MS = 10_000


class GnssClock:
    """UTC follows the receiver once it has spoken; before that, the system's clock if something keeps that right."""

    def __init__(self, *, floor_ms: int = 0) -> None:
        self._floor_ms = floor_ms
        self._boot = clock.boot_id() or secrets.token_hex(8)
        self._state = timing.State()
        self._asked_ms: int | None = None

    @property
    def basis(self) -> timing.Basis:
        """Who has told the time."""
        return self._state.basis

    def now(self) -> Moment:
        """This moment."""
        mono_ms = self.mono_ms()
        if self._state.basis is not timing.Basis.GNSS:
            self._ask_system(mono_ms)
        return Moment(self._state.utc_ms(mono_ms), self._boot, mono_ms)

    def _ask_system(self, mono_ms: int) -> None:
        if self._asked_ms is None or mono_ms - self._asked_ms >= ASK_EVERY_MS:
            self._asked_ms = mono_ms
            confirmed = clock.confirmed()
            self._state = timing.system(self._state, clock.utc_ms(), mono_ms, confirmed=confirmed)

    def mono_ms(self) -> int:
        """Milliseconds that never step."""
        return clock.mono_ms()

    def judge(self, at_ms: int) -> tuple[int | None, timing.Verdict]:
        """The receiver has told the time of a fix that has just come."""
        mono_ms = self.now().mono_ms
        self._state, true_ms, verdict = timing.receiver(self._state, at_ms, mono_ms, floor_ms=self._floor_ms)
        return true_ms, verdict
