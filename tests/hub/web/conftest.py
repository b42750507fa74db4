"""The web part on a real port, on twins in memory."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from hub.adapters.memory import MemoryNow, MemoryStore
from hub.boards import Boards
from hub.core.access import digest
from hub.core.registry import Registry, Token
from hub.core.views import Views
from hub.ports import Surroundings
from hub.web.api import build
from hub.web.live import Streams
from hub.web.server import HttpServer
from tests.hub.makers import T0, a_watch
from tests.rigs import eventually
from wire.messages import Live, Status

TOKEN, FOREIGN = "token-of-main", "token-of-north"
LIVE = Live(T0, 41.28, -96.08, 10.0, 90.0, eps_m=10.0)


class Web:
    """A web part, and clients for it."""

    def __init__(self, pages: Path) -> None:
        self.at_ms = T0 + 5000
        self.store, self.now, self.watch = MemoryStore(), MemoryNow(), a_watch()
        self.boards = Boards(self.now, self.store.last_pos, self.watch)
        self.views = Views()
        self.pages = pages
        self.registry = Registry()
        self.parts: dict[str, str | None] = {"store": None, "redis": None}
        self.stream_clients, self.client_rate, self.client_silent_s = 4, 50.0, 5.0
        self.url = ""
        self.looks = 0
        self.streams: Streams
        self._secrets = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def people(self) -> None:
        for fleet, token in (("main", TOKEN), ("north", FOREIGN)):
            await self.store.add_fleet(fleet, T0)
            await self.store.add_token(Token(digest(token), fleet, fleet, "read"), T0)
        for vehicle, fleet in (("van-1", "main"), ("van-2", "main"), ("far", "north")):
            await self.store.add_vehicle(vehicle, fleet, name=vehicle.title(), tags=[], now_ms=T0)
            await self.store.add_device(f"gw-{vehicle}", vehicle, password_hash="H", valid_from_ms=0, now_ms=T0)
        await self.refresh()

    async def refresh(self) -> None:
        self.registry = await self.store.registry()
        self.boards.know(self.registry)
        self.views.know(self.registry)
        await self.show()

    async def look_again(self) -> None:
        self.looks += 1
        await self.refresh()

    async def show(self) -> None:
        for fleet, states in self.views.take_dirty().items():
            await self.now.put(fleet, states, self.at_ms)

    async def live(self, vehicle: str, live: Live) -> None:
        self.views.live(vehicle, live, self.at_ms)
        self.views.status(vehicle, Status(True, "c"), online=True)
        await self.show()

    async def start(self) -> None:
        around = Surroundings(
            store=self.store, now=self.now, registry=lambda: self.registry, board=self.boards.of, watch=self.watch,
            utc_ms=lambda: self.at_ms, random_token=lambda: f"made-{next(self._secrets)}",
            render_metrics=self.watch.render, ready=lambda: self.parts, registry_changed=self.refresh,
            look_again=self.look_again, tile_url="https://{s}.tiles.example/{z}/{x}/{y}.png", attribution="© somebody",
            stream_clients=self.stream_clients, client_rate=self.client_rate, client_silent_s=self.client_silent_s,
            near_vehicles=2, pages=str(self.pages),
        )  # fmt: skip
        application, self.streams = build(around, "0")
        server = HttpServer("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.port}"
        works = (server.run(application, self.streams.bye), self.boards.run(), self.boards.look())
        self._tasks = [asyncio.create_task(work) for work in works]
        await eventually(lambda: server.serves and self.boards.follows, every_s=0.01)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @contextlib.asynccontextmanager
    async def http(self, token: str | None = TOKEN) -> AsyncIterator[httpx.AsyncClient]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10) as client:
            yield client

    @contextlib.asynccontextmanager
    async def stream(self, token: str | None = TOKEN, **options: Any) -> AsyncIterator["Wire"]:
        url = self.url.replace("http", "ws") + "/v1/stream"
        async with websockets.connect(
            url, subprotocols=[websockets.Subprotocol("odograph.v1")], close_timeout=0.2, **options
        ) as socket:
            wire = Wire(socket)
            if token is not None:
                await wire.say({"op": "auth", "token": token})
                assert (await wire.hear())["op"] == "hello"
            yield wire


class Wire:
    """A stream client."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def hear(self, within_s: float = 3) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.recv(), within_s))

    async def ask(self, frame: object) -> Any:
        await self.say(frame)
        return await self.hear()

    async def rest(self, within_s: float = 5) -> list[Any]:
        """All frames until the close."""
        said = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                said.append(await self.hear(within_s))
        return said

    async def closed(self, within_s: float = 5) -> int:
        await self.rest(within_s)
        return self.socket.close_code or 0


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    made = Web(tmp_path / "dist")
    await made.people()
    yield made
    await made.stop()
