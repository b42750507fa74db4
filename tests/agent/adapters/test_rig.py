"""The rig on real ptys, read by the real doors and by a real gpsd: what it sends is what the truth says."""

import asyncio
import gzip
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from agent.adapters.gpsd import GpsdDoor
from agent.adapters.gpsd_poll import look
from agent.adapters.rig import RigOptions, run_rig
from agent.adapters.serial import SerialDoor
from agent.core.gnss import gpsd, receiver
from agent.core.obd.bus import BusValue
from agent.core.obd.elm327 import Elm327
from agent.core.obd.elm_line import Out
from agent.core.obd.pids import PIDS
from agent.core.rig.recording import read
from wire.errors import DecodeError, SettingsError, UnavailableError
from wire.messages import Fix, Rejected
from wire.ops import clock

RECORDINGS = Path(__file__).parents[2] / "recordings"
DRIVE = RECORDINGS / "nds-drive10.csv.gz"
RAW = RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz"


@asynccontextmanager
async def rig(options: RigOptions, said: list[str] | None = None) -> AsyncIterator[asyncio.Task[None]]:
    assert options.link is not None
    task = asyncio.create_task(run_rig(options, say=(said if said is not None else []).append))
    async with asyncio.timeout(10):
        while not (options.link / "obd").is_symlink():
            await asyncio.sleep(0.01)
            assert not task.done()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def truth(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def heard(link: Path, task: asyncio.Task[None]) -> list[Fix]:
    """What a reader makes of the GNSS side until the rig ends."""
    parser, fixes = receiver.Parser(), []
    door = SerialDoor(str(link / "gnss"))
    with suppress(UnavailableError):
        async for chunk in door.chunks():
            fixes += [item for item in parser.feed(chunk) if isinstance(item, Fix)]
    await task
    return fixes + [item for item in parser.flush() if isinstance(item, Fix)]


@pytest.mark.parametrize(("recording", "gap"), [(DRIVE, 1000), (RAW, 1000), (RECORDINGS / "gpsd" / "mt3339.log", 1000)])
async def test_a_reader_gets_the_truth(recording: Path, gap: int, tmp_path: Path) -> None:
    options = RigOptions(
        recording=recording, speed=25, link=tmp_path, start=0, truth=tmp_path / "truth", duration_s=2.4
    )
    async with rig(options) as task:
        begun_ms = clock.utc_ms()  # the recording is read, the ports are there
        fixes = await asyncio.wait_for(heard(tmp_path, task), 30)
    told = truth(tmp_path / "truth")
    assert len(told) >= 30
    assert [fix.at_ms for fix in fixes] == [row["at_ms"] for row in told]
    for fix, row in zip(fixes, told, strict=True):
        assert fix.lat_deg == pytest.approx(row["lat"], abs=1e-8)
        assert fix.lon_deg == pytest.approx(row["lon"], abs=1e-8)
        assert fix.speed_mps == pytest.approx(row["spd"], abs=0.001)
    assert {b.at_ms - a.at_ms for a, b in pairwise(fixes)} == {gap}
    assert abs(fixes[0].at_ms - begun_ms) < 3000, "moved to now"
    assert not (tmp_path / "gnss").exists()


async def test_at_real_pace_it_is_aligned_and_prompt(tmp_path: Path) -> None:
    options = RigOptions(recording=DRIVE, link=tmp_path, start="auto", truth=tmp_path / "truth", duration_s=5)
    delays = []
    async with rig(options) as task:
        parser = receiver.Parser()
        with suppress(UnavailableError):
            async for chunk in SerialDoor(str(tmp_path / "gnss")).chunks():
                delays += [clock.utc_ms() - item.at_ms for item in parser.feed(chunk) if isinstance(item, Fix)]
        await task
    told = truth(tmp_path / "truth")
    assert len(told) == 5
    assert all(row["at_ms"] % 1000 == 0 and 40 <= row["wall_ms"] - row["at_ms"] < 500 for row in told)
    assert delays[-1] < 600, "from the third epoch on the end of the burst is known"


async def test_nobody_listens_then_somebody_does(tmp_path: Path) -> None:
    said: list[str] = []
    options = RigOptions(recording=RAW, speed=10, link=tmp_path, start=0, duration_s=6.5, as_json=True)
    async with rig(options, said) as task:
        await asyncio.sleep(4)
        fixes = await asyncio.wait_for(heard(tmp_path, task), 30)
    facts = [json.loads(line) for line in said]
    assert facts[0]["epochs"] == 1101
    assert facts[0]["bus"] == ["vs"]
    assert facts[1]["sent"] == 65
    assert facts[1]["unheard"] > 0
    assert len(fixes) >= 10
    assert fixes[-1].at_ms - fixes[0].at_ms == 1000 * (len(fixes) - 1)


async def test_laps_go_on_in_time(tmp_path: Path) -> None:
    log = tmp_path / "short.log"
    log.write_bytes(b"".join(gzip.decompress(RAW.read_bytes()).splitlines(keepends=True)[: 27 * 5]))
    options = RigOptions(recording=log, speed=20, link=tmp_path, truth=tmp_path / "truth", loop=True, duration_s=1)
    async with rig(options) as task:
        await asyncio.wait_for(heard(tmp_path, task), 20)
    told = truth(tmp_path / "truth")
    assert [b["at_ms"] - a["at_ms"] for a, b in pairwise(told)] == [1000] * 19
    assert len({row["lat"] for row in told}) < 10


async def dialogue(link: Path, items: list[Out], *, spoil_every: int = 0) -> None:
    door, elm = SerialDoor(str(link / "obd"), baud=38400), Elm327()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def pump() -> None:
        count = 0
        async for chunk in door.chunks():
            count += 1
            spoilt = spoil_every and count % spoil_every == 0
            arrived.put_nowait(b"\xffZ!" + chunk[1:] if spoilt else chunk)

    pumping = asyncio.create_task(pump())
    await asyncio.sleep(0.05)
    chunk = b""
    try:
        while True:
            items += elm.feed(chunk, clock.mono_ms())
            if command := elm.next_command(clock.mono_ms()):
                await door.write(command)
            wait_ms = max(0, (elm.wake_at or 0) - clock.mono_ms())
            chunk = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000):
                    chunk = await arrived.get()
    finally:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)


