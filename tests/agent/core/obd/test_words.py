"""Answers that are words: readiness of petrol and diesel engines, fuel systems, sensors, standards."""

import pytest

from agent.core.obd.words import WORDS, Readiness


def test_readiness_of_a_petrol_engine() -> None:
    told = WORDS["status"](bytes.fromhex("83 67 E5 01"))
    assert isinstance(told, Readiness)
    assert (told.lamp, told.codes, told.compression_ignition) == (True, 3, False)
    assert told.open == ("fuel system", "components", "catalyst")
    assert told.done == (
        "misfire", "evaporative system", "oxygen sensor", "oxygen sensor heater", "EGR or VVT",
    )  # fmt: skip
    assert str(told) == "warning lamp on, 3 codes, not ready: fuel system, components, catalyst"


def test_readiness_of_a_diesel() -> None:
    told = WORDS["cycle_status"](bytes.fromhex("00 0F FF 00"))
    assert isinstance(told, Readiness)
    assert told.compression_ignition
    assert "particulate filter" in told.done
    assert str(told) == "warning lamp off, 0 codes, all tests ready"


@pytest.mark.parametrize(
    ("key", "data", "said"),
    [
        ("fuel_system", "0200", "closed loop"),
        ("fuel_system", "0104", "open loop: cold; second: open loop: load or overrun"),
        ("air_status", "04", "outside or off"),
        ("o2_present", "13", "bank 1 sensor 1, bank 1 sensor 2, bank 2 sensor 1"),
        ("o2_present_4", "05", "bank 1 sensor 1, bank 2 sensor 1"),
        ("o2_present", "00", "none"),
        ("obd_standard", "06", "EOBD"),
        ("obd_standard", "FE", "unknown (254)"),
        ("pto", "01", "on"),
        ("pto", "00", "off"),
        ("fuel_type", "04", "diesel"),
        ("emission_standard", "0E", "heavy vehicles (Euro IV B1)"),
        ("freeze_dtc", "0301", "P0301"),
        ("freeze_dtc", "0000", "none"),
    ],
)
def test_words(key: str, data: str, said: str) -> None:
    assert WORDS[key](bytes.fromhex(data)) == said
