"""The rig's adapter: settings, delays, what it has and what it has not."""

import pytest

from agent.core.rig_elm327 import ANSWER_MS, NO_DATA_MS, RESET_MS, SEARCH_MS, SPREAD_MS, Car, Responder

CAR = Car(frozenset({"rp", "vs", "mv"}), {"rp": 1726.0, "vs": 50.4})


def ask(responder: Responder, command: bytes, now_ms: int = 0, car: Car = CAR) -> tuple[bytes, int]:
    """All that comes back, and when its last part does."""
    responder.feed(command, now_ms, car)
    out = b""
    while (wake_ms := responder.wake_at) is not None:
        now_ms = max(now_ms, wake_ms)
        out += responder.take(now_ms)
    return out, now_ms


def quiet() -> Responder:
    responder = Responder()
    for command in (b"ATE0\r", b"ATS0\r", b"0100\r"):
        ask(responder, command)
    return responder


def test_as_it_comes_out_of_the_box() -> None:
    responder = Responder()
    assert ask(responder, b"ATZ\r") == (b"ATZ\r\rELM327 v1.5\r\r>", RESET_MS)
    out, at_ms = ask(responder, b"01 0c\r\n")
    assert out == b"01 0c\rSEARCHING...\r41 0C 1A F8 \r\r>"
    assert SEARCH_MS + ANSWER_MS <= at_ms < SEARCH_MS + ANSWER_MS + SPREAD_MS
    assert ask(responder, b"ATH1\r")[0].endswith(b"OK\r\r>")
    assert ask(responder, b"010D\r")[0] == b"010D\r7E8 03 41 0D 32 \r\r>"
    ask(responder, b"ATL1\r")
    assert ask(responder, b"010D1\r")[0] == b"010D1\r7E8 03 41 0D 32 \r\n\r\n>"
    ask(responder, b"ATSP0\r")
    assert b"SEARCHING...\r\n" in ask(responder, b"010D\r")[0]
    ask(responder, b"ATS0\r")
    assert b"7E803410D32\r\n" in ask(responder, b"010D\r")[0]
    ask(responder, b"ATS1\r")
    assert b"7E8 03 41 0D 32 \r\n" in ask(responder, b"010D\r")[0]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"0100\r", b"410000180001\r\r>"),
        (b"0120\r", b"412000000001\r\r>"),
        (b"0140\r", b"414040000000\r\r>"),
        (b"0160\r", b"NO DATA\r\r>"),
        (b"0105\r", b"NO DATA\r\r>"),
        (b"0142\r", b"NO DATA\r\r>"),
        (b"01FF\r", b"NO DATA\r\r>"),
        (b"03\r", b"NO DATA\r\r>"),
        (b"07\r", b"NO DATA\r\r>"),
        (b"0902\r", b"NO DATA\r\r>"),
        (b"FOO\r", b"?\r\r>"),
        (b"ATXX\r", b"?\r\r>"),
        (b"ATI\r", b"ELM327 v1.5\r\r>"),
        (b"ATDP\r", b"AUTO, ISO 15765-4 (CAN 11/500)\r\r>"),
        (b"ATDPN\r", b"A6\r\r>"),
        (b"ATRV\r", b"14.1V\r\r>"),
        (b"ATAT1\r", b"OK\r\r>"),
        (b"ATM0\r", b"OK\r\r>"),
        (b"ATCAF1\r", b"OK\r\r>"),
    ],
)
def test_answers(command: bytes, answer: bytes) -> None:
    assert ask(quiet(), command)[0] == answer


def test_delays() -> None:
    responder = quiet()
    assert ask(responder, b"0105\r", 1000)[1] == 1000 + NO_DATA_MS
    assert len({ask(responder, b"010D\r", 1000)[1] for _ in range(8)}) > 4


@pytest.mark.parametrize(
    ("values", "said"),
    [({}, b"12.4V"), ({"rp": 0.0, "vs": 9.0}, b"12.4V"), ({"vs": 9.0}, b"14.1V"), ({"mv": 13.55}, b"13.6V")],
)
def test_voltage(values: dict[str, float], said: bytes) -> None:
    assert ask(quiet(), b"ATRV\r", 0, Car(frozenset(values), values))[0].startswith(said)


def test_a_vehicle_with_few_values_has_one_list() -> None:
    assert ask(quiet(), b"0100\r", 0, Car(frozenset({"rp"})))[0] == b"410000100000\r\r>"
    assert ask(quiet(), b"0120\r", 0, Car(frozenset({"rp"})))[0] == b"NO DATA\r\r>"


def test_interrupted_and_repeated() -> None:
    responder = quiet()
    responder.feed(b"010D\r", 0, CAR)
    assert responder.take(10) == b""
    responder.feed(b"\r", 10, CAR)
    assert responder.take(10) == b"STOPPED\r\r>"
    assert ask(responder, b"\r", 20)[0] == b"410D32\r\r>"
    assert responder.wake_at is None


def test_endless_line_is_bounded() -> None:
    assert ask(quiet(), b"A" * 10_000 + b"\r")[0] == b"?\r\r>"
