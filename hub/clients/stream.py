"""The typed Python client of the stream: subscribe, then iterate over frames.

async with Stream("ws://127.0.0.1:8080", token) as stream:
    await stream.subscribe(1)
    async for frame in stream:
        ...
"""

import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from wire.errors import RefusedError, UnavailableError

SUBPROTOCOL = "odograph.v1"
MAX_FRAME_BYTES = 4 << 20

Frame = Mapping[str, Any]


class Stream:
    """One connection. Iterating ends with UnavailableError when the hub closes it."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/") + "/v1/stream"
        self._token = token
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._socket = await connect(
                self._url,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a plain string is a Subprotocol at run time
                additional_headers={"Authorization": f"Bearer {self._token}"},
                max_size=MAX_FRAME_BYTES,
                proxy=None,
            )
        except (OSError, InvalidHandshake) as error:
            raise UnavailableError(f"{self._url}: {error}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def send(self, frame: Frame) -> None:
        """Send one frame as it is."""
        if self._socket is None:
            raise UnavailableError("the stream is not open")
        try:
            await self._socket.send(json.dumps(frame))
        except ConnectionClosed as error:
            raise UnavailableError(f"{self._url}: closed: {error}") from None

    async def subscribe(self, number: int, where: Frame | None = None) -> None:
        """Follow vehicles: all, or those in `{"bbox": …}`, `{"near": …}` or `{"ids": …}`."""
        frame: dict[str, Any] = {"op": "sub", "id": number, "topic": "vehicles"}
        await self.send(frame if where is None else frame | {"where": where})

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Frames as they come; one of `op` error with code `auth` raises RefusedError."""
        if self._socket is None:
            raise UnavailableError("the stream is not open")
        try:
            async for text in self._socket:
                frame: Frame = json.loads(text)
                if frame.get("op") == "error" and frame.get("code") == "auth":
                    raise RefusedError(str(frame.get("message", "the token is refused")))
                yield frame
        except ConnectionClosed as error:
            raise UnavailableError(f"{self._url}: closed: {error}") from None
        raise UnavailableError(f"{self._url}: closed by the hub")
