"""A fleet of real processes whose parts are killed at random instants: agents, hub, Mosquitto, Valkey. Then the account is settled.

A witness reads each outbox while its agent is dead: what stood there then was committed, whatever becomes of the file later.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from agent.adapters.sqlite_file import Reader
from agent.core.salvage import OPEN
from agent.cutting import event_of, row_of_body
from agent.outbox import check
from agent.ports import Kind, Stored
from bench.yard import Gateway, Hub, Process
from tests.e2e.parts import drained, exported
from tests.kills.mosquitto import Mosquitto
from tests.rigs import RECORDINGS
from wire.track import decode_batch

DRIVES = ("nds-drive33.csv.gz", "nds-drive10.csv.gz", "nds-drive11.csv.gz", "nds-drive06.csv")
SAMPLING = "[sampling]\nupload_s = 0.5\ncommit_s = 0.3\n"
PATIENCE = "spread_s = 1\nsilent_s = 2\nkeepalive_s = 5\n"
SPEED = 4.0
PARTS: dict[str, tuple[float, float]] = {
    "agent": (0.1, 5.0), "hub": (1.0, 14.0), "broker": (0.3, 9.0), "redis": (0.5, 12.0),
}  # fmt: skip
"""Each part is killed so many seconds after it was started, evenly spread between these."""
CALLS_OF_AN_AGENT = {"fdatasync": 40, "pwrite64": 160, "fsync": 8}
"""Which calls, and up to which of them: opening an outbox takes some already."""
WHOLE_SHARE, TRACED_S = 0.06, 20.0
DRAIN_S = 90.0
DRIVING_S = 4.0
"""Before the account is settled nobody is killed for so long: a part that is killed at each start never commits a thing."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A record as it stood in the outbox; `open` while it had no time, and `h` is empty from the first open one on."""

    kind: str
    body: bytes
    h: str
    open: bool

    def is_still(self, now: "Committed") -> bool:
        """Whether it is the same, but for the time that an open one was given since, and the hashes behind it."""
        if not self.open:
            return (self.kind, self.body) == (now.kind, now.body) and self.h in {"", now.h}
        return self.kind == now.kind and json.loads(self.body)[1:] == json.loads(now.body)[1:]


@dataclass(slots=True)
class Vehicle:
    """An agent and its rig, and what the witness has seen committed, by seq."""

    gateway: Gateway
    seen: dict[int, Committed] = field(default_factory=dict)
    store: str = ""
    faults: list[str] = field(default_factory=list)

    def witness(self) -> None:
        """Look into the outbox of an agent that is dead. What was seen before must still be there."""
        if not self.gateway.outbox.exists():
            return
        found, store = committed(self.gateway.outbox)
        if self.store and store != self.store:
            self.faults.append(f"{self.gateway.vehicle}: store {self.store} has become {store}")
        self.store = store or self.store
        for seq, told in self.seen.items():
            if (now := found.get(seq)) is None or not told.is_still(now):
                self.faults.append(f"{self.gateway.vehicle}: record {seq} was committed as {told}, and is now {now}")
        self.seen |= found


