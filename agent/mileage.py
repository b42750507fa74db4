"""The odometer's keeping: what it shows is noted every `KEEP_M` or `KEEP_MS`, when the ignition goes off, and at the end.

A power cut costs at most what came after the last note; the way from that place to the next fix is counted again by the straight line.
While no fix comes the bus counts on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.core import odometer
from agent.flow import Senses
from wire.codec import number
from wire.errors import DecodeError

NOTE = "odometer"
LOOK_EVERY_S = 1.0
KEEP_M = 100.0
KEEP_MS = 10_000
SILENT_MS = 2_000
FARTHEST_M = 1e10


class Notes(Protocol):
    """What is remembered over a restart. `fault` says what could not be read."""

    fault: str

    def record(self, key: str) -> Mapping[str, object] | None:
        """An object, or None."""

    def keep_all(self, values: Mapping[str, object], *, later: bool = False) -> None:
        """Remember, by one write, which may block; or `later`, with the next one."""


def noted(state: odometer.State) -> dict[str, object]:
    """What is worth keeping."""
    out: dict[str, object] = {"m": round(state.metres, 1), "bus_m": round(state.bus_m), "true_m": round(state.true_m)}
    if state.lat_deg is not None and state.lon_deg is not None:
        out |= {"lat": round(state.lat_deg, 6), "lon": round(state.lon_deg, 6)}
    return out


def recalled(note: Mapping[str, object] | None) -> odometer.State:
    """The odometer as it was noted, at 0 if it never was. Raises DecodeError for a note that is none."""
    if note is None:
        return odometer.State()
    placed = note.get("lat") is not None
    return odometer.State(
        metres=float(number(note, "m", 0, FARTHEST_M)),
        bus_m=float(number(note, "bus_m", 0, FARTHEST_M)),
        true_m=float(number(note, "true_m", 0, FARTHEST_M)),
        lat_deg=number(note, "lat", -90, 90) if placed else None,
        lon_deg=number(note, "lon", -180, 180) if placed else None,
    )


@dataclass(slots=True)
class Mileage:
    """What has been noted, and when."""

    senses: Senses
    notes: Notes
    kept_m: float = 0.0
    kept_ms: int = 0
    coasted_ms: int = 0
    ignition: bool | None = None
    fault: str = ""

    @classmethod
    def of(cls, senses: Senses, notes: Notes) -> "Mileage":
        """Go on from what was noted; what can't be read is told, and never taken for 0 in silence."""
        fault = notes.fault
        try:
            senses.vehicle.driven = recalled(notes.record(NOTE))
        except DecodeError as error:
            fault = f"{fault}; the odometer begins at 0: {error}".removeprefix("; ")
        if fault:
            senses.watch("notes.damaged", error=fault)
        return cls(senses, notes, kept_m=senses.vehicle.driven.metres, fault=fault)

    def keep(self) -> None:
        """Note it now."""
        self.kept_m, self.kept_ms = self.senses.vehicle.driven.metres, self.senses.clock.mono_ms()
        self.notes.keep_all({NOTE: noted(self.senses.vehicle.driven)})


async def keep_mileage(mileage: Mileage) -> None:
    """Look every second; the disk is waited for beside the loop."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        coast(mileage)
        if due(mileage):
            await asyncio.to_thread(mileage.keep)


def coast(mileage: Mileage) -> None:
    """While no fix comes, the bus counts."""
    vehicle, now_ms = mileage.senses.vehicle, mileage.senses.clock.mono_ms()
    if vehicle.fix_mono_ms is None or now_ms - vehicle.fix_mono_ms <= SILENT_MS:
        return
    since_ms = max(vehicle.fix_mono_ms, mileage.coasted_ms)
    mileage.coasted_ms = now_ms
    vehicle.driven = odometer.coast(vehicle.driven, vehicle.reading(now_ms), now_ms - since_ms)


def due(mileage: Mileage) -> bool:
    """Whether it is time for a note."""
    vehicle = mileage.senses.vehicle
    went_off = mileage.ignition is True and vehicle.ignition_state.on is not True
    mileage.ignition = vehicle.ignition_state.on
    ahead_m = vehicle.driven.metres - mileage.kept_m
    waited_ms = mileage.senses.clock.mono_ms() - mileage.kept_ms
    return ahead_m >= KEEP_M or (ahead_m > 0.0 and (went_off or waited_ms >= KEEP_MS))
