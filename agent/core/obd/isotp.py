"""Lines of an adapter to messages of control units: CAN frames put together, headers and checksums taken off.

Three ways of writing: CAN with headers (ISO 15765-2 frames), the older buses with headers (three bytes in front, a checksum
at the end), and without headers (plain bytes, or `014`, `0:…`, `1:…` for long ones). Anything that does not fit exactly is a
reason instead of messages: a wrong value would be worse than none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.obd.commands import CAN, HEX

SHORT, LONG = 3, 8
"""Digits of an 11-bit and a 29-bit header."""
FRAME = 8


@dataclass(frozen=True, slots=True)
class Message:
    """What a control unit said. `unit` is its header (7E8, or F110 of 18DAF110) or address (10); empty without headers."""

    unit: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One CAN frame."""

    unit: str
    data: bytes


Messages = list[Message]


def messages(lines: list[bytes], protocol: str, *, headers: bool) -> Messages | str:
    """Messages in order of their first line, or the reason why the lines can't be read."""
    if not headers:
        return _bare(lines)
    if protocol in CAN or (not protocol and _looks_like_can(lines[0])):
        frames = [_frame(line) for line in lines]
        kept = [frame for frame in frames if isinstance(frame, Frame)]
        if len(kept) < len(frames):
            return next(frame for frame in frames if isinstance(frame, str))
        return _joined(kept)
    return _older(lines, protocol)


def _looks_like_can(line: bytes) -> bool:
    return line.startswith(b"7E") or line.startswith(b"18DAF1")  # noqa: PIE810  # two kinds of header


def _hex(text: bytes) -> bytes | None:
    if len(text) % 2 or not HEX.issuperset(text):
        return None
    return bytes.fromhex(text.decode())


def _frame(line: bytes) -> Frame | str:
    """`7E803410D32` or `18DAF11003410D32`, with or without filling up to eight bytes."""
    if line.startswith(b"18DAF1") and len(line) >= LONG:
        unit, data = line[4:LONG], _hex(line[LONG:])
    elif line.startswith(b"7E") and len(line) >= SHORT and line[2] in b"89ABCDEF":
        unit, data = line[:SHORT], _hex(line[SHORT:])
    else:
        return "garbled"
    if data is None or not HEX.issuperset(unit) or len(data) > FRAME:
        return "garbled"
    return Frame(unit.decode(), data) if data else "short"


def _filled(rest: bytes) -> bool:
    """Filling is the same byte again and again; anything else is the head of another answer."""
    return len(set(rest)) <= 1


def _joined(frames: list[Frame]) -> Messages | str:
    """Single frames as they are; a first frame with the consecutive ones of the same unit, in whatever order they came."""
    out: Messages = []
    for unit in dict.fromkeys(frame.unit for frame in frames):
        told = list(dict.fromkeys(frame.data for frame in frames if frame.unit == unit))
        singles = [data for data in told if data[0] >> 4 == 0]
        firsts = [data for data in told if data[0] >> 4 == 1]
        following = {data[0] & 15: data[1:] for data in told if data[0] >> 4 == 2}
        if len(singles) + len(firsts) + len(following) < len(told):
            return "garbled"
        for data in singles:
            length = data[0]
            if len(data) < 1 + length:
                return "short"
            if not length or not _filled(data[1 + length :]):
                return "garbled"
            out.append(Message(unit, data[1 : 1 + length]))
        if len(firsts) > 1 or (following and not firsts):
            return "disorder"
        if firsts:
            whole = _long(firsts[0], following)
            if isinstance(whole, str):
                return whole
            out.append(Message(unit, whole))
    return out


def _long(first: bytes, following: dict[int, bytes]) -> bytes | str:
    """Up to 15 consecutive frames: nothing that is read is longer than 111 bytes."""
    if len(first) < FRAME:
        return "short"
    length = (first[0] & 15) << 8 | first[1]
    count = -(-(length - 6) // 7)
    if not 1 <= count <= 15:
        return "garbled"
    if sorted(following) != list(range(1, count + 1)):
        return "short" if len(following) < count else "disorder"
    whole = first[2:] + b"".join(following[i] for i in range(1, count + 1))
    if any(len(following[i]) < FRAME - 1 for i in range(1, count)) or len(whole) < length:
        return "short"
    return whole[:length] if _filled(whole[length:]) else "garbled"


def crc8(data: bytes) -> int:
    """SAE J1850: polynomial 0x1D, all ones before and after."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0xFF


def byte_sum(data: bytes) -> int:
    """ISO 9141 and KWP."""
    return sum(data) & 0xFF


CHECKS: dict[str, tuple[Callable[[bytes], int], ...]] = {
    "1": (crc8,), "2": (crc8,), "3": (byte_sum,), "4": (byte_sum,), "5": (byte_sum,), "": (crc8, byte_sum),
}  # fmt: skip


def _older(lines: list[bytes], protocol: str) -> Messages | str:
    """`486B10410D32` with a checksum; KWP has the length in its first byte. Repeated lines count once."""
    out: Messages = []
    for line in dict.fromkeys(lines):
        data = _hex(line)
        if data is None:
            return "garbled"
        if len(data) < 5:
            return "short"
        if not any(check(data[:-1]) == data[-1] for check in CHECKS.get(protocol, ())):
            return "checksum"
        kwp = data[1] == 0xF1 and data[0] & 0x80
        if not (data[1] == 0x6B and data[0] in {0x48, 0x41}) and not (kwp and data[0] & 63 == len(data) - 4):
            return "garbled"
        out.append(Message(f"{data[2]:02X}", data[3:-1]))
    return out


def _bare(lines: list[bytes]) -> Messages | str:
    if len(lines[0]) != 3 or not HEX.issuperset(lines[0]):
        plain = [_hex(line) for line in dict.fromkeys(lines)]
        kept = [Message("", data) for data in plain if data]
        return kept if len(kept) == len(plain) else "garbled"
    length, parts = int(lines[0], 16), dict[int, bytes]()
    for line in dict.fromkeys(lines[1:]):
        number, colon, text = line.partition(b":")
        data = _hex(text)
        if not colon or len(number) != 1 or not HEX.issuperset(number) or data is None or int(number, 16) in parts:
            return "garbled"
        parts[int(number, 16)] = data
    whole = b"".join(parts[i] for i in sorted(parts))
    if sorted(parts) != list(range(len(parts))) or len(whole) < length or not length:
        return "short"
    return [Message("", whole[:length])] if _filled(whole[length:]) else "garbled"
