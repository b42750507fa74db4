"""The adapter dialogue: transcripts, every rule, and noise at every place against the rig's adapter in virtual time."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from agent.core.bus import BusValue
from agent.core.elm327 import AT_COMMANDS, MODES, RULES, BusState, Config, Elm327, Phase, command_bytes
from agent.core.pids import PIDS
from agent.core.rig_elm327 import Car, Responder
from wire.errors import RefusedError
from wire.messages import Rejected

CAR = Car(
    frozenset({"rp", "vs", "ct", "th", "ld", "fu", "mv"}),
    {"rp": 1726.0, "vs": 50.0, "ct": 83.0, "th": 20.0, "ld": 40.0, "fu": 60.0, "mv": 13.9},
)
TRUE = {key: PIDS[pid].value(PIDS[pid].data(CAR.values[key])) for pid, key in [(p, PIDS[p].signal.key) for p in PIDS]}


class World:
    """One adapter and one dialogue on a clock of its own; `spoil` may change what the adapter says on its way."""

    def __init__(self, car: Car = CAR, *, config: Config | None = None) -> None:
        self.elm = Elm327(config)
        self.adapter = Responder()
        self.car = car
        self.now_ms = 0
        self.sent: list[tuple[int, bytes]] = []
        self.items: list[tuple[int, BusValue | Rejected | BusState]] = []
        self.spoil: Callable[[bytes, int], bytes] = lambda data, _now: data
        self.deaf = False

    def run(self, until_ms: int) -> "World":
        while self.now_ms < until_ms:
            data = self.spoil(self.adapter.take(self.now_ms), self.now_ms)
            self.items += [(self.now_ms, item) for item in self.elm.feed(data, self.now_ms)]
            command = self.elm.next_command(self.now_ms)
            if command is not None:
                self.sent.append((self.now_ms, command))
                if not self.deaf:
                    self.adapter.feed(command, self.now_ms, self.car)
            self.now_ms += 1
        return self

    def values(self, since_ms: int = 0) -> list[BusValue]:
        return [item for at_ms, item in self.items if isinstance(item, BusValue) and at_ms >= since_ms]

    def said(self) -> list[str]:
        return [item.kind for _, item in self.items if isinstance(item, BusState)]

    def reasons(self) -> list[str]:
        return [item.reason for _, item in self.items if isinstance(item, Rejected)]


def test_set_up_then_values() -> None:
    world = World().run(5000)
    assert [command for _, command in world.sent[:9]] == [
        b"ATZ\r", b"ATE0\r", b"ATL0\r", b"ATH0\r", b"ATS0\r", b"ATSP0\r", b"0100\r", b"010D\r", b"0120\r",
    ]  # fmt: skip
    assert world.said() == ["ready"]
    assert world.reasons() == []
    assert {value.key: value.value for value in world.values()} == TRUE


def test_pace_five_a_second_half_of_it_fast_at_least() -> None:
    world = World().run(64_000)
    sent = [command for at_ms, command in world.sent if at_ms >= 4000]
    counts = Counter(sent)
    assert len(sent) <= 300
    assert counts[b"010C\r"] + counts[b"010D\r"] >= 200
    assert 25 <= counts[b"0111\r"] <= 31
    assert 5 <= counts[b"0105\r"] <= 7
    assert all(b[0] - a[0] >= 200 for a, b in zip(world.sent[8:], world.sent[9:], strict=False))


def test_wake_at_is_enough() -> None:
    """Stepping only from wake to wake gives what stepping each millisecond gives."""
    elm, adapter, now_ms, values = Elm327(), Responder(), 0, set()
    while now_ms < 10_000:
        values |= {(i.key, i.value) for i in elm.feed(adapter.take(now_ms), now_ms) if isinstance(i, BusValue)}
        if command := elm.next_command(now_ms):
            adapter.feed(command, now_ms, CAR)
        wakes = [at for at in (elm.wake_at, adapter.wake_at) if at is not None]
        now_ms = max(now_ms + (0 if command else 1), min(wakes, default=now_ms))
    assert values == set(TRUE.items())


def test_voltage_of_the_adapter_where_the_vehicle_has_none() -> None:
    world = World(Car(frozenset({"rp"}), {"rp": 900.0})).run(4000)
    assert BusValue("mv", 14.1, 0).value in {value.value for value in world.values() if value.key == "mv"}
    world = World(Car(frozenset({"fu"}), {"fu": 50.0})).run(4000)
    assert {value.key: value.value for value in world.values()}["mv"] == 12.4


def test_vehicle_asleep_is_looked_for_again_and_found() -> None:
    world = World()
    world.run(4000)
    world.car = Car(CAR.keys, {})
    world.run(8000)
    assert world.said() == ["ready", "asleep"]
    assert set(world.reasons()) == {"no-data"}
    world.car = CAR
    world.run(16_000)
    assert world.said() == ["ready", "asleep", "ready"]
    assert world.values(since_ms=12_000)


def test_one_absent_value_is_asked_seldom() -> None:
    world = World(Car(CAR.keys, {key: value for key, value in CAR.values.items() if key != "rp"})).run(30_000)
    assert sum(command == b"010C\r" for _, command in world.sent) == 3
    assert world.said() == ["ready"]


def script(*lines: bytes, config: Config | None = None) -> tuple[Elm327, list[object], list[bytes]]:
    """Each line answers one command at once; what came out, and what was sent after each."""
    elm, now_ms = Elm327(config), 0
    out: list[object] = []
    sent: list[bytes] = []
    for line in lines:
        while (command := elm.next_command(now_ms)) is None:
            now_ms = max(now_ms + 1, elm.wake_at or 0)
            out += elm.feed(b"", now_ms)
        sent.append(command)
        out += elm.feed(line, now_ms)
    return elm, out, sent


UP = (b"\r\rELM327 v1.5\r\r>", b"ATE0\rOK\r\r>", b"OK\r\r>", b"OK\r\r>", b"OK\r\r>", b"OK\r\r>")
READY = (*UP, b"SEARCHING...\r4100181800 00\r\r>")
"""Load, coolant, rpm and speed; no further lists, so ATRV."""


def reasons(out: list[object]) -> list[str]:
    return [item.reason for item in out if isinstance(item, Rejected)]


ANSWERS: list[tuple[bytes, list[object], Phase]] = [
    (b"410D32\r\r>", [50.0], Phase.POLL),
    (b"41 0D 32 \r\r>", [50.0], Phase.POLL),
    (b"010D\r410D32\r\r>", [50.0], Phase.POLL),
    (b"SEARCHING...410D32\r\r>", [50.0], Phase.POLL),
    (b"410D32\r410D33\r\r>", [50.0], Phase.POLL),
    (b"410D32\r\r>410D", [50.0, "unasked"], Phase.POLL),
    (b"410D\r\r>", ["short"], Phase.FLUSH),
    (b"41\r\r>", ["short"], Phase.FLUSH),
    (b"410D3200\r\r>", ["garbled"], Phase.FLUSH),
    (b"410D3\xff\r\r>", ["garbled"], Phase.FLUSH),
    (b"410C1AF8\r\r>", ["garbled"], Phase.FLUSH),
    (b"7E803410D32\r\r>", ["garbled"], Phase.FLUSH),
    (b"410D32\rCANERROR!\r\r>", ["garbled"], Phase.FLUSH),
    (b"410D32\rNO DATA\r\r>", ["garbled"], Phase.FLUSH),
    (b"\r>", ["empty"], Phase.FLUSH),
    (b"?\r\r>", ["not-understood"], Phase.FLUSH),
    (b"STOPPED\r\r>", ["stopped"], Phase.FLUSH),
    (b"410D32\rBUFFER FULL\r\r>", ["buffer-full"], Phase.FLUSH),
    (b"CAN ERROR\r\r>", ["no-data"], Phase.POLL),
    (b"UNABLE TO CONNECT\r\r>", ["no-data"], Phase.POLL),
    (b"NO DATA\r\r>", ["no-data"], Phase.POLL),
    (b"LV RESET\r\r>", ["restarted"], Phase.ECHO),
    (b"\r\rELM327 v2.1\r\r>", ["restarted"], Phase.ECHO),
    (b"x" * 5000, ["garbled"], Phase.FLUSH),
]


@pytest.mark.parametrize(("answer", "told", "phase"), ANSWERS)
def test_answers_at_every_cut(answer: bytes, told: list[object], phase: Phase) -> None:
    for cut in range(min(len(answer), 40)):
        elm, _, _ = script(*READY)
        now_ms = 10_000
        assert elm.next_command(now_ms) == b"010D\r"
        out = elm.feed(answer[:cut], now_ms) + elm.feed(answer[cut:], now_ms)
        got = [
            item.kind if isinstance(item, BusState) else item.value if isinstance(item, BusValue) else item.reason
            for item in out
        ]
        assert list(dict.fromkeys(got)) == told
        assert elm.phase is phase


def test_no_answer_steps_up_and_each_step_is_timed() -> None:
    world = World().run(4000)
    world.sent.clear()
    world.deaf = True
    world.run(12_000)
    assert [command for _, command in world.sent if command[:2] != b"01"] == [b"\r", b"ATWS\r", b"ATZ\r", b"ATZ\r"]
    assert world.said()[-1] == "lost"
    assert world.said().count("lost") == 1
    world.deaf = False
    world.run(22_000)
    assert world.said()[-1] == "ready"


def test_a_lost_prompt_is_overcome_within_two_seconds() -> None:
    world = World().run(5000)
    world.spoil = lambda data, _now: data.replace(b">", b"")
    while not world.reasons():
        world.run(world.now_ms + 1)
    lost_ms = world.now_ms
    world.spoil = lambda data, _now: data
    world.run(lost_ms + 1000)
    assert world.values(since_ms=lost_ms)


def test_babble_after_a_flush_leads_to_a_restart() -> None:
    world = World().run(5000)
    world.spoil = lambda _data, now: b"\x00zz>" if now % 20 == 0 else b""
    world.run(9000)
    assert "babble" in world.reasons()
    assert b"ATWS\r" in [command for _, command in world.sent]
    world.spoil = lambda data, _now: data
    since = world.now_ms
    world.run(since + 6000)
    assert {value.key: value.value for value in world.values(since)}.items() <= TRUE.items()
    assert world.values(since)


def test_noise_never_becomes_a_value() -> None:
    """Bytes that are no hex digits are dropped, doubled and put in anywhere, for ten virtual minutes."""
    chance = random.Random(11)

    def spoil(data: bytes, _now: int) -> bytes:
        if not data or chance.random() > 0.2:
            return data
        at = chance.randrange(len(data))
        return chance.choice((data[:at], data[at:], data[:at] + b"\xffZ\x00" + data[at:], data + data, b"#" + data))

    world = World()
    world.spoil = spoil
    world.run(600_000)
    wrong = [value for value in world.values() if value.value != TRUE[value.key]]
    assert wrong == []
    assert len(world.values()) > 500
    assert len(set(world.reasons())) >= 4
    times = [value.at_ms for value in world.values()]
    gaps = [b - a for a, b in pairwise(times)]
    assert sorted(gaps)[int(len(gaps) * 0.95)] <= 2000


@pytest.mark.parametrize("phase", [Phase.ECHO, Phase.LINEFEEDS, Phase.HEADERS, Phase.SPACES, Phase.PROTOCOL])
def test_a_failing_set_up_is_begun_again(phase: Phase) -> None:
    at = [Phase.RESET, Phase.ECHO, Phase.LINEFEEDS, Phase.HEADERS, Phase.SPACES, Phase.PROTOCOL].index(phase)
    elm, out, sent = script(*UP[:at], b"xx\r\r>", b"OK\r\r>", b"OK\r\r>")
    assert reasons(out) == ["garbled"]
    assert sent[at + 1 :] == [b"\r", b"ATE0\r"]
    assert elm.phase is Phase.LINEFEEDS


def test_old_adapters_know_no_spaces_command() -> None:
    elm, out, _ = script(*UP[:4], b"?\r\r>")
    assert (elm.phase, out) == (Phase.PROTOCOL, [])


def test_a_reset_without_banner_and_a_search_with_noise() -> None:
    _, out, sent = script(b"OK\r>", *UP)
    assert reasons(out) == ["timeout"]
    assert sent[:3] == [b"ATZ\r", b"ATZ\r", b"ATE0\r"]
    elm, out, sent = script(*UP, b"4100\r\r>", b">", b"4100181800 00\r\r>")
    assert reasons(out) == ["short"]
    assert sent[-3:] == [b"0100\r", b"\r", b"0100\r"]
    assert elm.phase is Phase.POLL


def test_searching_renews_the_time_limit() -> None:
    elm, _, _ = script(*UP)
    assert elm.next_command(5000) == b"0100\r"
    assert elm.feed(b"SEARCHING", 10_900) == []
    assert elm.feed(b"...", 16_800) == []
    assert elm.wake_at == 16_900
    assert reasons(list(elm.feed(b"", 16_900))) == ["timeout"]


def test_a_silent_vehicle_at_the_search() -> None:
    elm, out, _ = script(*UP, b"SEARCHING...\rUNABLE TO CONNECT\r\r>")
    assert out == [Rejected("no-data", "0100"), BusState("asleep")]
    assert elm.wake_at is not None
    assert elm.next_command(elm.wake_at - 1) is None
    assert elm.next_command(elm.wake_at) == b"0100\r"


def test_unasked_bytes_and_a_restart_between_commands() -> None:
    elm, _, _ = script(*READY)
    assert elm.feed(b"\r\n>", 50) == []
    assert elm.feed(b"noise", 50) == [Rejected("unasked")]
    assert elm.phase.name == "POLL"
    assert elm.feed(b"\r\rELM327 v1.5\r\r>", 60) == [Rejected("unasked")]
    assert elm.phase.name == "ECHO"


@pytest.mark.parametrize("answer", [b"14.1\r12.0\r\r>", b"hot\r\r>", b"99.0V\r\r>", b"\r>", b"1.4.1V\r\r>"])
def test_a_voltage_that_is_none(answer: bytes) -> None:
    _, out, sent = script(*UP, b"410000000000\r\r>", answer)
    assert sent[-1] == b"ATRV\r"
    assert reasons(out) == ["garbled"]


def test_lists_without_answer_fall_back_to_the_adapter() -> None:
    config = Config(misses=20, slot_ms=10, voltage_ms=10)
    _, out, sent = script(*UP, b"410000000001\r\r>", *[b"NO DATA\r\r>"] * 3, b"12.6V\r\r>", config=config)
    assert sent[-4:] == [b"0120\r"] * 3 + [b"ATRV\r"]
    assert [item.value for item in out if isinstance(item, BusValue)] == [12.6]


def test_only_what_is_on_the_list_leaves() -> None:
    for command in [*AT_COMMANDS, "\r", *MODES, *(f"01{pid:02X}" for pid in PIDS)]:
        assert command_bytes(command) == command.encode().rstrip(b"\r") + b"\r"
    for command in [
        "",
        "04",
        "0400",
        "08",
        "2F01",
        "010",
        "01 0C",
        "01GG",
        "0100\r04",
        "ATMA",
        "ATSH7E0",
        "atz",
        "010C04",
    ]:
        with pytest.raises(RefusedError):
            command_bytes(command)


def test_the_table_is_whole() -> None:
    assert set(RULES) == set(Phase)
    for rule in RULES.values():
        if rule.command:
            command_bytes(rule.command)
