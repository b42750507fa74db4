"""The REST API, the page and the stream as one application."""

import html
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, StreamingResponse

from hub.core import access, exports
from hub.core.fanout import Shown
from hub.core.registry import Token, Vehicle
from hub.ports import Surroundings
from hub.web import bodies
from hub.web.books import Books
from hub.web.doors import ApiError, admitted, install, vehicle_of
from hub.web.live import Streams
from wire.codec import decode_live, dump
from wire.predict import bound_m, predict
from wire.track import MAX_ROWS

MOST_RADIUS_M = 1_000_000.0
LOOPBACK = frozenset({"127.0.0.1", "::1"})
NOT_BUILT = (
    "The live page is not built in this installation. Build it with: make pages\nThe API is described at /docs\n"
)
REFUSED: dict[str, Any] = {
    "description": "Why it was refused",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
}
Lat = Annotated[float, Query(ge=-90, le=90)]
Lon = Annotated[float, Query(ge=-180, le=180)]


def build(around: Surroundings, version: str) -> tuple[FastAPI, Streams]:
    """The application, and its stream's clients."""
    app = FastAPI(
        title="Odograph hub", version=version, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        responses={"default": REFUSED | {"model": bodies.ErrorBody}},
    )  # fmt: skip
    streams = Streams(around)
    install(app, tile_url=around.tile_url, watch=around.watch)

    async def stream(socket: WebSocket) -> None:
        await streams.serve(socket)

    app.add_api_websocket_route("/v1/stream", stream)
    _Vehicles(around).mount(app)
    _Tracks(around).mount(app)
    Books(around, _caller(around)).mount(app)
    _Login(around).mount(app)
    _Health(around).mount(app)
    _pages(app, around)
    return app, streams


async def _bearer(request: Request, around: Surroundings) -> Token | None:
    return await admitted(around, access.bearer(request.headers.get("authorization")))


def _caller(around: Surroundings) -> Any:
    """The dependency that lets a token in."""

    async def caller(request: Request) -> Token:
        token = await _bearer(request, around)
        if token is None:
            raise ApiError(401, "auth", "this wants a token: Authorization: Bearer …")
        return token

    return Depends(caller)


