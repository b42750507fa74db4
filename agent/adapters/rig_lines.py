"""The rig's lines: ptys under stable names that garble at a wrong speed and can be pulled out, TCP and UDP beside them."""

import array
import asyncio
import fcntl
import os
import socket
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent.core.rig.uart import heard_at
from wire.errors import SettingsError, UnavailableError

READER_LIMIT_S = 2.0
DEAF_SETTLE_S = 0.02
"""The kernel hands over what was written some moments later; a closed pty takes the rest with it."""
SLOW_CLIENT = 65_536
DATAGRAM = 1_200
LOOPBACK = "127.0.0.1"
SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name.startswith("B") and name[1:].isdigit()}
"""The kernel's numbers for speeds."""


class Pty:
    """The master's side; the slave is held open too, so that a reader may come and go.

    With `baud` it is a line of that speed: who has set another one gets, and says, garbage.
    """

    def __init__(self, baud: int | None = None) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.dropped = 0
        self._baud = baud
        self._deaf = False

    def close(self) -> None:
        os.close(self.master)
        os.close(self._slave)

    def _unread(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._slave, termios.FIONREAD, count)
        return count[0]

    def _readers_baud(self) -> int:
        return SPEEDS.get(termios.tcgetattr(self._slave)[5], 0)

    async def settled(self) -> bool:
        """Wait until all was read; who was not there the last time is not waited for."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(DEAF_SETTLE_S if self._deaf else 0)
        limit_s = loop.time() + (0.0 if self._deaf else READER_LIMIT_S)
        while (unread := self._unread() > 0) and loop.time() < limit_s:  # noqa: ASYNC110  # a tty does not tell when it was read
            await asyncio.sleep(0.004)
        self._deaf = unread
        return not unread

    async def burst(self, data: bytes) -> None:
        """Write when the one before has been read; after `READER_LIMIT_S` nobody reads, and it is thrown away."""
        if not await self.settled():
            self.dropped += 1
            termios.tcflush(self._slave, termios.TCIFLUSH)
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + READER_LIMIT_S
        rest = memoryview(self._sent(data))
        while rest and loop.time() < limit_s:
            if not (written := self._written(rest)):
                await asyncio.sleep(0.004)
            rest = rest[written:]

    def write(self, data: bytes) -> None:
        """Write what fits now."""
        self._written(self._sent(data))

    def read(self) -> bytes:
        """What the other side has said."""
        data = os.read(self.master, 256)
        baud = self._readers_baud()
        return data if self._baud is None else heard_at(data, baud, self._baud) if baud else b"\0"

    def _sent(self, data: bytes) -> bytes:
        baud = self._readers_baud()
        return data if self._baud is None else heard_at(data, self._baud, baud) if baud else b"\0"

    def _written(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0


class Port:
    """A pty under its stable name; it can be pulled out and put back, as a new one."""

    def __init__(self, name: str, folder: Path | None, *, baud: int | None = None) -> None:
        self._name = name
        self._folder = folder
        self._baud = baud
        self._dropped = 0
        self.pty: Pty | None = None

    @property
    def path(self) -> str:
        """The pty's own name; empty while it is pulled out."""
        return "" if self.pty is None else self.pty.path

    @property
    def dropped(self) -> int:
        """Bursts that nobody read."""
        return self._dropped + (0 if self.pty is None else self.pty.dropped)

    def plug(self) -> None:
        """Make it, and its link at once: a reader never finds half a link. Raises UnavailableError."""
        if self.pty is not None:
            return
        self.pty = Pty(self._baud)
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._folder / f".{self._name}.{os.getpid()}"
            fresh.symlink_to(self.pty.path)
            fresh.replace(self._folder / self._name)
        except OSError as error:
            raise UnavailableError(f"--link {self._folder}: {error.strerror or error}") from error

    def pull(self) -> None:
        """Take it away, and its link, if that is still ours."""
        pty, self.pty = self.pty, None
        if pty is None:
            return
        if self._folder is not None:
            link = self._folder / self._name
            with suppress(OSError):
                if str(link.readlink()) == pty.path:
                    link.unlink()
        self._dropped += pty.dropped
        pty.close()


class TcpFeed:
    """Serves what the receiver says to everybody who connects to the loopback."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def plug(self) -> None:
        """Listen. Raises UnavailableError."""
        if self._server is not None:
            return
        try:
            self._server = await asyncio.start_server(self._client, LOOPBACK, self.port)
        except OSError as error:
            raise UnavailableError(f"--tcp {self.port}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        """Listen no more, and close what is open."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._clients):
            writer.transport.abort()

    def send(self, data: bytes) -> None:
        """To everybody; who does not read is thrown out."""
        for writer in list(self._clients):
            if writer.transport.get_write_buffer_size() > SLOW_CLIENT:
                writer.transport.abort()
            else:
                writer.write(data)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with suppress(OSError):
                while await reader.read(1024):
                    pass
        finally:
            self._clients.discard(writer)
            writer.transport.abort()


class UdpFeed:
    """Sends what the receiver says to one address, some sentences in each datagram."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise SettingsError([f"--udp {target}: wants HOST:PORT"])
        self._target = (host, int(port))
        try:
            family, kind, _, _, self._target = socket.getaddrinfo(*self._target, type=socket.SOCK_DGRAM)[0]  # type: ignore[assignment]  # IPv6 has four parts
            self._socket = socket.socket(family, kind)
        except OSError as error:
            raise SettingsError([f"--udp {target}: {error.strerror or error}"]) from error
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        """Whether somebody listens is not known, and makes no difference."""
        for datagram in datagrams(data):
            with suppress(OSError):
                self._socket.sendto(datagram, self._target)

    def close(self) -> None:
        self._socket.close()


def datagrams(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as fit."""
    packed = b""
    for line in data.splitlines(keepends=True):
        if packed and len(packed) + len(line) > DATAGRAM:
            yield packed
            packed = b""
        packed += line
    if packed:
        yield packed


class Receiver:
    """All the ways in which one receiver is heard."""

    def __init__(self, port: Port, *, tcp: TcpFeed | None = None, udp: UdpFeed | None = None) -> None:
        self._port = port
        self._tcp = tcp
        self._udp = udp

    async def plug(self) -> None:
        """There it is. Raises UnavailableError."""
        self._port.plug()
        if self._tcp is not None:
            await self._tcp.plug()

    async def pull(self) -> None:
        """It is gone."""
        self._port.pull()
        if self._tcp is not None:
            await self._tcp.pull()

    async def burst(self, data: bytes) -> None:
        """The network first: it does not wait for who reads the pty."""
        if not data:
            return
        if self._tcp is not None:
            self._tcp.send(data)
        if self._udp is not None:
            self._udp.send(data)
        if self._port.pty is not None:
            await self._port.pty.burst(data)
