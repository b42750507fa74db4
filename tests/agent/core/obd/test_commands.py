"""What may leave for the adapter, and what never may: also with whatever the dialogue asks under noise."""

import pytest

from agent.core.obd.commands import AT_COMMANDS, MODES, command_bytes
from agent.core.obd.pids import PIDS
from wire.errors import RefusedError

GOOD = [
    "\r", *sorted(AT_COMMANDS), "03", "07", "0A", "031", "0902", "09021", "0904", "020200", "020C00", "020C001", "010C1",
    "010C0D", "010C0D0504112F", "010C0D0504112F3", *(f"01{pid:02X}" for pid in PIDS),
]  # fmt: skip
BAD = [
    "", "0", "01", "02", "09", "04", "041", "0400", "08", "0801", "05", "06", "0101040400000000", "010C0D0504112F42", "01 0C",
    "01GG", "0100\r04", "0100\r", "010c", "ATMA", "ATSH7E0", "ATSPD", "ATST00", "ATTPA0", "ATPP0CON", "atz", "ATZ ", "2F01", "22F190",
    "3E", "10", "14FFFFFF", "0902" * 5, "020C", "02", "0300", "０１０Ｃ",
]  # fmt: skip


@pytest.mark.parametrize("command", GOOD)
def test_readings_and_fixed_commands_pass(command: str) -> None:
    assert command_bytes(command) == command.encode().rstrip(b"\r") + b"\r"


@pytest.mark.parametrize("command", BAD)
def test_everything_else_is_refused(command: str) -> None:
    with pytest.raises(RefusedError):
        command_bytes(command)


def test_of_all_short_requests_only_the_reading_modes_pass() -> None:
    """Every mode, with nothing, one and two bytes behind it."""
    for mode in range(256):
        for rest in ("", "00", "04", "0C00", "FFFF"):
            command = f"{mode:02X}{rest}"
            try:
                command_bytes(command)
            except RefusedError:
                continue
            assert command[:2] in MODES