class _Vehicles:
    """Where the vehicles of a fleet are."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def mount(self, app: FastAPI) -> None:
        token = _caller(self._around)

        @app.get("/v1/vehicles", response_model=bodies.Vehicles, summary="All vehicles of the fleet")
        async def vehicles(caller: Token = token) -> Response:
            shown = self._around.board(caller.fleet).vehicles
            texts = [self._text(vehicle, shown) for vehicle in self._around.registry().fleet_vehicles(caller.fleet)]
            return _raw(f'{{"at":{self._around.utc_ms()},"vehicles":[{",".join(texts)}]}}')

        @app.get(
            "/v1/vehicles/{vehicle}", response_model=bodies.VehicleNow, summary="One vehicle, with where it is now"
        )
        async def one(vehicle: str, caller: Token = token) -> Response:
            known = vehicle_of(self._around, vehicle, caller)
            state = json.loads(self._text(known, self._around.board(caller.fleet).vehicles))
            return _raw(dump(state | {"now": self._now(state)}).decode())

        @app.get("/v1/near", response_model=bodies.NearVehicles, summary="Vehicles around a place, nearest first")
        async def near(
            lat: Lat,
            lon: Lon,
            radius_m: Annotated[float, Query(gt=0, le=MOST_RADIUS_M)] = 5000,
            limit: Annotated[int, Query(ge=1)] = 20,
            caller: Token = token,
        ) -> Response:
            most = min(limit, self._around.near_vehicles)
            found = await self._around.now.near(caller.fleet, lat, lon, radius_m=radius_m, most=most)
            shown = self._around.board(caller.fleet).vehicles
            states = [
                json.loads(shown[name].text) | {"distance_m": round(far_m, 1)} for name, far_m in found if name in shown
            ]
            return _raw(dump({"at": self._around.utc_ms(), "vehicles": states, "cut": len(found) == most}).decode())

    def _text(self, vehicle: Vehicle, shown: dict[str, Shown]) -> str:
        if vehicle.vehicle in shown:
            return shown[vehicle.vehicle].text
        return dump({
            "veh": vehicle.vehicle, "name": vehicle.name, "on": False, "live": None, "rx": None, "q": 0,
            "through": None, "catching_up": False,
        }).decode()  # fmt: skip

    def _now(self, state: dict[str, Any]) -> dict[str, object] | None:
        if state["live"] is None:
            return None
        live, at_ms = decode_live(dump(state["live"])), self._around.utc_ms()
        lat, lon = predict(live, at_ms)
        off_m = bound_m(live, at_ms, online=bool(state["on"]))
        return {"lat": round(lat, 7), "lon": round(lon, 7), "bound_m": round(off_m, 1), "at": at_ms}


def _raw(text: str) -> Response:
    """JSON that is text already."""
    return Response(text, media_type="application/json")


class _Tracks:
    """Where the vehicles were, and what came in."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def mount(self, app: FastAPI) -> None:
        token = _caller(self._around)

        @app.get("/v1/vehicles/{vehicle}/track", summary="The track of a vehicle, streamed", response_class=Response)
        async def track(
            vehicle: str,
            start: Annotated[str, Query(alias="from", description="ISO 8601 or milliseconds since 1970")],
            end: Annotated[str | None, Query(alias="to")] = None,
            form: Annotated[str, Query(alias="format", pattern="^(geojson|gpx|csv|ndjson)$")] = "geojson",
            caller: Token = token,
        ) -> StreamingResponse:
            known = vehicle_of(self._around, vehicle, caller)
            from_ms = exports.when(start, "from")
            until_ms = exports.MAX_TIME_MS if end is None else exports.when(end, "to")
            if until_ms <= from_ms:
                raise ApiError(422, "invalid", "to must be later than from", where="to")
            await self._around.store.registry_version()  # answers now, before the status line is out
            headers = {"Content-Disposition": f'attachment; filename="{known.vehicle}.{form}"'}
            pieces = self._pieces(known.vehicle, form, from_ms, until_ms)
            return StreamingResponse(pieces, media_type=exports.CONTENT_TYPES[form], headers=headers)

    async def _pieces(self, vehicle: str, form: str, from_ms: int, until_ms: int) -> AsyncIterator[str]:
        export = exports.FORMATS[form](vehicle)
        yield export.head()
        for stay in self._around.registry().stays(vehicle, from_ms, until_ms):
            async for chunk in self._around.store.chunks(stay.device, stay.from_ms, stay.until_ms):
                part = export.part(list(exports.points(chunk.payload, stay.device, stay))[:MAX_ROWS])
                if part:
                    yield part
        yield export.tail()


