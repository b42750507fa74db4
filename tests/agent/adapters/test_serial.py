"""The serial door on real ptys: reading, writing, one user at a time, and each way to be unavailable."""

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from agent.adapters.serial import SerialDoor
from wire.errors import UnavailableError


@dataclass
class Line:
    master: int
    slave: int
    path: str
    unplugged: bool = False

    def unplug(self) -> None:
        os.close(self.slave)
        os.close(self.master)
        self.unplugged = True


@pytest.fixture
def line() -> Iterator[Line]:
    master, slave = os.openpty()
    tty.setraw(slave)
    line = Line(master, slave, os.ttyname(slave))
    yield line
    if not line.unplugged:
        line.unplug()


async def collected(door: SerialDoor, got: bytearray) -> None:
    async with aclosing(door.chunks()) as chunks:  # type: ignore[type-var]  # an async generator behind its protocol
        async for chunk in chunks:
            got += chunk


async def until(condition: object, *, limit_s: float = 5.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # what is waited for is a plain value
            await asyncio.sleep(0.01)


async def test_reads_what_comes_and_writes_what_it_is_given(line: Line) -> None:
    door, got = SerialDoor(line.path, baud=38400), bytearray()
    task = asyncio.create_task(collected(door, got))
    await asyncio.sleep(0.05)
    sent = bytes(range(256)) * 8
    os.write(line.master, sent[:1000])
    await until(lambda: len(got) == 1000)
    os.write(line.master, sent[1000:])
    await until(lambda: len(got) == len(sent))
    assert bytes(got) == sent
    await door.write(b"0100\r")
    assert os.read(line.master, 100) == b"0100\r"
    door.close()
    await asyncio.wait_for(task, 2)
    with pytest.raises(UnavailableError, match="is not open"):
        await door.write(b"x")


async def test_can_be_opened_again(line: Line) -> None:
    door = SerialDoor(line.path)
    for _ in range(2):
        got = bytearray()
        task = asyncio.create_task(collected(door, got))
        await asyncio.sleep(0.05)
        os.write(line.master, b"hello")
        await until(lambda got=got: bytes(got) == b"hello")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_user_at_a_time(line: Line) -> None:
    first = SerialDoor(line.path)
    task = asyncio.create_task(collected(first, bytearray()))
    await asyncio.sleep(0.05)
    with pytest.raises(UnavailableError, match=r"/dev/pts/\d+: .*another program holds it"):
        await collected(SerialDoor(line.path), bytearray())
    with pytest.raises(UnavailableError, match="is open already"):
        await collected(first, bytearray())
    first.close()
    await task


async def test_unplugged_while_reading(line: Line) -> None:
    task = asyncio.create_task(collected(SerialDoor(line.path), bytearray()))
    await asyncio.sleep(0.05)
    line.unplug()
    with pytest.raises(UnavailableError, match="unplugged"):
        await asyncio.wait_for(task, 2)


async def test_unplugged_while_writing(line: Line) -> None:
    door = SerialDoor(line.path)
    generator = door.chunks()
    task = asyncio.ensure_future(anext(aiter(generator)))
    await asyncio.sleep(0.05)
    line.unplug()
    with pytest.raises(UnavailableError, match="unplugged"):
        await door.write(b"x")
    with pytest.raises(UnavailableError):
        await task


async def test_a_line_that_takes_nothing(line: Line) -> None:
    door = SerialDoor(line.path)
    task = asyncio.create_task(collected(door, bytearray()))
    await asyncio.sleep(0.05)
    with pytest.raises(UnavailableError, match="takes no data"):
        await door.write(b"x" * 200_000)
    door.close()
    await task


@pytest.mark.parametrize(
    ("path", "baud", "said"),
    [
        ("/dev/serial/by-id/usb-none", 9600, "is it plugged in"),
        ("/proc/self/status", 9600, "/proc/self/status: "),
        ("/dev/null", 9600, "/dev/null: "),
        ("/dev/null", -5, "/dev/null: Not a valid baudrate"),
    ],
)
async def test_cannot_be_opened(path: str, baud: int, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        await collected(SerialDoor(path, baud=baud), bytearray())


def test_permission_is_told_with_its_cure() -> None:
    error = SerialDoor("/dev/ttyUSB0")._away(PermissionError(13, "Permission denied"))
    assert str(error) == "/dev/ttyUSB0: Permission denied; add the user of the agent to the group dialout"
