"""The herd: a real Mosquitto, a real hub, and thousands of vehicles that all lose the broker, or the hub, at the same moment."""

import asyncio
import contextlib
import json
import os
import pwd
import resource
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.demo.measure import percentile
from bench.yard import Hub, Process, free_port
from hub.clients.stream import Stream
from tests.e2e.parts import token_of
from tests.rigs import binary, eventually
from wire.ops import clock

PROCESSES = 2
MOST_MB = 300.0
"""Twice what the hub was seen to take with 10,000 vehicles; it is 100 with one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many, and how they behave. `down_s`: so long is the part away, longer than `every_s`, a vehicle's time between two fixes."""

    vehicles: int = 10_000
    spread_s: float = 60.0
    ramp_s: float = 60.0
    every_s: float = 10.0
    upload_s: float = 60.0
    down_s: float = 12.0
    within_s: float = 120.0
    seed: int = 1


@dataclass(slots=True)
class Returned:
    """One return: when each vehicle was current, and what it cost."""

    what: str
    took_s: list[float]
    missing: int
    attempts: int
    overflow: int
    hub_mb: float
    broker_mb: float
    live_p99_s: float = float("nan")
    counts: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """For people."""
        return (
            f"{self.what}: {len(self.took_s)} current, {self.missing} not; p50 {percentile(self.took_s, 0.5):.1f} s, p99 "
            f"{percentile(self.took_s, 0.99):.1f} s, last {max(self.took_s, default=float('nan')):.1f} s; {self.attempts} attempts to "
            f"connect; {self.overflow} overflows; live age p99 {self.live_p99_s:.2f} s; memory at most: hub {self.hub_mb:.0f} MB, "
            f"broker {self.broker_mb:.0f} MB"
        )

    @property
    def greedy(self) -> bool:
        """Whether hub or broker took more memory than they may."""
        return max(self.hub_mb, self.broker_mb) > MOST_MB

    def wrong(self, *, within_s: float) -> list[str]:
        """What was not as promised."""
        late = [took for took in self.took_s if took > within_s]
        return [
            *([f"{self.what}: {self.missing} vehicles were not current"] if self.missing else []),
            *([f"{self.what}: {self.overflow} times a queue overflowed"] if self.overflow else []),
            *([f"{self.what}: hub {self.hub_mb:.0f} MB, broker {self.broker_mb:.0f} MB"] if self.greedy else []),
            *([f"{self.what}: {len(late)} vehicles took longer than {within_s:g} s"] if late else []),
        ]


class Crowd:
    """The load processes."""

    def __init__(self, plan: Plan, port: int, secret: str) -> None:
        self._plan, self._port, self._secret = plan, port, secret
        self._parts: list[asyncio.subprocess.Process] = []

    async def start(self, log: Path) -> None:
        """All of them; they connect within the ramp."""
        plan, share = self._plan, -(-self._plan.vehicles // PROCESSES)
        for first in range(0, plan.vehicles, share):
            options = {
                "first": first, "count": min(share, plan.vehicles - first), "port": self._port, "secret": self._secret,
                "seed": plan.seed, "spread": plan.spread_s, "ramp": plan.ramp_s, "every": plan.every_s, "upload": plan.upload_s,
            }  # fmt: skip
            words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            with log.open("ab") as errors:
                part = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.herd.crowd", *words,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors, limit=1 << 22,
                )  # fmt: skip
            self._parts.append(part)

    async def order(self, word: str) -> list[dict[str, Any]]:
        """Tell all of them; their answers."""
        for part in self._parts:
            assert part.stdin is not None
            part.stdin.write(f"{word}\n".encode())
        answers = []
        for part in self._parts:
            assert part.stdout is not None
            answers.append(json.loads(await part.stdout.readline()))
        broken = [one for answer in answers for one in answer["broken"]]
        assert not broken, broken
        return answers

    async def stop(self) -> None:
        """End."""
        for part in self._parts:
            if part.stdin is not None:
                part.stdin.close()
        for part in self._parts:
            try:
                async with asyncio.timeout(20):
                    await part.wait()
            except TimeoutError:
                part.kill()
                await part.wait()


