"""The serial door on real ptys: reading, writing, one user at a time, and each way to be unavailable."""

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from agent.adapters.rig_lines import Pty
from agent.adapters.serial import SerialDoor
from agent.core.gnss.baud import Config
from wire.errors import UnavailableError

SENTENCE = b"$GNRMC,120000.000,A,4806.0000000,N,01130.0000000,E,5.832,20.00,020624,,,A,V*0C\r\n"


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


async def test_silence_gives_the_port_up(line: Line) -> None:
    with pytest.raises(UnavailableError, match=r"is silent for 0\.1 s"):
        await asyncio.wait_for(collected(SerialDoor(line.path, silence_s=0.1), bytearray()), 5)


async def test_the_speed_is_found_told_once_and_kept() -> None:
    pty, told = Pty(38_400), list[int]()
    door, got = SerialDoor(pty.path, baud="auto", on_baud=told.append), bytearray()
    try:
        for _ in range(2):
            got.clear()
            task = asyncio.create_task(collected(door, got))
            async with asyncio.timeout(20):
                while SENTENCE not in got:
                    await pty.burst(SENTENCE * 6)
                    await asyncio.sleep(0.15)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        pty.close()
    assert told == [38_400]
    assert got.index(SENTENCE) == 0, "the second time it is right from the start"


async def test_a_fixed_speed_stays() -> None:
    pty = Pty(38_400)
    door, got = SerialDoor(pty.path, baud=9600), bytearray()
    task = asyncio.create_task(collected(door, got))
    try:
        for _ in range(8):
            await asyncio.sleep(0.05)
            await pty.burst(SENTENCE * 6)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        pty.close()
    assert got
    assert b"GNRMC" not in got


async def test_a_speed_that_the_port_does_not_take_is_told(line: Line) -> None:
    door = SerialDoor(line.path, baud="auto")
    door._config = Config(rates=(9600, -1), dwell_ms=20)
    with pytest.raises(UnavailableError, match="can't be set to -1 Bd"):
        await asyncio.wait_for(collected(door, bytearray()), 5)
