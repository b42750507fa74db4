"""The adapter dialogue against the rig's adapter: set-up, values, pace, sleep, quiet, what is proven, what is told."""

from collections import Counter

import pytest

from agent.core.obd.bus import BusValue
from agent.core.obd.commands import command_bytes
from agent.core.obd.dtc import Codes
from agent.core.obd.elm327 import Config, Elm327
from agent.core.obd.elm_rules import RULES, Phase
from agent.core.obd.plan import Config as PlanConfig
from agent.core.obd.reader import BusNote, CodesChanged, Wants
from agent.core.rig.elm327 import GRADES, Facts, Responder
from agent.core.rig.vehicle import Car
from tests.agent.core.obd.elm_world import CAR, TRUE, World

SET_UP = [b"ATZ\r", b"ATE0\r", b"ATL0\r", b"ATS0\r", b"ATH1\r", b"ATAT1\r", b"AT@1\r", b"ATSP0\r", b"0100\r"]
BARE = Car(frozenset({"rp"}), {"rp": 900.0})


def test_set_up_then_values() -> None:
    world = World().run(6000)
    assert world.commands()[:11] == [*SET_UP, b"ATDPN\r", b"ATDPN\r"]
    assert world.said() == ["ready"]
    assert world.reasons() == []
    assert {value.key: value.value for value in world.values()} == TRUE


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("protocol", "123456789")
def test_every_grade_on_every_bus_tells_the_truth(grade: str, protocol: str) -> None:
    facts = Facts(stored=("P0301", "P0420", "U0100", "C0035"), pending=("P0171",))
    world = World(Responder(grade=grade, protocol=protocol, units=2, facts=facts)).run(60_000)
    assert {value.key: value.value for value in world.values()} == TRUE
    report = world.elm.report
    assert report.vin == facts.vin
    assert report.codes == Codes(facts.stored, facts.pending)
    assert report.freeze["freeze_dtc"] == "P0301"
    assert report.freeze["rp"] == TRUE["rp"]
    assert [*report.facts["calibration"].values()] == [facts.calibrations]
    assert [*report.facts["checksum"].values()] == [facts.checksums]
    assert [*report.facts["name"].values()] == [(facts.name,)]
    assert (report.grade == "genuine") is (grade in {"genuine", "stn"})
    assert (report.grade == "poor") is (grade == "poor")
    assert set(world.reasons()) <= {"trial"}


def test_pace_is_as_wanted_where_the_adapter_can() -> None:
    world = World(config=Config(plan=PlanConfig(fast_ms=500))).run(70_000)
    values = Counter(value.key for value in world.values(since_ms=10_000))
    assert 118 <= values["rp"] <= 130
    assert 118 <= values["vs"] <= 130
    assert 28 <= values["th"] <= 32
    assert 5 <= values["ct"] <= 7


@pytest.mark.parametrize("delay_ms", [30, 100])
def test_its_time_is_filled(delay_ms: int) -> None:
    """At least 90 % of the requests that the delay allows, in virtual time; and several values with each."""
    world = World(Responder(grade="genuine", delay_ms=delay_ms), config=Config(plan=PlanConfig(fast_ms=1))).run(15_000)
    sent = len(world.commands(since_ms=10_000))
    assert sent >= 0.9 * 5000 / delay_ms
    assert len(world.values(since_ms=10_000)) >= 1.5 * 5000 / delay_ms


def test_lines_are_counted_and_parameters_grouped_only_where_proven() -> None:
    better, worse = World(Responder(grade="genuine")).run(20_000), World(Responder(grade="clone")).run(20_000)
    assert better.elm.report.parameters_a_request == 6
    assert better.elm.report.counts_lines
    assert any(len(command) > 9 for command in better.commands(since_ms=15_000))
    assert worse.elm.report.parameters_a_request == 1
    assert {len(command) for command in worse.commands(since_ms=15_000) if command.startswith(b"01")} == {5}
    assert worse.reasons().count("trial") == 6


