"""What the senses have seen so far, as facts: for `status`, and for the doctor's rules."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from agent.core import diagnosis
from agent.core.gnss.sky import STRONGEST, Sky
from agent.core.obd.memory import report
from agent.flow import Vehicle
from wire.ops.watch import Watch

RECENT_MS, NOTE_EVERY_MS, FRESH_MS = 60_000, 5_000, 6_000
MUTE = ("does not answer", "no ELM327")
"""What is said of an adapter whose line is open."""
QUIET_REASONS = frozenset({"timeout", "away", "no-data", "no-vehicle", "trial"})
"""Refusals of the bus that do not mean that there were bytes which nobody understood."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What had been counted at a moment."""

    at_ms: int
    heard: int
    fixes: int
    rejected: Mapping[str, int]
    redated: Mapping[str, int]


class Recent:
    """What has been counted in the last minute: a fault of now must not drown in hours that were good."""

    def __init__(self, vehicle: Vehicle, watch: Watch, now_ms: int) -> None:
        self._vehicle = vehicle
        self._watch = watch
        self._kept = deque([self._tally(now_ms)], maxlen=1 + RECENT_MS // NOTE_EVERY_MS)

    def _tally(self, now_ms: int) -> Tally:
        watch = self._watch
        rejected, redated = watch.counts("gnss.rejected", "reason"), watch.counts("gnss.redated", "how")
        return Tally(now_ms, self._vehicle.heard, watch.count("gnss.fix"), rejected, redated)

    def note(self, now_ms: int) -> None:
        """Remember this moment; to be called every `NOTE_EVERY_MS`."""
        self._kept.append(self._tally(now_ms))

    def since(self, now_ms: int) -> Tally:
        """What has come since the oldest moment that is remembered; `at_ms` is that moment."""
        old, new = self._kept[0], self._tally(now_ms)
        return Tally(
            old.at_ms, new.heard - old.heard, new.fixes - old.fixes,
            _more(old.rejected, new.rejected), _more(old.redated, new.redated),
        )  # fmt: skip


def _more(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    return {key: n - old.get(key, 0) for key, n in new.items() if n > old.get(key, 0)}


def receiver(vehicle: Vehicle, recent: Recent, now_ms: int, *, place: str, hunting: bool) -> diagnosis.Receiver:
    """What has come from the receiver lately. A fix that is not fresh is none."""
    told, fix = recent.since(now_ms), vehicle.fix
    fresh = vehicle.fix_mono_ms is not None and now_ms - vehicle.fix_mono_ms <= FRESH_MS
    heard = vehicle.heard_ms is not None and now_ms - vehicle.heard_ms <= FRESH_MS
    first_ms = vehicle.first_fix_ms
    seen = diagnosis.Receiver(
        place,
        error=vehicle.troubles.get("gnss", ""),
        speed=vehicle.baud,
        hunting=hunting,
        heard=told.heard if heard else 0,
        noise=vehicle.noise_ms is not None and now_ms - vehicle.noise_ms <= FRESH_MS,
        sentences=dict(vehicle.kinds),
        fixes=told.fixes,
        fresh=fresh,
        first_fix_s=None if first_ms is None else (first_ms - vehicle.opened_ms) / 1000,
        watched_s=(now_ms - max(told.at_ms, first_ms)) / 1000 if first_ms is not None else 0.0,
        antenna="" if vehicle.antenna is None else vehicle.antenna.status,
        rejected=told.rejected,
        redated=told.redated,
        sats_seen=len(vehicle.sky.satellites) or None,
        cn0_dbhz=strength_dbhz(vehicle.sky),
    )
    if fix is None or not fresh:
        return seen
    return replace(
        seen, mode=int(fix.mode), hdop=fix.hdop, accuracy_m=fix.accuracy_m, sats_used=fix.sats_used,
        sats_seen=fix.sats_seen or seen.sats_seen, cn0_dbhz=fix.cn0_dbhz or seen.cn0_dbhz,
    )  # fmt: skip


def strength_dbhz(sky: Sky) -> float | None:
    """Mean C/N0 of the strongest satellites, as many as a fix needs; None if none is heard."""
    heard = sorted((each.cn0_dbhz for each in sky.satellites if each.cn0_dbhz), reverse=True)[:STRONGEST]
    return round(sum(heard) / len(heard), 1) if heard else None


def adapter(vehicle: Vehicle, watch: Watch, now_ms: int, *, place: str, hunting: bool) -> diagnosis.Adapter:
    """What has come from the OBD adapter, and of the vehicle through it."""
    told = report(vehicle.adapter)
    voltage_v = vehicle.reading(now_ms).voltage_v
    error = vehicle.troubles.get("obd", "")
    mute = any(words in error for words in MUTE)
    garbled = sum(n for why, n in watch.counts("obd.rejected", "reason").items() if why not in QUIET_REASONS)
    return diagnosis.Adapter(
        place, error="" if mute else error, banner="" if mute else told.adapter, grade=told.grade, reasons=told.reasons,
        ready=vehicle.adapter.said == "ready", resting=vehicle.rest_ms is not None, garbled=garbled, hunting=hunting,
        protocol=told.protocol, vin=told.vin, parameters=len(told.supported), round_trip_ms=told.round_trip_ms,
        voltage_v=vehicle.battery.last_v if voltage_v is None else voltage_v, faults=told.faults,
    )  # fmt: skip


def told_receiver(data: Mapping[str, Any]) -> diagnosis.Receiver:
    """The facts again, as another program told them; what it does not know stays as it is by default."""
    return diagnosis.Receiver(**_known(diagnosis.Receiver, data))


def told_adapter(data: Mapping[str, Any]) -> diagnosis.Adapter:
    """Likewise for the adapter."""
    return diagnosis.Adapter(**_known(diagnosis.Adapter, data))


def _known(kind: type[diagnosis.Receiver] | type[diagnosis.Adapter], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
