"""What adapters do wrong, at every place of the dialogue and on every kind of bus: found back in time, and no wrong value.

Each case is a fault of the rig's table at one command, in virtual time. The limit is 2 s from the fault to the next value, or,
where only opening the port anew helps, 2 s to say so and 2 s from there. What the fault itself takes comes on top (`OWN_MS`),
and so does the adapter's patience while it searches for a protocol.
"""

import pytest

from agent.core.obd.bus import BusValue
from agent.core.obd.dtc import Codes
from agent.core.obd.elm_line import Reopen
from agent.core.obd.elm_rules import SEARCH_MS
from agent.core.obd.pids import BY_NAME
from agent.core.rig.elm327 import FAULTS, Facts, Mishap, Responder
from agent.core.rig.vehicle import Car
from tests.agent.core.obd.elm_world import CAR, TRUE, World

LIMIT_MS = 2000
PLACES = (
    ("ATZ", 0), ("ATE0", 0), ("ATS0", 0), ("ATH1", 0), ("ATAT1", 0), ("AT@1", 0), ("ATSP", 0), ("0100", 0), ("ATDPN", 0),
    ("0120", 0), ("010C", 2), ("010D", 1), ("0104", 0), ("03", 0), ("0902", 1), ("ATRV", 0),
)  # fmt: skip
OTHER_BUSES = ("1", "2", "3", "5", "7")
OWN_MS = {
    "unable-to-connect": 5000, "slow": 1500, "searching": 1500, "bus-init-error": 1500, "searching-forever": SEARCH_MS,
    "pending": 900, "dribble": 500, "not-connected": 300, "no-data": 200, "can-error": 100,
}  # fmt: skip
SEARCH_OF_RIG_MS = 1000
FACTS = Facts(stored=("P0301",))
WITHOUT_VOLTAGE = Car(CAR.keys - {"mv"}, {key: value for key, value in CAR.values.items() if key != "mv"})
CASES = [(fault, *place, "6") for fault in FAULTS for place in PLACES] + [
    (fault, "010D", 1, bus) for fault in FAULTS for bus in OTHER_BUSES
]


class Watched(Responder):
    """Remembers when the fault came."""

    hit = False

    def _fault(self, command: str) -> str | None:
        name = super()._fault(command)
        self.hit = self.hit or name is not None
        return name


def start_ms(bus: str) -> int:
    """When the first value comes where nothing goes wrong."""
    return World(Responder(protocol=bus, facts=FACTS, units=2)).run(4000).values()[0].at_ms


STARTS = {bus: start_ms(bus) for bus in ("6", *OTHER_BUSES)}


def played(fault: str, place: str, skip: int, bus: str) -> tuple[World, int]:
    """The world some seconds after the fault, and when it came."""
    adapter = Watched(protocol=bus, facts=FACTS, units=2, mishaps=[Mishap(fault, place, skip)])
    world = World(adapter, car=WITHOUT_VOLTAGE if place == "ATRV" else CAR)
    while not adapter.hit:
        world.run(world.now_ms + 20)
        assert world.now_ms < 20_000, "the fault never came"
    hit_ms = max(at_ms for at_ms, command in world.sent if command.startswith(place.encode()))
    world.run(hit_ms + OWN_MS.get(fault, 0) + (2 * SEARCH_MS if place == "0100" else SEARCH_MS))
    return world, hit_ms


def wrong(world: World, fault: str, place: str) -> list[object]:
    """Everything published that is not true. A fallen bit in a digit may be a small step, never a jump."""
    true = TRUE | ({"mv": 14.1} if place == "ATRV" else {})
    jump = {key: BY_NAME[key].parts[0].jump if fault == "bit-flip" else 0.0 for key in true}
    out: list[object] = [v for v in world.values() if abs(v.value - true[v.key]) > jump[v.key]]
    memory = world.memory
    out += [] if memory.vin in {"", FACTS.vin} else [memory.vin]
    codes = memory.codes or Codes()
    return out + ([] if codes.stored in {(), FACTS.stored} and not codes.pending + codes.permanent else [codes])


def lateness_ms(world: World, hit_ms: int, fault: str, place: str, bus: str) -> int:
    """How long after the fault itself was over the next value came."""
    setting_up = place == "0100" or (place.startswith("AT") and place != "ATRV")
    search_ms = SEARCH_OF_RIG_MS if setting_up else 0
    patience_ms = SEARCH_MS if place == "0100" and fault.startswith("lo") else 0
    reopened = next((at_ms for at_ms, item in world.items if isinstance(item, Reopen)), None)
    if reopened is not None:
        own_ms = patience_ms or OWN_MS.get(fault, 0)
        assert reopened - hit_ms - own_ms <= LIMIT_MS
        first = next(at_ms for at_ms, item in world.items if isinstance(item, BusValue) and at_ms > reopened)
        return first - reopened - search_ms
    over_ms = hit_ms + OWN_MS.get(fault, 0)
    first = next(at_ms for at_ms, item in world.items if isinstance(item, BusValue) and at_ms > over_ms)
    if setting_up:
        return first - STARTS[bus] - OWN_MS.get(fault, 0) - patience_ms - (search_ms if place == "ATDPN" else 0)
    return first - over_ms


def test_there_are_five_hundred_at_least() -> None:
    assert len(set(CASES)) == len(CASES) >= 500


@pytest.mark.parametrize(("fault", "place", "skip", "bus"), CASES)
def test_found_back_in_time_and_nothing_wrong_said(fault: str, place: str, skip: int, bus: str) -> None:
    world, hit_ms = played(fault, place, skip, bus)
    assert wrong(world, fault, place) == []
    assert lateness_ms(world, hit_ms, fault, place, bus) <= LIMIT_MS
    assert world.said()[-1] == "ready"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_comes_again_and_again_says_nothing_wrong(fault: str) -> None:
    world = World(Responder(faults=(fault,), units=2, facts=FACTS)).run(30_000)
    assert wrong(world, fault, "") == []
    world.adapter.faults = frozenset()
    world.run(45_000)
    assert world.values(40_000)