def test_a_group_that_tells_other_values_is_not_believed() -> None:
    """An adapter that mixes up the parameters of a long request: whole answers, wrong numbers."""
    world = World(Responder(grade="genuine"))
    world.spoil = lambda data, _now: (
        data
        if not world.sent or len(world.commands()[-1]) < 7
        else data.replace(b"0D32", b"0DFA").replace(b"0C1A", b"0CEA")
    )
    world.run(20_000)
    assert {value.value for value in world.values() if value.key == "vs"} == {50.0}
    assert not world.memory.group.proven


def test_groups_of_two_where_six_are_too_many() -> None:
    world = World(Responder(grade="genuine"))
    world.spoil = lambda data, _now: data.replace(b"7E81", b"7E8X")  # no long answers
    world.run(20_000)
    assert world.elm.report.parameters_a_request == 2
    assert world.values(since_ms=15_000)


def test_what_worked_once_is_tried_again_after_a_restart() -> None:
    world = World(Responder(grade="genuine")).run(10_000)
    world.spoil = lambda data, _now: b"" if len(world.commands()[-1]) > 7 else data
    world.run(60_000)
    assert world.elm.report.parameters_a_request < 6
    renewals = world.memory.group.renewals
    assert renewals <= 3
    world.spoil = lambda data, _now: data
    world.run(70_000)
    assert world.memory.group.renewals == renewals


def test_timing_of_an_adapter_that_neither_counts_nor_adapts() -> None:
    world = World(Responder(grade="clone", delay_ms=20)).run(30_000)
    assert b"ATST0F\r" in world.commands()
    trips = list(world.memory.round_trips_ms)
    assert max(trips[-10:]) < 100, "200 ms behind each answer before"
    late = World(Responder(grade="clone", delay_ms=120)).run(30_000)
    assert not any(command.startswith(b"ATST") for command in late.commands())


def test_the_time_out_that_is_refused_is_left() -> None:
    world = World(Responder(grade="poor", delay_ms=20)).run(30_000)
    assert sum(c.startswith(b"ATST") for c in world.commands()) == 1
    assert "ATST" in world.memory.refused
    assert world.said() == ["ready"]


def test_voltage_of_the_adapter_where_the_vehicle_has_none() -> None:
    world = World(car=BARE).run(6000)
    assert {value.value for value in world.values() if value.key == "mv"} == {14.1}


def test_vehicle_asleep_is_looked_for_ever_more_seldom_and_found() -> None:
    world = World().run(5000)
    world.adapter.asleep, world.car = True, Car(CAR.keys)
    world.run(2_000_000)
    assert world.said() == ["ready", "asleep"]
    searches = [at_ms for at_ms, command in world.sent if command == b"0100\r" and at_ms > 20_000]
    assert len(searches) < 20
    assert searches[-1] - searches[-2] >= 300_000
    assert b"ATSP0\r" in world.commands(since_ms=5000)
    world.adapter.asleep, world.car = False, CAR
    since_ms = world.now_ms
    world.run(since_ms + 15_000)
    assert world.said() == ["ready", "asleep", "ready"]
    assert world.values(since_ms)[0].key == "mv", "the voltage said that the engine runs"


def test_a_vehicle_that_says_no_data_sleeps_too() -> None:
    world = World().run(5000)
    world.adapter.faults = frozenset({"no-data"})
    world.run(12_000)
    assert world.said()[-1] == "asleep"
    world.adapter.faults = frozenset()
    assert world.run(40_000).said()[-1] == "ready"


def test_another_vehicle_on_another_bus_is_found() -> None:
    world = World().run(5000)
    assert world.memory.protocol == "6"
    world.adapter.protocol = "5"
    world.run(60_000)
    assert world.memory.protocol == "5"
    assert world.said()[-1] == "ready"


def test_the_protocol_that_was_found_is_tried_first() -> None:
    world = World().run(5000)
    world.elm = Elm327(None, world.memory)
    world.adapter.reopen()
    world.run(6500)
    assert b"ATSP6\r" in world.commands(since_ms=5000)
    assert world.values(since_ms=5100)[0].at_ms < 6100
    empty = World(Responder(protocol="5"))
    empty.memory.protocol = "6"
    assert empty.run(8000).values()
    assert empty.memory.protocol == "5"


