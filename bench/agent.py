"""What the agent costs on the gateway: memory, CPU, and how soon the first fix is published. Real processes throughout."""

import asyncio
import os
import pty
import tempfile
import tty
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from agent.core.rig.sentences import sentence
from bench.yard import Gateway, Hub
from hub.clients.stream import Stream
from wire import BUILT_MS
from wire.errors import UnavailableError
from wire.ops import clock

RECORDING = Path(__file__).parent.parent / "tests" / "recordings" / "nds-drive33.csv.gz"
SETTLE_S, WATCH_S = 8.0, 40.0
DAY = 86_400
T0_S = BUILT_MS // 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """One run of the agent."""

    start_mb: float
    day_mb: float
    day_fixes: int
    cpu_percent: float
    first_fix_s: float


async def hub_in(folder: Path) -> tuple[Hub, str]:
    """A hub with one fleet, and a token for it."""
    hub = Hub(folder / "hub")
    await hub.start()
    token = str((await hub.json("token", "add", "bench"))["token"])
    return hub, token


async def _first_live(hub: Hub, token: str, gateway: Gateway) -> float:
    """Seconds from the first epoch on the wire to the first live position on a subscriber's socket."""
    async with Stream(hub.http.replace("http", "ws", 1), token) as stream:
        await stream.subscribe(1)
        async for frame in stream:
            if any(vehicle.get("live") for vehicle in frame.get("vehicles", ())):
                arrived_ms = clock.utc_ms()
                break
    first = gateway.truth.read_text(encoding="utf-8").splitlines()[0]
    sent_ms = int(first.partition('"wall_ms":')[2].split(",")[0].strip(" }"))
    return (arrived_ms - sent_ms) / 1000.0


async def steady(folder: Path) -> tuple[float, float, float]:
    """Memory at the start, CPU share at 1 Hz GNSS and 5 Hz OBD, and the delay of the first fix."""
    hub, token = await hub_in(folder)
    gateway = Gateway("gw-bench-1", "bench-1", RECORDING, folder / "bench-1", hub.mqtt, extra="")
    try:
        await gateway.introduce(hub)
        listening = asyncio.ensure_future(_first_live(hub, token, gateway))
        await gateway.start_rig()
        await gateway.start_agent()
        first_s = await asyncio.wait_for(listening, 30)
        await asyncio.sleep(SETTLE_S)
        process = psutil.Process(gateway.agent.pid)
        before = process.cpu_times()
        await asyncio.sleep(WATCH_S)
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        return process.memory_info().rss / 1e6, 100.0 * spent / WATCH_S, first_s
    finally:
        await gateway.stop()
        await hub.process.stop()


def _epoch(second: int) -> bytes:
    moment = datetime.fromtimestamp(T0_S + second, UTC)
    north, west = abs(second % 1200 - 600) / 1000, abs(second % 800 - 400) / 1000  # there and back
    place = f"41{15 + north:09.6f},N,096{3 + west:09.6f},W"
    return sentence(f"GPRMC,{moment:%H%M%S}.00,A,{place},19.4,90.0,{moment:%d%m%y},,,A") + sentence(
        f"GPGGA,{moment:%H%M%S}.00,{place},1,09,0.9,310.0,M,0.0,M,,"
    )


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


async def a_day(folder: Path) -> tuple[float, int]:
    """Memory after a day's worth of fixes, sent as fast as the agent takes them; and how many it recorded."""
    hub, _token = await hub_in(folder)
    master, slave = pty.openpty()
    tty.setraw(slave)
    gateway = Gateway("gw-bench-2", "bench-2", RECORDING, folder / "bench-2", hub.mqtt, with_obd=False, extra="")
    try:
        await gateway.introduce(hub)
        gateway.line.mkdir()
        (gateway.line / "gnss").symlink_to(os.ttyname(slave))
        await gateway.start_agent()
        await asyncio.sleep(3.0)
        for second in range(DAY):
            await asyncio.to_thread(_write_all, master, _epoch(second))
            if second % 50 == 0:
                await asyncio.sleep(0.02)
        recorded = await _recorded(gateway)
        return psutil.Process(gateway.agent.pid).memory_info().rss / 1e6, recorded
    finally:
        await gateway.stop()
        await hub.process.stop()
        os.close(master)
        os.close(slave)


async def _recorded(gateway: Gateway) -> int:
    for _ in range(60):
        state = await gateway.status()
        if state["recorded"] == DAY:
            return DAY
        await asyncio.sleep(1.0)
    raise UnavailableError(f"the agent has recorded {state['recorded']} of {DAY} fixes")


async def measure() -> Cost:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="odograph-bench-") as scratch:
        start_mb, cpu, first_s = await steady(Path(scratch) / "steady")
        day_mb, fixes = await a_day(Path(scratch) / "day")
    return Cost(start_mb, day_mb, fixes, cpu, first_s)


def main() -> None:
    """Print the table; raises UnavailableError when a figure is beyond its limit."""
    cost = asyncio.run(measure())
    print("agent on the gateway                                      measured    must")
    print(f"  memory, after {SETTLE_S:.0f} s at 1 Hz GNSS and 5 Hz OBD     {cost.start_mb:8.1f} MB   60")
    print(f"  memory, after {cost.day_fixes} fixes                     {cost.day_mb:8.1f} MB   60")
    print(f"  CPU at 1 Hz GNSS and 5 Hz OBD, of one core         {cost.cpu_percent:8.2f} %     3")
    print(f"  first epoch on the wire to first live position     {cost.first_fix_s:8.2f} s   1.5")
    if max(cost.start_mb, cost.day_mb) > 60 or cost.cpu_percent > 3 or cost.first_fix_s > 1.5:
        raise UnavailableError("the agent costs more than it may")


if __name__ == "__main__":
    main()