@pytest.mark.parametrize("spoil_every", [0, 9])
async def test_the_adapter_says_what_the_recording_has(tmp_path: Path, spoil_every: int) -> None:
    items: list[Out] = []
    options = RigOptions(recording=DRIVE, link=tmp_path, start=300, duration_s=7)
    async with rig(options) as task:
        talking = asyncio.create_task(dialogue(tmp_path, items, spoil_every=spoil_every))
        await asyncio.sleep(5)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        task.cancel()
    values = [item for item in items if isinstance(item, BusValue)]
    assert len(values) > (15 if spoil_every == 0 else 5)
    rows = [e for e in read("x.csv", gzip.decompress(DRIVE.read_bytes())).epochs if e.fix][299:312]
    rpm = {row.values["rp"] for row in rows}
    throttle = {PIDS[0x11].value(PIDS[0x11].data(row.values["th"])) for row in rows}
    speed = {float(round((row.fix.speed_mps or 0) * 3.6)) for row in rows if row.fix} | {0.0}
    for value in values:
        assert value.value in {"rp": rpm, "th": throttle, "vs": speed, "mv": {14.1, 12.4}}[value.key]
    assert {value.key for value in values} >= {"rp", "vs"}
    assert any(isinstance(item, Rejected) for item in items) == (spoil_every > 0)


