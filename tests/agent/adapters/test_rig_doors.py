"""The rig over its other lines and with faults: hunted for, fetched over TCP, sent over UDP, asked over TCP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.rig import RigOptions, run_rig
from agent.adapters.serial import SerialDoor
from agent.adapters.tcp import TcpDoor
from agent.adapters.udp import UdpDoor
from agent.core.gnss.receiver import Parser
from agent.ports import Bytes
from bench.yard import free_port
from wire.errors import SettingsError, UnavailableError
from wire.messages import Fix

DRIVE = Path(__file__).parents[2] / "recordings" / "nds-drive10.csv.gz"


@asynccontextmanager
async def rig(options: RigOptions) -> AsyncIterator[dict[str, Any]]:
    said: list[str] = []
    task = asyncio.create_task(run_rig(options, say=said.append))
    async with asyncio.timeout(10):
        while not said:
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
    yield json.loads(said[0])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def heard(door: Bytes, until_s: float, fixes: list[Fix]) -> None:
    """Opens the door again and again, as the agent does."""
    parser = Parser()
    with suppress(TimeoutError):
        async with asyncio.timeout(until_s):
            while True:
                with suppress(UnavailableError):
                    async for chunk in door.chunks():
                        fixes += [item for item in parser.feed(chunk) if isinstance(item, Fix)]
                await asyncio.sleep(0.1)


async def test_all_doors_at_once_bring_the_truth(tmp_path: Path) -> None:
    port = free_port()
    options = RigOptions(
        recording=DRIVE, link=tmp_path / "line", start=300, speed=8, truth=tmp_path / "truth", as_json=True,
        baud=57_600, tcp=0, udp=f"127.0.0.1:{port}", duration_s=5.5,
    )  # fmt: skip
    ways: list[list[Fix]] = [[], [], []]
    udp = asyncio.create_task(heard(UdpDoor("127.0.0.1", port), 8, ways[2]))
    async with rig(options) as facts:
        await asyncio.gather(
            heard(SerialDoor(facts["gnss"], baud="auto"), 7.5, ways[0]),
            heard(TcpDoor("127.0.0.1", facts["tcp"]), 7.5, ways[1]),
            udp,
        )
    told = {row["at_ms"]: row for row in map(json.loads, (tmp_path / "truth").read_text().splitlines())}
    assert len(told) >= 40
    for way, least in zip(ways, (8, 35, 38), strict=True):
        assert len(way) >= least, "the hunt over five speeds takes its time"
        for fix in way:
            row = told[fix.at_ms]
            assert (fix.lat_deg, fix.lon_deg) == pytest.approx((row["lat"], row["lon"]), abs=1e-8)
            assert fix.speed_mps == pytest.approx(row["spd"], abs=0.001)


async def test_unplugged_it_is_gone_and_comes_back(tmp_path: Path) -> None:
    options = RigOptions(
        recording=DRIVE, link=tmp_path, start=300, speed=10, truth=tmp_path / "truth", as_json=True,
        tcp=0, duration_s=3.5, faults=("unplugged@1+1", "obd:unplugged@1+1"),
    )  # fmt: skip
    ways: list[list[Fix]] = [[], []]
    async with rig(options) as facts:
        await asyncio.gather(
            heard(SerialDoor(str(tmp_path / "gnss")), 4, ways[0]),
            heard(TcpDoor("127.0.0.1", facts["tcp"]), 4, ways[1]),
            _seen(tmp_path / "obd"),
        )
    rows = [json.loads(line) for line in (tmp_path / "truth").read_text().splitlines()]
    away = {row["at_ms"] for row in rows if row.get("faults") == ["unplugged"]}
    assert len(away) == 10
    for way in ways:
        times = {fix.at_ms for fix in way}
        assert not times & away
        assert min(times) < min(away)
        assert max(times) > max(away)


async def _seen(link: Path) -> None:
    async with asyncio.timeout(4):
        for there in (True, False, True):
            while link.is_symlink() != there:  # noqa: ASYNC110  # a link does not tell
                await asyncio.sleep(0.02)


async def test_the_adapter_answers_over_tcp(tmp_path: Path) -> None:
    async with rig(RigOptions(recording=DRIVE, link=tmp_path, as_json=True, obd_tcp=0)) as facts:
        door, got = TcpDoor("127.0.0.1", facts["obd_tcp"]), bytearray()
        await door.connect()

        async def listen() -> None:
            with suppress(UnavailableError):
                async for chunk in door.chunks():
                    got.extend(chunk)

        listening = asyncio.create_task(listen())
        await door.write(b"ATI\r")
        async with asyncio.timeout(5):
            while b">" not in got:  # noqa: ASYNC110  # what is waited for is a plain value
                await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert got.startswith(b"ATI\rELM327")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RigOptions(recording=DRIVE, faults=("frozen@", "quiet")), "--fault frozen@: wants NAME"),
        (
            RigOptions(recording=DRIVE, faults=("frozen", "quiet")),
            r"--fault quiet: no such fault\nknown are silent, unplugged",
        ),
        (
            RigOptions(recording=DRIVE, faults=("antena-open",)),
            r"no such fault; meant antenna-open or antenna-short\?\nknown are",
        ),
        (RigOptions(recording=DRIVE, obd_grade="best"), "--obd-grade best: known are v1.5, "),
        (RigOptions(recording=DRIVE, udp="x"), "--udp x: wants HOST:PORT"),
    ],
)
async def test_what_cannot_be_planted(options: RigOptions, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        await run_rig(options, say=print)


async def test_the_start_line_names_every_way(tmp_path: Path) -> None:
    port, said = free_port(), list[str]()
    await run_rig(
        RigOptions(recording=DRIVE, tcp=0, obd_tcp=0, udp=f"127.0.0.1:{port}", duration_s=0.01), say=said.append
    )
    assert f", UDP to 127.0.0.1:{port}: " in said[0]
    assert ", TCP at port " in said[0]


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with rig(RigOptions(recording=DRIVE, as_json=True, tcp=0, obd_tcp=0)) as facts:
        for taken in ({"tcp": facts["tcp"]}, {"obd_tcp": facts["obd_tcp"]}):
            with pytest.raises(UnavailableError, match=r"tcp \d+: "):
                await run_rig(RigOptions(recording=DRIVE, **taken), say=print)
