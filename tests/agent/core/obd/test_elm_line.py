"""The line discipline: transcripts at every cut, noise at every place, time limits, and every byte that leaves."""

import random
from itertools import pairwise
from typing import Any

import pytest

from agent.core.obd.bus import BusValue
from agent.core.obd.commands import AT_COMMANDS, command_bytes
from agent.core.obd.elm327 import Elm327
from agent.core.obd.elm_line import BUFFER_LIMIT, BusState, Line, Out, Reopen
from agent.core.obd.elm_rules import LADDER, Phase
from agent.core.obd.elm_setup import SetUp
from agent.core.obd.memory import Memory
from agent.core.obd.plan import Plan
from agent.core.rig.elm327 import FAULTS, GRADES, Responder
from tests.agent.core.obd.elm_world import TRUE, World
from wire.messages import Rejected

UP = (b"\r\rELM327 v1.4\r\r>", b"ATE0\rOK\r\r>", *(b"OK\r\r>",) * 4, b"OBDII to RS232\r\r>", b"OK\r\r>")
READY = (*UP, b"SEARCHING...\r7E80641000018000000\r\r>", b"A6\r\r>", b"A6\r\r>")
"""Speed and rpm, no further lists."""


def script(*lines: bytes) -> tuple[Elm327, list[Out], list[bytes]]:
    """Each line answers one command at once; what came out, and what was sent."""
    elm, now_ms = Elm327(), 0
    out: list[Out] = []
    sent: list[bytes] = []
    for line in lines:
        while (command := elm.next_command(now_ms)) is None:
            now_ms = max(now_ms + 1, elm.wake_at)
            out += elm.feed(b"", now_ms)
        sent.append(command)
        out += elm.feed(line, now_ms)
    return elm, out, sent


def reasons(out: list[Out]) -> list[str]:
    return [item.reason for item in out if isinstance(item, Rejected)]


ANSWERS: list[tuple[bytes, list[str], Phase]] = [
    (b"7E803410D32\r\r>", [], Phase.POLL),
    (b"7E8 03 41 0D 32 \r\r>", [], Phase.POLL),
    (b"SEARCHING...7E803410D32\r\r>", [], Phase.POLL),
    (b"010D\r7E803410D32\r\r>", ["echo"], Phase.ECHO),
    (b"7E803410D32\r7E803410D32\r\r>", [], Phase.POLL),
    (b"7E803410D32\r7E803410D33\r\r>", ["ambiguous"], Phase.FLUSH),
    (b"7E903410D32\r\r>", ["wrong-unit"], Phase.FLUSH),
    (b"7E803410D\r\r>", ["short"], Phase.FLUSH),
    (b"7E802410D\r\r>", ["short"], Phase.FLUSH),
    (b"7E804410D3200\r\r>", ["garbled"], Phase.FLUSH),
    (b"7E804410C1AF8\r\r>", ["mismatch"], Phase.FLUSH),
    (b"7E803410D32\rNO DATA\r\r>", ["garbled"], Phase.FLUSH),
    (b"\r>", ["empty"], Phase.FLUSH),
    (b"?\r\r>", ["not-understood"], Phase.POLL),
    (b"STOPPED\r\r>", ["stopped"], Phase.FLUSH),
    (b"7E80341\rBUFFER FULL\r\r>", ["buffer-full"], Phase.POLL),
    (b"CAN ERROR\r\r>", ["can-error"], Phase.POLL),
    (b"UNABLE TO CONNECT\r\r>", ["no-vehicle"], Phase.POLL),
    (b"NO DATA\r\r>", ["no-data"], Phase.POLL),
    (b"7E8037F0112\r\r>", ["negative-12"], Phase.POLL),
    (b"7E8037F0178\r\r>", ["negative-78"], Phase.POLL),
    (b"7E8037F0178\r7E803410D32\r\r>", [], Phase.POLL),
    (b"7E8037F0912\r\r>", ["mismatch"], Phase.FLUSH),
    (b"LV RESET\r\r>", ["restarted"], Phase.ECHO),
    (b"\r\rELM327 v2.1\r\r>", ["restarted"], Phase.ECHO),
    (b"x" * (BUFFER_LIMIT + 1), ["garbled"], Phase.FLUSH),
]


@pytest.mark.parametrize(("answer", "told", "phase"), ANSWERS)
def test_answers_at_every_cut(answer: bytes, told: list[str], phase: Phase) -> None:
    for cut in range(min(len(answer), 40)):
        elm, _, _ = script(*READY)
        now_ms = 10_000
        assert elm.next_command(now_ms) == b"010D\r"
        out = elm.feed(answer[:cut], now_ms) + elm.feed(answer[cut:], now_ms)
        assert list(dict.fromkeys(reasons(out))) == told
        assert not [item for item in out if isinstance(item, BusValue)], "a first value waits for a second"
        assert elm.phase is phase


