"""An ingest to try things on: with its twins in memory, or on a real store."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from hub.adapters.memory import MemoryDown, MemoryNow, MemoryStore
from hub.adapters.store.sql import SqlStore
from hub.boards import Boards
from hub.flow import Limits
from hub.upkeep import Upkeep
from tests.hub.makers import STORE, T0, a_watch
from tests.rigs import eventually
from wire.codec import decode_ack
from wire.messages import Ack, Event, Live, Status

LIVE = Live(T0, 41.28, -96.08, 13.4, 271.0, waiting=3)
SOS = Event(11, T0 + 11_000, "sos", 41.5, -96.5, {"why": "button"})
ON = Status(True, "c1", "0.1", STORE, 10, 10, 2.0)


class Yard:
    """An ingest with its twins, and a clock that stands still."""

    def __init__(self) -> None:
        self.at_ms = T0 + 100
        self.store, self.now, self.down = MemoryStore(), MemoryNow(), MemoryDown()
        self.watch = a_watch()
        self.ingest = Upkeep(self.store, self.now, watch=self.watch, utc_ms=lambda: self.at_ms, limits=Limits(4, 4))
        self.ingest.bulk = self.ingest.fast = self.down
        self.boards = Boards(self.now, self.store.last_pos, self.watch)
        self.ingest.on_registry = self.boards.know
        self._tasks: list[asyncio.Task[None]] = []

    async def people(self) -> None:
        await self.store.add_fleet("main", T0)
        for device, vehicle in (("gw-a", "van-1"), ("gw-b", "van-2")):
            await self.store.add_vehicle(vehicle, "main", name=vehicle.title(), tags=["cooled"], now_ms=T0)
            await self.store.add_device(device, vehicle, password_hash="H", valid_from_ms=T0 - 1000, now_ms=T0)

    async def start(self, *lanes: str) -> None:
        await self.ingest.start()
        self.ingest.on_registry(self.ingest.registry)
        works: dict[str, Callable[[], Any]] = {
            "live": self.ingest.live_lane, "track": self.ingest.track_lane, "word": self.ingest.word_lane,
            "relay": self.ingest.relay, "registry": self.ingest.keep_registry, "save": self.ingest.keep_live,
            "redis": lambda: self.ingest.keep_redis("1"), "boards": self.boards.run, "look": self.boards.look,
        }  # fmt: skip
        self._tasks += [asyncio.create_task(works[name]()) for name in lanes or works]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    def send(self, name: str, payload: bytes, device: str = "gw-a") -> None:
        self.ingest.take(f"odo/1/{device}/up/{name}", payload)

    def acks(self, device: str = "gw-a") -> list[Ack]:
        return [decode_ack(data) for topic, data, _ in self.down.sent if topic == f"odo/1/{device}/down/ack"]

    async def shown(self, vehicle: str = "van-1") -> Any:
        states = [json.loads(raw) for raw in await self.now.everything("main")]
        return next((state for state in states if state["veh"] == vehicle), None)

    async def is_shown(self, **wanted: object) -> None:
        async def fits() -> bool:
            state = await self.shown()
            return state is not None and wanted.items() <= state.items()

        await eventually(fits, every_s=0.01)


@contextlib.asynccontextmanager
async def on_a_real_store(folder: Path) -> AsyncIterator[Yard]:
    """The same, with what comes in kept in SQLite."""
    made = Yard()
    store = SqlStore(folder / "hub.db", None, watch=made.watch)
    await store.open()
    made.store = store  # type: ignore[assignment]  # the same port
    made.ingest._store = store
    await made.people()
    try:
        yield made
    finally:
        await made.stop()
        await store.close()
