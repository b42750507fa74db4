"""How long the live views take to come back when Redis has lost everything: a real Valkey, 10,000 vehicles, moves meanwhile.

`python -m bench.rebuild`: FLUSHALL under load three times, then a kill -9 of the server, which comes back empty.
"""

import asyncio
import contextlib
import math
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hub.adapters.memory import MemoryDown, MemoryStore
from hub.adapters.redis import RedisNow
from hub.adapters.valkey import EmbeddedValkey
from hub.core import keys
from hub.core.registry import Binding, Device, Registry, Vehicle
from hub.events import HAPPENINGS
from hub.flow import Limits
from hub.upkeep import Upkeep
from wire.codec import encode_live
from wire.errors import UnavailableError
from wire.messages import Live
from wire.ops.clock import utc_ms
from wire.ops.watch import Watch

MOVES_PER_S = 500
FLUSHES = 3
MARK = "1"


@dataclass(frozen=True, slots=True)
class Mended:
    """One loss: how long until all vehicles were there again, and how the moves did meanwhile."""

    what: str
    seconds: float
    moves: int
    slowest_ms: float


class Site:
    """An ingest on a real Valkey, as the hub has it, with a fleet that moves."""

    def __init__(self, server: EmbeddedValkey, vehicles: int) -> None:
        self.server, self.count = server, vehicles
        self.now, self.watch = RedisNow(server.url), Watch("hub", HAPPENINGS)
        store = MemoryStore()
        names = range(vehicles)
        store._registry = Registry(  # noqa: SLF001  # 10,000 calls would measure the twin
            1, ("main",), {f"v{i}": Vehicle(f"v{i}", "main", f"V{i}") for i in names},
            {f"gw-{i}": Device(f"gw-{i}", "main", bindings=(Binding(f"v{i}", 0),)) for i in names},
        )  # fmt: skip
        self.ingest = Upkeep(store, self.now, watch=self.watch, utc_ms=utc_ms, limits=Limits(100, 100))
        self.ingest.bulk = self.ingest.fast = MemoryDown()
        self.ingest.on_registry = lambda _registry: None
        self.sent = 0
        self.pace_s: list[float] = []

    def move(self, i: int) -> None:
        """A live message of a vehicle, made now."""
        live = Live(utc_ms(), 41 + (i % 100) * 1e-2, -96 + (i // 100) * 1e-2, 13.4, 271.0, accuracy_m=3.0, alt_m=300.0)
        self.ingest.take(f"odo/1/gw-{i}/up/live", encode_live(live))
        self.sent += 1

    async def moving(self) -> None:
        """So many messages a second, round and round; how late each beat is tells what the rebuild takes from the others."""
        loop, beat_s, i = asyncio.get_running_loop(), 0.02, 0
        while True:
            started = loop.time()
            for _ in range(math.ceil(MOVES_PER_S * beat_s)):
                self.move(i % self.count)
                i += 1
            await asyncio.sleep(beat_s)
            self.pace_s.append(loop.time() - started)

    async def whole(self) -> bool:
        """All vehicles are there, on the map too, and the view is marked as filled."""
        of = keys.of("main")
        with contextlib.suppress(UnavailableError):
            if await self.now.filled("main") == MARK:
                async with self.now._talking() as redis:  # noqa: SLF001  # counts are cheaper than everything
                    return bool(await redis.hlen(of.live) == await redis.zcard(of.geo) == self.count)
        return False

    async def lost(self, what: str, lose: Callable[[], Awaitable[object]]) -> Mended:
        """Lose everything and wait until it is back."""
        loop = asyncio.get_running_loop()
        self.sent, self.pace_s = 0, []
        started = loop.time()
        await lose()
        async with asyncio.timeout(120):
            while not await self.whole():  # noqa: ASYNC110  # what is waited for is in another process
                await asyncio.sleep(0.01)
        return Mended(what, loop.time() - started, self.sent, max(self.pace_s, default=0) * 1000)

    async def flush(self) -> None:
        """FLUSHALL."""
        async with self.now._talking() as redis:  # noqa: SLF001  # a fault from outside
            await redis.flushall()

    async def kill(self) -> None:
        """Kill -9 of the server."""
        os.kill(self.server.pid or 0, signal.SIGKILL)


async def measure(vehicles: int) -> list[Mended]:
    """A site with so many vehicles, and its losses."""
    with tempfile.TemporaryDirectory(prefix="odo-rebuild-") as folder:
        server = EmbeddedValkey(Path(folder), Watch("hub", HAPPENINGS))
        await server.start()
        site = Site(server, vehicles)
        await site.ingest.start()
        for i in range(vehicles):
            site.move(i)
        works = (site.ingest.live_lane(), site.ingest.keep_redis(MARK), server.run(), site.moving())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await site.lost("start", site.flush)
            found = [await site.lost("FLUSHALL", site.flush) for _ in range(FLUSHES)]
            return [*found, await site.lost("kill -9", site.kill)]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await site.now.close()
            await server.stop()


def main() -> None:
    """Print the figures."""
    vehicles = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[0].endswith("rebuild.py") else 10_000
    print(f"rebuild of the live views, {vehicles} vehicles, {MOVES_PER_S} moves a second meanwhile")
    for one in asyncio.run(measure(vehicles)):
        print(
            f"  {one.what:9} whole after {one.seconds:5.2f} s, {one.moves:4} moves came, slowest beat {one.slowest_ms:4.0f} ms"
        )


if __name__ == "__main__":
    main()
