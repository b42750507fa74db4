"""The HTTP server: uvicorn on a socket of ours, without its signal handlers and its log."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import uvicorn

from hub.core.frames import MAX_FRAME_BYTES
from wire.errors import UnavailableError

GRACE_S = 2
BACKLOG = 1024


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's, not the server's."""
        yield


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Whoever is asked to end once more meanwhile ends no sooner: the socket must not be closed under the server."""
    ending = asyncio.create_task(work)
    while not ending.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(ending)
    ending.result()


class HttpServer:
    """Serves one application."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)  # now, so that a port in use is told at the start
        except OSError as error:
            self._socket.close()
            raise UnavailableError(f"can't listen on http://{host}:{port}: {error.strerror}") from None
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def serves(self) -> bool:
        """Whether it takes requests."""
        return self._server is not None and self._server.started and not self._server.should_exit

    async def run(self, application: Any, before_end: Callable[[], Awaitable[None]]) -> None:
        """Serve until cancelled; then say good-bye and let open requests end."""
        config = uvicorn.Config(
            application, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio",
            ws_max_size=MAX_FRAME_BYTES, ws_per_message_deflate=False, ws_ping_interval=20, ws_ping_timeout=20,
            timeout_graceful_shutdown=GRACE_S, server_header=False, h11_max_incomplete_event_size=16_384,
        )  # fmt: skip
        self._server = _Server(config)
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        finally:
            await _to_its_end(self._end(self._server, serving, before_end))

    @staticmethod
    async def _end(server: _Server, serving: asyncio.Task[None], before_end: Callable[[], Awaitable[None]]) -> None:
        try:
            await before_end()
        finally:
            server.should_exit = True
            await serving

    def close(self) -> None:
        """Give the port back, if it never served."""
        self._socket.close()
