"""The guard on the twins in memory: what bus, battery, supply and antenna say becomes events and quiet."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest

from agent.core import guardian, odometer
from agent.core.gnss.sky import Antenna
from agent.core.obd import bus
from agent.core.obd.bus import BusValue
from agent.flow import Senses, collect, present, reopening, take
from agent.guard import Guard, keep_guard, look
from agent.ports import Kind
from tests.agent.test_flow import RMC, Clock, Door, box, fix, senses
from wire.errors import UnavailableError


class Notes:
    """What is remembered, in memory."""

    def __init__(self, **kept: float) -> None:
        self.kept = dict(kept)

    def number(self, key: str, low: float, high: float) -> float | None:
        value = self.kept.get(key)
        return value if value is not None and low <= value <= high else None

    def keep(self, key: str, value: float) -> None:
        self.kept[key] = value


class Supply:
    """Power that the test switches."""

    def __init__(self, *, on: bool | None = None) -> None:
        self.on = on

    def online(self) -> bool | None:
        return self.on


class Yard:
    """A vehicle under guard, and a second that passes when the test says so."""

    def __init__(self, *, supply: Supply | None = None, **kept: float) -> None:
        self.clock = Clock()
        self.s: Senses = senses(self.clock)
        self.notes = Notes(**kept)
        self.supply = supply or Supply()
        self.guard = Guard.of(self.s, guardian.Config(), notes=self.notes, supply=self.supply)

    async def seconds(self, count: int, *, every: int = 1, **values: float) -> None:
        for _ in range(0, count, every):
            self.clock.ms += every * 1_000
            for key, value in values.items():
                told = BusValue(key, value, self.clock.ms)
                self.s.vehicle.signals = bus.step(self.s.vehicle.signals, told, self.clock.ms)
            await look(self.guard)

    async def events(self) -> list[str]:
        return [json.loads(row.body)[1] for row in await box(self.s).read(1, 9_999) if row.kind is Kind.EVENT]


def quiet(yard: Yard) -> bool:
    return yard.s.vehicle.battery.quiet


async def test_ignition_comes_from_the_bus_without_any_fix() -> None:
    yard, told = Yard(), []
    yard.s.recorder.on_event = lambda stored: told.append(stored.seq)
    await yard.seconds(3, rp=800.0)
    assert told == [1], "committed at once"
    assert yard.s.vehicle.reading(yard.clock.ms).ignition is True
    assert yard.s.live.state.force, "and the next live message goes at once"
    yard.s.vehicle.driven = odometer.State(120_345_678.4)
    await yard.seconds(60)
    assert await yard.events() == ["ignition-on", "ignition-off"]
    row = (await box(yard.s).read(2, 1))[0]
    assert json.loads(row.body)[4] == {"odo_m": 120_345_678}


async def test_a_parked_vehicle_is_left_alone_and_its_battery_is_learnt() -> None:
    yard = Yard()
    await yard.seconds(60, rp=0.0, mv=12.7)
    assert quiet(yard) is False
    await yard.seconds(3_600, every=60, mv=12.7)
    assert quiet(yard) is True
    assert yard.notes.kept == {"rest_v": 12.7}
    yard.s.vehicle.fix_mono_ms = yard.clock.ms
    await take(replace(fix(3_700), speed_mps=8.0), yard.s)
    await yard.seconds(1)
    assert quiet(yard) is False, "it moves: look"


async def test_a_charger_is_no_engine() -> None:
    yard = Yard()
    yard.s.vehicle.adapter.supported = frozenset({0x0C})
    yard.s.vehicle.adapter.said = "asleep"
    await yard.seconds(600, mv=14.2)
    assert await yard.events() == []
    assert quiet(yard) is True
    yard.s.vehicle.adapter.supported = frozenset()
    await yard.seconds(3, mv=14.2)
    assert await yard.events() == ["ignition-on"], "a vehicle that never told more has only its voltage"


async def test_an_adapter_that_dies_on_the_road_ends_no_drive() -> None:
    yard = Yard()
    await yard.seconds(3, rp=1500.0)
    yard.s.vehicle.present["obd"] = False
    for second in range(120):
        yard.s.vehicle.fix_mono_ms = yard.clock.ms
        await take(replace(fix(second, north=0.0002 * second), speed_mps=20.0), yard.s)
        await yard.seconds(1)
    assert await yard.events() == ["ignition-on"], "no ignition-off, no tow"
    for second in range(120, 200):
        await take(fix(second, north=0.0002 * 120), yard.s)
        await yard.seconds(1)
    assert yard.s.vehicle.ignition_state.on is None, "it stands, and nobody knows"
    assert await yard.events() == ["ignition-on"]


async def test_a_battery_that_rests_above_thirteen_volts_does_not_flap() -> None:
    yard = Yard()
    yard.s.vehicle.adapter.supported = frozenset({0x0C})
    await yard.seconds(60, rp=0.0, mv=13.4)
    for _ in range(60):
        await yard.seconds(60, every=60, mv=13.4)
        if not quiet(yard):
            await yard.seconds(2, rp=0.0)
    assert await yard.events() == []
    assert quiet(yard) is True


async def test_a_low_battery_is_told_and_the_heartbeat_gets_longer() -> None:
    yard = Yard(rest_v=12.7)
    before_ms = yard.s.live.config.heartbeat_parked_ms
    await yard.seconds(7_200, every=60, mv=12.0)
    assert await yard.events() == ["battery-low"]
    assert yard.s.live.config.heartbeat_parked_ms == 4 * before_ms
    await yard.seconds(3, rp=900.0, mv=14.0)
    assert await yard.events() == ["battery-low", "ignition-on", "battery-ok"]
    assert yard.s.live.config.heartbeat_parked_ms == before_ms


async def test_the_supply_is_told_when_it_has_changed_for_two_looks() -> None:
    supply = Supply(on=True)
    yard = Yard(supply=supply)
    await yard.seconds(2)
    supply.on = False
    await yard.seconds(1)
    supply.on = True
    await yard.seconds(1)
    assert await yard.events() == []
    supply.on = False
    await yard.seconds(5)
    supply.on = True
    await yard.seconds(5)
    assert await yard.events() == ["power-lost", "power-restored"]


async def test_the_antenna_is_told_once() -> None:
    yard = Yard()
    for status in ("ok", "open", "short", "ok"):
        yard.s.vehicle.antenna = Antenna(status)
        await yard.seconds(3)
    assert await yard.events() == ["antenna-lost", "antenna-ok"]


async def test_devices_that_go_and_come_back_are_told() -> None:
    s = senses()
    lines = [Door(RMC), Door(RMC, ends=False)]

    async def once() -> None:
        from agent.core.gnss import receiver

        await collect(lines.pop(0), receiver.Parser(), s)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await reopening("gnss", once, s)
    await s.recorder.commit()
    kinds = [json.loads(row.body)[1] for row in await box(s).read(1, 99) if row.kind is Kind.EVENT]
    assert kinds == ["receiver-unplugged", "receiver-back"]


async def test_a_device_that_never_spoke_is_not_told_as_unplugged() -> None:
    s = senses()

    async def once() -> None:
        raise UnavailableError("no such port")

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await reopening("obd", once, s)
    await present("obd", s)
    assert s.recorder.recorded == 0


async def test_long_idling_and_a_tow_are_told() -> None:
    yard = Yard()
    await yard.seconds(3, rp=800.0)
    for second in range(310):
        await take(fix(second), yard.s)
        await yard.seconds(1, rp=800.0)
    await yard.seconds(240, rp=0.0)
    for second in range(600, 620):
        await take(fix(second, north=0.0003 * (second - 600)), yard.s)
        yard.clock.ms += 1_000
    assert await yard.events() == ["ignition-on", "idling", "ignition-off", "idling-end", "tow"]


async def test_it_looks_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent import guard as room

    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.01)
    yard = Yard()
    yard.s.vehicle.antenna = Antenna("open")
    task = asyncio.ensure_future(keep_guard(yard.guard))
    for _ in range(500):
        await asyncio.sleep(0.01)
        if await yard.events():
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await yard.events() == ["antenna-lost"]


async def test_a_voltage_that_falls_closes_the_commit_window() -> None:
    yard = Yard()
    await yard.seconds(5, rp=900.0, mv=14.2)
    await take(fix(1), yard.s)
    await yard.seconds(3, rp=900.0, mv=14.0)
    assert yard.s.recorder.unwritten == 1, "as it always does a little"
    await yard.seconds(1, rp=900.0, mv=13.7)
    assert yard.s.recorder.unwritten == 0
    await take(fix(2), yard.s)
    await yard.seconds(1, rp=900.0, mv=13.6)
    assert yard.s.recorder.unwritten == 1, "it does not fall on"
    await yard.seconds(1, rp=900.0, mv=13.0)
    assert yard.s.recorder.unwritten == 0, "slowly, but it does"


async def test_a_supply_that_goes_closes_the_commit_window_before_it_is_certain() -> None:
    supply = Supply(on=True)
    yard = Yard(supply=supply)
    await yard.seconds(2)
    await take(fix(1), yard.s)
    await yard.seconds(1)
    assert yard.s.recorder.unwritten == 1
    supply.on = False
    await yard.seconds(1)
    assert yard.s.recorder.unwritten == 0
    assert await yard.events() == []
    await yard.seconds(1)
    assert await yard.events() == ["power-lost"]


async def test_ignition_off_closes_the_commit_window() -> None:
    yard = Yard()
    await yard.seconds(3, rp=900.0)
    await take(fix(1), yard.s)
    assert yard.s.recorder.unwritten == 1
    await yard.seconds(60)
    assert yard.s.recorder.unwritten == 0
    assert await yard.events() == ["ignition-on", "ignition-off"]
