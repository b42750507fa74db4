"""A world from one seed: vehicles, roads, weather, a broker, a hub, faults; and after them a calm, in which all comes in."""

import asyncio
import traceback
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from hub.core.registry import Binding, Device, Registry
from hub.core.registry import Vehicle as Registered
from tests.sim import faults
from tests.sim.broker import Broker, Weather
from tests.sim.center import Hub
from tests.sim.invariants import Broken, Oracle
from tests.sim.judgement import judge
from tests.sim.kit import run
from tests.sim.vehicle import Rig, Tally

START_MS = 1_760_000_000_000
CALM_S = 420.0
PATIENCE_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed has chosen."""

    seed: int
    vehicles: int
    hours: float
    fix_s: float
    commit_ms: int
    upload_s: float
    event_every_s: float
    card_bytes: int
    park_s: tuple[float, float]
    faults: tuple[str, ...]

    @classmethod
    def of(cls, seed: int, *, hours: float | None = None, only: Sequence[str] = ()) -> "Plan":
        rng = Random(f"plan {seed}")
        return cls(
            seed=seed,
            vehicles=rng.choice([1, 1, 2, 3]),
            hours=rng.uniform(0.4, 1.2) if hours is None else hours,
            fix_s=rng.choice([1.0, 1.0, 2.0, 5.0]),
            commit_ms=rng.choice([1_000, 5_000, 10_000]),
            upload_s=rng.choice([5.0, 20.0, 60.0, 60.0, 300.0]),
            event_every_s=rng.choice([60.0, 200.0, 600.0]),
            card_bytes=rng.choice([40_000, 200_000, 256_000_000, 256_000_000]),
            park_s=rng.choice([(30.0, 300.0), (1_800.0, 36_000.0)]),
            faults=tuple(only) or tuple(name for name in faults.FAULTS if rng.random() < 0.45),
        )


@dataclass(slots=True)
class Result:
    """What became of a world."""

    plan: Plan
    broken: list[Broken]
    checks: Counter[str]
    happened: Counter[str]
    driven_s: float
    lasted_s: float
    records: int
    digest: int = field(default=0)


class World:
    """Everything, and what it is to be judged by."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = self.rng_of("world")
        self.oracle = Oracle(self)
        self.happened: Counter[str] = Counter()
        self.agent_watch, self.hub_watch = Tally(), Tally()
        self.broker = Broker(self)
        self.hub = Hub(self, self.rng_of("hub"))
        self.rigs: list[Rig] = []
        self.twins: list[Rig] = []
        self.faulty = True
        self._records = 0

    def rng_of(self, what: str) -> Random:
        """A source of chance of its own for each part, so that one does not disturb another."""
        return Random(f"{what} {self.plan.seed}")

    @staticmethod
    def ms() -> int:
        return round(asyncio.get_running_loop().time() * 1000.0)

    def utc_ms(self, ms: int | None = None) -> int:
        return START_MS + (self.ms() if ms is None else ms)

    def next_record(self) -> int:
        self._records += 1
        return self._records

    def count(self, what: str) -> None:
        self.happened[what] += 1

    def on_fault(self, context: dict[str, Any]) -> None:
        """A task has ended with an error that nobody took."""
        error = context.get("exception")
        where = "" if error is None else " ".join(traceback.format_tb(error.__traceback__)[-3:])
        self.oracle.broken.append(Broken("nothing falls over", f"{error or context.get('message')!r} {where}", -1.0))

    async def live(self) -> None:
        """From the first boot to the judgement."""
        plan = self.plan
        self._people()
        self.hub.boot()
        await asyncio.sleep(1.0)
        for rig in [*self.rigs]:
            rig.boot()
        days = [asyncio.ensure_future(self._day(rig)) for rig in self.rigs]
        days += [asyncio.ensure_future(faults.keep(name, self, self.rng_of(name))) for name in plan.faults]
        days.append(asyncio.ensure_future(self._look()))
        await asyncio.sleep(plan.hours * 3600.0)
        self.faulty = False
        for task in days:
            task.cancel()
        await asyncio.wait(days)
        for task in days:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        await self._calm()
        judge(self)

    def _people(self) -> None:
        names = [f"gw-{n}" for n in range(1, self.plan.vehicles + 1)]
        vehicles = {name.replace("gw", "van"): Registered(name.replace("gw", "van"), "main", name) for name in names}
        devices = {name: Device(name, "main", bindings=(Binding(name.replace("gw", "van"), 0),)) for name in names}
        self.hub.store._registry = Registry(1, ("main",), vehicles, devices)
        for name in names:
            self.broker.weather[name] = Weather()
            self.rigs.append(Rig(self, name, self.rng_of(name)))

    async def _day(self, rig: Rig) -> None:
        """Drives and stops; over a long one the machine sleeps."""
        rng = rig.rng
        while True:
            await asyncio.sleep(rng.uniform(120.0, 2_400.0))
            rig.parked = True
            await asyncio.sleep(rng.uniform(10.0, 60.0))
            await rig.park()
            await asyncio.sleep(rng.uniform(*self.plan.park_s))
            rig.parked = False
            if rig.process is None and not rig.ended:
                rig.boot()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(97.0)
            await self.oracle.look()

    async def _calm(self) -> None:
        """The faults are over, and everybody is awake. The vehicles stand, then they are silent: all must come in."""
        faults.end_all(self)
        await asyncio.sleep(120.0)
        for rig in self.rigs:
            rig.parked = True
            if rig.process is None and not rig.ended:
                rig.boot()
        await asyncio.sleep(CALM_S)
        started_s = self.oracle.now_s()
        while self.oracle.now_s() - started_s < PATIENCE_S:
            await asyncio.sleep(20.0)
            if all(self._is_in(rig) for rig in self.rigs):
                break
        late = [f"{rig.device}: {rig.card.acked} of {rig.card.newest}" for rig in self.rigs if not self._is_in(rig)]
        self.oracle.check("progress resumes", not late, "; ".join(late))
        await self.oracle.look()
        self.freeze()

    def _is_in(self, rig: Rig) -> bool:
        card, mark = rig.card, self.hub.store._marks.get((rig.device, rig.card.store))
        return rig.ended or (mark is not None and card.acked == mark.last >= card.newest - 70)

    def freeze(self) -> None:
        """The rest has come to an end: what was made in the last minute is not asked for."""
        for rig in self.rigs:
            mark = self.hub.store._marks.get((rig.device, rig.card.store))
            upto = 0 if mark is None else mark.last
            for (store, seq), (number, _) in rig.card.truth.items():
                if store == rig.card.store and seq > upto:
                    self.oracle.gone.add(number)


def simulate(seed: int, *, hours: float | None = None, only: Sequence[str] = (), **changes: Any) -> Result:
    """One world, from its beginning to its end; `changes` go over what the seed has chosen."""
    world = World(replace(Plan.of(seed, hours=hours, only=only), **changes))
    loop = run(world.live(), world.on_fault)
    driven_s = sum(rig.driven_s for rig in world.rigs)
    told = sorted(world.happened.items()), sorted(world.agent_watch.counts.items()), sorted(world.oracle.checks.items())
    digest = zlib.crc32(repr(told).encode())
    return Result(
        world.plan, world.oracle.broken, world.oracle.checks, world.happened, driven_s, loop.time(),
        world._records, digest,
    )  # fmt: skip
