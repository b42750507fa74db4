"""The TCP door: reading, writing, and each way to be unavailable, half open too."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from agent.adapters.tcp import TcpDoor
from wire.errors import UnavailableError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def peer(handler: Handler) -> AsyncIterator[int]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def drained(door: TcpDoor, got: bytearray) -> None:
    async with asyncio.timeout(10), aclosing(door.chunks()) as chunks:  # type: ignore[type-var]  # an async generator behind its protocol
        async for chunk in chunks:
            got += chunk


async def test_reads_until_the_end() -> None:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"$GPRMC")
        await writer.drain()

    got = bytearray()
    async with peer(handler) as port:
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+ closed the connection"):
            await drained(TcpDoor("127.0.0.1", port), got)
    assert got == b"$GPRMC"


async def test_connects_first_to_be_written_to() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"\r") + b">")

    async with peer(handler) as port:
        door, got = TcpDoor("127.0.0.1", port), bytearray()
        with pytest.raises(UnavailableError, match="is not connected"):
            await door.write(b"ATI\r")
        await door.connect()
        await door.write(b"ATI\r")
        with pytest.raises(UnavailableError):
            await drained(door, got)
        assert got == b"ATI\r>"
        with pytest.raises(UnavailableError, match="is not connected"):
            await door.write(b"ATI\r")
        await door.connect()
        with pytest.raises(UnavailableError):
            await asyncio.gather(drained(door, got), door.write(b"ATZ\r"))
        assert got == b"ATI\r>ATZ\r>", "it can be opened again"


async def test_nobody_there_and_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UnavailableError, match="is the port right"):
        await TcpDoor("127.0.0.1", port).connect()
    with pytest.raises(UnavailableError, match=r"192\.0\.2\.1:2947"):
        await TcpDoor("192.0.2.1", 2947, connect_s=0.1).connect()


async def test_half_open_is_given_up() -> None:
    """A peer that has gone without a word: nothing comes any more, and nothing ends either."""
    async with peer(lambda _r, _w: asyncio.sleep(1)) as port:
        with pytest.raises(UnavailableError, match=r"is silent for 0\.1 s"):
            await drained(TcpDoor("127.0.0.1", port, silence_s=0.1), bytearray())


async def test_the_kernel_is_told_to_look_after_it() -> None:
    async with peer(lambda _r, _w: asyncio.sleep(0.2)) as port:
        door = TcpDoor("127.0.0.1", port)
        await door.connect()
        assert door._link is not None
        raw = door._link[1].get_extra_info("socket")
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
        with pytest.raises(UnavailableError):
            await drained(door, bytearray())


async def test_a_reset() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with peer(handler) as port:
        door = TcpDoor("127.0.0.1", port)
        await door.connect()
        await door.write(b"x" * 100_000)
        with pytest.raises(UnavailableError):
            await drained(door, bytearray())


async def test_a_peer_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.adapters.tcp.WRITE_LIMIT_S", 0.1)
    async with peer(lambda _r, _w: asyncio.sleep(0.5)) as port:
        door = TcpDoor("127.0.0.1", port)
        await door.connect()
        with pytest.raises(UnavailableError, match="takes no data"):
            await door.write(b"x" * 20_000_000)
        with pytest.raises(UnavailableError):
            await drained(door, bytearray())