def test_a_protocol_command_that_is_refused_gives_way_to_the_search() -> None:
    world = World()
    world.memory.protocol = "9"
    world.spoil = lambda data, _now: b"?\r\r>" if world.sent and world.sent[-1][1] == b"ATSP9\r" and data else data
    world.run(6000)
    assert world.commands().count(b"ATSP9\r") == 2
    assert b"ATSP0\r" in world.commands()
    assert world.said() == ["ready"]


def test_one_absent_value_is_asked_seldom() -> None:
    world = World(car=Car(CAR.keys, {key: value for key, value in CAR.values.items() if key != "fu"})).run(50_000)
    asked = sum(b"2F" in command for command in world.commands())
    assert asked <= 16
    assert "fu" not in {value.key for value in world.values()}
    assert world.said() == ["ready"]


def test_quiet_asks_the_adapter_for_the_voltage_and_nothing_else() -> None:
    world = World().run(5000)
    world.elm.quiet(True)
    world.run(5300).sent.clear()
    world.run(400_000)
    assert set(world.commands()) == {b"ATRV\r"}
    assert 5 <= len(world.values(since_ms=6000)) <= 8
    world.elm.quiet(True, voltage_ms=600_000)
    world.run(470_000).sent.clear()
    world.run(2_200_000)
    assert len(world.sent) <= 4
    world.elm.quiet(False)
    since_ms = world.now_ms
    world.run(since_ms + 5000)
    assert len(world.values(since_ms)) > 10


@pytest.mark.parametrize("fault", ["lost-prompt", "locked-warm", "locked-reset", "lv-reset", "truncated"])
def test_quiet_stays_quiet_when_the_adapter_fails(fault: str) -> None:
    world = World().run(5000)
    world.elm.quiet(True, voltage_ms=5000)
    world.run(6000)
    world.spoil = lambda data, _now: {
        "lost-prompt": data.replace(b">", b""), "truncated": data[1:], "lv-reset": b"LV RESET\r\r>" if data else b"",
    }.get(fault, b"")  # fmt: skip
    world.run(30_000)
    world.spoil = lambda data, _now: data
    world.run(60_000)
    assert not [command for command in world.commands(since_ms=6000) if not command.startswith(b"AT")]
    assert world.values(since_ms=50_000)


def test_quiet_from_the_start_needs_no_vehicle() -> None:
    world = World()
    world.elm.quiet(True)
    world.run(10_000)
    assert not [command for command in world.commands() if not command.startswith(b"AT")]
    assert {value.key for value in world.values()} == {"mv"}


def test_codes_that_come_and_go_are_told_once() -> None:
    config = Config(wants=Wants(codes_ms=20_000))
    world = World(config=config, adapter=Responder(facts=Facts())).run(10_000)
    assert not [item for _, item in world.items if isinstance(item, CodesChanged)]
    world.adapter.facts = Facts(stored=("P0301", "P1234"))
    world.run(40_000)
    world.adapter.facts = Facts(pending=("P0301",))
    world.run(90_000)
    told = [item for _, item in world.items if isinstance(item, CodesChanged)]
    assert [change.codes for change in told] == [
        Codes(("P0301", "P1234")), Codes(), Codes((), ("P0301",)),
    ]  # fmt: skip
    assert told[0].detail == {
        "new": {"P0301": "misfire, cylinder 1", "P1234": "engine and drive: defined by the manufacturer"},
        "gone": [], "maker": ["P1234"], "count": 2,
    }  # fmt: skip
    assert told[1].gone == ("P0301", "P1234")


def test_other_values_where_they_are_wanted() -> None:
    world = World(config=Config(wants=Wants(("status", "obd_standard", "odometer")))).run(30_000)
    notes = {item.key: str(item.value) for _, item in world.items if isinstance(item, BusNote)}
    assert notes["obd_standard"] == "EOBD"
    assert notes["status"].startswith("warning lamp off, 0 codes")
    assert world.memory.notes["obd_standard"] == "EOBD"
    assert not any(b"A6" in command for command in world.commands())


def test_the_table_is_whole() -> None:
    assert set(RULES) == set(Phase)
    for rule in RULES.values():
        if rule.command:
            command_bytes(rule.command)


def test_values_carry_the_moment_of_their_answer() -> None:
    for at_ms, item in World().run(5000).items:
        if isinstance(item, BusValue):
            assert item.at_ms == at_ms
