"""The parameters of OBD mode 01 that are read: formula and its inverse (SAE J1979), range, and how often to ask."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wire.signals import BY_PID, Signal


@dataclass(frozen=True, slots=True)
class Pid:
    """`width` bytes, big-endian, times `scale` plus `offset` is the value in the signal's unit.

    The `fast` ones are asked in turn, as often as the pace allows; a `slow` one every `period_ms`.
    """

    signal: Signal
    width: int
    scale: float
    offset: float
    pace: Literal["fast", "slow"]
    period_ms: int

    @property
    def low(self) -> float:
        return self.offset

    @property
    def high(self) -> float:
        return ((1 << 8 * self.width) - 1) * self.scale + self.offset

    def value(self, data: bytes) -> float:
        return int.from_bytes(data, "big") * self.scale + self.offset

    def data(self, value: float) -> bytes:
        """The bytes that say a value, held at the edges of what the parameter can say."""
        raw = round((value - self.offset) / self.scale)
        return max(0, min((1 << 8 * self.width) - 1, raw)).to_bytes(self.width, "big")


PIDS: dict[int, Pid] = {
    0x0D: Pid(BY_PID[0x0D], 1, 1.0, 0.0, "fast", 0),
    0x0C: Pid(BY_PID[0x0C], 2, 0.25, 0.0, "fast", 0),
    0x11: Pid(BY_PID[0x11], 1, 100.0 / 255.0, 0.0, "slow", 2_000),
    0x04: Pid(BY_PID[0x04], 1, 100.0 / 255.0, 0.0, "slow", 2_000),
    0x42: Pid(BY_PID[0x42], 2, 0.001, 0.0, "slow", 5_000),
    0x05: Pid(BY_PID[0x05], 1, 1.0, -40.0, "slow", 10_000),
    0x2F: Pid(BY_PID[0x2F], 1, 100.0 / 255.0, 0.0, "slow", 10_000),
}
"""In the order in which they are asked first."""


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
