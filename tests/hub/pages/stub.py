"""The frames and paths that the live page needs, from three made-up drives: for work on the page without a hub."""

import asyncio
import contextlib
import json
import math
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from hub.web.doors import security_headers
from wire.geo import distance_m, moved
from wire.messages import Live
from wire.ops import clock
from wire.predict import predict

DIST = Path(__file__).parents[3] / "hub" / "pages" / "dist"
CODE, TOKEN = "one-time", "odo-stub-token"
EPS_M = 10.0
HISTORY_S = 420


@dataclass(slots=True)
class Drive:
    """A van that takes streets and corners: one fix a second, a live message when the prediction would be wrong."""

    key: str
    name: str
    lat: float
    lon: float
    course: float
    cruise: float
    seed: int
    bus: bool = True
    linked: bool = True
    online: bool = True
    speed: float = 0.0
    turning: float = 0.0
    straight_s: float = 20.0
    live: Live | None = None
    rx_ms: int | None = None
    waiting: int = 0
    pace: int = 4
    behind: bool = False
    fixes: list[tuple[int, float, float]] = field(default_factory=list)
    committed: int = 0

    def tick(self, at_ms: int) -> None:
        dice = random.Random(f"{self.seed}/{len(self.fixes)}")
        if self.turning:
            turn = math.copysign(min(22.5, abs(self.turning)), self.turning)
            self.course, self.turning = (self.course + turn) % 360, self.turning - turn
        else:
            self.straight_s -= 1
            if self.straight_s <= 0:
                self.turning, self.straight_s = dice.choice([90.0, -90.0]), dice.uniform(18, 45)
        wanted = 6.0 if self.turning or self.straight_s < 4 else self.cruise
        before = self.speed
        self.speed += max(-2.0, min(1.5, wanted - self.speed)) if self.cruise else -self.speed
        north, east = (f(math.radians(self.course)) * self.speed for f in (math.cos, math.sin))
        self.lat, self.lon = moved(self.lat, self.lon, north, east)
        self.fixes.append((at_ms, self.lat, self.lon))
        self.sample(at_ms, self.speed - before)

    def sample(self, at_ms: int, accel: float) -> None:
        if self.linked:
            step = self.pace if self.behind else len(self.fixes)
            self.committed = min(len(self.fixes), self.committed + step)
            self.behind = self.committed < len(self.fixes)
        self.waiting = len(self.fixes) - self.committed
        if not self.linked:
            return
        if self.live is not None and at_ms - self.live.at_ms < 30_000:
            lat, lon = predict(self.live, at_ms)
            if distance_m(lat, lon, self.lat, self.lon) <= EPS_M:
                return
        rpm = round(900 + self.speed * 110) if self.bus else None
        accel, turn = (round(accel, 1), math.copysign(22.5, self.turning) if self.turning else 0.0)
        self.live = Live(
            at_ms, round(self.lat, 6), round(self.lon, 6), round(self.speed, 1), round(self.course), accel, turn,
            alt_m=331, accuracy_m=3, eps_m=EPS_M, rpm=rpm,
        )  # fmt: skip
        self.rx_ms = at_ms + 60

    def cut(self) -> None:
        self.linked = False

    def heal(self) -> None:
        self.linked, self.behind, self.live = True, True, None

    def state(self) -> dict[str, object]:
        live = self.live
        flat = live and {
            "v": 1, "t": live.at_ms, "lat": live.lat_deg, "lon": live.lon_deg, "alt": live.alt_m, "spd": live.speed_mps,
            "crs": live.course_deg, "acc": live.accuracy_m, "a": live.accel_mps2, "w": live.turn_dps, "eps": live.eps_m,
            "rpm": live.rpm,
        }  # fmt: skip
        through = self.fixes[self.committed - 1][0] if self.committed else None
        return {
            "veh": self.key, "name": self.name, "on": self.online, "rx": self.rx_ms, "q": self.waiting,
            "live": {key: value for key, value in flat.items() if value is not None} if flat else None,
            "through": through, "catching_up": self.linked and self.behind,
        }  # fmt: skip

    def track(self, from_ms: int) -> dict[str, object]:
        rows = [row for row in self.fixes[: self.committed] if row[0] >= from_ms]
        lines = [[[lon, lat] for _, lat, lon in rows]] if rows else []
        times = [[t for t, _, _ in rows]] if rows else []
        geometry = {"type": "MultiLineString", "coordinates": lines}
        return {"type": "Feature", "geometry": geometry, "properties": {"vehicle": self.key, "times": times}}