async def test_another_recording_adds_what_the_drive_has_not(tmp_path: Path) -> None:
    obd = tmp_path / "obd.csv"
    head = "ENGINE_RUN_TINE (),ENGINE_RPM (),VEHICLE_SPEED (),FUEL_TANK (),CONTROL_MODULE_VOLTAGE ()\n"
    obd.write_text(head + "0,1,200,60,13.5,\n100,1,200,60,13.5,\n")
    items: list[Out] = []
    async with rig(RigOptions(recording=DRIVE, obd=obd, link=tmp_path / "l", start=300, duration_s=9)):
        talking = asyncio.create_task(dialogue(tmp_path / "l", items))
        await asyncio.sleep(4)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    values = {item.key: item.value for item in items if isinstance(item, BusValue)}
    assert values["fu"] == pytest.approx(60, abs=0.3)
    assert values["mv"] == 13.5
    assert values["rp"] > 500, "the drive's own value wins"
    assert values["vs"] < 100, "the speed is the one over ground"


async def test_a_bus_alone(tmp_path: Path) -> None:
    recording = tmp_path / "bus.csv"
    recording.write_text("ENGINE_RUN_TINE (),ENGINE_RPM (),VEHICLE_SPEED ()\n0,800,7,\n100,800,7,\n")
    items: list[Out] = []
    async with rig(RigOptions(recording=recording, link=tmp_path, loop=True)):
        talking = asyncio.create_task(dialogue(tmp_path, items))
        await asyncio.sleep(4)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    assert {(item.key, item.value) for item in items if isinstance(item, BusValue)} >= {("rp", 800.0), ("vs", 7.0)}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (RigOptions(recording=Path("/nowhere.csv")), SettingsError),
        (RigOptions(recording=DRIVE, speed=0), SettingsError),
        (RigOptions(recording=DRIVE, start=1e9), SettingsError),
        (RigOptions(recording=DRIVE, start="soon"), SettingsError),
        (RigOptions(recording=DRIVE, start="inf"), SettingsError),
        (RigOptions(recording=Path(__file__)), DecodeError),
        (RigOptions(recording=DRIVE, link=Path("/proc/nothing")), UnavailableError),
    ],
)
async def test_what_cannot_be_played(options: RigOptions, error: type[Exception]) -> None:
    with pytest.raises(error):
        await run_rig(options, say=print)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(shutil.which("gpsd") is None, reason="gpsd is not installed")
async def test_through_a_real_gpsd(tmp_path: Path) -> None:
    options = RigOptions(recording=RAW, link=tmp_path, start=100, truth=tmp_path / "truth", duration_s=30)
    async with rig(options):
        device = os.path.realpath(tmp_path / "gnss")
        Path(device).chmod(0o666)  # gpsd gives up root before it opens the line
        port = free_port()
        daemon = await asyncio.create_subprocess_exec("gpsd", "-N", "-n", "-S", str(port), device)
        try:
            fixes = await asyncio.wait_for(_through_gpsd(port), 25)
            seen = await asyncio.to_thread(look, "127.0.0.1", port)
        finally:
            daemon.terminate()
            await daemon.wait()
    told = {row["at_ms"]: row for row in truth(tmp_path / "truth")}
    for fix in fixes:
        row = told[fix.at_ms]
        assert fix.lat_deg == pytest.approx(row["lat"], abs=2e-7)
        assert fix.lon_deg == pytest.approx(row["lon"], abs=2e-7)
        assert fix.speed_mps == pytest.approx(row["spd"], abs=0.1)
    assert [fix.mode for fix in fixes[2:]] == [3] * (len(fixes) - 2)
    assert seen.mode == 3
    assert seen.device == device
    assert seen.lat_deg == pytest.approx(fixes[-1].lat_deg, abs=0.01)


async def _through_gpsd(port: int) -> list[Fix]:
    fixes: list[Fix] = []
    while True:
        parser = gpsd.Parser()
        with suppress(UnavailableError):
            async for chunk in GpsdDoor(port=port).chunks():
                fixes += [item for item in parser.feed(chunk) if isinstance(item, Fix)]
                if len(fixes) >= 5:
                    return fixes
        await asyncio.sleep(0.1)
