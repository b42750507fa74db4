"""The rig's lines: garbling ptys, ports that are pulled out and put back, feeds over TCP and UDP."""

import asyncio
import os
import socket
import termios
from pathlib import Path

import pytest

from agent.adapters import rig_lines
from agent.adapters.rig_lines import Port, Pty, Receiver, TcpFeed, UdpFeed, datagrams
from wire.errors import SettingsError, UnavailableError

TEXT = b"$GPTXT,01,01,02,hello*00\r\n"


def set_speed(path: str, speed: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    how = termios.tcgetattr(handle)
    how[4] = how[5] = speed
    termios.tcsetattr(handle, termios.TCSANOW, how)
    return handle


@pytest.mark.parametrize("speed", [termios.B9600, termios.B115200, termios.B0])
async def test_a_pty_garbles_both_ways_unless_the_speed_is_right(speed: int) -> None:
    pty = Pty(115_200)
    handle = set_speed(pty.path, speed)
    try:
        pty.write(TEXT)
        os.write(handle, TEXT)
        right = speed == termios.B115200
        assert (os.read(handle, 1000) == TEXT) == right
        assert (pty.read() == TEXT) == right
    finally:
        os.close(handle)
        pty.close()


async def test_a_port_is_pulled_out_and_put_back(tmp_path: Path) -> None:
    port = Port("gnss", tmp_path)
    port.plug()
    first = port.path
    port.plug()
    assert port.path == first == str((tmp_path / "gnss").readlink())
    handle = os.open(first, os.O_RDWR | os.O_NOCTTY)
    port.pull()
    port.pull()
    assert not (tmp_path / "gnss").is_symlink()
    assert (port.path, port.dropped) == ("", 0)
    assert os.read(handle, 10) == b"", "who has it open hears that it is gone"
    os.close(handle)
    port.plug()
    (tmp_path / "gnss").unlink()
    (tmp_path / "gnss").symlink_to("/dev/null")
    port.pull()
    assert (tmp_path / "gnss").is_symlink(), "a link that somebody else has made stays"


async def test_tcp_feeds_everybody_and_throws_out_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig_lines, "SLOW_CLIENT", 1000)
    feed = TcpFeed(0)
    await feed.plug()
    await feed.plug()
    readers = [await asyncio.open_connection("127.0.0.1", feed.port) for _ in range(2)]
    await asyncio.sleep(0.05)
    feed.send(TEXT)
    async with asyncio.timeout(5):
        assert [await reader.readline() for reader, _ in readers] == [TEXT] * 2
        slow = readers[0][1].transport
        assert isinstance(slow, asyncio.ReadTransport)
        slow.pause_reading()
        while len(feed._clients) == 2:
            feed.send(b"x" * 50_000)
            await readers[1][0].read(100_000)
    await feed.pull()
    await feed.pull()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", feed.port)
    for _, writer in readers:
        writer.transport.abort()
    await asyncio.sleep(0.05)
    await feed.plug()
    with pytest.raises(UnavailableError, match=f"--tcp {feed.port}: "):
        await TcpFeed(feed.port).plug()
    await feed.pull()


async def test_udp_feed_and_the_bundle() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(5)
        udp = UdpFeed(f"127.0.0.1:{ear.getsockname()[1]}")
        receiver = Receiver(Port("gnss", None), udp=udp)
        await receiver.burst(TEXT)
        await receiver.burst(b"")
        assert ear.recv(2000) == TEXT
        udp.close()


def test_datagrams_hold_whole_lines() -> None:
    packed = list(datagrams(TEXT * 100))
    assert b"".join(packed) == TEXT * 100
    assert all(len(one) <= rig_lines.DATAGRAM and one.endswith(b"\n") for one in packed)
    assert list(datagrams(b"")) == []


@pytest.mark.parametrize("target", ["x", "x:", ":5", "h:0", "h:70000", "h:y", "no host here:5"])
def test_a_target_that_is_none(target: str) -> None:
    with pytest.raises(SettingsError, match="--udp"):
        UdpFeed(target)
