"""Trouble codes: bytes to text and back, lists, and what they mean."""

import pytest

from agent.core.obd.dtc import SYSTEMS, code, codes, data_of, is_generic, meaning
from agent.core.obd.dtc_texts import GENERIC, GROUPS, PATTERNS


@pytest.mark.parametrize(
    ("data", "text"), [("0301", "P0301"), ("4123", "C0123"), ("9A0B", "B1A0B"), ("C100", "U0100"), ("3FFF", "P3FFF")]
)
def test_both_directions(data: str, text: str) -> None:
    assert code(bytes.fromhex(data)) == text
    assert data_of(text) == bytes.fromhex(data)


def test_every_code_comes_back() -> None:
    for number in range(0, 65_536, 7):
        data = number.to_bytes(2, "big")
        assert data_of(code(data)) == data
        assert meaning(code(data))


@pytest.mark.parametrize(
    ("message", "counted", "told"),
    [
        ("00", True, ()),
        ("0203010143", True, ("P0301", "P0143")),
        ("030301014300", True, None),
        ("", True, None),
        ("030103010000", False, ("P0301",)),
        ("0301", False, ("P0301",)),
        ("030100", False, None),
    ],
)
def test_lists(message: str, *, counted: bool, told: tuple[str, ...] | None) -> None:
    assert codes(bytes.fromhex(message), counted=counted) == told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("P0301", "misfire, cylinder 1"),
        ("P0312", "misfire, cylinder 12"),
        ("P0204", "injector circuit, cylinder 4"),
        ("P0420", "catalyst below efficiency, bank 1"),
        ("P1234", "engine and drive: defined by the manufacturer"),
        ("P3012", "engine and drive: defined by the manufacturer"),
        ("P3499", "engine and drive: no text for this code"),
        ("P020A", GROUPS["P02"]),
        ("P0BFF", "hybrid drive"),
        ("U0299", "network: a control unit is not heard"),
        ("C1000", "chassis: defined by the manufacturer"),
        ("B2A01", "body: defined by the manufacturer"),
    ],
)
def test_meanings(text: str, said: str) -> None:
    assert meaning(text) == said


def test_tables_are_well_formed() -> None:
    for text, said in GENERIC.items():
        assert code(data_of(text)) == text
        assert is_generic(text)
        assert said
        assert text[0] in SYSTEMS
    for first, last, said in PATTERNS:
        assert first < last
        assert "{n}" in said
