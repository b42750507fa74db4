"""Attempt number to seconds: exponential with full jitter (Brooker, AWS architecture blog, 2015)."""


def full_jitter_s(attempt: int, chance: float, *, base_s: float = 1.0, cap_s: float = 60.0) -> float:
    """Seconds before attempt number `attempt` (0 is the first retry); `chance` is uniform in [0, 1)."""
    return chance * min(cap_s, base_s * 2.0 ** min(attempt, 30))
