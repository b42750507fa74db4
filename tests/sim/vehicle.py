"""The vehicle's side: the agent's own flow, recorder and uplink on a card, driven by a road that a seed has laid."""

import asyncio
import math
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from agent.core import sampler, timing
from agent.core.dating import Moment
from agent.core.gnss.dates import ERA_MS
from agent.flow import LiveLane, Senses, Vehicle, take
from agent.lanes import Config, Uplink
from agent.ports import Limits, Session, Stored
from agent.recorder import Recorder
from agent.tidy import keep_tidy
from agent.uplink import stay_linked
from tests.sim.card import Card
from tests.sim.kit import Process
from wire.geo import moved
from wire.messages import Fix, Live

if TYPE_CHECKING:
    from tests.sim.world import World

DAY_MS = 86_400_000


class Tally:
    """Counts what parts watch."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, name: str, /, n: int = 1, **details: object) -> None:
        self.counts[name] += n


class SimClock:
    """The agent's clock of one boot, by the rules of the real one. Nothing tells the time before the receiver does."""

    def __init__(self, world: "World", boot: str, *, known: bool) -> None:
        self._world, self._boot, self._start_ms = world, boot, world.ms()
        self._state = timing.State(world.utc_ms(), timing.Basis.SYSTEM) if known else timing.State()

    @property
    def basis(self) -> timing.Basis:
        return self._state.basis

    def mono_ms(self) -> int:
        return self._world.ms() - self._start_ms

    def now(self) -> Moment:
        return Moment(self._state.utc_ms(self.mono_ms()), self._boot, self.mono_ms())

    def judge(self, at_ms: int) -> tuple[int | None, timing.Verdict]:
        floor_ms = self._world.utc_ms(0) - DAY_MS
        self._state, true_ms, verdict = timing.receiver(self._state, at_ms, self.mono_ms(), floor_ms=floor_ms)
        return true_ms, verdict


