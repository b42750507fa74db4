"""The rig's adapter: settings, delays, what it has and what it has not."""

from typing import Any

import pytest

from agent.core.rig.elm327 import (
    ANSWER_MS,
    FAULTS,
    GRADES,
    NO_DATA_MS,
    RESET_MS,
    SEARCH_MS,
    SPREAD_MS,
    Mishap,
    Responder,
)
from agent.core.rig.elm327_faults import ALWAYS, EACH, LOCKS, SPOILS, Context
from agent.core.rig.vehicle import Car

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
        (b"0100\r", b"410080180011\r\r>"),
        (b"0120\r", b"412000000001\r\r>"),
        (b"0140\r", b"414040000000\r\r>"),
        (b"0160\r", b"NO DATA\r\r>"),
        (b"0105\r", b"NO DATA\r\r>"),
        (b"0142\r", b"NO DATA\r\r>"),
        (b"01FF\r", b"NO DATA\r\r>"),
        (b"03\r", b"4300\r\r>"),
        (b"07\r", b"4700\r\r>"),
        (b"0902\r", b"014\r0:490201315247\r1:444D504C453532\r2:30303030303031\r\r>"),
        (b"010C0D1\r", b"410C1AF80D32\r\r>"),
        (b"ATST19\r", b"OK\r\r>"),
        (b"AT@1\r", b"OBDII to RS232 Interpreter\r\r>"),
        (b"FOO\r", b"?\r\r>"),
        (b"ATXX\r", b"?\r\r>"),
        (b"ATI\r", b"ELM327 v1.5\r\r>"),
        (b"ATDP\r", b"AUTO, ISO 15765-4 CAN 11/500\r\r>"),
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
    assert ask(quiet(), b"0100\r", 0, Car(frozenset({"rp"})))[0] == b"410080100010\r\r>"
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


def set_up(**options: Any) -> Responder:
    responder = Responder(**options)
    for command in (b"ATE0\r", b"ATS0\r", b"ATH1\r", b"0100\r"):
        ask(responder, command)
    return responder


def test_grades() -> None:
    clone = set_up(grade="clone", delay_ms=20)
    assert ask(clone, b"010D1\r")[0] == b"?\r\r>"
    assert ask(clone, b"010C0D\r")[0] == b"7E804410C1AF8\r\r>"
    assert ask(clone, b"010D\r", 1000)[1] == 1000 + 20 + 200
    ask(clone, b"ATST0F\r")
    assert ask(clone, b"010D\r", 1000)[1] == 1000 + 20 + 60
    genuine = set_up(grade="genuine", delay_ms=20)
    assert ask(genuine, b"010D1\r", 1000)[1] == 1020
    assert ask(genuine, b"010D2\r", 1000)[1] == 1050
    assert ask(Responder(grade="poor"), b"ATE0\r")[0] == b"ATE0\rOK\r\r>"
    assert ask(Responder(grade="poor"), b"ATH1\r")[0] == b"ATH1\r?\r\r>"
    assert GRADES["stn"].description.startswith("STN")


def test_several_units_and_the_digit_that_cuts_them_off() -> None:
    responder = set_up(units=2)
    assert ask(responder, b"010D\r")[0] == b"7E803410D32\r7E903410D32\r\r>"
    assert ask(responder, b"010D1\r")[0] == b"7E803410D32\r\r>"


def test_a_vehicle_asleep_and_a_wrong_protocol() -> None:
    responder = set_up()
    ask(responder, b"ATSP7\r")
    assert ask(responder, b"0100\r")[0] == b"CAN ERROR\r\r>"
    ask(responder, b"ATSP3\r")
    assert ask(responder, b"0100\r")[0] == b"BUS INIT: ...ERROR\r\r>"
    assert ask(responder, b"ATDPN\r")[0] == b"3\r\r>"
    responder.asleep = True
    ask(responder, b"ATSP0\r")
    out, at_ms = ask(responder, b"0100\r", 1000)
    assert (out, at_ms) == (b"SEARCHING...\rUNABLE TO CONNECT\r\r>", 5500)


def test_the_table_of_faults_is_whole() -> None:
    assert set(SPOILS) == set(FAULTS)
    assert set(LOCKS) <= set(FAULTS)
    assert set(FAULTS) > ALWAYS
    for name, spoil in SPOILS.items():
        for context in (
            Context("010C", b"7E803410D32\r\r>", b"7E904410CE507\r\r>", 3),
            Context("ATE0"),
            Context("0902"),
        ):
            for answer in (b"7E804410C1AF8\r\r>", b"18DAF11004410C1AF8\r\r>", b"\r\r>"):
                assert all(wait_ms >= 0 for wait_ms, _ in spoil(answer, context)), name


def test_faults_by_name_come_again_and_again_and_stop() -> None:
    responder = set_up(faults=["truncated"])
    told = [ask(responder, b"010D\r")[0] for _ in range(6 * EACH)]
    assert sum(b"7E803410D32\r" in answer for answer in told) == 4 * EACH
    responder.faults = frozenset({"no-data"})
    assert ask(responder, b"010D\r")[0] == b"NO DATA\r\r>"
    responder.faults = frozenset()
    assert ask(responder, b"010D\r")[0] == b"7E803410D32\r\r>"


@pytest.mark.parametrize(
    ("fault", "opens"), [(name, command) for name, keys in LOCKS.items() for command in sorted(keys)]
)
def test_locks_and_what_opens_them(fault: str, opens: str) -> None:
    responder = set_up(mishaps=[Mishap(fault, "010D", 1)])
    assert ask(responder, b"010D\r")[0].startswith(b"7E8")
    ask(responder, b"010D\r")
    assert ask(responder, b"010C\r")[0] == b""
    assert ask(responder, opens.encode() + b"\r")[0]
    responder = set_up(mishaps=[Mishap(fault, "010D")])
    ask(responder, b"010D\r")
    responder.reopen()
    assert ask(responder, b"010C\r")[0]


def test_a_restart_loses_the_settings_and_the_echo_may_come_back() -> None:
    responder = set_up(mishaps=[Mishap("lv-reset", "010D")])
    ask(responder, b"010D\r")
    assert ask(responder, b"ATI\r")[0] == b"ATI\rELM327 v1.5\r\r>"
    responder = set_up(mishaps=[Mishap("echo-on", "010D")])
    ask(responder, b"010D\r")
    assert ask(responder, b"ATI\r")[0].startswith(b"ATI\r")
