"""Dates that a receiver has wrong by whole eras of the GPS week counter, and how they are put right."""

ERA_MS = 1024 * 7 * 86_400_000
"""The week number on the air has ten bits: it begins anew every 1024 weeks, and old firmware falls back by as much."""
MOST_ERAS = 3
"""More eras than GPS has completed since 1980 explain nothing: such a date is noise."""
FUTURE_MS = 20 * 365 * 86_400_000
"""Nobody runs software that is older than this; a later date is not of this device's life."""


def repaired(at_ms: int, floor_ms: int) -> int | None:
    """The date, moved by the fewest eras that bring it to the floor or later; None if no rollover explains it.

    The floor is a date that can't lie in the future: when the software was built. A date that is not before it is kept.
    """
    if at_ms >= floor_ms:
        return at_ms if at_ms - floor_ms <= FUTURE_MS else None
    eras = -((at_ms - floor_ms) // ERA_MS)
    return at_ms + eras * ERA_MS if eras <= MOST_ERAS else None
