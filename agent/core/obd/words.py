"""Answers of mode 01 that are no numbers: the status with its readiness tests, fuel systems, standards, sensors present."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from agent.core.obd.dtc import code


@dataclass(frozen=True, slots=True)
class Readiness:
    """Warning lamp, number of stored codes, and the tests that the vehicle has: which are done, which are not."""

    lamp: bool
    codes: int
    compression_ignition: bool
    done: tuple[str, ...]
    open: tuple[str, ...]

    def __str__(self) -> str:
        """For a person."""
        waits = f", not ready: {', '.join(self.open)}" if self.open else ", all tests ready"
        return f"warning lamp {'on' if self.lamp else 'off'}, {self.codes} codes{waits}"


Words = Callable[[bytes], str | Readiness]

COMMON_TESTS = ("misfire", "fuel system", "components")
SPARK_TESTS = (
    "catalyst", "heated catalyst", "evaporative system", "secondary air", "air conditioning", "oxygen sensor",
    "oxygen sensor heater", "EGR or VVT",
)  # fmt: skip
DIESEL_TESTS = (
    "NMHC catalyst", "NOx aftertreatment", "", "boost pressure", "", "exhaust gas sensor", "particulate filter",
    "EGR or VVT",
)  # fmt: skip


def readiness(data: bytes) -> Readiness:
    """Bytes A to D of PID 01 and 41."""
    lamp, codes, diesel = bool(data[0] & 0x80), data[0] & 0x7F, bool(data[1] & 0x08)
    tests: list[tuple[str, bool]] = [
        (name, bool(data[1] >> 4 + i & 1)) for i, name in enumerate(COMMON_TESTS) if data[1] >> i & 1
    ]
    names = DIESEL_TESTS if diesel else SPARK_TESTS
    tests += [(name, bool(data[3] >> i & 1)) for i, name in enumerate(names) if name and data[2] >> i & 1]
    done = tuple(name for name, waits in tests if not waits)
    return Readiness(lamp, codes, diesel, done, tuple(name for name, waits in tests if waits))


FUEL_SYSTEM: Mapping[int, str] = {
    0: "off", 1: "open loop: cold", 2: "closed loop", 4: "open loop: load or overrun", 8: "open loop: fault",
    16: "closed loop: sensor fault",
}  # fmt: skip
AIR: Mapping[int, str] = {
    1: "upstream", 2: "downstream of the catalyst", 4: "outside or off", 8: "pump on for diagnosis",
}  # fmt: skip
STANDARDS: Mapping[int, str] = {
    1: "OBD-II (CARB)", 2: "OBD (EPA)", 3: "OBD and OBD-II", 4: "OBD-I", 5: "not OBD compliant", 6: "EOBD",
    7: "EOBD and OBD-II", 8: "EOBD and OBD", 9: "EOBD, OBD and OBD-II", 10: "JOBD", 11: "JOBD and OBD-II",
    12: "JOBD and EOBD", 13: "JOBD, EOBD and OBD-II", 17: "EMD", 18: "EMD+", 19: "HD OBD-C", 20: "HD OBD", 21: "WWH OBD",
    23: "HD EOBD-I", 24: "HD EOBD-I N", 25: "HD EOBD-II", 26: "HD EOBD-II N", 28: "OBDBr-1", 29: "OBDBr-2", 30: "KOBD",
    31: "IOBD I", 32: "IOBD II", 33: "HD EOBD-VI",
}  # fmt: skip
FUELS: Mapping[int, str] = {
    0: "none", 1: "petrol", 2: "methanol", 3: "ethanol", 4: "diesel", 5: "LPG", 6: "CNG", 7: "propane", 8: "electric",
    9: "bifuel, on petrol", 10: "bifuel, on methanol", 11: "bifuel, on ethanol", 12: "bifuel, on LPG",
    13: "bifuel, on CNG", 14: "bifuel, on propane", 15: "bifuel, on electricity", 16: "bifuel, both",
    17: "hybrid petrol", 18: "hybrid ethanol", 19: "hybrid diesel", 20: "hybrid, electric", 21: "hybrid, both",
    22: "hybrid, recuperating", 23: "bifuel, on diesel",
}  # fmt: skip
EMISSION: Mapping[int, str] = {
    0x0E: "heavy vehicles (Euro IV B1)",
    0x0F: "heavy vehicles (Euro V B2)",
    0x10: "heavy vehicles (Euro EEV C)",
}


def _named(table: Mapping[int, str], data: bytes) -> str:
    return table.get(data[0], f"unknown ({data[0]})")


def _systems(data: bytes) -> str:
    """Two fuel systems; the second is left out where there is none."""
    first = _named(FUEL_SYSTEM, data)
    return first if data[1] == 0 else f"{first}; second: {_named(FUEL_SYSTEM, data[1:])}"


def _sensors(sensors_a_bank: int, data: bytes) -> str:
    present = [f"bank {i // sensors_a_bank + 1} sensor {i % sensors_a_bank + 1}" for i in range(8) if data[0] >> i & 1]
    return ", ".join(present) or "none"


def _power_take_off(data: bytes) -> str:
    return "on" if data[0] & 1 else "off"


WORDS: Mapping[str, Words] = {
    "status": readiness,
    "cycle_status": readiness,
    "freeze_dtc": lambda data: code(data) if any(data) else "none",
    "fuel_system": _systems,
    "air_status": partial(_named, AIR),
    "o2_present": partial(_sensors, 4),
    "o2_present_4": partial(_sensors, 2),
    "obd_standard": partial(_named, STANDARDS),
    "pto": _power_take_off,
    "fuel_type": partial(_named, FUELS),
    "emission_standard": partial(_named, EMISSION),
}
