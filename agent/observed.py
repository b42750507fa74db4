"""What the senses have seen so far, as facts: for `status`, and for the doctor's rules."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from agent.core import diagnosis
from agent.core.gnss.sky import STRONGEST, Sky
from agent.core.obd.memory import report
from agent.flow import Vehicle
from wire.ops.watch import Watch


def receiver(vehicle: Vehicle, watch: Watch, place: str) -> diagnosis.Receiver:
    """What has come from the receiver."""
    fix = vehicle.fix
    seen = diagnosis.Receiver(
        place,
        speed=vehicle.baud,
        heard=vehicle.heard,
        noise=vehicle.noise,
        fixes=watch.count("gnss.fix"),
        antenna="" if vehicle.antenna is None else vehicle.antenna.status,
        rejected=watch.counts("gnss.rejected", "reason"),
        redated=watch.counts("gnss.redated", "how"),
        sats_seen=len(vehicle.sky.satellites) or None,
        cn0_dbhz=strength_dbhz(vehicle.sky),
    )
    if fix is None:
        return seen
    return replace(
        seen, mode=int(fix.mode), hdop=fix.hdop, accuracy_m=fix.accuracy_m, sats_used=fix.sats_used,
        sats_seen=fix.sats_seen or seen.sats_seen, cn0_dbhz=fix.cn0_dbhz or seen.cn0_dbhz,
    )  # fmt: skip


def strength_dbhz(sky: Sky) -> float | None:
    """Mean C/N0 of the strongest satellites, as many as a fix needs; None if none is heard."""
    heard = sorted((each.cn0_dbhz for each in sky.satellites if each.cn0_dbhz), reverse=True)[:STRONGEST]
    return round(sum(heard) / len(heard), 1) if heard else None


def adapter(vehicle: Vehicle, now_ms: int, place: str) -> diagnosis.Adapter:
    """What has come from the OBD adapter, and of the vehicle through it."""
    told = report(vehicle.adapter)
    return diagnosis.Adapter(
        place, banner=told.adapter, grade=told.grade, reasons=told.reasons, ready=vehicle.adapter.said == "ready",
        protocol=told.protocol, vin=told.vin, parameters=len(told.supported), round_trip_ms=told.round_trip_ms,
        voltage_v=vehicle.reading(now_ms).voltage_v, faults=told.faults,
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
