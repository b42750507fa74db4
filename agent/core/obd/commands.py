"""Everything that may be written to an OBD adapter: read-only modes and fixed AT commands, and the bytes for them.

There is no way round `command_bytes`: what clears codes (04), tests actuators (08) or writes is refused there.
"""

from wire.errors import RefusedError

MODES = frozenset({"01", "02", "03", "07", "09", "0A"})
PROTOCOL_NAMES = {
    "1": "SAE J1850 PWM", "2": "SAE J1850 VPW", "3": "ISO 9141-2", "4": "ISO 14230-4 KWP, 5 baud",
    "5": "ISO 14230-4 KWP, fast", "6": "ISO 15765-4 CAN 11/500", "7": "ISO 15765-4 CAN 29/500",
    "8": "ISO 15765-4 CAN 11/250", "9": "ISO 15765-4 CAN 29/250", "A": "SAE J1939 CAN 29/250",
    "B": "user CAN 1", "C": "user CAN 2",
}  # fmt: skip
CAN = frozenset("6789BC")
AT_COMMANDS = (
    frozenset({"ATZ", "ATWS", "ATI", "AT@1", "ATE0", "ATL0", "ATH1", "ATS0", "ATAT1", "ATSP0", "ATDPN", "ATRV"})
    | {f"ATSP{digit}" for digit in PROTOCOL_NAMES}
    | {f"ATST{wait:02X}" for wait in range(0x0A, 0x65)}
)
HEX = frozenset(b"0123456789ABCDEF")
MOST_PIDS = 6


def command_bytes(command: str) -> bytes:
    """The one place where bytes for the adapter are made; raises RefusedError for what is not on the list."""
    if command == "\r":
        return b"\r"
    if command not in AT_COMMANDS and not _is_reading(command):
        raise RefusedError(f"{command!r} is not on the list of commands for the vehicle bus")
    return command.encode() + b"\r"


def _is_reading(command: str) -> bool:
    """A mode that reads, its parameters, and perhaps the digit that says how many lines the answer has."""
    if not (command.isascii() and HEX.issuperset(command.encode())) or command[:2] not in MODES:
        return False
    length, mode = len(command) // 2, command[:2]
    most = {"01": 1 + MOST_PIDS, "02": 3, "09": 2}.get(mode, 1)
    least = 1 if most == 1 else most if mode != "01" else 2
    return least <= length <= most
