"""The only place where time is read."""

import ctypes
import time
from pathlib import Path

from wire.iso import iso

__all__ = ["boot_id", "confirmed", "iso", "mono_ms", "stopwatch_ms", "utc_ms"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIME_ERROR = 5
"""What adjtimex(2) returns while nothing has set the clock right."""
TIMEX_BYTES = 256
"""More than `struct timex` has; all zero means: change nothing, only tell."""


def utc_ms() -> int:
    """The system's idea of UTC in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def mono_ms() -> int:
    """Milliseconds since the machine was started, sleep included: a clock that never steps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def stopwatch_ms() -> float:
    """The finest clock, for how long something took."""
    return time.perf_counter() * 1000


def confirmed() -> bool:
    """Whether the kernel says that something (NTP, PTP) keeps the system's clock right."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):  # a libc without it
        return False
    return isinstance(state, int) and 0 <= state < TIME_ERROR


def boot_id() -> str:
    """Which start of the machine `mono_ms` counts from: 16 hexadecimal digits; empty where the kernel does not tell."""
    try:
        return BOOT_ID.read_text(encoding="ascii").replace("-", "")[:16]
    except OSError:
        return ""
