"""The parameters of OBD mode 01: formula and its inverse (SAE J1979), range, and how often to ask. `PIDS` is the table."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from agent.core.obd.words import WORDS, Readiness, Words
from wire.signals import NAMED, Signal

Pace = Literal["fast", "slow", "seldom"]
Value = float | str | Readiness


@dataclass(frozen=True, slots=True)
class Part:
    """One value in an answer: `width` bytes from `start`, big-endian, times `scale` plus `offset`, in the signal's unit.

    `bit` is the bit of the first byte that says whether the part is there. A part with `words` is no number.
    """

    signal: Signal
    start: int = 0
    width: int = 1
    scale: float = 1.0
    offset: float = 0.0
    signed: bool = False
    bit: int | None = None
    words: Words | None = None

    @property
    def low(self) -> float:
        return self.offset - (self.scale * (1 << 8 * self.width - 1) if self.signed else 0.0)

    @property
    def high(self) -> float:
        top = (1 << 8 * self.width - 1) - 1 if self.signed else (1 << 8 * self.width) - 1
        return top * self.scale + self.offset

    @property
    def jump(self) -> float:
        """How far the value may be from the one before without being asked again."""
        return JUMPS.get(self.signal.key, (self.high - self.low) / 4)

    def value(self, data: bytes) -> Value:
        part = data[self.start : self.start + self.width]
        if self.words is not None:
            return self.words(part)
        return int.from_bytes(part, "big", signed=self.signed) * self.scale + self.offset


@dataclass(frozen=True, slots=True)
class Pid:
    """`width` bytes of answer. The `fast` are asked at the wanted rate, a `slow` or `seldom` one every `period_ms`."""

    number: int
    width: int
    parts: tuple[Part, ...]
    pace: Pace
    period_ms: int

    @property
    def signal(self) -> Signal:
        """Of its first part: the whole of it for most."""
        return self.parts[0].signal

    @property
    def low(self) -> float:
        return self.parts[0].low

    @property
    def high(self) -> float:
        return self.parts[0].high

    def value(self, data: bytes) -> float:
        """The number that the first part says."""
        value = self.parts[0].value(data)
        assert isinstance(value, float)
        return value

    def values(self, data: bytes) -> list[tuple[Part, Value]]:
        """Everything that is there."""
        return [(part, part.value(data)) for part in self.parts if part.bit is None or data[0] >> part.bit & 1]

    def data(self, value: float) -> bytes:
        """The bytes that say a value in the first part, held at the edges of what it can say."""
        part = self.parts[0]
        raw = round((min(max(value, part.low), part.high) - part.offset) / part.scale)
        return bytes(part.start) + raw.to_bytes(part.width, "big", signed=part.signed)


JUMPS = {"vs": 40.0, "rp": 3000.0, "ct": 20.0, "fu": 20.0, "mv": 2.0}
"""A larger step than this is believed when the next answer says the same."""
PERIODS: dict[Pace, int] = {"fast": 0, "slow": 10_000, "seldom": 60_000}
PERCENT, CENTRED = 100.0 / 255.0, 100.0 / 128.0


def _pid(number: int, width: int, *parts: Part, pace: Pace = "slow", period_ms: int | None = None) -> tuple[int, Pid]:
    return number, Pid(number, width, parts, pace, PERIODS[pace] if period_ms is None else period_ms)


def _one(number: int, key: str, width: int, scale: float = 1.0, offset: float = 0.0, *, signed: bool = False,
         pace: Pace = "slow", period_ms: int | None = None) -> tuple[int, Pid]:  # fmt: skip
    part = Part(NAMED[key], 0, width, scale, offset, signed)
    return _pid(number, width, part, pace=pace, period_ms=period_ms)


def _word(number: int, key: str, width: int = 1) -> tuple[int, Pid]:
    return _pid(number, width, Part(NAMED[key], 0, width, words=WORDS[key]), pace="seldom")


def _two(number: int, first: tuple[str, float, float], second: tuple[str, float, float], width: int) -> tuple[int, Pid]:
    """Two numbers of the same width, one behind the other."""
    (key, scale, offset), (other, other_scale, other_offset) = first, second
    half = width // 2
    return _pid(
        number,
        width,
        Part(NAMED[key], 0, half, scale, offset),
        Part(NAMED[other], half, half, other_scale, other_offset),
    )


def _held(number: int, width: int, *parts: tuple[str, int, int, float, float, int | None]) -> tuple[int, Pid]:
    """Parts behind a byte that says which are there."""
    return _pid(number, width, *(
        Part(NAMED[key], start, size, scale, offset, bit=bit) for key, start, size, scale, offset, bit in parts
    ))  # fmt: skip


PIDS: dict[int, Pid] = dict((
    _one(0x0D, "vs", 1, pace="fast"),
    _one(0x0C, "rp", 2, 0.25, pace="fast"),
    _one(0x11, "th", 1, PERCENT, period_ms=2_000),
    _one(0x04, "ld", 1, PERCENT, period_ms=2_000),
    _one(0x42, "mv", 2, 0.001, period_ms=5_000),
    _one(0x05, "ct", 1, 1.0, -40.0),
    _one(0x2F, "fu", 1, PERCENT),
    _word(0x01, "status", 4),
    _word(0x02, "freeze_dtc", 2),
    _word(0x03, "fuel_system", 2),
    _one(0x06, "trim_short_1", 1, CENTRED, -100.0),
    _one(0x07, "trim_long_1", 1, CENTRED, -100.0),
    _one(0x08, "trim_short_2", 1, CENTRED, -100.0),
    _one(0x09, "trim_long_2", 1, CENTRED, -100.0),
    _one(0x0A, "fuel_pressure", 1, 3.0),
    _one(0x0B, "manifold_pressure", 1),
    _one(0x0E, "timing_advance", 1, 0.5, -64.0),
    _one(0x0F, "intake_temp", 1, 1.0, -40.0),
    _one(0x10, "maf", 2, 0.01),
    _word(0x12, "air_status"),
    _word(0x13, "o2_present"),
    *(_two(0x13 + n, (f"o2_{n}_voltage", 0.005, 0.0), (f"o2_{n}_trim", CENTRED, -100.0), 2) for n in range(1, 9)),
    _word(0x1C, "obd_standard"),
    _word(0x1D, "o2_present_4"),
    _word(0x1E, "pto"),
    _one(0x1F, "run_time", 2),
    _one(0x21, "distance_mil", 2, pace="seldom"),
    _one(0x22, "rail_pressure_vacuum", 2, 0.079),
    _one(0x23, "rail_pressure", 2, 10.0),
    *(_two(0x23 + n, (f"o2w_{n}_lambda", 2 / 65536, 0.0), (f"o2w_{n}_voltage", 8 / 65536, 0.0), 4) for n in range(1, 9)),
    _one(0x2C, "egr", 1, PERCENT),
    _one(0x2D, "egr_error", 1, CENTRED, -100.0),
    _one(0x2E, "evap_purge", 1, PERCENT),
    _one(0x30, "warmups_since_clear", 1, pace="seldom"),
    _one(0x31, "distance_since_clear", 2, pace="seldom"),
    _one(0x32, "evap_pressure", 2, 0.25, signed=True),
    _one(0x33, "baro_pressure", 1, pace="seldom"),
    *(_two(0x33 + n, (f"o2c_{n}_lambda", 2 / 65536, 0.0), (f"o2c_{n}_current", 1 / 256, -128.0), 4) for n in range(1, 9)),
    _one(0x3C, "catalyst_1_1", 2, 0.1, -40.0),
    _one(0x3D, "catalyst_2_1", 2, 0.1, -40.0),
    _one(0x3E, "catalyst_1_2", 2, 0.1, -40.0),
    _one(0x3F, "catalyst_2_2", 2, 0.1, -40.0),
    _word(0x41, "cycle_status", 4),
    _one(0x43, "load_absolute", 2, PERCENT),
    _one(0x44, "lambda_wanted", 2, 2 / 65536),
    _one(0x45, "throttle_relative", 1, PERCENT),
    _one(0x46, "ambient_temp", 1, 1.0, -40.0),
    _one(0x47, "throttle_b", 1, PERCENT),
    _one(0x48, "throttle_c", 1, PERCENT),
    _one(0x49, "pedal_d", 1, PERCENT),
    _one(0x4A, "pedal_e", 1, PERCENT),
    _one(0x4B, "pedal_f", 1, PERCENT),
    _one(0x4C, "throttle_actuator", 1, PERCENT),
    _one(0x4D, "run_time_mil", 2, pace="seldom"),
    _one(0x4E, "time_since_clear", 2, pace="seldom"),
    _pid(0x4F, 4, Part(NAMED["max_lambda"]), Part(NAMED["max_o2_voltage"], 1), Part(NAMED["max_o2_current"], 2),
         Part(NAMED["max_manifold_pressure"], 3, 1, 10.0), pace="seldom"),
    _pid(0x50, 4, Part(NAMED["max_maf"], 0, 1, 10.0), pace="seldom"),
    _word(0x51, "fuel_type"),
    _one(0x52, "ethanol", 1, PERCENT),
    _one(0x53, "evap_pressure_absolute", 2, 0.005),
    _one(0x54, "evap_pressure_alternate", 2, 1.0, signed=True),
    _two(0x55, ("o2_trim_short_1", CENTRED, -100.0), ("o2_trim_short_3", CENTRED, -100.0), 2),
    _two(0x56, ("o2_trim_long_1", CENTRED, -100.0), ("o2_trim_long_3", CENTRED, -100.0), 2),
    _two(0x57, ("o2_trim_short_2", CENTRED, -100.0), ("o2_trim_short_4", CENTRED, -100.0), 2),
    _two(0x58, ("o2_trim_long_2", CENTRED, -100.0), ("o2_trim_long_4", CENTRED, -100.0), 2),
    _one(0x59, "rail_pressure_absolute", 2, 10.0),
    _one(0x5A, "pedal_relative", 1, PERCENT),
    _one(0x5B, "hybrid_battery", 1, PERCENT),
    _one(0x5C, "oil_temp", 1, 1.0, -40.0),
    _one(0x5D, "injection_timing", 2, 1 / 128, -210.0),
    _one(0x5E, "fuel_rate", 2, 0.05),
    _word(0x5F, "emission_standard"),
    _one(0x61, "torque_wanted", 1, 1.0, -125.0),
    _one(0x62, "torque_actual", 1, 1.0, -125.0),
    _one(0x63, "torque_reference", 2, pace="seldom"),
    _pid(0x64, 5, *(Part(NAMED[f"torque_point_{n}"], n, 1, 1.0, -125.0) for n in range(5)), pace="seldom"),
    _held(0x66, 5, ("maf_a", 1, 2, 1 / 32, 0.0, 0), ("maf_b", 3, 2, 1 / 32, 0.0, 1)),
    _held(0x67, 3, ("coolant_1", 1, 1, 1.0, -40.0, 0), ("coolant_2", 2, 1, 1.0, -40.0, 1)),
    _one(0x84, "manifold_temp", 1, 1.0, -40.0),
    _one(0x8D, "throttle_g", 1, PERCENT),
    _one(0x8E, "torque_friction", 1, 1.0, -125.0),
    _two(0x9D, ("fuel_rate_engine", 0.02, 0.0), ("fuel_rate_vehicle", 0.02, 0.0), 4),
    _one(0x9E, "exhaust_flow", 2, 0.2),
    _one(0xA2, "cylinder_fuel", 2, 1 / 32),
    _held(0xA4, 4, ("gear_ratio", 2, 2, 0.001, 0.0, 1)),
    _held(0xA5, 4, ("def_dosing", 1, 1, 0.5, 0.0, 0)),
    _one(0xA6, "odometer", 4, 0.1, pace="seldom"),
))  # fmt: skip
"""The seven of the track first, in the order in which they are asked; the others are asked where they are wanted."""
TRACK = tuple(PIDS)[:7]
BY_NAME = {part.signal.key: pid for pid in PIDS.values() for part in pid.parts}
"""Which parameter tells a signal."""


def supported(base: int, bitmap: bytes) -> frozenset[int]:
    """The parameters that the answer to 00, 20, 40 … says the vehicle has: one bit each, `base + 1` first."""
    bits = int.from_bytes(bitmap, "big")
    return frozenset(base + 1 + i for i in range(32) if bits >> (31 - i) & 1)


def bitmap(base: int, pids: Iterable[int]) -> bytes:
    """The inverse of `supported`."""
    bits = 0
    for pid in pids:
        if base < pid <= base + 32:
            bits |= 1 << (32 - (pid - base))
    return bits.to_bytes(4, "big")
