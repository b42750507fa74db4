"""What a receiver says of one moment, and the gate behind every position door: one fix per epoch, forward in time."""

from dataclasses import dataclass

from agent.core.gnss.dates import ERA_MS
from wire.messages import Fix, Mode, Quality, Rejected

RECOVER_AFTER = 10
"""So many epochs in a row, each later than the one before it, outvote a newest time that lies in their future.

Without this, one fix with a date of years ahead (week rollover, cold start) would silence the vehicle for ever.
"""
ROLLED_MS = 86_400_000
NULL_ISLAND_DEG = 1e-6
ALTITUDE_M = (-1_000.0, 20_000.0)
"""Where vehicles are. Receivers that lose their fix tell whatever they computed last."""
MOST_MPS = 600.0
"""Twice the speed of an airliner: what tells more tells nonsense."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One moment as the receiver tells it, with or without a fix. `mode` 0 means that nothing was said about it.

    `derived` names the values that the receiver did not tell and that follow from its last two positions. `void` means that
    one of its sentences called the position not valid, whatever the others said.
    """

    at_ms: int | None
    mode: int
    quality: Quality = Quality.NONE
    lat_deg: float | None = None
    lon_deg: float | None = None
    alt_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    hdop: float | None = None
    pdop: float | None = None
    accuracy_m: float | None = None
    sats_used: int | None = None
    sats_seen: int | None = None
    cn0_dbhz: float | None = None
    derived: tuple[str, ...] = ()
    void: bool = False


def fix_of(epoch: Epoch) -> Fix | Rejected:
    """The fix that the epoch holds, without what is only derived, or why it holds none."""
    if epoch.void or epoch.mode < Mode.FIX_2D or epoch.lat_deg is None or epoch.lon_deg is None:
        return Rejected("no-fix")
    if epoch.speed_mps is not None and epoch.speed_mps > MOST_MPS:
        return Rejected("field", "speed")
    if epoch.alt_m is not None and not ALTITUDE_M[0] <= epoch.alt_m <= ALTITUDE_M[1]:
        return Rejected("field", "altitude")
    if epoch.at_ms is None:
        return Rejected("no-date")
    return Fix(
        epoch.at_ms, epoch.lat_deg, epoch.lon_deg,
        alt_m=epoch.alt_m, speed_mps=None if "speed_mps" in epoch.derived else epoch.speed_mps,
        course_deg=epoch.course_deg, mode=Mode(epoch.mode), quality=epoch.quality or Quality.GNSS,
        hdop=epoch.hdop, pdop=epoch.pdop, accuracy_m=epoch.accuracy_m,
        sats_used=epoch.sats_used, sats_seen=epoch.sats_seen, cn0_dbhz=epoch.cn0_dbhz,
    )  # fmt: skip


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
        if newest_ms is not None and fix.at_ms <= newest_ms and not _rolled_over(newest_ms, fix.at_ms):
            if fix.at_ms == newest_ms:
                return Rejected("repeated")
            self._behind = self._behind + 1 if fix.at_ms > self._behind_ms else 1
            self._behind_ms = fix.at_ms
            if self._behind < RECOVER_AFTER:
                return Rejected("back-in-time", f"{newest_ms - fix.at_ms} ms")
        self._behind = 0
        self._newest_ms = fix.at_ms
        return fix


def _rolled_over(newest_ms: int, at_ms: int) -> bool:
    """Whether a time goes on, but eras of the GPS week earlier: who knows the true time puts it right."""
    return newest_ms - at_ms > ERA_MS // 2 and 0 < (at_ms - newest_ms) % ERA_MS < ROLLED_MS
