"""Thousands of vehicles in one process: the agent's own recorder, lanes and back-off, each on an outbox in memory and a tiny link.

`python -m tests.herd.crowd` obeys lines on standard input (`drive`, `mark`, `tell`) with a JSON line each on standard output.
"""

import argparse
import asyncio
import contextlib
import json
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable

from agent.adapters.memory import MemoryOutbox
from agent.core import sampler, timing
from agent.core.dating import Moment
from agent.flow import LiveLane, Senses, Vehicle, take
from agent.lanes import Config, Uplink
from agent.recorder import Recorder
from agent.uplink import stay_linked
from tests.herd.tiny import TinyLink
from wire.messages import Fix
from wire.ops import clock

SPEED_MPS = 12.0
METRES = 111_320.0


class WallClock:
    """The time of this machine, believed."""

    basis = timing.Basis.SYSTEM

    def __init__(self) -> None:
        self._start_ms = clock.mono_ms()

    def mono_ms(self) -> int:
        return clock.mono_ms() - self._start_ms

    def now(self) -> Moment:
        return Moment(clock.utc_ms(), "herd", self.mono_ms())

    def judge(self, at_ms: int) -> tuple[int | None, timing.Verdict]:
        return at_ms, timing.Verdict.RIGHT


class Tally:
    """Counts what the vehicles watch, all of them together."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, name: str, /, n: int = 1, **details: object) -> None:
        self.counts[name] += n


class One:
    """One vehicle. `held_ms`: when the hub had said that it holds all that was recorded up to the mark."""

    def __init__(self, number: int, args: argparse.Namespace, watch: Tally) -> None:
        self.rng = random.Random(args.seed * 100_003 + number)
        self.number, self.every_s = number, args.every
        self.clock, self.outbox = WallClock(), MemoryOutbox()
        recorder = Recorder(self.outbox, self.clock, watch=watch, commit_ms=round(args.every * 1000))
        self.senses = Senses(Vehicle(), recorder, LiveLane(sampler.Config()), self.clock, watch)
        config = Config("herd", f"c{number}", upload_s=args.upload, silent_s=args.silent, spread_s=args.spread)
        self.up = Uplink(
            self.outbox, recorder, self.senses.live, self.senses, self.clock, watch, config, self.rng.random
        )
        recorder.on_event = self.up.take_event
        self.link = TinyLink(f"gw-h{number}", args.secret, args.port, on_ack=self.heard)
        self.mark_seq = 0
        self.held_ms: int | None = None

    def mark(self) -> None:
        """From here on it counts anew."""
        self.mark_seq, self.held_ms = self.outbox.newest, None

    def heard(self, payload: bytes) -> None:
        """An ack of the hub, as it came; what it does to the outbox is the product's business."""
        if self.held_ms is None and json.loads(payload).get("upto", 0) >= self.mark_seq > 0:
            self.held_ms = clock.utc_ms()

    async def run(self, ramp_s: float) -> None:
        """Drive straight on, a fix now and again; the link is the product's."""
        await asyncio.sleep(self.rng.random() * ramp_s)
        await asyncio.gather(self._drive(), stay_linked(self.link, self.up), self.senses.recorder.keep_committing())

    async def _drive(self) -> None:
        lat, lon = 40.0 + self.number % 100 * 0.05, -100.0 + self.number // 100 * 0.05
        while True:
            lat += SPEED_MPS * self.every_s / METRES
            await take(Fix(clock.utc_ms(), lat, lon, 300.0, SPEED_MPS, 0.0, accuracy_m=2.0), self.senses)
            if self.outbox.acked > 50:
                await self.outbox.make_room()
            await asyncio.sleep(self.every_s * (0.9 + 0.2 * self.rng.random()))


def told(vehicles: list[One], watch: Tally) -> dict[str, object]:
    """Where they are."""
    return {
        "linked": sum(v.up.linked_at_ms is not None for v in vehicles), "held": {f"h{v.number}": v.held_ms for v in vehicles if v.held_ms is not None},
        "recorded": sum(v.outbox.newest for v in vehicles), "acked": sum(v.outbox.acked for v in vehicles),
        "attempts": sum(v.link.attempts for v in vehicles), "counts": dict(watch.counts),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }  # fmt: skip


async def run(args: argparse.Namespace) -> None:
    """All of them, until standard input ends."""
    watch = Tally()
    vehicles = [One(number, args, watch) for number in range(args.first, args.first + args.count)]
    running = [asyncio.create_task(one.run(args.ramp)) for one in vehicles]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    def mark() -> dict[str, object]:
        for one in vehicles:
            one.mark()
        return {}

    orders: dict[str, Callable[[], dict[str, object]]] = {"mark": mark, "tell": lambda: told(vehicles, watch)}
    while line := (await reader.readline()).decode().strip():
        broken = [task for task in running if task.done()]
        answer = orders[line]() | {"broken": [repr(task.exception()) for task in broken][:3]}
        print(json.dumps(answer), flush=True)
    for task in running:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*running, return_exceptions=True)


def main() -> None:
    """The command line; numbers are seconds unless they count."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind, default in (
        ("first", int, 0), ("count", int, 100), ("port", int, 1883), ("seed", int, 1), ("spread", float, 60.0),
        ("ramp", float, 5.0), ("every", float, 10.0), ("upload", float, 60.0), ("silent", float, 5.0), ("secret", str, "s"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=default)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
