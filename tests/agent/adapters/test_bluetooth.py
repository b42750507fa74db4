"""The Bluetooth door. Its socket is a real one, of another family: what a kernel with Bluetooth does is not tested here."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from agent.adapters.bluetooth import BluetoothDoor, rfcomm
from wire.errors import UnavailableError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
ADDRESS = "00:1D:A5:68:98:8B"


def local() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


@asynccontextmanager
async def adapter(folder: Path, handler: Handler) -> AsyncIterator[BluetoothDoor]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    path = str(folder / "rfcomm")
    server = await asyncio.start_unix_server(closing, path)
    async with server:
        yield BluetoothDoor(ADDRESS, make=local, at=path)


async def drained(door: BluetoothDoor, got: bytearray) -> None:
    async with asyncio.timeout(10), aclosing(door.chunks()) as chunks:  # type: ignore[type-var]  # an async generator behind its protocol
        async for chunk in chunks:
            got += chunk


async def test_is_written_to_and_answers_until_the_end(tmp_path: Path) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readuntil(b"\r") + b">")

    async with adapter(tmp_path, handler) as door:
        for _ in range(2):
            got = bytearray()
            with pytest.raises(UnavailableError, match="is not connected"):
                await door.write(b"ATI\r")
            await door.connect()
            await door.write(b"ATI\r")
            with pytest.raises(UnavailableError, match=f"Bluetooth {ADDRESS} closed the connection"):
                await drained(door, got)
            assert got == b"ATI\r>"


async def test_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.adapters.bluetooth.WRITE_LIMIT_S", 0.1)
    async with adapter(tmp_path, lambda _r, _w: asyncio.sleep(0.3)) as door:
        await door.connect()
        with pytest.raises(UnavailableError, match="takes no data"):
            await door.write(b"x" * 10_000_000)
        with pytest.raises(UnavailableError):
            await drained(door, bytearray())


async def test_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UnavailableError, match="Connection refused; wrong channel"):
        await drained(BluetoothDoor(ADDRESS, make=local, at=str(tmp_path / "x")), bytearray())


async def test_out_of_range() -> None:
    def slow() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    door = BluetoothDoor(ADDRESS, make=slow, at=("192.0.2.1", 1), connect_s=0.05)
    with pytest.raises(UnavailableError, match=f"Bluetooth {ADDRESS}"):
        await door.connect()


async def test_a_kernel_without_is_told_with_the_way_round() -> None:
    def none() -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    with pytest.raises(
        UnavailableError, match=rf"this kernel has no Bluetooth; bind it once \(rfcomm bind 0 {ADDRESS} 2\)"
    ):
        await BluetoothDoor(ADDRESS, 2, make=none).connect()


async def test_a_python_without_is_told_with_the_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_BLUETOOTH", raising=False)
    with pytest.raises(UnavailableError, match="this Python was built without Bluetooth; bind it once"):
        await BluetoothDoor(ADDRESS).connect()


def test_the_socket_is_of_bluetooth_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "AF_BLUETOOTH", 31, raising=False)
    monkeypatch.setattr(socket, "BTPROTO_RFCOMM", 3, raising=False)
    try:
        with rfcomm() as one:
            assert (int(one.family), one.proto) == (31, 3)
    except OSError as error:
        assert error.errno in {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}  # noqa: PT017  # either the kernel has it or not