def test_no_answer_steps_up_and_the_last_step_is_the_port() -> None:
    world = World().run(4000)
    world.sent.clear()
    world.deaf = True
    while not any(isinstance(item, Reopen) for _, item in world.items):
        world.run(world.now_ms + 20)
    steps = [command for command in world.commands() if not command.startswith(b"01")]
    assert steps[:4] == [b"\r", b"ATWS\r", b"ATZ\r", b"ATI\r"]
    assert world.now_ms < 4000 + 2100
    world.run(30_000)
    assert world.said().count("lost") == 1
    world.deaf = False
    world.run(40_000)
    assert world.said()[-1] == "ready"


def test_it_begins_again_by_itself_where_nobody_opens_the_port() -> None:
    elm, sent = Elm327(), list[bytes]()
    out: list[Out] = []
    for now_ms in range(0, 20_000, 50):
        out += elm.feed(b"", now_ms)
        if command := elm.next_command(now_ms):
            sent.append(command)
    assert sent[:4] == [b"ATZ\r", b"ATI\r", b"ATZ\r", b"ATI\r"]
    assert out.count(BusState("lost")) == 1
    assert out.count(Reopen()) > 3


@pytest.mark.parametrize("at", range(2, 9))
def test_a_failing_set_up_is_begun_again(at: int) -> None:
    _, out, sent = (
        script(*UP[: at - 1], b"xx\r>", b"OK\r\r>", b"OK\r\r>")
        if at != 7
        else script(*UP[:5], b"xx\r>", b"\r>", b"OK\r>")
    )
    assert reasons(out) in (["garbled"], [])
    assert sent[-1].startswith(b"AT")


def test_old_adapters_do_without_what_they_do_not_know() -> None:
    elm, out, sent = script(UP[0], UP[1], UP[2], b"?\r\r>", b"?\r\r>", b"?\r\r>", b"OK\r\r>")
    assert sent[3:] == [b"ATS0\r", b"ATS0\r", b"ATH1\r", b"ATH1\r"]
    assert (elm.phase, out) == (Phase.TIMING, [])
    assert elm.memory.refused == {"ATS0"}


def test_a_reset_that_only_prompts_is_sent_again() -> None:
    _, out, sent = script(b"?\r>", b"OK\r>", *UP[:2])
    assert sent[:4] == [b"ATZ\r", b"ATZ\r", b"ATZ\r", b"ATE0\r"]
    assert reasons(out) == []
    _, out, sent = script(b"?\r>", b"?\r>", b"?\r>", b"ELM327 v1.4\r>", UP[1])
    assert reasons(out) == ["no-banner"]
    assert sent[3:] == [b"ATI\r", b"ATE0\r"]


def test_searching_renews_the_time_limit_and_patience_grows() -> None:
    elm, _, _ = script(*UP)
    assert elm.next_command(5000) == b"0100\r"
    assert elm.feed(b"SEARCHING", 5600) == []
    assert elm.feed(b"...", 11_000) == []
    assert elm.wake_at == 17_000
    assert reasons(elm.feed(b"", 17_000)) == ["no-prompt"]
    elm.next_command(17_000)
    elm.feed(b"STOPPED\r\r>", 17_000)
    elm.feed(b"", 17_200)
    assert elm.next_command(17_200) == b"0100\r"
    assert elm.wake_at == 23_200


def test_a_line_without_prompt_is_not_waited_for_long() -> None:
    elm, _, _ = script(*READY)
    assert elm.next_command(10_000) == b"010D\r"
    elm.feed(b"7E803410D32\r\r", 10_050)
    assert elm.wake_at == 10_400
    assert reasons(elm.feed(b"", 10_400)) == ["no-prompt"]


def test_a_unit_that_asks_for_patience_gets_it() -> None:
    elm, _, _ = script(*READY)
    assert elm.next_command(10_000) == b"010D\r"
    elm.feed(b"7E8037F0178\r", 10_050)
    assert elm.wake_at == 15_050


def test_unasked_bytes_and_a_restart_between_commands() -> None:
    elm, _, _ = script(*READY)
    assert elm.feed(b"\r\n>", 50) == []
    assert elm.feed(b"noise", 50) == [Rejected("unasked")]
    assert elm.next_command(60) is None
    assert elm.feed(b"more", 100) == []
    assert elm.wake_at == 220
    elm.feed(b"", 220)
    assert elm.next_command(220) == b"010D\r"
    elm, _, _ = script(*READY)
    assert elm.feed(b"\r\rELM327 v1.5\r\r>", 60) == [Rejected("unasked")]
    assert elm.phase is Phase.ECHO


