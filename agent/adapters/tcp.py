"""A TCP connection as a door: a router that serves NMEA, a WiFi ELM327."""

import asyncio
import socket
from collections.abc import AsyncIterator

from wire.errors import SilentError, UnavailableError

READ_SIZE = 16_384
WRITE_LIMIT_S = 2.0
HALF_OPEN_MS = 8_000
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, HALF_OPEN_MS),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""The kernel finds out by itself that the other side is gone, also when nothing is to be said."""


class TcpDoor:
    """A server at `host:port`. A link that says nothing for `silence_s` is given up: it may be half open."""

    def __init__(self, host: str, port: int, *, connect_s: float = 5.0, silence_s: float | None = None) -> None:
        self._host = host
        self._port = port
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    async def connect(self) -> None:
        """Connect now; else `chunks` does it. Who wants to write first needs it. Raises UnavailableError."""
        try:
            async with asyncio.timeout(self._connect_s):
                self._link = await asyncio.open_connection(self._host, self._port)
        except TimeoutError as error:
            raise UnavailableError(f"{self.place} does not answer; is it on, and on this network?") from error
        except OSError as error:
            told = error.strerror or error
            raise UnavailableError(f"{self.place}: {told}; is it on, and is the port right?") from error
        peer = self._link[1].get_extra_info("socket")
        for level, option, value in KEEPALIVE:
            peer.setsockopt(level, option, value)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what arrives. Raises UnavailableError when it can't connect or the stream ends."""
        if self._link is None:
            await self.connect()
        assert self._link is not None
        reader, writer = self._link
        try:
            while True:
                async with asyncio.timeout(self._silence_s):
                    data = await reader.read(READ_SIZE)
                if not data:
                    raise UnavailableError(f"{self.place} closed the connection")
                yield data
        except TimeoutError as error:
            if error.errno is not None:  # the kernel gave it up
                raise UnavailableError(f"{self.place}: {error.strerror}") from error
            raise SilentError(f"{self.place} is silent for {self._silence_s:g} s") from error
        except OSError as error:
            raise UnavailableError(f"{self.place}: {error.strerror or error}") from error
        finally:
            self._link = None
            writer.transport.abort()  # a half-open peer would hold what was not sent for minutes

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises UnavailableError, also while there is no connection."""
        if self._link is None:
            raise UnavailableError(f"{self.place} is not connected")
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                self._link[1].write(data)
                await self._link[1].drain()
        except TimeoutError as error:
            raise UnavailableError(f"{self.place} takes no data") from error
        except OSError as error:
            raise UnavailableError(f"{self.place}: {error.strerror or error}") from error