def committed(path: Path) -> tuple[dict[int, Committed], str]:
    """Every record of an outbox, and its store; nothing if there are no tables yet."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if not {"record", "meta"} <= tables:
        return {}, ""
    found: dict[int, Committed] = {}
    with Reader(path) as box:
        settled = True
        for one in box.records():
            settled = settled and one.at_ms != OPEN
            found[one.seq] = Committed(one.kind, one.body, one.h if settled else "", one.at_ms == OPEN)
        return found, box.facts().meta.get("store", "")


@dataclass(slots=True)
class World:
    """A hub with its broker and vehicles. `program` is what runs as agent: perhaps one with a planted bug.

    With `whole`, some agents are killed by strace at one of their own writes or fsyncs instead of at an instant.
    """

    folder: Path
    chance: random.Random
    program: str = "agent.cli"
    whole: bool = False
    vehicles: list[Vehicle] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    hub: Hub = field(init=False)
    broker: Mosquitto = field(init=False)
    wanted: int = 0
    fixes: int = 0

    async def start(self, vehicles: int) -> None:
        """Everything up and driving."""
        self.broker = Mosquitto(self.folder / "broker")
        self.hub = self.broker.hub(self.folder / "hub")
        for i in range(vehicles):
            drive = RECORDINGS / DRIVES[i % len(DRIVES)]
            gateway = Gateway(
                f"gw-kill-{i}", f"kill-{i}", drive, self.folder / f"v{i}", self.broker.url, extra=SAMPLING,
                hub_extra=PATIENCE, speed=SPEED, loop=True, with_obd=i % 2 == 0,
            )  # fmt: skip
            gateway.agent = self._agent(gateway)
            self.vehicles.append(Vehicle(gateway))
        await self.vehicles[0].gateway.introduce(self.hub)  # the first makes the store and the fleet
        await asyncio.gather(*(one.gateway.introduce(self.hub) for one in self.vehicles[1:]))
        await self.broker.furnish(self.hub)
        await self.broker.process.start()
        await self.hub.start()
        await asyncio.gather(*(one.gateway.start_rig() for one in self.vehicles))
        await asyncio.gather(*(one.gateway.start_agent() for one in self.vehicles))

    def _agent(self, gateway: Gateway, *before: str) -> Process:
        command = [*before, sys.executable, "-m", self.program, "run", "--config", str(gateway.config)]
        return Process("agent", command, folder=gateway.folder)

    async def stop(self) -> None:
        """End all that was started."""
        for one in self.vehicles:
            await one.gateway.stop()
        await self.hub.process.stop()
        await self.broker.process.stop()

    async def rage(self, kills: int) -> None:
        """So many kills, of all parts at once, each in its own time."""
        self.wanted = self.kills.total() + kills
        works = [self._again("agent", one) for one in self.vehicles]
        works += [self._again(part, None) for part in ("hub", "broker", "redis")]
        tasks = [asyncio.create_task(work) for work in works]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _due(self, part: str) -> float:
        least, most = PARTS[part]
        return (
            self.chance.uniform(least, most) if self.chance.random() > 0.3 else self.chance.uniform(least, least + 1.0)
        )

    async def _again(self, part: str, vehicle: Vehicle | None) -> None:
        while self.kills.total() < self.wanted:
            await asyncio.sleep(self._due(part))
            if self.kills.total() >= self.wanted:
                return
            if await self._kill(part, vehicle):
                self.kills[part] += 1

    async def _kill(self, part: str, vehicle: Vehicle | None) -> bool:
        if part == "agent":
            assert vehicle is not None
            if not vehicle.gateway.agent.running:
                self.faults.append(f"{vehicle.gateway.vehicle}: the agent has ended by itself")
            await vehicle.gateway.agent.kill()
            vehicle.witness()
            if self.whole and self.chance.random() < WHOLE_SHARE:
                await self._kill_at_a_call(vehicle)
            await vehicle.gateway.agent.start()
            return True
        if part == "hub":
            if not self.hub.process.running:
                self.faults.append("the hub has ended by itself")
            await self.hub.process.kill()
            await self.hub.process.start()
            return True
        if part == "broker":
            await self.broker.process.kill()
            await self.broker.process.start()
            return True
        for one in self._valkeys():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
                return True
        return False

    async def _kill_at_a_call(self, vehicle: Vehicle) -> None:
        """A whole agent that dies as it enters one of its own writes or fsyncs, whichever comes first."""
        gateway = vehicle.gateway
        call, most = self.chance.choice(tuple(CALLS_OF_AN_AGENT.items()))
        inject = f"inject={call}:signal=SIGKILL:when={self.chance.randint(1, most)}"
        traced = self._agent(gateway, "strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
        await traced.start()
        deadline = time.monotonic() + TRACED_S
        while traced.running and time.monotonic() < deadline:  # noqa: ASYNC110  # a process that is to die tells nobody
            await asyncio.sleep(0.05)
        self.kills["agent at a call" if not traced.running else "agent"] += 1
        if traced.running:
            for one in psutil.Process(traced.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        await traced.kill()
        vehicle.witness()

    def _valkeys(self) -> list[psutil.Process]:
        """The server that is the hub's own child; none while that starts."""
        with contextlib.suppress(psutil.Error):
            return [
                one for one in psutil.Process(self.hub.process.pid).children(recursive=True) if "valkey" in one.name()
            ]
        return []

    async def settle(self) -> list[str]:
        """Let everything drain, end the agents, and hold outboxes, witness, store, ledger and API against each other."""
        await asyncio.sleep(DRIVING_S)
        for one in self.vehicles:
            await one.gateway.rig.stop()
        try:
            await asyncio.gather(*(drained(one.gateway, within_s=DRAIN_S) for one in self.vehicles))
        except AssertionError as error:
            self.faults.append(f"not drained: {error}"[:3000])
        for one in self.vehicles:
            await one.gateway.agent.stop()
            one.witness()
        account: dict[str, Any] = await self.hub.json("ledger")
        books = {one["device"]: one for one in account["devices"]}
        for one in self.vehicles:
            self.faults += one.faults
            self.faults += [f"{one.gateway.vehicle}: {fault}" for fault in check(one.gateway.outbox)]
            self.faults += self._judged(one, books.get(one.gateway.identity))
            rows = [json.loads(line) for line in (await exported(self.hub, one.gateway.vehicle)).splitlines()]
            fixes = [seq for seq, told in one.seen.items() if told.kind == Kind.FIX.value]
            self.fixes += len(fixes)
            if Counter(row["seq"] for row in rows) != Counter(fixes):
                self.faults.append(f"{one.gateway.vehicle}: the API gives {len(rows)} of {len(fixes)} fixes")
        for process in (self.hub.process, *(one.gateway.agent for one in self.vehicles)):
            if "Traceback" in process.log.read_text(encoding="utf-8", errors="replace"):
                self.faults.append(f"a bug shows in the log of {process.log}")
        return self.faults

    def _judged(self, one: Vehicle, book: dict[str, Any] | None) -> list[str]:
        """The store of the hub against the outbox: each record once, in order, as it was written."""
        name, faults = one.gateway.vehicle, list[str]()
        newest = max(one.seen, default=0)
        if sorted(one.seen) != list(range(1, newest + 1)):
            faults.append(f"{name}: the outbox has {len(one.seen)} of {newest} records")
        held, order, doubled = chunks(self.hub.folder / "data" / "odograph.db", one.gateway.identity, one.store)
        if order != sorted(order):
            faults.append(f"{name}: the chunks are out of order")
        faults += [f"{name}: record {seq} is in the store {n + 1} times" for seq, n in doubled.items()]
        for seq, told in one.seen.items():
            stored = Stored(seq, Kind(told.kind), None, told.body, told.h)
            wanted = row_of_body(told.body) if told.kind == Kind.FIX.value else event_of(stored)
            if held.get(seq) != wanted:
                faults.append(f"{name}: record {seq} is {wanted} in the outbox and {held.get(seq)} in the store")
        faults += [f"{name}: record {seq} is in the store and in no outbox" for seq in held.keys() - one.seen.keys()]
        wrong = book is None or book["off"] or book["lost"] or book["out_there"] or book["received"] != newest
        if wrong:
            faults.append(f"{name}: {newest} recorded, the ledger says {book}")
        return faults[:20]