async def populate(hub: Hub, vehicles: int) -> str:
    """So many vehicles with a device each, all with one secret: straight into the store, after the hub's own first one."""
    await hub.command("vehicle", "add", "h-seed")
    secret = hub.folder / "secret"
    await hub.command("device", "add", "gw-seed", "--vehicle", "h-seed", "--secret-out", str(secret))
    names = [(f"h{i}", f"gw-h{i}") for i in range(vehicles)]
    with contextlib.closing(sqlite3.connect(hub.folder / "data" / "odograph.db")) as db, db:
        for table, column in (
            ("vehicle", "vehicle"),
            ("device", "device"),
            ("binding", "device"),
            ("credential", "identity"),
        ):
            rows = db.execute(f"SELECT * FROM {table} WHERE {column} IN ('h-seed', 'gw-seed')")
            keys = [one[0] for one in rows.description]
            seed = dict(zip(keys, rows.fetchone(), strict=True))
            marks = ", ".join("?" * len(keys))
            db.executemany(
                f"INSERT INTO {table} ({', '.join(keys)}) VALUES ({marks})",
                [
                    [
                        vehicle if seed[key] == "h-seed" else device if seed[key] == "gw-seed" else seed[key]
                        for key in keys
                    ]
                    for vehicle, device in names
                ],
            )
        db.execute("UPDATE meta SET value = value + 1 WHERE key = 'registry'")
    return secret.read_text(encoding="utf-8").strip()


