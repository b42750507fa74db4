"""Vehicle-bus signals: PID → COVESA VSS name in the API → short key on the wire → field of a `Reading`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """`pid` is the parameter of OBD mode 01, `key` the column of `wire.schema`, `field` the name in `Reading`."""

    pid: int
    vss: str
    key: str
    field: str
    unit: str


SIGNALS: tuple[Signal, ...] = (
    Signal(0x04, "Vehicle.OBD.EngineLoad", "ld", "load_pct", "%"),
    Signal(0x05, "Vehicle.OBD.CoolantTemperature", "ct", "coolant_c", "°C"),
    Signal(0x0C, "Vehicle.OBD.EngineSpeed", "rp", "rpm", "1/min"),
    Signal(0x0D, "Vehicle.OBD.Speed", "vs", "speed_kph", "km/h"),
    Signal(0x11, "Vehicle.OBD.ThrottlePosition", "th", "throttle_pct", "%"),
    Signal(0x2F, "Vehicle.OBD.FuelLevel", "fu", "fuel_pct", "%"),
    Signal(0x42, "Vehicle.OBD.ControlModuleVoltage", "mv", "voltage_v", "V"),
)
BY_PID = {signal.pid: signal for signal in SIGNALS}
BY_KEY = {signal.key: signal for signal in SIGNALS}
