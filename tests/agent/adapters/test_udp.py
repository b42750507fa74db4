"""The UDP door: datagrams as they come, from one sender, each for itself."""

import asyncio
import random
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.adapters import udp
from agent.adapters.udp import UdpDoor
from agent.core.gnss.receiver import Parser
from agent.core.rig.sentences import made
from bench.yard import free_port
from wire.errors import UnavailableError
from wire.messages import Fix

START = Fix(1717286399000, 48.1, 11.5, speed_mps=15.0, course_deg=90.0, sats_used=9, hdop=0.9)


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        yield one


async def heard(door: UdpDoor, got: list[bytes]) -> None:
    async for chunk in door.chunks():
        got += [chunk]  # at once: the test looks while this goes on


async def through(port: int, sends: list[tuple[socket.socket, bytes]], sender: str | None = None) -> list[bytes]:
    got: list[bytes] = []
    task = asyncio.create_task(heard(UdpDoor("127.0.0.1", port, sender=sender), got))
    await asyncio.sleep(0.05)
    for link, data in sends:
        link.sendto(data, ("127.0.0.1", port))
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return got


async def test_a_whole_sentence_gets_its_line_end_and_a_cut_one_does_not(sender: socket.socket) -> None:
    sends = [b"$GPTXT,x*00", b"$GPTXT,y*01\r\n$GPR", b"MC,z*02\n", b""]
    got = await through(free_port(), [(sender, data) for data in sends])
    assert got == [b"$GPTXT,x*00\r\n", b"$GPTXT,y*01\r\n$GPR", b"MC,z*02\r\n"]


async def test_lost_and_reordered_datagrams_cost_their_sentences_only(sender: socket.socket) -> None:
    chance = random.Random(5)
    fixes = [replace(START, at_ms=START.at_ms + 1000 * i, lon_deg=11.5 + i * 1e-4) for i in range(60)]
    sends = [line for fix in fixes for line in made(fix).splitlines(keepends=True)]
    for _ in range(6):
        del sends[chance.randrange(len(sends))]
        at = chance.randrange(len(sends) - 1)
        sends[at : at + 2] = reversed(sends[at : at + 2])
    got = await through(free_port(), [(sender, data) for data in sends])
    assert len(got) == len(sends)
    parser, true = Parser(), {fix.at_ms: fix.lon_deg for fix in fixes}
    items = [item for data in got for item in parser.feed(data)] + list(parser.flush())
    told = {item.at_ms: item.lon_deg for item in items if isinstance(item, Fix)}
    assert len(told) >= 50
    assert all(true[at_ms] == pytest.approx(lon, abs=1e-7) for at_ms, lon in told.items())


async def test_one_sender_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.2", 0))
        two.bind(("127.0.0.3", 0))
        sends = [(one, b"a"), (two, b"b"), (one, b"c")]
        assert await through(free_port(), sends) == [b"a", b"c"]
        assert await through(free_port(), sends, sender="127.0.0.3") == [b"b"]
        monkeypatch.setattr(udp, "SWITCH_MS", -1)
        assert await through(free_port(), sends) == [b"a", b"b", b"c"], "who is silent for long loses the turn"


async def test_two_programs_of_one_machine_are_two_senders(sender: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        sends = [(sender, b"a"), (other, b"b"), (sender, b"c"), (other, b"d")]
        assert await through(free_port(), sends) == [b"a", b"c"]
        assert await through(free_port(), sends, sender="127.0.0.1") == [b"a", b"c"]
        assert await through(free_port(), sends, sender="localhost") == [b"a", b"c"], "a name is looked up"


def test_a_sender_that_changes_its_port_each_time_is_one() -> None:
    ears = udp._Ears(frozenset({"192.0.2.7"}))
    for port in range(1, 10):
        ears.datagram_received(b"%d" % port, ("192.0.2.7", port))
    assert [ears.heard.get_nowait() for _ in range(ears.heard.qsize())] == [b"1", *(b"%d" % n for n in range(4, 10))]
    assert ears.stranger == ""


async def test_an_ipv4_sender_at_an_ipv6_ear(sender: socket.socket) -> None:
    port, got = free_port(), list[bytes]()
    task = asyncio.create_task(heard(UdpDoor("::", port, sender="127.0.0.1"), got))
    await asyncio.sleep(0.05)
    sender.sendto(b"a", ("127.0.0.1", port))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert got == [b"a"]
    assert udp.plain("::ffff:192.0.2.7") == "192.0.2.7"
    assert udp.plain("fe80::1%eth0") == "fe80::1"


async def test_silence_names_who_sends_instead(sender: socket.socket) -> None:
    port = free_port()
    door = UdpDoor("127.0.0.1", port, sender="127.0.0.9", silence_s=0.2)
    asyncio.get_running_loop().call_later(0.05, sender.sendto, b"x", ("127.0.0.1", port))
    with pytest.raises(
        UnavailableError,
        match=rf"^datagrams come from 127\.0\.0\.1, not from gnss\.sender 127\.0\.0\.9; udp 127\.0\.0\.1:{port} is silent",
    ):
        await heard(door, [])
    with pytest.raises(UnavailableError, match=r"^udp \S+ is silent for 0\.05 s$"):
        await heard(UdpDoor("127.0.0.1", port, silence_s=0.05), [])


async def test_a_sender_without_an_address() -> None:
    with pytest.raises(UnavailableError, match=r"gnss\.sender router\.invalid is no address, and has none"):
        await heard(UdpDoor("127.0.0.1", free_port(), sender="router.invalid"), [])


async def test_an_address_that_is_taken_or_not_ours(sender: socket.socket) -> None:
    sender.bind(("127.0.0.1", 0))
    with pytest.raises(UnavailableError, match="is another program listening there"):
        await heard(UdpDoor("127.0.0.1", sender.getsockname()[1]), [])
    with pytest.raises(UnavailableError, match="no address of this machine"):
        await heard(UdpDoor("192.0.2.1", free_port()), [])


async def test_a_flood_costs_the_oldest(sender: socket.socket) -> None:
    ears = udp._Ears(frozenset())
    for i in range(udp.WAITING + 3):
        ears.datagram_received(b"%d" % i, ("127.0.0.1", 1))
    assert ears.heard.qsize() == udp.WAITING
    assert ears.heard.get_nowait() == b"3"