def chunks(path: Path, device: str, store: str) -> tuple[dict[int, object], list[int], Counter[int]]:
    """What the hub's store holds of a device: records by seq, the first seqs as they were stored, and what is there again."""
    held: dict[int, object] = {}
    order: list[int] = []
    doubled: Counter[int] = Counter()
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        query = "SELECT first, payload FROM track_chunk WHERE device = ? AND store = ? ORDER BY id"
        for first, payload in db.execute(query, (device, store)):
            order.append(first)
            batch = decode_batch(payload)
            for seq, told in (*batch.rows, *((event.seq, event) for event in batch.events)):
                doubled[seq] += seq in held
                held[seq] = told
        events = [seq for (seq,) in db.execute("SELECT seq FROM event WHERE device = ? AND store = ?", (device, store))]
    for seq, n in Counter(events).items():
        doubled[seq] += n - 1
    return held, order, +doubled


@contextlib.asynccontextmanager
async def a_world(
    folder: Path, seed: int, vehicles: int, *, program: str = "agent.cli", whole: bool = False
) -> AsyncIterator[World]:
    """A world for as long as the block lasts."""
    world = World(folder, random.Random(seed), program, whole)
    try:
        await world.start(vehicles)
        yield world
    finally:
        await world.stop()


async def run(world: World, kills: int) -> str:
    """The kills and the account; gives a line about it."""
    began = time.monotonic()
    await world.rage(kills)
    raged_s = time.monotonic() - began
    await world.settle()
    settled_s = time.monotonic() - began - raged_s
    told = ", ".join(f"{part} {n}" for part, n in sorted(world.kills.items()))
    return f"{told}; {raged_s:.0f} s, settled in {settled_s:.0f} s: {world.fixes} fixes, {len(world.faults)} violations"
