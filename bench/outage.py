"""How soon a vehicle is current after an outage that drops packets, as a dead zone does. Needs root and nft; loopback only."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from bench.demo.measure import Outage, Watched, outage_of
from bench.yard import Gateway, Hub
from hub.clients.stream import Stream
from wire.errors import UnavailableError
from wire.ops import clock

RECORDING = Path(__file__).parent.parent / "tests" / "recordings" / "nds-drive10.csv.gz"
TABLE = "odograph-bench"
OUTAGES_S = (15.0, 12.3, 15.7, 9.1)
WARM_UP_S, WATCH_S = 8.0, 6.0
LIMIT_S = 2.0


async def _nft(*words: str) -> None:
    process = await asyncio.create_subprocess_exec("nft", *words)
    if await process.wait() != 0:
        raise UnavailableError(f"nft {' '.join(words)} failed")


async def _follow(hub: Hub, token: str, watched: Watched) -> None:
    async with Stream(hub.http.replace("http", "ws", 1), token) as stream:
        await stream.subscribe(1)
        async for frame in stream:
            for vehicle in frame.get("vehicles", ()):
                watched.take(vehicle, clock.utc_ms(), op=frame["op"])


async def _outages(port: str, watched: Watched) -> list[Outage]:
    await _nft("add", "table", "inet", TABLE)
    found = []
    try:
        await _nft("add", "chain", "inet", TABLE, "in", "{ type filter hook input priority 0 ; }")
        for seconds in OUTAGES_S:
            for end in ("dport", "sport"):
                await _nft("add", "rule", "inet", TABLE, "in", "tcp", end, port, "drop")
            cut_ms = clock.utc_ms()
            await asyncio.sleep(seconds)
            await _nft("flush", "chain", "inet", TABLE, "in")
            mended_ms = clock.utc_ms()
            await asyncio.sleep(WATCH_S)
            found.append(outage_of(watched, cut_ms, mended_ms))
    finally:
        await _nft("delete", "table", "inet", TABLE)
    return found


async def measure(folder: Path) -> list[Outage]:
    """One vehicle, a few outages."""
    hub, watched = Hub(folder / "hub"), Watched()
    await hub.start()
    gateway = Gateway("gw-bench-3", "bench-3", RECORDING, folder / "bench-3", hub.mqtt)
    listening = None
    try:
        await gateway.introduce(hub)
        token = str((await hub.json("token", "add", "bench"))["token"])
        listening = asyncio.ensure_future(_follow(hub, token, watched))
        await gateway.start_rig()
        await gateway.start_agent()
        await asyncio.sleep(WARM_UP_S)
        return await _outages(hub.mqtt.rpartition(":")[2], watched)
    finally:
        if listening is not None:
            listening.cancel()
        await gateway.stop()
        await hub.process.stop()


def main() -> None:
    """Print the table; raises UnavailableError when a return took too long."""
    if os.getuid() != 0 or shutil.which("nft") is None:
        print("outages by dropped packets: not measured (needs root, and nft of Debian's nftables)")
        return
    with tempfile.TemporaryDirectory(prefix="odograph-bench-") as scratch:
        outages = asyncio.run(measure(Path(scratch)))
    reports = [outage.report() for outage in outages]
    for report in reports:
        print(f"  outage of {report['seconds']} s, packets dropped: current after {report['now_after_s']} s, "
              f"backlog in the store after {report['backlog_after_s']} s")  # fmt: skip
    if any(report["now_after_s"] is None or report["now_after_s"] > LIMIT_S for report in reports):
        raise UnavailableError(f"a vehicle was not current within {LIMIT_S:g} s")


if __name__ == "__main__":
    main()
