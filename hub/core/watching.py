"""Who is looked at closely, and which devices are asked to be more exact meanwhile.

A device is asked for `HOLD_MS` and again every `AGAIN_MS` while somebody looks. One that says no is left alone for `REST_MS`:
asking costs it data, too, and the lack of data may be why.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hub.core.registry import Registry
from wire.messages import Command

EPS_M = 5.0
HOLD_MS = 60_000
AGAIN_MS = 40_000
REST_MS = 600_000
MOST_IDS = 5
"""Who asks for more vehicles by their ids than this looks at a list, not at a vehicle."""


@dataclass(frozen=True, slots=True)
class State:
    """When each device may be asked next."""

    next_ms: Mapping[str, int] = field(default_factory=dict)


def devices_of(vehicles: Collection[str], fleet: str, registry: Registry, now_ms: int) -> list[str]:
    """The devices that sit now in those of the vehicles that are of this fleet."""
    mine = {name for name in vehicles if name in registry.vehicles and registry.vehicles[name].fleet == fleet}
    found = []
    for device in registry.devices.values() if mine else ():
        vehicle = registry.vehicle_at(device.device, now_ms)
        if vehicle is not None and vehicle.vehicle in mine and not device.suspended:
            found.append(device.device)
    return sorted(found)


def step(state: State, wanted: Collection[str], now_ms: int) -> tuple[State, dict[str, Command]]:
    """The next state, and a command for each device that is to be asked now."""
    due = [device for device in wanted if now_ms >= state.next_ms.get(device, 0)]
    command = Command(f"w{now_ms:x}", "watch", EPS_M, now_ms + HOLD_MS)
    waiting = {device: at_ms for device, at_ms in state.next_ms.items() if at_ms > now_ms}
    return State(waiting | dict.fromkeys(due, now_ms + AGAIN_MS)), dict.fromkeys(due, command)


def refused(state: State, device: str, now_ms: int) -> State:
    """The device has said no."""
    return replace(state, next_ms={**state.next_ms, device: now_ms + REST_MS})
