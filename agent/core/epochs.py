"""The gate behind every position door: one fix per epoch, forward in time, on the planet."""

from wire.messages import Fix, Rejected

RECOVER_AFTER = 10
"""So many epochs in a row, each later than the one before it, outvote a newest time that lies in their future.

Without this, one fix with a date of years ahead (week rollover, cold start) would silence the vehicle for ever.
"""
NULL_ISLAND_DEG = 1e-6


class Gate:
    """Refuses what a receiver repeats, what steps back in time, and the place 0, 0 that receivers invent."""

    def __init__(self) -> None:
        self._newest_ms: int | None = None
        self._behind_ms = 0
        self._behind = 0

    def check(self, fix: Fix) -> Fix | Rejected:
        if abs(fix.lat_deg) < NULL_ISLAND_DEG and abs(fix.lon_deg) < NULL_ISLAND_DEG:
            return Rejected("null-island")
        newest_ms = self._newest_ms
        if newest_ms is not None and fix.at_ms <= newest_ms:
            if fix.at_ms == newest_ms:
                return Rejected("repeated")
            self._behind = self._behind + 1 if fix.at_ms > self._behind_ms else 1
            self._behind_ms = fix.at_ms
            if self._behind < RECOVER_AFTER:
                return Rejected("back-in-time", f"{newest_ms - fix.at_ms} ms")
        self._behind = 0
        self._newest_ms = fix.at_ms
        return fix