class _Login:
    """A one-use code for a token; what the page needs to know."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._attempts = access.Attempts()

    def mount(self, app: FastAPI) -> None:
        @app.post("/v1/login", summary="Change a one-use code into a token for reading")
        async def login(body: bodies.Login, request: Request) -> bodies.Session:
            return await self._login(body.code, request.client.host if request.client else "?")

        @app.get("/page.json", summary="What the live page needs before it signs in")
        async def page() -> bodies.PageSettings:
            return bodies.PageSettings(tile_url=self._around.tile_url, attribution=self._around.attribution)

    async def _login(self, code: str, address: str) -> bodies.Session:
        now_ms = self._around.utc_ms()
        wait_ms = self._attempts.wait_ms(address, now_ms)
        if wait_ms:
            raise ApiError(429, "too_many", f"too many tries; wait {wait_ms // 1000 + 1} s")
        secret, expires_ms = self._around.random_token(), now_ms + access.LOGIN_TOKEN_MS
        wanted = Token(access.digest(secret), "login", "", access.READ, expires_ms)
        token = await self._around.store.redeem(access.digest(code), wanted, now_ms)
        if token is None:
            self._attempts.failed(address, now_ms)
            self._around.watch("login.failed", address=address)
            raise ApiError(
                401, "auth", "this code is wrong, used or too old; make another with: odograph-hub login-code"
            )
        await self._around.registry_changed()
        self._around.watch("login.done", fleet=token.fleet)
        return bodies.Session(token=secret, expires_ms=expires_ms)


class _Health:
    """For machines that watch the hub."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def mount(self, app: FastAPI) -> None:
        @app.get("/health/live", summary="The process answers")
        async def alive() -> dict[str, str]:
            return {"status": "ok"}

        @app.get(
            "/health/ready",
            summary="Every part answers; else which does not",
            responses={503: {"description": "The same, with the parts that do not answer"}},
        )
        async def ready(response: Response) -> dict[str, object]:
            parts = self._around.ready()
            fine = not any(parts.values())
            response.status_code = 200 if fine else 503
            return {
                "status": "ok" if fine else "not ready",
                "parts": {name: why or "ok" for name, why in parts.items()},
            }

        @app.get(
            "/metrics",
            summary="Counters in the Prometheus text format",
            response_class=PlainTextResponse,
            responses={"default": REFUSED},  # without the model, which FastAPI would call plain text here
        )
        async def metrics(request: Request) -> PlainTextResponse:
            here = request.client is not None and request.client.host in LOOPBACK
            proxied = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
            if (not here or proxied) and await _bearer(request, self._around) is None:
                raise ApiError(401, "auth", "metrics want a token, or this machine itself")
            return PlainTextResponse(self._around.render_metrics(), media_type="text/plain; version=0.0.4")

        @app.get("/docs", include_in_schema=False)
        async def docs() -> HTMLResponse:
            return HTMLResponse(_described(app.openapi()))


def _described(schema: dict[str, Any]) -> str:
    """The API as a plain table: nothing is loaded from elsewhere."""
    rows = [
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td><td>{html.escape(call.get('summary', ''))}</td>"
        f"<td>{html.escape(', '.join(p['name'] for p in call.get('parameters', [])))}</td></tr>"
        for path, calls in schema["paths"].items()
        for method, call in calls.items()
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Odograph API</title><style>body{font:16px system-ui;"
        "margin:2rem}td{padding:.3rem 1rem .3rem 0;border-top:1px solid #ccc}</style><h1>Odograph API</h1><p>Send "
        "<code>Authorization: Bearer TOKEN</code>. Machine-readable: <a href=/openapi.json>/openapi.json</a>. The stream "
        f"is a WebSocket at <code>/v1/stream</code>.</p><table>{''.join(rows)}</table></html>"
    )


def _file_of(root: Path, path: str) -> Path | None:
    """The file of this path below a folder; None for what is none, and for what the system takes for no path at all."""
    try:
        wanted = (root / path).resolve()
        return wanted if wanted.is_relative_to(root) and wanted.is_file() else None
    except (OSError, ValueError):  # a name that is too long; a NUL
        return None


def _pages(app: FastAPI, around: Surroundings) -> None:
    """The built page and its parts; only files of that folder."""
    root = Path(around.pages).resolve()

    @app.get("/{path:path}", include_in_schema=False)
    async def page(path: str) -> Response:
        if path.startswith("v1/"):
            raise ApiError(404, "unknown", "there is no such call; see /docs")
        if not (root / "index.html").is_file():
            if path:
                raise ApiError(404, "unknown", "there is no such page")
            return PlainTextResponse(NOT_BUILT, status_code=503)
        wanted = _file_of(root, path or "index.html")
        if wanted is None:
            raise ApiError(404, "unknown", "there is no such page")
        lasting = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        return FileResponse(wanted, headers={"Cache-Control": lasting})
