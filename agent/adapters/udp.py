"""NMEA in UDP datagrams, as routers send it: each datagram stands for itself, what is lost or late costs its sentences."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator

from wire.errors import SilentError, UnavailableError
from wire.ops import clock

WAITING = 256
"""Datagrams that are kept while the agent is busy; the oldest go first."""
SWITCH_MS = 5_000
ROVING = 3
"""A sender of so many ports in a row, none of them twice, opens a new one for each datagram: its address alone counts."""
WHOLE = re.compile(rb"\*[0-9A-Fa-f]{2}\s*\Z")


class UdpDoor:
    """Listens at `host:port`. Two senders would make one vehicle jump: of `sender`, or of all, who came first is heard.

    Another one is heard when the first has been silent for `SWITCH_MS`. Silence of `silence_s` gives the socket up. A
    `sender` that is a name is looked up at each opening.
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
        ears = _Ears(await self._wanted())
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
            others = (
                f"datagrams come from {ears.stranger}, not from gnss.sender {self._sender}; " if ears.stranger else ""
            )
            raise SilentError(f"{others}{self.place} is silent for {self._silence_s:g} s") from error
        finally:
            transport.abort()
            await asyncio.sleep(0)  # asyncio gives the address free in its next turn

    async def _wanted(self) -> frozenset[str]:
        """The addresses of `sender`; none means everybody."""
        if self._sender is None:
            return frozenset()
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self._sender, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            told = getattr(error, "strerror", None) or error
            raise UnavailableError(f"gnss.sender {self._sender} is no address, and has none: {told}") from error
        return frozenset(plain(str(each[4][0])) for each in found)


def plain(address: str) -> str:
    """The address as the settings have it: without a scope, and an IPv4 sender not in the clothes of IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return str((found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found)


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, wanted: frozenset[str]) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self.stranger = ""
        self._wanted = wanted
        self._from: tuple[str, int] | None = None
        self._ports: set[int] = set()
        self._roving = False
        self._last_ms = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        address = plain(addr[0])
        if self._wanted and address not in self._wanted:
            self.stranger = address
        elif self._has_the_word((address, addr[1])) and data:
            if self.heard.full():
                self.heard.get_nowait()
            self.heard.put_nowait(data if not WHOLE.search(data) else data.rstrip() + b"\r\n")

    def _has_the_word(self, sender: tuple[str, int]) -> bool:
        """Whether this one is listened to now: address and port, as two programs of one machine are two senders."""
        now_ms = clock.mono_ms()
        if self._from is None or now_ms - self._last_ms > SWITCH_MS:
            self._from, self._roving = sender, False
        elif sender[0] == self._from[0] and sender != self._from:
            self._ports.add(sender[1])
            self._roving = self._roving or len(self._ports) >= ROVING
        if sender != self._from and not (self._roving and sender[0] == self._from[0]):
            return False
        if sender == self._from:
            self._ports.clear()
        self._last_ms = now_ms
        return True
