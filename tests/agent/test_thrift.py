"""Budget and watching, on the twins in memory: what is counted, what follows for the lanes, what the hub may ask."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from agent.adapters.memory import MemorySession
from agent.core import budget, guardian
from agent.core.cost import ping_bytes
from agent.flow import take
from agent.guard import Guard
from agent.ports import Kind
from agent.thrift import NOTE, Meter, Thrift, apply, keep_thrift, look, thin, told
from tests.agent.test_flow import Clock, T, box, fix, senses
from tests.agent.test_guard import Notes as Numbers
from tests.agent.test_guard import Supply
from tests.agent.test_uplink import names, running, stopped, up_of
from wire.codec import decode_live, decode_outcome, encode_command
from wire.messages import Command, Reading


class Notes:
    """Notes in memory."""

    fault = ""

    def __init__(self, **kept: object) -> None:
        self.kept = kept

    def record(self, key: str) -> Mapping[str, object] | None:
        value = self.kept.get(key)
        return value if isinstance(value, dict) else None

    def keep_all(self, values: Mapping[str, object], *, later: bool = False) -> None:
        self.kept |= values


class Yard:
    """An agent with a budget, and time that the test moves."""

    def __init__(self, mb: float = 0.0, *, known: bool = True, kept: object = None) -> None:
        self.clock = Clock(known=known)
        self.s = senses(self.clock)
        self.up = up_of(self.s)
        self.guard = Guard.of(self.s, guardian.Config(), notes=Numbers(), supply=Supply())
        self.notes, self.meter = Notes(**({} if kept is None else {NOTE: kept})), Meter()
        self.thrift = Thrift.of(
            self.up, self.guard, notes=self.notes, meter=self.meter, config=budget.Config(round(mb * 1e6) or None),
            keepalive_s=30, tls=True,
        )  # fmt: skip

    def minutes(self, count: int, **lanes: int) -> None:
        for _ in range(count):
            for lane, n in lanes.items():
                self.meter(lane, n)
            self.clock.ms += 60_000
            look(self.thrift)

    def watch(self, name: str, eps_m: float = 3.0, *, for_ms: int = 60_000) -> tuple[bool, str]:
        now_ms = self.clock.now().at_ms or T
        answer = self.up.obey(encode_command(Command(name, "watch", eps_m, now_ms + for_ms)))
        assert answer is not None
        outcome = decode_outcome(answer)
        return outcome.ok, outcome.why

    @property
    def eps_m(self) -> float:
        return self.up.live.config.eps_m


def test_bytes_are_counted_and_noted() -> None:
    yard = Yard()
    yard.minutes(3, live=400, track=900)
    assert yard.thrift.state.lanes == (("live", 1200), ("track", 2700))
    yard.meter("event", 5)
    yard.thrift.finish()
    again = Yard(kept=yard.notes.kept[NOTE])
    assert again.thrift.state.used == 3905
    shown = told(again.thrift)
    assert (shown["used_mb"], shown["of_mb"], shown["days_left"], shown["eps_m"]) == (0.004, None, None, 10.0)
    assert "done" not in shown


def test_a_note_that_is_none_is_told() -> None:
    yard = Yard(kept={"lanes": 7})
    assert yard.s.watch.count("budget.forgotten") == 1  # type: ignore[attr-defined]  # a Watch
    assert yard.thrift.state.used == 0


def test_a_silent_link_is_pinged_and_pings_count() -> None:
    yard = Yard()
    yard.up.linked_at_ms = 0
    yard.meter("live", 1)
    for _ in range(61):
        yard.clock.ms += 1000
        look(yard.thrift)
    assert dict(yard.thrift.state.lanes)["ping"] + yard.meter.lanes["ping"] == 1 * ping_bytes()
    yard.up.linked_at_ms = None
    before = yard.thrift.state.used + sum(yard.meter.lanes.values())
    yard.minutes(5)
    assert yard.thrift.state.used == before


def test_over_budget_eps_widens_heartbeats_stretch_and_the_track_waits() -> None:
    yard = Yard(10)
    yard.minutes(1)
    assert (yard.eps_m, yard.up.saving.held, yard.up.saving.rows, yard.up.upload_s) == (10.0, False, None, 0.05)
    seen = []
    for _ in range(100):
        yard.minutes(30, live=6_000)
        seen.append(yard.eps_m)
    assert seen == sorted(seen), "more and more"
    assert seen[-1] == budget.BLIND_M
    assert yard.up.live.config.heartbeat_moving_ms == 600_000
    assert yard.guard.parked_ms == 1_800_000
    assert (yard.up.saving.held, yard.up.saving.rows, yard.up.upload_s) == (True, 600, 600.0)
    shown = told(yard.thrift)
    assert (shown["done"], shown["track_waits"], shown["eps_m"]) == ("heartbeats and events only", True, budget.BLIND_M)
    assert yard.s.watch.count("budget.over") >= 1  # type: ignore[attr-defined]  # a Watch
    assert yard.s.watch.count("budget.spent") == 1  # type: ignore[attr-defined]  # a Watch


async def test_a_new_eps_is_told_at_once() -> None:
    yard = Yard(10)
    lane = yard.up.live
    lane.linked = True
    await take(fix(0), yard.s)
    first = await lane.next()
    lane.acknowledged(first)
    yard.thrift.state = replace(yard.thrift.state, level=2)
    apply(yard.thrift)
    await take(fix(1), yard.s)
    assert (await lane.next()).eps_m == 20.0
    apply(yard.thrift)
    assert lane.state.force is False, "once"


async def test_the_track_waits_and_an_sos_goes_at_once() -> None:
    yard = Yard(10)
    yard.thrift.state = replace(
        yard.thrift.state, month_ms=T, at_ms=T, since_ms=T, level=budget.SPENT, lanes=(("live", 10_000_000),)
    )
    apply(yard.thrift)
    for second in range(70):
        await take(fix(second), yard.s)
    await yard.s.recorder.commit()
    session = MemorySession()
    task = await running(yard.up, session)
    assert names(session)[:2] == ["live", "status"]
    assert "track" not in names(session)
    assert decode_live(session.sent[0][1]).eps_m == budget.BLIND_M
    await yard.s.recorder.add_event("sos", yard.s.vehicle.fix, {"by": "button"})
    async with asyncio.timeout(5):
        while "event" not in names(session):  # noqa: ASYNC110  # it goes within a turn of the loop
            await asyncio.sleep(0)
    assert "track" not in names(session)
    await stopped(task)
    assert len([row for row in await box(yard.s).read(1, 100) if row.kind is Kind.FIX]) == 70, "nothing is lost"


async def test_before_the_time_is_known_one_batch_at_a_time() -> None:
    yard = Yard(10, known=False)
    assert yard.up.saving.rows == 600
    look(yard.thrift)
    assert yard.up.saving.rows == 600
    yard.clock.judge(T)
    look(yard.thrift)
    assert yard.up.saving.rows is None


def test_who_watches_gets_a_smaller_eps_for_a_while() -> None:
    yard = Yard(100)
    yard.minutes(1)
    assert yard.watch("a") == (True, "")
    assert yard.eps_m == 3.0
    assert yard.up.live.state.force is True
    assert yard.watch("b", eps_m=50.0) == (True, "")
    assert yard.eps_m == 3.0
    yard.clock.ms += 59_000
    look(yard.thrift)
    assert yard.eps_m == 3.0
    yard.clock.ms += 2_000
    look(yard.thrift)
    assert yard.eps_m == 10.0
    assert yard.watch("c", eps_m=50.0) == (True, "")
    assert yard.eps_m == 10.0, "nobody's watching widens it"
    assert yard.watch("d", for_ms=-1) == (False, "expired")


def test_over_budget_nobody_watches() -> None:
    yard = Yard(10)
    yard.minutes(1)
    yard.watch("a")
    yard.thrift.state = replace(yard.thrift.state, level=1)
    assert yard.watch("b") == (False, "over-budget")
    assert yard.eps_m == 15.0
    assert yard.s.watch.count("command.done", op="refused", why="over-budget") == 1  # type: ignore[attr-defined]  # a Watch


async def test_commands_come_by_the_link_and_are_answered() -> None:
    yard = Yard()
    session = MemorySession()
    task = await running(yard.up, session)
    session.inbox.put_nowait(("cmd", b"{"))
    session.inbox.put_nowait(("cmd", b'{"v":1,"id":"x1","op":"reboot"}'))
    async with asyncio.timeout(5):
        while "cmd" not in names(session):  # noqa: ASYNC110  # it goes within a turn of the loop
            await asyncio.sleep(0)
    payload = next(payload for name, payload in session.sent if name == "cmd")
    assert json.loads(payload) == {"v": 1, "id": "x1", "ok": False, "why": "unknown-op"}
    assert yard.s.watch.count("command.rejected") == 1  # type: ignore[attr-defined]  # a Watch
    await stopped(task)


def test_a_parked_vehicle_writes_seldom() -> None:
    yard = Yard(100)
    assert yard.thrift.due()
    yard.thrift.keep()
    yard.minutes(9)
    assert not yard.thrift.due()
    yard.minutes(1)
    assert yard.thrift.due()
    yard.thrift.keep()
    yard.thrift.state = replace(yard.thrift.state, level=1)
    assert yard.thrift.due()


async def test_the_task_notes_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.thrift.LOOK_EVERY_S", 0.001)
    yard = Yard()
    task = asyncio.ensure_future(keep_thrift(yard.thrift))
    async with asyncio.timeout(10):
        while NOTE not in yard.notes.kept:  # noqa: ASYNC110  # the first look is the first step
            await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_while_the_track_waits_much_of_it_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.thrift.THIN_FROM", 1000)
    yard = Yard(10)
    await yard.s.recorder.add_event("sos", None)
    for second in range(2500):
        yard.s.recorder.add_fix(fix(second, north=0.0001 * second), Reading())
    await yard.s.recorder.commit()
    await thin(yard.thrift)
    assert yard.thrift.thinned == 0, "the budget will do"
    yard.thrift.state = replace(yard.thrift.state, level=budget.SPENT - 1)
    await thin(yard.thrift)
    assert yard.thrift.thinned > 900, "a straight road"
    yard.minutes(1)
    assert yard.thrift.state.waiting == 2501 - yard.thrift.thinned
    box(yard.s).acked = 1250
    yard.minutes(1)
    assert yard.thrift.thinned < 700, "half of it has gone"
    await thin(yard.thrift)
    assert yard.s.recorder.waiting - yard.thrift.thinned < 1000
    assert [row.kind for row in await box(yard.s).read(1, 1)] == [Kind.EVENT]
