"""Mode 09: VIN and its check digit, calibrations, on CAN and on the buses before it."""

import pytest

from agent.core.obd.isotp import Message
from agent.core.obd.vehicle_facts import calibrations, check_digit_fits, checksums, is_vin, payloads, text, vin


@pytest.mark.parametrize(
    ("number", "fits"),
    [
        ("1M8GDM9AXKP042788", True),
        ("11111111111111111", True),
        ("1M8GDM9A1KP042788", False),
        ("WVWZZZ1KZAW000001", False),
    ],
)
def test_check_digit(number: str, *, fits: bool) -> None:
    assert is_vin(number)
    assert check_digit_fits(number) is fits


@pytest.mark.parametrize(
    "number", ["", "1M8GDM9AXKP04278", "IM8GDM9AXKP042788", "1M8GDM9AXKP04278é", "1m8gdm9axkp042788"]
)
def test_no_vin(number: str) -> None:
    assert not is_vin(number)
    assert not check_digit_fits(number)


def test_payloads() -> None:
    can = (Message("7E8", b"\x49\x02\x01" + b"1M8GDM9AXKP042788"),)
    assert payloads(can) == {"7E8": b"1M8GDM9AXKP042788"}
    older = tuple(
        Message("10", bytes((0x49, 2, i + 1)) + b"\0\0\0001M8GDM9AXKP042788"[4 * i : 4 * i + 4]) for i in range(5)
    )
    told = payloads(older[::-1])
    assert told is not None
    assert vin(told["10"]) == "1M8GDM9AXKP042788"
    assert payloads(older[1:]) is None
    assert vin(b"nothing") is None


def test_texts() -> None:
    assert calibrations(b"JMB*36761500\0\0\0\0" + b"\0" * 16) == ("JMB*36761500",)
    assert checksums(b"\x17\x91\xbc\x82\x16\xe0\x62\xbe\x01") == ("1791BC82", "16E062BE")
    assert text(b"\0ECM\0-Engine \0") == "ECM-Engine"
