"""What a vehicle may do wrong while it stands: idle for long, or move without its ignition (a tow, a theft).

Rules
1. Idling: standing with the ignition on for `idle_ms` is told once; its end is told with its length.
2. Tow: with the ignition known to be off, `BELIEVE_AFTER` fixes in a row, over `BELIEVE_MS`, further than `tow_m` (and three times their accuracy)
   from where it first stood after the ignition went off. Told once; the next ignition ends it.
"""

from dataclasses import dataclass, replace

from agent.core.facts import Fact
from wire.geo import distance_m
from wire.messages import Fix

BELIEVE_AFTER = 3
BELIEVE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Config:
    """When idling and a tow are told."""

    idle_ms: int = 300_000
    tow_m: float = 200.0


@dataclass(frozen=True, slots=True)
class State:
    """`parked` is where it first stood without ignition; `away` counts fixes far from it."""

    idle_since_ms: int | None = None
    idle_told: bool = False
    parked: Fix | None = None
    away: int = 0
    away_since_ms: int = 0
    tow_told: bool = False


def step(
    state: State, fix: Fix, now_ms: int, config: Config, *, ignition: bool | None, standing: bool
) -> tuple[State, list[Fact]]:
    """Take a fix in; what has become certain with it comes out. `now_ms` is the clock that never steps."""
    state, idling = _idle(state, now_ms, config, idle=standing and ignition is True)
    state, towed = _tow(state, fix, config, ignition=ignition, standing=standing)
    return state, idling + towed


def _idle(state: State, now_ms: int, config: Config, *, idle: bool) -> tuple[State, list[Fact]]:
    if not idle:
        ended = []
        if state.idle_told and state.idle_since_ms is not None:
            ended = [Fact("idling-end", {"for_s": (now_ms - state.idle_since_ms) // 1000})]
        return replace(state, idle_since_ms=None, idle_told=False), ended
    if state.idle_since_ms is None:
        return replace(state, idle_since_ms=now_ms), []
    if state.idle_told or now_ms - state.idle_since_ms < config.idle_ms:
        return state, []
    return replace(state, idle_told=True), [Fact("idling", {"for_s": (now_ms - state.idle_since_ms) // 1000})]


def _tow(state: State, fix: Fix, config: Config, *, ignition: bool | None, standing: bool) -> tuple[State, list[Fact]]:
    if ignition is not False:
        return replace(state, parked=None, away=0, tow_told=False), []
    if state.parked is None:
        return (replace(state, parked=fix) if standing else state), []
    place = state.parked
    way_m = distance_m(place.lat_deg, place.lon_deg, fix.lat_deg, fix.lon_deg)
    if way_m <= max(config.tow_m, 3.0 * (fix.accuracy_m or 0.0)):
        return replace(state, away=0), []
    state = replace(state, away=state.away + 1, away_since_ms=state.away_since_ms if state.away else fix.at_ms)
    if state.tow_told or state.away < BELIEVE_AFTER or fix.at_ms - state.away_since_ms < BELIEVE_MS:
        return state, []
    detail: dict[str, object] = {"from": [round(place.lat_deg, 6), round(place.lon_deg, 6)], "moved_m": round(way_m)}
    return replace(state, tow_told=True), [Fact("tow", detail)]