def test_a_banner_or_babble_while_the_line_should_be_silent() -> None:
    elm, _, _ = script(*READY)
    elm.feed(b"noise", 50)
    elm.feed(b"\r\rELM327 v1.5\r\r>", 60)
    assert elm.phase is Phase.ECHO
    elm, _, _ = script(*READY)
    elm.feed(b"noise", 50)
    out = [item for now_ms in range(60, 1000, 20) for item in elm.feed(b"z", now_ms)]
    assert "babble" in reasons(out)


@pytest.mark.parametrize("answer", [b"14.1\r12.0\r\r>", b"hot\r\r>", b"99.0V\r\r>", b"\r>", b"1.4.1V\r\r>"])
def test_a_voltage_that_is_none(answer: bytes) -> None:
    elm = Elm327()
    elm.quiet(True)
    now_ms, out = 0, list[Out]()
    for line in (*UP, answer):
        while elm.next_command(now_ms) is None:
            now_ms = max(now_ms + 1, elm.wake_at)
            out += elm.feed(b"", now_ms)
        out += elm.feed(line, now_ms)
    assert reasons(out) == ["garbled"]


def test_noise_never_becomes_a_value() -> None:
    """Bytes that are no hex digits are dropped, doubled and put in anywhere, for five virtual minutes."""
    chance = random.Random(11)

    def spoil(data: bytes, _now: int) -> bytes:
        if not data or chance.random() > 0.2:
            return data
        at = chance.randrange(len(data))
        return chance.choice((data[:at], data[at:], data[:at] + b"\xffZ\x00" + data[at:], data + data, b"#" + data))

    world = World()
    world.spoil = spoil
    world.run(300_000)
    assert [value for value in world.values() if value.value != TRUE[value.key]] == []
    assert len(world.values()) > 500
    assert len(set(world.reasons())) >= 4
    gaps = [b - a for a, b in pairwise(value.at_ms for value in world.values())]
    assert sorted(gaps)[int(len(gaps) * 0.95)] <= 2000


def test_every_byte_that_leaves_is_on_the_list() -> None:
    """Fuzzing: any bytes for answers, any fault of any adapter; what was sent is compared with the list of readings."""
    chance, sent = random.Random(5), set[bytes]()
    for seed in range(60):
        world = World(Responder(grade=chance.choice(list(GRADES)), protocol=chance.choice("12345679"), units=2))
        world.adapter.faults = frozenset(chance.sample(sorted(FAULTS), 3))
        if seed % 2:
            world.spoil = lambda data, _now: (
                bytes(chance.choice(b"0123456789ABCDEF>\r\n ?EOK\x00\xff") for _ in range(chance.randrange(60)))
                if chance.random() < 0.3
                else data
            )
        world.run(20_000)
        sent |= set(world.commands())
    assert len(sent) > 30
    for command in sent:
        text = command[:-1].decode()
        assert command.endswith(b"\r")
        assert text in AT_COMMANDS or text == "" or text[:2] in {"01", "02", "03", "07", "09", "0A"}
        assert b"\r" not in command[:-1]
        assert command == command_bytes(text or "\r")


def test_the_line_alone_knows_nothing_of_answers() -> None:
    parts: tuple[Any, ...] = (Line, SetUp)
    for part in parts:
        with pytest.raises(TypeError, match="abstract"):
            part(Memory(), Plan(), quiet_ms=1)
    assert LADDER[0] is Phase.FLUSH


def test_a_list_of_the_wrong_length_is_no_list() -> None:
    elm, out, _ = script(*UP, b"7E80741000018000000\r\r>")
    assert reasons(out) == ["garbled"]
    assert elm.phase is Phase.FLUSH


def test_without_its_name_the_protocol_is_known_by_the_units() -> None:
    elm, out, _ = script(*READY[:-2], b"?\r\r>", b"?\r\r>")
    assert elm.memory.protocol == "6"
    assert out == [BusState("ready")]


def test_the_same_fault_in_words_three_times_is_mended() -> None:
    elm, out, _ = script(*READY, *[b"BUS BUSY\r\r>"] * 3)
    assert reasons(out) == ["bus-busy"] * 4
    assert elm.phase is Phase.FLUSH


def test_quiet_is_seen_at_once() -> None:
    elm, _, _ = script(*READY)
    elm.next_command(10_000)
    elm.feed(b"7E803410D32\r\r>", 10_050)
    elm.quiet(True)
    assert elm.wake_at == 10_000
    assert elm.next_command(10_051) == b"ATRV\r"


def test_what_is_asked_once_is_asked_again_when_its_answer_was_none() -> None:
    elm, out, sent = script(
        *READY, b"7E803410D32\r\r>", b"7E80741000018000000\r\r>", b"STOPPED\r\r>", b"7E803410D32\r\r>"
    )
    assert sent[-3:-1] == [b"0100\r", b"\r"]
    assert reasons(out) == ["garbled"]
    assert elm.next_command(10_000) == b"0100\r"
