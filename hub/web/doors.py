"""What stands in front of every route: security headers, size of a body, and one form for every refusal."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hub.core import access
from hub.core.registry import Token, Vehicle
from hub.ports import Surroundings
from hub.web.bodies import ErrorBody, Fault
from wire.errors import DecodeError, OdographError, RefusedError, UnavailableError
from wire.ops.watch import WatchCall

MAX_BODY_BYTES = 16_384
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ApiError(HTTPException):
    """A refusal with its HTTP status."""

    def __init__(self, status: int, code: str, message: str, *, where: str | None = None) -> None:
        super().__init__(status, message)
        self.status, self.code, self.message, self.where = status, code, message, where


def refusal(status: int, code: str, message: str, where: str | None = None) -> JSONResponse:
    """The one form of every refusal."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "1"
    body = ErrorBody(error=Fault(code=code, message=message, where=where))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def security_headers(tile_url: str | None) -> list[tuple[bytes, bytes]]:
    """Headers of every answer; the host of the tile server is the only other one that a page may ask."""
    tiles = ""
    if tile_url:
        parts = urlsplit(tile_url)
        tiles = f" {parts.scheme}://{parts.netloc.replace('{s}', '*')}"
    policy = (
        f"default-src 'self'; connect-src 'self' ws: wss:{tiles}; worker-src 'self'; img-src 'self' data: blob:{tiles}; "
        "style-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


async def admitted(around: Surroundings, secret: str | None) -> Token | None:
    """The token behind a secret; one that is not known may have been made a moment ago, so look again."""
    if not secret:
        return None
    token = access.token_of(around.registry(), secret, around.utc_ms())
    if token is None:
        await around.look_again()
        token = access.token_of(around.registry(), secret, around.utc_ms())
    return token


class Door:
    """Adds the headers, counts answers by class, and refuses bodies that are too long before they are read."""

    def __init__(self, app: Any, *, headers: list[tuple[bytes, bytes]], watch: WatchCall) -> None:
        self._app = app
        self._headers = headers
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise ApiError(413, "too-long", f"a body has at most {MAX_BODY_BYTES} bytes")
            return message

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._watch("http.requests", status=f"{message['status'] // 100}xx")
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        await self._app(scope, counted, told)


def _first_fault(error: RequestValidationError) -> tuple[str, str]:
    fault = error.errors()[0]
    return str(fault["msg"]), ".".join(str(part) for part in fault["loc"])


def install(app: FastAPI, *, tile_url: str | None, watch: WatchCall) -> None:
    """Put the door and the forms of refusal in place."""
    app.add_middleware(Door, headers=security_headers(tile_url), watch=watch)

    @app.exception_handler(ApiError)
    async def _api(_request: Request, error: ApiError) -> JSONResponse:
        return refusal(error.status, error.code, error.message, error.where)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        message, where = _first_fault(error)
        return refusal(422, "invalid", message, where)

    @app.exception_handler(500)
    async def _bug(_request: Request, _error: Exception) -> JSONResponse:
        return refusal(500, "bug", "the hub made a mistake; its log says which")

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        answer = refusal(error.status_code, "http", str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(OdographError)
    async def _ours(_request: Request, error: OdographError) -> JSONResponse:
        if isinstance(error, DecodeError):
            return refusal(422, "invalid", str(error), error.where or None)
        if isinstance(error, UnavailableError):
            return refusal(503, error.code, str(error))
        if isinstance(error, RefusedError):
            return refusal(409, error.code, str(error))
        raise error


def vehicle_of(around: Surroundings, vehicle: str, caller: Token) -> Vehicle:
    """A vehicle of the caller's fleet; those of others do not exist."""
    known = around.registry().vehicles.get(vehicle)
    if known is None or known.fleet != caller.fleet:
        raise ApiError(404, "unknown", "there is no such vehicle in this fleet", where="vehicle")
    return known