def fleet() -> list[Drive]:
    return [
        Drive("van-1", "Van 1", 41.2612, -96.0105, 90, 15.0, 9),
        Drive("van-2", "Van 2", 41.2521, -96.0002, 0, 13.0, 4),
        Drive("truck-7", "Truck 7", 41.2655, -95.9930, 180, 11.0, 12, bus=False),
    ]


class Stub:
    """A hub of straw: every watcher gets a frame a second."""

    def __init__(self, drives: list[Drive]) -> None:
        self.drives = drives
        self.watchers: set[WebSocket] = set()
        self.looked_at: list[object] = []
        self.codes = {CODE}
        self.down = False
        self.tile_url: str | None = None
        self.attribution = ""
        now = clock.utc_ms()
        for drive in drives:
            for second in range(HISTORY_S, 0, -1):
                drive.tick(now - second * 1000)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = clock.utc_ms()
            for drive in self.drives:
                if drive.online:
                    drive.tick(now)
            states = [drive.state() for drive in self.drives]
            await self.tell({"op": "moves", "id": 1, "at": now, "vehicles": states})

    async def tell(self, frame: dict[str, object]) -> None:
        for socket_ in list(self.watchers):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await socket_.send_text(json.dumps(frame))

    async def stream(self, socket_: WebSocket) -> None:
        if self.down:
            return await socket_.close(1013)
        await socket_.accept("odograph.v1")
        await socket_.send_json({"op": "hello", "v": 1, "at": clock.utc_ms()})
        try:
            while True:
                frame = await socket_.receive_json()
                if frame["op"] == "auth" and frame["token"] != TOKEN:
                    await socket_.send_json({"op": "error", "id": None, "code": "auth", "message": ""})
                    return await socket_.close(4001)
                if frame["op"] == "sub" and frame["id"] != 1:
                    self.looked_at.append(frame["where"]["ids"])
                    one = [drive.state() for drive in self.drives if drive.key in frame["where"]["ids"]]
                    told = {"op": "snapshot", "id": frame["id"], "at": clock.utc_ms(), "vehicles": one}
                    await socket_.send_json(told)
                elif frame["op"] == "unsub":
                    self.looked_at.append(None)
                elif frame["op"] == "sub":
                    states = [drive.state() for drive in self.drives]
                    await socket_.send_json({"op": "snapshot", "id": 1, "at": clock.utc_ms(), "vehicles": states})
                    self.watchers.add(socket_)
                if frame["op"] == "ping":
                    await socket_.send_json({"op": "pong", "at": clock.utc_ms()})
        except (WebSocketDisconnect, RuntimeError):
            return None
        finally:
            self.watchers.discard(socket_)

    async def break_streams(self) -> None:
        self.down = True
        for socket_ in list(self.watchers):
            await socket_.close(1012)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def policy(request: Request, call_next: object) -> Response:
            response: Response = await call_next(request)  # type: ignore[operator]  # starlette's own type says object
            for name, value in security_headers(self.tile_url):
                response.headers[name.decode()] = value.decode()
            return response

        @app.post("/v1/login")
        async def login(request: Request) -> JSONResponse:
            code = (await request.json())["code"]
            if code not in self.codes:
                return JSONResponse({"code": "refused"}, 401)
            self.codes.discard(code)
            return JSONResponse({"token": TOKEN, "expires_ms": clock.utc_ms() + 3_600_000})

        @app.get("/page.json")
        async def page() -> dict[str, object]:
            return {"tile_url": self.tile_url, "attribution": self.attribution}

        @app.get("/v1/vehicles/{key}/track")
        async def track(key: str, request: Request) -> JSONResponse:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return JSONResponse({"code": "auth"}, 401)
            drive = next(drive for drive in self.drives if drive.key == key)
            return JSONResponse(drive.track(int(request.query_params["from"])))

        app.add_api_websocket_route("/v1/stream", self.stream)
        app.mount("/", StaticFiles(directory=DIST, html=True))
        return app


@contextlib.asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """An application on a free port of the loopback; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it by this flag only
            await asyncio.sleep(0.02)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


@contextlib.asynccontextmanager
async def serving(stub: Stub) -> AsyncIterator[str]:
    """The stub on a free port of the loopback; yields its URL."""
    async with listening(stub.app()) as port:
        running = asyncio.create_task(stub.run())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
