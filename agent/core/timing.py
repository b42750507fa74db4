"""What time it is, and whom to believe: the receiver first, then a system clock that something has set right, else nobody.

Rules
1. UTC is an offset to the clock that never steps. Nobody has told it at the start.
2. The system's clock counts only while the kernel says that it is kept right. It is asked until the receiver has spoken.
3. A receiver's date before the build of this software, or beyond `SPAN_MS` after it, is wrong. It is repaired if whole
   rollovers of 1,024 weeks bring it there, or, where a confirmed clock says what day it is, to that day. Else it is unusable.
4. A receiver whose time leaps away from its own by more than `LEAP_MS` is believed after `BELIEVE_AFTER` fixes that agree.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from agent.core.gnss.dates import ERA_MS

DAY_MS = 86_400_000

GPS_EPOCH_MS = 315_964_800_000
"""1980-01-06: no receiver counts weeks from before it."""
SPAN_MS = 10 * 365 * DAY_MS
"""So long after its build the software may run. Shorter than an era, so that at most one repair fits."""
LEAP_MS = 600_000
BELIEVE_AFTER = 3


class Basis(StrEnum):
    """Who has told the time."""

    NOBODY = "nobody"
    SYSTEM = "system"
    GNSS = "gnss"


class Verdict(StrEnum):
    """What a receiver's date is worth."""

    RIGHT = "right"
    ROLLOVER = "week-rollover"
    UNUSABLE = "wrong-date"
    LEAP = "time-leap"


@dataclass(frozen=True, slots=True)
class State:
    """`offset_ms` plus the monotonic clock is UTC. `doubt_ms` is the offset that leaping fixes agree on, so far `doubts`."""

    offset_ms: int | None = None
    basis: Basis = Basis.NOBODY
    doubt_ms: int = 0
    doubts: int = 0

    def utc_ms(self, mono_ms: int) -> int | None:
        """UTC, or None while nobody has told it."""
        return None if self.offset_ms is None else mono_ms + self.offset_ms


def system(state: State, utc_ms: int, mono_ms: int, *, confirmed: bool) -> State:
    """What the system's clock says; it is taken only if it is kept right, and the receiver has not spoken."""
    if not confirmed or state.basis is Basis.GNSS:
        return state
    return State(utc_ms - mono_ms, Basis.SYSTEM)


def receiver(state: State, at_ms: int, mono_ms: int, *, floor_ms: int) -> tuple[State, int | None, Verdict]:
    """The time of a fix that came at `mono_ms`: its true time, or None where it can't be used, and what it was worth."""
    true_ms = _placed(at_ms, floor_ms, state.utc_ms(mono_ms) if state.basis is Basis.SYSTEM else None)
    if true_ms is None:
        return state, None, Verdict.UNUSABLE
    offset_ms = true_ms - mono_ms
    if state.basis is Basis.GNSS and state.offset_ms is not None and abs(offset_ms - state.offset_ms) > LEAP_MS:
        doubts = state.doubts + 1 if state.doubts and abs(offset_ms - state.doubt_ms) <= LEAP_MS else 1
        if doubts < BELIEVE_AFTER:
            return replace(state, doubt_ms=offset_ms, doubts=doubts), None, Verdict.LEAP
    return State(offset_ms, Basis.GNSS), true_ms, Verdict.RIGHT if true_ms == at_ms else Verdict.ROLLOVER


def _placed(at_ms: int, floor_ms: int, known_ms: int | None) -> int | None:
    """The time itself, or moved by whole eras to where it may be; with a floor of 0 all times may be."""
    if floor_ms <= 0:
        return at_ms
    if at_ms < GPS_EPOCH_MS:
        return None
    if known_ms is not None:
        nearest_ms = at_ms + round((known_ms - at_ms) / ERA_MS) * ERA_MS
        if abs(nearest_ms - known_ms) <= DAY_MS:
            return nearest_ms
    moved_ms = floor_ms + (at_ms - floor_ms) % ERA_MS
    if moved_ms >= floor_ms + SPAN_MS:
        return None
    return None if known_ms is not None and moved_ms != at_ms else moved_ms
