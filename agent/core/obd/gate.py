"""The gate before a value is believed: a first value, or one far from the last, waits until an answer confirms it.

A bit that falls over on the line between two hex digits gives another valid number. No checksum guards that line on CAN, so
a value counts only near one that was told before; the next answer decides.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

FORGET_MS = 30_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A value and when it was told."""

    value: float
    at_ms: int


@dataclass(slots=True)
class Gate:
    """Per key, the last value that was believed and the one that waits."""

    believed: dict[Hashable, Seen] = field(default_factory=dict)
    waiting: dict[Hashable, Seen] = field(default_factory=dict)

    def passes(self, key: Hashable, value: float, jump: float, now_ms: int, forget_ms: int = FORGET_MS) -> bool:
        """Whether the value is believed; if not, ask again at once."""
        for seen in (self.believed.get(key), self.waiting.pop(key, None)):
            if seen is not None and abs(seen.value - value) <= jump and now_ms - seen.at_ms <= forget_ms:
                self.believed[key] = Seen(value, now_ms)
                return True
        self.waiting[key] = Seen(value, now_ms)
        return False
