"""What a vehicle says of itself in mode 09: VIN with its check digit, calibrations, their checksums, names of its units."""

from agent.core.obd.isotp import Message

LETTERS = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
VIN_LENGTH, CALIBRATION_LENGTH, CHECKSUM_LENGTH = 17, 16, 4
INFO = {"0902": "VIN", "0904": "calibration", "0906": "checksum", "090A": "name"}
"""What is asked, once."""


def check_digit(vin: str) -> str:
    """What the ninth place is in North America and China; elsewhere makers may use it as they like."""
    total = sum(weight * (int(c) if c.isdigit() else LETTERS[c]) for c, weight in zip(vin, WEIGHTS, strict=True))
    return "0123456789X"[total % 11]


def is_vin(text: str) -> bool:
    """Seventeen of the letters and digits that a VIN may have."""
    return len(text) == VIN_LENGTH and all(c in LETTERS or (c.isascii() and c.isdigit()) for c in text)


def check_digit_fits(vin: str) -> bool:
    """Whether the ninth place is the check digit."""
    return is_vin(vin) and vin[8] == check_digit(vin)


OLDER = 7
"""Bytes of a message on the buses before CAN: mode, parameter, a number, and four of the text."""


def payloads(answer: tuple[Message, ...]) -> dict[str, bytes] | None:
    """By unit, what follows mode and parameter: on CAN behind a count, else four bytes a message, in the order told."""
    out: dict[str, bytes] = {}
    if any(len(one.data) != OLDER for one in answer):
        for one in answer:
            out.setdefault(one.unit, one.data[3:])
        return out
    for unit in dict.fromkeys(one.unit for one in answer):
        parts = {one.data[2]: one.data[3:] for one in answer if one.unit == unit and len(one.data) > 3}
        if sorted(parts) != list(range(1, len(parts) + 1)) or not parts:
            return None
        out[unit] = b"".join(parts[i] for i in sorted(parts))
    return out


def text(data: bytes) -> str:
    """Printable ASCII; filling is dropped."""
    return "".join(chr(c) for c in data if 0x20 <= c < 0x7F).strip()


def vin(data: bytes) -> str | None:
    """The VIN, or None where it is none. Old units fill up in front."""
    told = text(data)
    return told if is_vin(told) else None


def calibrations(data: bytes) -> tuple[str, ...]:
    """Identifications of sixteen characters."""
    parts = (text(data[i : i + CALIBRATION_LENGTH]) for i in range(0, len(data), CALIBRATION_LENGTH))
    return tuple(part for part in parts if part)


def checksums(data: bytes) -> tuple[str, ...]:
    """Calibration verification numbers of four bytes, as hex digits."""
    whole = range(0, len(data) - CHECKSUM_LENGTH + 1, CHECKSUM_LENGTH)
    return tuple(data[i : i + CHECKSUM_LENGTH].hex().upper() for i in whole)
