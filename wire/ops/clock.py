"""The only place where time is read."""

import time

from wire.iso import iso

__all__ = ["iso", "mono_ms", "utc_ms"]


def utc_ms() -> int:
    """The system's idea of UTC in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """Milliseconds of a clock that never steps."""
    return time.monotonic_ns() // 1_000_000