class Road:
    """Where the vehicle is, second by second; it speeds up, turns, brakes and stands."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.place = (48.0 + rng.random(), 11.0 + rng.random())
        self.speed_mps, self.course_deg = 0.0, rng.random() * 360.0
        self._accel, self._turn, self._left_s = 0.0, 0.0, 0.0

    def fix(self, at_ms: int, lapse_s: float, *, parked: bool) -> Fix:
        """The next one."""
        if parked:
            self.speed_mps, self._accel, self._turn = 0.0, 0.0, 0.0
        elif self._left_s <= 0.0:
            rng = self._rng
            self._left_s = rng.uniform(2.0, 25.0)
            self._accel = rng.choice([0.0, 0.0, 0.0, 1.0, -1.5]) if self.speed_mps else 1.5
            self._turn = rng.choice([0.0, 0.0, 0.0, 5.0, -5.0, 12.0])
        self._left_s -= lapse_s
        self.speed_mps = min(33.0, max(0.0, self.speed_mps + self._accel * lapse_s))
        if self.speed_mps:
            self.course_deg = (self.course_deg + self._turn * min(lapse_s, 2.0)) % 360.0
            way_m, course = self.speed_mps * lapse_s, math.radians(self.course_deg)
            self.place = moved(*self.place, way_m * math.cos(course), way_m * math.sin(course))
        return Fix(at_ms, *self.place, 500.0, self.speed_mps, self.course_deg, accuracy_m=2.0)


class Rig:
    """One gateway: its card, its process, its road. `Rig` outlives its boots."""

    def __init__(self, world: "World", device: str, rng: Random, *, card: Card | None = None) -> None:
        self.world, self.device, self.rng = world, device, rng
        plan = world.plan
        limits = Limits(max_bytes=plan.card_bytes)
        self.card = Card(self, limits, keep=rng.choice([0, 50, 400])) if card is None else card
        self.card.rig = self
        self.road = Road(rng)
        self.process: Process | None = None
        self.boots = 0
        self.crash_in: int | None = None
        self.misdates = 0
        self.parked = self.ended = False
        self.senses: Senses | None = None
        self.uplink: Uplink | None = None
        self.session: Session | None = None
        self.pubacked: Live | None = None
        self.in_flight: Live | None = None
        self.sos_open: dict[tuple[str, int], float] = {}
        self.driven_s = 0.0

    async def step(self, what: str) -> None:
        """A step that takes a moment, and at which the power may fail."""
        if self.crash_in is not None and what != "fix":
            self.crash_in -= 1
            if self.crash_in < 0:
                self.world.count(f"agent crash at: {what}")
                self.crash(self.rng.uniform(3.0, 90.0))
        await asyncio.sleep(self.rng.uniform(0.002, 0.03))

    def boot(self) -> None:
        """Start the agent."""
        self.boots += 1
        self.process = Process(self.device)
        self.process.start(self._run(self.process))

    def crash(self, away_s: float) -> None:
        """The power fails, and comes back later."""
        self.crash_in = None
        if self.process is None or not self.process.alive:
            return
        self.world.oracle.power_cut(self)
        process, self.process = self.process, None
        self.card = self.card.survivor()
        self.world.broker.unplug(self)
        self.forget_link()
        process.kill()
        asyncio.get_running_loop().call_later(away_s, self._again)

    def _again(self) -> None:
        if self.process is None and not self.ended:
            self.boot()

    async def park(self) -> None:
        """The ignition goes off: what waits is committed, and the machine says good-bye."""
        process = self.process
        if process is None or self.senses is None:
            return
        await self.senses.recorder.add_event("ignition-off", self.senses.vehicle.fix)
        if process.alive and self.process is process:
            self.process = None
            process.cancel()
            await asyncio.sleep(2.0)
            self.card = self.card.survivor()
            self.world.broker.unplug(self)
            self.forget_link()
            process.kill()

    def forget_link(self) -> None:
        self.session, self.pubacked, self.in_flight = None, None, None

    async def _run(self, process: Process) -> None:
        world, rng = self.world, self.rng
        clock = SimClock(world, f"boot{self.boots:x}", known=rng.random() < 0.7)
        watch = world.agent_watch
        recorder = Recorder(self.card, clock, watch=watch, commit_ms=world.plan.commit_ms)
        lane = LiveLane(sampler.Config())
        senses = Senses(Vehicle(), recorder, lane, clock, watch)
        config = Config("sim", f"c{self.boots}-{rng.randrange(1 << 32):x}", upload_s=world.plan.upload_s)
        up = Uplink(self.card, recorder, lane, senses, clock, watch, config, rng.random)
        recorder.on_event = lambda stored: self._committed(stored, up)
        recorder.on_dated = up.nudge.set
        self.senses, self.uplink = senses, up
        await asyncio.gather(
            stay_linked(world.broker.way_of(self, process), up), keep_tidy(up), recorder.keep_committing(),
            recorder.keep_dating(), self._drive(senses),
        )  # fmt: skip

    def _committed(self, stored: Stored, up: Uplink) -> None:
        self.world.oracle.event_committed(self, stored)
        up.take_event(stored)

    async def _drive(self, senses: Senses) -> None:
        """Fixes as the receiver gives them; now and then somebody calls for help."""
        world, rng = self.world, self.rng
        if self.boots > 1 or rng.random() < 0.5:
            await senses.recorder.add_event("restarted", None)
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        while True:
            lapse_s = 5.0 if self.parked else world.plan.fix_s
            fix = self.road.fix(world.utc_ms(), lapse_s, parked=self.parked)
            if self.misdates > 0:
                self.misdates -= 1
                fix = replace(fix, at_ms=fix.at_ms - ERA_MS * 3 - 7 * DAY_MS)
            await take(fix, senses)
            self.driven_s += 0.0 if self.parked else lapse_s
            world.oracle.after_fix(self, senses, fix)
            if not self.parked and rng.random() < lapse_s / world.plan.event_every_s:
                kind = rng.choice(["sos", "battery-low", "ignition-on"])
                await senses.recorder.add_event(kind, senses.vehicle.fix, {"n": rng.randrange(1 << 20)})
                world.oracle.event_told(self, senses)
            await asyncio.sleep(lapse_s)
