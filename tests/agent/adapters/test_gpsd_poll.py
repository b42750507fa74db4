"""One look at gpsd: a real one with a receiver on a pty, and peers that are no gpsd at all."""

import asyncio
import os
import socket
import tty
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.gpsd_poll import look
from agent.core.rig.sentences import made
from bench.yard import free_port
from tests.rigs import binary, server
from wire.errors import UnavailableError
from wire.messages import Fix, Mode
from wire.ops import clock


@pytest.fixture
def receiver() -> Iterator[tuple[int, str]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    Path(os.ttyname(slave)).chmod(0o666)  # gpsd drops its privileges before it opens the port
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


async def test_what_gpsd_knows(receiver: tuple[int, str], tmp_path: Path) -> None:
    master, path = receiver
    port = free_port()
    fix = Fix(
        clock.utc_ms() // 1000 * 1000, 52.5, 13.25, alt_m=40.0, speed_mps=10.0, course_deg=90.0, sats_used=9, hdop=1.0
    )
    with server(binary("gpsd"), "-N", "-n", "-S", str(port), path, port=port, log=tmp_path / "gpsd.log"):
        for _ in range(40):
            os.write(master, made(fix))
            fix = replace(fix, at_ms=fix.at_ms + 1000)
            await asyncio.sleep(0.2)
            try:
                seen = await asyncio.to_thread(look, port=port)
            except UnavailableError:
                continue
            if seen.mode >= Mode.FIX_2D:
                break
    assert (seen.lat_deg, seen.lon_deg) == pytest.approx((52.5, 13.25), abs=1e-4)
    assert (seen.device, seen.driver) == (path, "NMEA0183")
    assert seen.time.startswith("20")


@pytest.mark.parametrize("hello", [b"[]\n", b"null\n", b'"VERSION"\n', b"\xff\xfe\n", b"x" * 100_000 + b"\n", b""])
async def test_who_is_no_gpsd(hello: bytes) -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello)
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as peer:
        with pytest.raises(UnavailableError, match="gives no position"):
            await asyncio.to_thread(look, port=peer.sockets[0].getsockname()[1], timeout_s=1.0)


def test_one_that_says_nothing_is_given_up_and_leaves_no_time_limit_behind() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf, pytest.raises(UnavailableError, match="timed out"):
        look(port=deaf.getsockname()[1], timeout_s=0.1)
    assert socket.getdefaulttimeout() is None
