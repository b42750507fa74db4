"""The gpsd door: what it asks, and each way to be unavailable. With a real gpsd it is tested in `test_rig.py`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent.adapters.gpsd import GpsdDoor
from agent.adapters.gpsd_poll import look
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


async def test_asks_and_gives_until_the_end() -> None:
    asked = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b'{"class":"VERSION"}\n{"class":"TPV","mo')
        await writer.drain()
        writer.write(b'de":1}\r\n')

    got = bytearray()

    async def read(port: int) -> None:
        async for chunk in GpsdDoor(port=port).chunks():
            got.extend(chunk)

    async with peer(handler) as port:
        with pytest.raises(UnavailableError, match="closed the connection"):
            await read(port)
    assert (asked, bytes(got)) == ([b'?WATCH={"enable":true,"json":true}\n'], b'{"class":"TPV","mode":1}\r\n')


async def test_a_gpsd_without_a_receiver_is_silent() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'{"class":"VERSION"}\n{"class":"DEVICES","devices":[]}\n{"class":"ERROR","message":"no device"}\n'
        )
        await reader.read(-1)

    async with peer(handler) as port:
        with pytest.raises(UnavailableError, match=r"is silent for 0\.2 s; gpsd says: no device"):
            await anext(aiter(GpsdDoor(port=port, silence_s=0.2).chunks()))


async def test_nobody_there() -> None:
    async with peer(lambda _r, _w: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(UnavailableError, match="is it running"):
        await anext(aiter(GpsdDoor(port=port).chunks()))


async def test_silent_for_too_long() -> None:
    async with peer(lambda reader, _w: asyncio.wait_for(reader.read(-1), 2)) as port:
        with pytest.raises(UnavailableError, match=r"is silent for 0\.1 s"):
            await anext(aiter(GpsdDoor(port=port, silence_s=0.1).chunks()))


async def test_no_answer_to_the_connection() -> None:
    with pytest.raises(UnavailableError, match=r"gpsd at 192.0.2.1:2947"):
        await anext(aiter(GpsdDoor("192.0.2.1", 2947, connect_s=0.1).chunks()))


async def test_a_reset() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with peer(handler) as port:
        with pytest.raises(UnavailableError):
            await anext(aiter(GpsdDoor(port=port).chunks()))


@pytest.mark.parametrize(
    ("hello", "poll", "said"),
    [
        (b'{"class":"VERSION"}\n', b'{"class":"POLL","active":0}\n', "no active receiver"),
        (b'{"class":"VERSION"}\n', b'{"class":"POLL","active":1,"tpv":[],"sky":[]}\n', "IndexError"),
        (b"SSH-2.0\n", b"", "JSONDecodeError"),
    ],
)
async def test_a_look_that_fails(hello: bytes, poll: bytes, said: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello)
        while line := await reader.readline():
            watch = b'{"class":"DEVICES","devices":[{}]}\n{"class":"WATCH"}\n'
            writer.write(poll if line.startswith(b"?POLL") else watch)

    async with peer(handler) as port:
        with pytest.raises(UnavailableError, match=said):
            await asyncio.to_thread(look, "127.0.0.1", port, timeout_s=2.0)


def test_a_look_at_nobody() -> None:
    with pytest.raises(UnavailableError, match="no position"):
        look("127.0.0.1", 1)
