"""Who is who: fleets, vehicles, devices, bindings, credentials and tokens, as one frozen picture of the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle of a fleet, as people know it."""

    vehicle: str
    fleet: str
    name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """From this time on the device sits in this vehicle."""

    vehicle: str
    valid_from_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """A gateway; its bindings are sorted by time."""

    device: str
    fleet: str
    suspended: bool = False
    bindings: tuple[Binding, ...] = ()

    def bound_at(self, at_ms: int) -> Binding | None:
        """The binding in force at a time."""
        covering = None
        for binding in self.bindings:
            if binding.valid_from_ms <= at_ms:
                covering = binding
        return covering


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token: only its SHA-256 is known."""

    digest: str
    name: str
    fleet: str
    scope: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """A device was in a vehicle from `from_ms` until just before `until_ms`."""

    device: str
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Registry:
    """The picture at one version. `credentials` maps identities to password hashes."""

    version: int = 0
    fleets: tuple[str, ...] = ()
    vehicles: Mapping[str, Vehicle] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)

    def active(self, identity: str) -> Device | None:
        """The device of this name, if it may take part."""
        device = self.devices.get(identity)
        return None if device is None or device.suspended else device

    def credential(self, identity: str) -> str | None:
        """The password hash that lets this identity in; None for the unknown and the suspended."""
        device = self.devices.get(identity)
        return None if device is not None and device.suspended else self.credentials.get(identity)

    def vehicle_at(self, device: str, at_ms: int) -> Vehicle | None:
        """The vehicle that the device was in at a time."""
        known = self.devices.get(device)
        binding = None if known is None else known.bound_at(at_ms)
        return None if binding is None else self.vehicles.get(binding.vehicle)

    def stays(self, vehicle: str, from_ms: int, until_ms: int) -> list[Stay]:
        """Which devices were in the vehicle when, within a span of time, oldest first."""
        found = []
        for device in self.devices.values():
            ends = [binding.valid_from_ms for binding in device.bindings[1:]] + [until_ms]
            for binding, end in zip(device.bindings, ends, strict=False):
                first, last = max(binding.valid_from_ms, from_ms), min(end, until_ms)
                if binding.vehicle == vehicle and first < last:
                    found.append(Stay(device.device, first, last))
        return sorted(found, key=lambda stay: (stay.from_ms, stay.device))

    def fleet_vehicles(self, fleet: str) -> list[Vehicle]:
        """The vehicles of a fleet by name."""
        return sorted((v for v in self.vehicles.values() if v.fleet == fleet), key=lambda v: v.vehicle)
