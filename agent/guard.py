"""Once a second: what bus, battery, supply and antenna say becomes the ignition, events, and quiet on the bus."""

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

from agent.core import guardian, ignition, sampler
from agent.core.facts import Fact
from agent.core.motion import MOVING_MPS
from agent.flow import NO_FIX_MS, Senses
from wire.messages import Reading

LOOK_EVERY_S = 1.0
REST_V = "rest_v"
REST_RANGE_V = (8.0, 32.0)
FORGET_MS = 60_000
"""A vehicle that stands without its adapter for so long has an ignition that nobody knows."""
SUPPLY_LOOKS = 2
"""So many looks in a row must agree that the supply has changed."""


class Notes(Protocol):
    """What is remembered over a restart."""

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number within a range, or None."""

    def keep(self, key: str, value: float) -> None:
        """Remember."""


class Supply(Protocol):
    """The gateway's own power."""

    def online(self) -> bool | None:
        """Whether power comes in; None where nothing tells it."""


@dataclass(slots=True)
class Guard:
    """What the guard goes by. `parked_ms` is how seldom the live lane beats while parked and the battery is well."""

    senses: Senses
    config: guardian.Config
    notes: Notes
    supply: Supply
    parked_ms: int
    supplied: bool | None = None
    doubts: int = 0
    high_v: float | None = None
    antenna: str = "ok"
    away_since_ms: int | None = None

    @classmethod
    def of(cls, senses: Senses, config: guardian.Config, *, notes: Notes, supply: Supply) -> "Guard":
        """A guard that remembers what was learnt of the battery."""
        rest_v = notes.number(REST_V, *REST_RANGE_V)
        senses.vehicle.battery = guardian.State(rest_v=rest_v)
        return cls(senses, config, notes, supply, parked_ms=senses.live.config.heartbeat_parked_ms)


async def keep_guard(guard: Guard) -> None:
    """Look every second."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await look(guard)


async def look(guard: Guard) -> None:
    """One look; what has become certain is told."""
    senses, vehicle = guard.senses, guard.senses.vehicle
    now_ms = senses.clock.mono_ms()
    reading = vehicle.reading(now_ms)
    moving = vehicle.fix is not None and (vehicle.fix.speed_mps or 0.0) >= MOVING_MPS and _fresh(guard, now_ms)
    change = _ignition(guard, reading, now_ms, moving=moving)
    facts = [] if change is None else [Fact(change, {"odo_m": round(vehicle.driven.metres)})]
    if change is not None:
        senses.live.state = sampler.forced(senses.live.state)
    seen = guardian.Seen(vehicle.ignition_state.on, reading.voltage_v, moving)
    vehicle.battery, told = guardian.step(vehicle.battery, seen, now_ms, guard.config)
    vehicle.rest_ms = guardian.voltage_ms(vehicle.battery, guard.config) if vehicle.battery.quiet else None
    facts += told + _supply(guard) + _antenna(guard)
    if vehicle.battery.rest_v is not None:
        guard.notes.keep(REST_V, round(vehicle.battery.rest_v, 3))
    _beat(guard)
    guard.high_v, falls = guardian.fallen(guard.high_v, reading.voltage_v)
    if falls or guard.doubts == 1:  # before it is certain: what waits in memory may not have another second
        await senses.recorder.commit()
    for fact in facts:
        await senses.recorder.add_event(fact.kind, vehicle.fix, dict(fact.detail))


def _ignition(guard: Guard, reading: Reading, now_ms: int, *, moving: bool) -> str | None:
    """Step the ignition. An adapter that is away, or a bus that falls silent on the move, is no end of a drive.

    Where the bus is known to answer, a voltage as of an alternator never means on by itself: chargers and solar panels make it, too.
    """
    vehicle = guard.senses.vehicle
    state, adapter = vehicle.ignition_state, vehicle.adapter
    if vehicle.present.get("obd") is False:
        guard.away_since_ms = now_ms if moving or guard.away_since_ms is None else guard.away_since_ms
        if now_ms - guard.away_since_ms >= FORGET_MS:
            vehicle.ignition_state = ignition.State()
        return None
    guard.away_since_ms = None
    if moving and state.on and reading.rpm is None:
        return None
    if adapter.supported and (not state.on or adapter.said == "asleep"):
        reading = replace(reading, voltage_v=None)
    vehicle.ignition_state, change = ignition.step(state, reading, now_ms, rest_v=vehicle.battery.rest_v)
    return change


def _fresh(guard: Guard, now_ms: int) -> bool:
    fix_ms = guard.senses.vehicle.fix_mono_ms
    return fix_ms is not None and now_ms - fix_ms <= NO_FIX_MS


def _beat(guard: Guard) -> None:
    """While the battery is low, a parked vehicle says seldom that it is there."""
    live = guard.senses.live
    factor = guard.config.heartbeat_factor if guard.senses.vehicle.battery.low else 1
    wanted_ms = guard.parked_ms * factor
    if live.config.heartbeat_parked_ms != wanted_ms:
        live.config = replace(live.config, heartbeat_parked_ms=wanted_ms)


def _supply(guard: Guard) -> list[Fact]:
    online = guard.supply.online()
    if online is None or online == guard.supplied:
        guard.doubts = 0
        return []
    if guard.supplied is None:
        guard.supplied = online
        return []
    guard.doubts += 1
    if guard.doubts < SUPPLY_LOOKS:
        return []
    guard.supplied, guard.doubts = online, 0
    return [Fact("power-restored" if online else "power-lost")]


def _antenna(guard: Guard) -> list[Fact]:
    told = guard.senses.vehicle.antenna
    if told is None or told.status == guard.antenna:
        return []
    was, guard.antenna = guard.antenna, told.status
    if told.status == "ok":
        return [Fact("antenna-ok")]
    return [Fact("antenna-lost", {"status": told.status})] if was == "ok" else []
