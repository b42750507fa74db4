"""Time for the agent: UTC follows the receiver once it has spoken, on the clock that never steps."""

from wire.ops import clock


class GnssClock:
    """Before the first fix the system's UTC is all there is; afterwards it is not asked any more."""

    def __init__(self) -> None:
        self._offset_ms: int | None = None

    def utc_ms(self) -> int:
        """UTC in milliseconds."""
        return clock.utc_ms() if self._offset_ms is None else clock.mono_ms() + self._offset_ms

    def mono_ms(self) -> int:
        """Milliseconds that never step."""
        return clock.mono_ms()

    def heard(self, at_ms: int) -> None:
        """The receiver has told the time."""
        self._offset_ms = at_ms - clock.mono_ms()
