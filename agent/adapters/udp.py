"""NMEA in UDP datagrams, as routers send it: each datagram stands for itself, what is lost or late costs its sentences."""

import asyncio
import re
from collections.abc import AsyncIterator

from wire.errors import SilentError, UnavailableError
from wire.ops import clock

WAITING = 256
"""Datagrams that are kept while the agent is busy; the oldest go first."""
SWITCH_MS = 5_000
WHOLE = re.compile(rb"\*[0-9A-Fa-f]{2}\s*\Z")


class UdpDoor:
    """Listens at `host:port`. Two senders would make one vehicle jump: `sender` alone is heard, or who came first.

    Another one is heard when the first has been silent for `SWITCH_MS`. Silence of `silence_s` gives the socket up.
    """

    def __init__(self, host: str, port: int, *, sender: str | None = None, silence_s: float | None = None) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._silence_s = silence_s

    @property
    def place(self) -> str:
        """Host and port."""
        return f"udp {self._host}:{self._port}"

    async def chunks(self) -> AsyncIterator[bytes]:
        """Bind, and give each datagram that arrives. Raises UnavailableError."""
        ears = _Ears(self._sender)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: ears, local_addr=(self._host, self._port))
        except OSError as error:
            cure = "is another program listening there, or is this no address of this machine?"
            raise UnavailableError(f"{self.place}: {error.strerror or error}; {cure}") from error
        try:
            while True:
                async with asyncio.timeout(self._silence_s):
                    data = await ears.heard.get()
                yield data
        except TimeoutError as error:
            strangers = f"; others sent {ears.strangers} datagrams" if ears.strangers else ""
            raise SilentError(f"{self.place} is silent for {self._silence_s:g} s{strangers}") from error
        finally:
            transport.abort()
            await asyncio.sleep(0)  # asyncio gives the address free in its next turn


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, sender: str | None) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self.strangers = 0
        self._only = sender
        self._from: str | None = sender
        self._last_ms = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now_ms = clock.mono_ms()
        if self._only is None and (self._from is None or now_ms - self._last_ms > SWITCH_MS):
            self._from = addr[0]
        if addr[0] != self._from:
            self.strangers += 1
            return
        self._last_ms = now_ms
        if not data:
            return
        if self.heard.full():
            self.heard.get_nowait()
        self.heard.put_nowait(data if not WHOLE.search(data) else data.rstrip() + b"\r\n")