def low_port() -> int:
    """A free port below those that the system gives to clients: one of thousands would take it while the broker is away."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Site:
    """Broker, hub and herd."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan, self.port = folder, plan, low_port()
        settings = f'[http]\nhost = "127.0.0.1"\nport = {free_port()}\n\n[mqtt]\nurl = "mqtt://127.0.0.1:{self.port}"\n'
        self.hub = Hub(folder / "hub", settings=settings)
        self.broker = Process(
            "broker", [binary("mosquitto"), "-c", str(folder / "mosquitto" / "odograph.conf")], folder=folder
        )
        self.crowd = Crowd(plan, self.port, "")
        self.token = ""
        self.ages: list[tuple[int, float]] = []
        self.seen_ms: dict[str, tuple[int, int]] = {}
        self.peaks = {"hub": 0.0, "broker": 0.0}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Until every vehicle is linked and current."""
        secret = await populate(self.hub, self.plan.vehicles)
        await self.hub.command(
            "mosquitto", "--out", str(self.folder / "mosquitto"), "--listener", f"{self.port} 127.0.0.1"
        )
        with (self.folder / "mosquitto" / "odograph.conf").open("a", encoding="utf-8") as config:
            config.write(f"user {pwd.getpwuid(os.getuid()).pw_name}\n")
        await self.start_broker()
        await self.hub.start()
        self.token = await token_of(self.hub)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._weigh())]
        self.crowd = Crowd(self.plan, self.port, secret)
        await self.crowd.start(self.folder / "crowd.log")
        await eventually(self._all_linked, within_s=self.plan.ramp_s + 120, every_s=1.0)

    async def _all_linked(self) -> bool:
        told = await self.crowd.order("tell")
        linked = sum(one["linked"] for one in told)
        print(f"  {linked} linked, {sum(one['attempts'] for one in told)} attempts", file=sys.stderr, flush=True)
        return linked == self.plan.vehicles and all(one["acked"] for one in told)

    async def start_broker(self) -> None:
        """Mosquitto with the files that the hub has made."""
        await self.broker.start()

        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, within_s=30, every_s=0.02)

    async def stop(self) -> None:
        """All ends."""
        await self.crowd.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hub.process.stop()
        await self.broker.stop()

    async def _follow(self) -> None:
        """A client of the stream that sees all vehicles; it comes back when the hub does."""
        while True:
            with contextlib.suppress(Exception):  # the hub is away
                async with Stream(self.hub.http.replace("http", "ws", 1), self.token) as stream:
                    await stream.subscribe(1)
                    async for frame in stream:
                        self._aged(frame)
            await asyncio.sleep(0.5)

    def _aged(self, frame: Any) -> None:
        now_ms = clock.utc_ms()
        if frame.get("op") == "moves":
            for vehicle in frame.get("vehicles", ()):
                name, at_ms = vehicle["veh"], (vehicle.get("live") or {}).get("t", 0)
                if at_ms > self.seen_ms.get(name, (0, 0))[0]:
                    self.seen_ms[name] = at_ms, now_ms
                    self.ages.append((now_ms, (now_ms - at_ms) / 1000))

    async def _weigh(self) -> None:
        while True:
            for name, process in (("hub", self.hub.process), ("broker", self.broker)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.running:
                        self.peaks[name] = max(self.peaks[name], psutil.Process(process.pid).memory_info().rss / 1e6)
            await asyncio.sleep(0.5)

    async def counted(self, name: str) -> int:
        """A counter of the hub, summed."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            text = (
                await client.get(f"{self.hub.http}/metrics", headers={"Authorization": f"Bearer {self.token}"})
            ).text
        return sum(
            int(float(row.rpartition(" ")[2]))
            for row in text.splitlines()
            if row.startswith(f"odograph_hub_{name}_total")
        )

    async def loses(self, what: str) -> Returned:
        """The part is killed, and comes back; then every vehicle must become current."""
        self.peaks = dict.fromkeys(self.peaks, 0.0)
        before = await self.crowd.order("tell")
        process = self.broker if what == "broker" else self.hub.process
        await process.kill()
        gone_ms = clock.utc_ms()
        await asyncio.sleep(self.plan.down_s)
        await (self.start_broker() if what == "broker" else self.hub.start())
        back_ms = clock.utc_ms()
        await self.crowd.order("mark")
        told = await self._returned(what, gone_ms, back_ms)
        after = sum(one["attempts"] for one in told) - sum(one["attempts"] for one in before)
        took = sorted((at_ms - back_ms) / 1000 for at_ms in self._current(what, told, gone_ms).values())
        counts: dict[str, int] = {}
        for one in told:
            for name, n in one["counts"].items():
                counts[name] = counts.get(name, 0) + n
        made = [age for at, age in self.ages if at > back_ms]
        self.ages.clear()
        return Returned(
            f"{what} away for {self.plan.down_s:g} s, {self.plan.vehicles} vehicles", took, self.plan.vehicles - len(took), after,
            await self.counted("ingest_overflow"), self.peaks["hub"], self.peaks["broker"], percentile(made, 0.99), counts,
        )  # fmt: skip

    def _current(self, what: str, told: list[dict[str, Any]], gone_ms: int) -> dict[str, int]:
        """When the store had all that a vehicle had recorded, and the stream a position that was made since the part went.

        A hub that was away has found the newest positions at the broker: a vehicle tells a new one only when it must.
        """
        current = {}
        for name, held_ms in ((name, at) for one in told for name, at in one["held"].items()):
            made_ms, seen_ms = self.seen_ms.get(name, (0, 0))
            if made_ms >= gone_ms or what == "hub":
                current[name] = max(held_ms, seen_ms if made_ms >= gone_ms else 0)
        return current

    async def _returned(self, what: str, gone_ms: int, back_ms: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + 2 * self.plan.within_s
        while True:
            told = await self.crowd.order("tell")
            current = len(self._current(what, told, gone_ms))
            if current == self.plan.vehicles or time.monotonic() > deadline:
                return told
            print(f"  {(clock.utc_ms() - back_ms) / 1000:5.1f} s: {sum(one['linked'] for one in told)} linked, "
                  f"{sum(len(one['held']) for one in told)} held, {current} current", file=sys.stderr, flush=True)  # fmt: skip
            await asyncio.sleep(max(0.2, self.plan.vehicles / 2000))


@contextlib.asynccontextmanager
async def site(folder: Path, plan: Plan) -> AsyncIterator[Site]:
    """With as many open files as this machine grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    made = Site(folder, plan)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
