"""The rig's vehicle: what its control units answer, and how each bus writes it."""

import pytest

from agent.core.obd.isotp import messages
from agent.core.rig.vehicle import Car, Facts, answers, has, lines

CAR = Car(frozenset({"rp", "vs"}), {"rp": 1726.0, "vs": 50.4})
FACTS = Facts(stored=("P0301", "P0420", "P0171", "U0100"), pending=("P0300",))


@pytest.mark.parametrize(
    ("request_", "unit", "answer"),
    [
        ("010C", 0, "410C1AF8"), ("010C0D05", 0, "410C1AF80D32"), ("0105", 0, None), ("010C", 1, None), ("010D", 1, "410D32"),
        ("0100", 0, "410080180010"), ("0100", 1, "410080080010"), ("0120", 0, None), ("0101", 0, "41018407E500"), ("011C", 0, "411C06"),
        ("03", 0, "43040301042001" + "71C100"), ("07", 0, "47010300"), ("0A", 0, "4A00"), ("03", 1, None),
        ("020200", 0, "4202000301"), ("020C00", 0, "420C001AF8"), ("020500", 0, None), ("0900", 0, "490054400000"), ("0908", 0, None),
        ("05", 0, None), ("09", 0, None),
    ],
)  # fmt: skip
def test_answers(request_: str, unit: int, answer: str | None) -> None:
    told = answers(bytes.fromhex(request_), CAR, FACTS, unit)
    assert told == (None if answer is None else bytes.fromhex(answer))


def test_without_codes_there_is_no_frozen_moment() -> None:
    assert answers(b"\x02\x02\x00", CAR, Facts(), 0) is None
    assert answers(b"\x01\x01", CAR, Facts(), 0) == bytes.fromhex("41010007E500")


@pytest.mark.parametrize("protocol", "123456789")
@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("request_", ["010C", "0902", "03", "0900", "010C0D"])
def test_what_is_written_can_be_read(protocol: str, headers: bool, request_: str) -> None:  # noqa: FBT001  # a parameter
    data = answers(bytes.fromhex(request_), CAR, FACTS, 0)
    assert data is not None
    written = [(front + body.hex()).upper().encode() for front, body in lines(data, protocol, 0, headers=headers)]
    read = messages(written, protocol, headers=headers)
    assert not isinstance(read, str)
    assert read[0].data[:1] == data[:1]
    if protocol in "6789":
        assert [one.data for one in read] == [data]


def test_units() -> None:
    assert 0x0C in has(CAR, 0)
    assert 0x0C not in has(CAR, 1)
    assert Car(frozenset(), {"vs": 9.0}).running
    assert not Car(frozenset(), {"rp": 0.0, "vs": 9.0}).running
