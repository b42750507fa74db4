"""Redis loses everything while vehicles move: with a real Valkey, by FLUSHALL and by a kill; nothing stale stays."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.adapters.memory import MemoryDown, MemoryStore
from hub.adapters.redis import RedisNow
from hub.adapters.valkey import EmbeddedValkey
from hub.core import keys
from hub.flow import Limits
from hub.upkeep import Upkeep
from tests.hub.makers import STORE, T0, a_watch
from tests.rigs import eventually
from wire.codec import encode_live, encode_status
from wire.errors import UnavailableError
from wire.messages import Live, Status

VEHICLES = 450


class Yard:
    """An ingest on a real Valkey, and vehicles that never stop."""

    def __init__(self, url: str) -> None:
        self.now, self.store, self.watch = RedisNow(url), MemoryStore(), a_watch()
        self.at_ms = T0 + 1000
        self.ingest = Upkeep(
            self.store, self.now, watch=self.watch, utc_ms=lambda: self.at_ms, limits=Limits(10, VEHICLES * 2)
        )
        self.ingest.bulk = self.ingest.fast = MemoryDown()
        self.ingest.on_registry = lambda _registry: None
        self.round = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.store.add_fleet("main", T0)
        for i in range(VEHICLES):
            await self.store.add_vehicle(f"v{i}", "main", name=f"V{i}", tags=[], now_ms=T0)
            await self.store.add_device(f"gw-{i}", f"v{i}", password_hash="H", valid_from_ms=0, now_ms=T0)
        await self.ingest.start()
        works = (self.ingest.live_lane(), self.ingest.word_lane(), self.ingest.keep_redis("1"), self.moving())
        self.tasks = [asyncio.create_task(work) for work in works]
        await eventually(lambda: self.ingest.redis_tried and self.ingest.redis_fault is None, every_s=0.01)

    async def moving(self) -> None:
        """All the time a new place for every vehicle, a piece at a time."""
        while True:
            self.round += 1
            for i in range(VEHICLES):
                live = Live(T0 + self.round, 41.0 + i * 1e-4, -96.0, 10.0, 90.0, waiting=self.round)
                self.ingest.take(f"odo/1/gw-{i}/up/live", encode_live(live))
                if i % 50 == 0:
                    await asyncio.sleep(0.002)
            await asyncio.sleep(0.005)

    async def shown(self) -> dict[str, Any]:
        try:
            return {state["veh"]: state for state in map(json.loads, await self.now.everything("main"))}
        except UnavailableError:
            return {}

    async def whole(self) -> bool:
        """Every vehicle is there and marked as filled."""
        with contextlib.suppress(UnavailableError):
            return await self.now.filled("main") == "1" and len(await self.shown()) == VEHICLES
        return False

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.now.close()


@pytest.fixture
async def yard(valkey: EmbeddedValkey) -> AsyncIterator[Yard]:
    made = Yard(valkey.url)
    await made.start()
    yield made
    await made.stop()


async def agrees(yard: Yard) -> None:
    """Once the vehicles rest, Redis shows of each what the hub knows: nothing older has gone over it."""
    yard.tasks.pop().cancel()

    async def same() -> bool:
        known = {name: yard.ingest.views.get(name) for name in yard.ingest.views.names_of("main")}
        shown = await yard.shown()
        return len(shown) == VEHICLES and all(
            view is not None and view.live is not None and shown[name]["live"]["t"] == view.live.at_ms
            and shown[name]["on"] == view.online for name, view in known.items()
        )  # fmt: skip

    await eventually(same, every_s=0.02)


async def test_a_flush_under_load_is_mended_while_moves_go_on(yard: Yard, valkey: EmbeddedValkey) -> None:
    await eventually(yard.whole, every_s=0.02)
    moves = yard.watch.count("live.received")
    for _ in range(3):
        await yard.now._redis.flushall()
        await eventually(yard.whole, every_s=0.02)
    assert yard.watch.count("live.received") > moves
    assert yard.watch.count("redis.rebuilt") >= 3
    for i in range(VEHICLES):  # a status changes the text and not the time: the order alone could not tell old from new
        yard.ingest.take(f"odo/1/gw-{i}/up/status", encode_status(Status(True, "c", "0", STORE, 1, 1, 1.0)))
    await yard.now._redis.flushall()
    await eventually(yard.whole, every_s=0.02)
    await agrees(yard)


async def test_a_flush_in_the_middle_of_filling_is_seen(yard: Yard) -> None:
    await eventually(yard.whole, every_s=0.02)
    put, flushed = yard.now.put, False

    async def losing(fleet: str, states: Any, at_ms: int) -> int:
        nonlocal flushed
        done = await put(fleet, states, at_ms)
        if not flushed and str(await yard.now.filled(fleet)).startswith("filling:"):
            flushed = True
            await yard.now._redis.flushall()
        return done

    yard.now.put = losing  # type: ignore[method-assign]  # a fault between two pieces
    await yard.now._redis.flushall()
    await eventually(lambda: yard.watch.count("redis.refill") >= 1, every_s=0.02)
    await eventually(yard.whole, every_s=0.02)
    await agrees(yard)


async def test_a_killed_valkey_comes_back_empty_and_is_filled(yard: Yard, valkey: EmbeddedValkey) -> None:
    await eventually(yard.whole, every_s=0.02)
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    await eventually(lambda: yard.watch.count("redis.down") >= 1, every_s=0.02)
    await eventually(yard.whole, every_s=0.02)
    await eventually(lambda: yard.ingest.redis_fault is None, every_s=0.02)
    near = await yard.now.near("main", 41.0, -96.0, radius_m=1e6, most=VEHICLES)
    assert len(near) == VEHICLES
    assert await yard.now._redis.hlen(keys.of("main").order) == VEHICLES
    await agrees(yard)
