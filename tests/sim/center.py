"""The hub's side: its own ingest on a store whose commits take time, survive a crash, and can go back to a backup."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from hub.adapters.memory import MemoryNow, MemoryStore
from hub.core.marks import Incoming, Outcome, StoredEvent
from hub.flow import Limits
from hub.upkeep import Upkeep
from tests.sim.kit import Process, copied
from wire.errors import UnavailableError
from wire.topics import Way, parse

if TYPE_CHECKING:
    from tests.sim.world import World

LIMITS = Limits(2_000, 2_000)


class SimStore(MemoryStore):
    """The twin of the store, on a disk that takes its time."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self.world = world

    async def append(self, groups: Sequence[Incoming]) -> list[Outcome]:
        await self.world.hub.step("append")
        outcomes = await super().append(groups)
        await self.world.hub.step("append done")
        return outcomes

    async def add_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        await self.world.hub.step("events")
        refused = await super().add_events(events)
        await self.world.hub.step("events done")
        return refused


class Hub:
    """One hub: a process, and a store that outlives it."""

    def __init__(self, world: "World", rng: Random) -> None:
        self.world, self.rng = world, rng
        self.store = SimStore(world)
        self.backup: SimStore | None = None
        self.process: Process | None = None
        self.ingest: Upkeep | None = None
        self.crash_in: int | None = None

    async def step(self, what: str) -> None:
        """A step that takes a moment, and at which the power may fail."""
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.world.count(f"hub crash at: {what}")
                self.crash(self.rng.uniform(0.5, 60.0))
        await asyncio.sleep(self.rng.uniform(0.001, 0.04))

    def boot(self) -> None:
        self.process = Process("hub")
        self.process.start(self._run(self.process))

    async def _run(self, process: Process) -> None:
        ingest = Upkeep(
            self.store, MemoryNow(), watch=self.world.hub_watch, utc_ms=self.world.utc_ms, limits=LIMITS
        )  # fmt: skip
        ingest.bulk = ingest.fast = Way2Devices(self, process)
        ingest.on_registry = lambda _registry: None
        while True:
            try:
                await ingest.start()
                break
            except UnavailableError:
                await asyncio.sleep(1.0)
        self.ingest = ingest
        for topic, payload in self.world.broker.retained():
            ingest.take(topic, payload)
        await asyncio.gather(ingest.live_lane(), ingest.track_lane(), ingest.word_lane())

    def crash(self, away_s: float) -> None:
        """It is killed, and comes back later."""
        self.crash_in = None
        process, self.process, self.ingest = self.process, None, None
        if process is None:
            return
        self.store = copied(self.store)
        process.kill()
        asyncio.get_running_loop().call_later(away_s, self._again)

    def _again(self) -> None:
        if self.process is None:
            self.boot()

    def save(self) -> None:
        """A backup, of one moment."""
        self.backup = copied(self.store)

    def restore(self) -> None:
        """Yesterday's backup takes the place of the store."""
        if self.backup is not None:
            self.crash(self.rng.uniform(1.0, 30.0))
            self.world.oracle.rolled_back(self.store, self.backup)
            self.store = copied(self.backup)
            self.store.down = False

    def hear(self, topic: str, payload: bytes) -> None:
        """From the broker; nobody hears while the hub is away."""
        if self.ingest is not None:
            self.ingest.take(topic, payload)


class Way2Devices:
    """The hub's way down. What a dead process says is not carried."""

    def __init__(self, hub: Hub, process: Process) -> None:
        self._hub, self._process = hub, process

    @property
    def up(self) -> bool:
        return self._process.alive

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._process.alive:
            device, row = parse(topic)
            if row.way is Way.DOWN and row.name == "ack":
                self._hub.world.oracle.acked(device, payload)
            self._hub.world.broker.to_device(topic, payload)
