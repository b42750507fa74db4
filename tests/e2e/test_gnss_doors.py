"""One receiver through every door at once: the same fixes, and the same word when it falls silent."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.clock import GnssClock
from agent.adapters.memory import MemoryOutbox
from agent.core import sampler
from agent.events import HAPPENINGS
from agent.flow import LiveLane, Senses, Vehicle, collect, reopening, watch_fixes
from agent.parts import receiver
from agent.recorder import Recorder
from agent.settings import AgentSettings
from bench.yard import Process, free_port
from tests.rigs import RECORDINGS, binary, server
from wire.errors import UnavailableError
from wire.messages import Fix
from wire.ops import clock
from wire.ops.settings import check
from wire.ops.watch import Watch

pytestmark = pytest.mark.e2e
DRIVE = RECORDINGS / "nds-drive10.csv.gz"
BURSTS = RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz"


@dataclass
class Ways:
    """The settings of each door, and where the rig writes its truth."""

    truth: Path
    gnss: dict[str, dict[str, Any]] = field(default_factory=dict)

    def settings(self, way: str) -> AgentSettings:
        data: dict[str, Any] = {
            "device": {"id": "gw-1", "secret_file": "/s"}, "hub": {"url": "mqtt://h"}, "gnss": self.gnss[way],
        }  # fmt: skip
        return check(data, AgentSettings, source=way)


@asynccontextmanager
async def ways(folder: Path, recording: Path, *more: str) -> AsyncIterator[Ways]:
    """A rig with a pty, TCP and UDP, and a real gpsd that fetches from its TCP."""
    tcp, udp, daemon = free_port(), free_port(), free_port()
    link, found = folder / "line", Ways(folder / "truth")
    found.gnss = {
        "serial": {"path": str(link / "gnss")}, "tcp": {"source": "tcp", "host": "127.0.0.1", "port": tcp},
        "udp": {"source": "udp", "host": "127.0.0.1", "port": udp}, "gpsd": {"source": "gpsd", "port": daemon},
    }  # fmt: skip
    rig = Process("rig", [
        sys.executable, "-m", "agent.cli", "rig", str(recording), "--link", str(link), "--truth", str(found.truth),
        "--tcp", str(tcp), "--udp", f"127.0.0.1:{udp}", "--start", "100", "--baud", "115200", *more,
    ], folder=folder)  # fmt: skip
    await rig.start()
    try:
        async with asyncio.timeout(15):
            while not (link / "obd").is_symlink():  # noqa: ASYNC110  # a link does not tell
                await asyncio.sleep(0.02)
        command = [binary("gpsd"), "-N", "-n", "-S", str(daemon), f"tcp://127.0.0.1:{tcp}"]
        with server(*command, port=daemon, log=folder / "gpsd.log"):
            yield found
    finally:
        await rig.stop()


async def heard(settings: AgentSettings, fixes: list[Fix], until_s: float) -> None:
    door, _ = receiver(settings)
    with suppress(TimeoutError):
        async with asyncio.timeout(until_s):
            while True:
                _, parser = receiver(settings)
                with suppress(UnavailableError):
                    async for chunk in door.chunks():
                        fixes += [item for item in parser.feed(chunk) if isinstance(item, Fix)]
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("recording", [DRIVE, BURSTS], ids=["made", "recorded"])
async def test_the_same_fixes_through_each_door(tmp_path: Path, recording: Path) -> None:
    got: dict[str, list[Fix]] = {}
    async with ways(tmp_path, recording, "--speed", "5") as found, asyncio.TaskGroup() as group:
        for way in found.gnss:
            fixes = got[way] = []
            group.create_task(heard(found.settings(way), fixes, 8))
    told = {row["at_ms"]: row for row in map(json.loads, found.truth.read_text().splitlines())}
    keyed = {way: {fix.at_ms: fix for fix in fixes} for way, fixes in got.items()}
    common = set.intersection(*(set(fixes) for fixes in keyed.values())) & set(told)
    assert len(common) >= 12, {way: len(fixes) for way, fixes in keyed.items()}
    for at_ms in common:
        row = told[at_ms]
        for way, mapped in keyed.items():
            fix, other = mapped[at_ms], keyed["serial"][at_ms]
            assert (fix.lat_deg, fix.lon_deg) == pytest.approx((row["lat"], row["lon"]), abs=2e-7), way
            assert fix.speed_mps == pytest.approx(row["spd"], abs=0.1), way
            assert fix.course_deg == pytest.approx(row["crs"], abs=0.1), way
            assert fix.mode == other.mode, way


async def test_each_door_knows_soon_that_there_is_no_fix_and_opens_anew(tmp_path: Path) -> None:
    """The receiver falls silent and nothing is closed: over TCP this is what a half-open link looks like."""
    told: dict[str, list[tuple[int, str]]] = {}
    async with ways(tmp_path, DRIVE, "--fault", "silent@4+10", "--duration", "19") as found:
        lines = [asyncio.create_task(sensed(found.settings(way), told.setdefault(way, []))) for way in found.gnss]
        await asyncio.sleep(20)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
    for way, happened in told.items():
        kinds = [kind for _, kind in happened]
        last_ms = max(at for at, kind in happened[: kinds.index("gnss.nofix")] if kind == "gnss.fix")
        nofix_ms = happened[kinds.index("gnss.nofix")][0]
        print(f"{way}: no fix is told {nofix_ms - last_ms} ms after the last")
        assert nofix_ms - last_ms <= 8_000, f"{way}: {nofix_ms - last_ms} ms"
        assert kinds.count("gnss.away") == 1, f"{way}: given up for its silence, and told once"
        assert kinds.count("gnss.back") == 1, f"{way}: and heard again"


async def sensed(settings: AgentSettings, told: list[tuple[int, str]]) -> None:
    """The agent's own lanes on this door."""
    watch, time = Watch("agent", HAPPENINGS), GnssClock()

    def noted(name: str, /, n: int = 1, **details: object) -> None:
        told.append((clock.mono_ms(), name))
        watch(name, n, **details)

    recorder = Recorder(MemoryOutbox(), time, watch=noted, commit_ms=1000)
    senses = Senses(Vehicle(), recorder, LiveLane(sampler.Config()), time, noted)
    door, _ = receiver(settings)

    async def once() -> None:
        await collect(door, receiver(settings)[1], senses)

    await asyncio.gather(reopening("gnss", once, senses), watch_fixes(senses))
