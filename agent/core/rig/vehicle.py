"""The vehicle behind the rig's adapter: control units, what they have, what they answer, and how each kind of bus writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.core.obd.commands import CAN
from agent.core.obd.dtc import data_of
from agent.core.obd.isotp import CHECKS
from agent.core.obd.pids import PIDS, bitmap
from wire.signals import BY_KEY

ALWAYS = frozenset({0x01, 0x1C})
SHORT_HEADERS, LONG_HEADERS = ("7E8", "7E9", "7EA"), ("18DAF110", "18DAF118", "18DAF128")
ADDRESSES = (0x10, 0x18, 0x28)
SECOND_HAS = frozenset({"vs"})
"""What a second control unit, of the transmission, can tell as well."""


@dataclass(frozen=True, slots=True)
class Car:
    """What the bus would say now: `keys` that the vehicle has at all, and the `values` of this moment."""

    keys: frozenset[str] = frozenset()
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def running(self) -> bool:
        return (self.values["rp"] if "rp" in self.values else self.values.get("vs", 0.0)) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What does not change while driving."""

    vin: str = "1RGDMPLE520000001"
    calibrations: tuple[str, ...] = ("RIG-CAL-00000001",)
    checksums: tuple[str, ...] = ("1791BC82",)
    name: str = "ECM-EngineControl"
    stored: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()


def has(car: Car, unit: int) -> frozenset[int]:
    """The parameters of a control unit."""
    keys = car.keys if unit == 0 else car.keys & SECOND_HAS
    return ALWAYS | {BY_KEY[key].pid for key in keys}


def _value(pid: int, car: Car, facts: Facts, unit: int) -> bytes | None:
    if pid % 0x20 == 0:
        have = has(car, unit)
        more = {base for base in (0x20, 0x40) if any(known > base for known in have)}
        return bitmap(pid, have | more) if pid == 0 or pid in more else None
    if pid not in has(car, unit):
        return None
    if pid == 0x01:
        return bytes((0x80 * bool(facts.stored) + len(facts.stored), 0x07, 0xE5, 0x00))
    if pid == 0x1C:
        return b"\x06"
    value = car.values.get(PIDS[pid].signal.key)
    return None if value is None else PIDS[pid].data(value)


def answers(request: bytes, car: Car, facts: Facts, unit: int) -> bytes | None:
    """What a control unit says to a request, without the framing of the bus."""
    mode, rest = request[0], request[1:]
    if mode == 1:
        parts = [(pid, _value(pid, car, facts, unit)) for pid in rest]
        told = b"".join(bytes((pid,)) + data for pid, data in parts if data is not None)
        return b"\x41" + told if told else None
    if unit:
        return None
    if mode == 2 and facts.stored:
        data = data_of(facts.stored[0]) if rest[0] == 2 else _value(rest[0], car, facts, unit)
        return None if data is None else bytes((0x42, rest[0], 0)) + data
    lists = {3: facts.stored, 7: facts.pending, 10: facts.permanent}
    if mode in lists:
        return bytes((mode | 0x40, len(lists[mode]))) + b"".join(data_of(code) for code in lists[mode])
    return _about(rest[0], facts) if mode == 9 and rest else None


def _about(kind: int, facts: Facts) -> bytes | None:
    if kind == 0:
        return b"\x49\x00" + bitmap(0, {2, 4, 6, 10})
    told = {
        2: [facts.vin.encode()],
        4: [text.encode().ljust(16, b"\0") for text in facts.calibrations],
        6: [bytes.fromhex(text) for text in facts.checksums],
        10: [facts.name.encode().ljust(20, b"\0")],
    }.get(kind)
    return bytes((0x49, kind, len(told))) + b"".join(told) if told else None


def lines(data: bytes, protocol: str, unit: int, *, headers: bool) -> list[tuple[str, bytes]]:
    """The lines of an adapter for an answer: what stands in front, and the bytes behind."""
    if protocol in CAN:
        header = (SHORT_HEADERS if protocol in "68" else LONG_HEADERS)[unit]
        return _framed(data, header) if headers else _numbered(data)
    told = _split(data)
    if not headers:
        return [("", part) for part in told]
    out = []
    for part in told:
        kwp = protocol in "45"
        start = bytes((0x80 + len(part), 0xF1)) if kwp else b"\x41\x6b" if protocol == "1" else b"\x48\x6b"
        whole = start + bytes((ADDRESSES[unit],)) + part
        out.append(("", whole + bytes((CHECKS[protocol][0](whole),))))
    return out


def _framed(data: bytes, header: str) -> list[tuple[str, bytes]]:
    if len(data) <= 7:
        return [(header, bytes((len(data),)) + data)]
    out = [(header, bytes((0x10 | len(data) >> 8, len(data) & 0xFF)) + data[:6])]
    for number, start in enumerate(range(6, len(data), 7), 1):
        out.append((header, bytes((0x20 | number & 15,)) + data[start : start + 7].ljust(7, b"\0")))
    return out


def _numbered(data: bytes) -> list[tuple[str, bytes]]:
    if len(data) <= 7:
        return [("", data)]
    parts = [data[:6], *(data[start : start + 7].ljust(7, b"\0") for start in range(6, len(data), 7))]
    return [(f"{len(data):03X}", b""), *((f"{i & 15:X}:", part) for i, part in enumerate(parts))]


def _split(data: bytes) -> list[bytes]:
    """Buses before CAN have at most seven bytes a message: three codes, or four bytes with their number."""
    mode = data[0] & 0xBF
    if mode in {3, 7, 10}:
        codes = data[2:].ljust(6, b"\0")
        return [data[:1] + codes[i : i + 6].ljust(6, b"\0") for i in range(0, len(codes), 6)]
    if mode == 9 and data[1]:
        body = data[3:]
        body = body.rjust(-(-len(body) // 4) * 4, b"\0")
        return [data[:2] + bytes((i // 4 + 1,)) + body[i : i + 4] for i in range(0, len(body), 4)]
    return [data[:2] + b"\x01" + data[2:]] if mode == 9 else [data]
