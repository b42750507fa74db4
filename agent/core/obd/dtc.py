"""Trouble codes: two bytes to a code as P0301, what a code means, and lists of them from modes 03, 07 and 0A."""

from dataclasses import dataclass

from agent.core.obd.dtc_texts import GENERIC, GROUPS, PATTERNS

SYSTEMS = "PCBU"
SYSTEM_NAMES = {"P": "engine and drive", "C": "chassis", "B": "body", "U": "network"}


@dataclass(frozen=True, slots=True)
class Codes:
    """What the vehicle remembers: confirmed, of this or the last drive, and those that only the vehicle can clear."""

    stored: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()


def code(data: bytes) -> str:
    """`0x0301` is P0301: two bits of system, two of digit, then three hex digits."""
    return f"{SYSTEMS[data[0] >> 6]}{data[0] >> 4 & 3}{data[0] & 15:X}{data[1]:02X}"


def data_of(text: str) -> bytes:
    """The inverse of `code`."""
    return bytes((SYSTEMS.index(text[0]) << 6 | int(text[1]) << 4 | int(text[2], 16), int(text[3:], 16)))


def codes(message: bytes, *, counted: bool) -> tuple[str, ...] | None:
    """The codes of one answer without its mode. On CAN a count is in front; without, zeros fill up. None: does not fit."""
    if counted:
        if not message or len(message) != 1 + 2 * message[0]:
            return None
        message = message[1:]
    if len(message) % 2:
        return None
    pairs = [message[i : i + 2] for i in range(0, len(message), 2)]
    return tuple(dict.fromkeys(code(pair) for pair in pairs if any(pair)))


def is_generic(text: str) -> bool:
    """Whether the standard defines the code; the others are the manufacturer's own."""
    system, digit = text[0], text[1]
    if system == "P":
        return digit in "02" or (digit == "3" and text[2] >= "4")
    return digit == "0"


def meaning(text: str) -> str:
    """What a code says, in a few words: its own text, else its group's, else its system and who defines it."""
    if text in GENERIC:
        return GENERIC[text]
    if not is_generic(text):
        return f"{SYSTEM_NAMES[text[0]]}: defined by the manufacturer"
    for first, last, said in PATTERNS:
        if first <= text <= last and text[1:].isdigit():
            return said.format(n=int(text[1:]) - int(first[1:]) + 1)
    return GROUPS.get(text[:3], f"{SYSTEM_NAMES[text[0]]}: no text for this code")
