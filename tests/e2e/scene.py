"""A yard for the door tests: one hub, one healthy vehicle that drives and is watched, and guests that misbehave."""

import asyncio
import contextlib
import json
import os
import re
import tty
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx

from agent.adapters.state_socket import ask, socket_path
from agent.core.rig.elm327 import Car, Responder
from agent.core.rig.sentences import made
from bench.demo.measure import Watched
from bench.yard import Gateway, Hub
from hub.clients.stream import Stream
from tests.e2e.parts import token_of
from tests.rigs import RECORDINGS, eventually
from wire.codec import decode_ack, dump
from wire.errors import RefusedError
from wire.messages import Ack, Fix
from wire.ops import clock
from wire.ops.mqtt import Connection, login
from wire.ops.settings import secret

QUICK = "[sampling]\nupload_s = 0.5\ncommit_s = 0.2\neps_m = 1\nheartbeat_moving_s = 2\nheartbeat_parked_s = 2\n"
PATIENCE = "spread_s = 1\nsilent_s = 3\n"
QUIET = ("broker_died", "mqtt_down", "redis_down", "store_down", "valkey_died", "ingest_overflow", "broker_flooded")
"""What must not happen at the hub because of what a guest does."""


@dataclass(slots=True)
class Scene:
    """The hub, who drives, and what a client of the stream has seen of it."""

    hub: Hub
    driver: Gateway
    token: str = ""
    watched: Watched = field(default_factory=Watched)
    watching: "asyncio.Task[None] | None" = None
    bugs: int = 0

    async def start(self) -> None:
        """Everything up, and the first fixes committed."""
        await self.hub.start()
        self.driver.mqtt = self.hub.mqtt
        await self.driver.introduce(self.hub)
        self.token = await token_of(self.hub)
        await self.driver.start_rig()
        await self.driver.start_agent()
        self.watching = asyncio.create_task(self._watch())
        await eventually(lambda: (self.watched.state.get("through") or 0) > 0, within_s=20)

    async def stop(self) -> None:
        """End what was started."""
        if self.watching is not None:
            self.watching.cancel()
            await asyncio.gather(self.watching, return_exceptions=True)
        await self.driver.stop()
        await self.hub.process.stop()

    async def _watch(self) -> None:
        async with Stream(self.ws, self.token) as stream:
            await stream.subscribe(1, {"ids": [self.driver.vehicle]})
            async for frame in stream:
                for vehicle in frame.get("vehicles", ()):
                    self.watched.take(vehicle, clock.utc_ms())

    @property
    def ws(self) -> str:
        """Where the stream is."""
        return self.hub.http.replace("http", "ws", 1)

    def client(self, **more: Any) -> httpx.AsyncClient:
        """A client of the API with a token that may read."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.hub.http, headers=headers, trust_env=False, timeout=15, **more)

    async def counted(self, name: str, **labels: str) -> int:
        """The sum of a counter of the hub over the rows that carry these labels."""
        async with self.client() as client:
            text = (await client.get("/metrics")).raise_for_status().text
        rows = re.findall(rf"^odograph_hub_{name}_total(?:\{{(.*)\}})? (\d+)$", text, re.MULTILINE)
        assert rows, f"{name} is not among the metrics"
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(int(n) for row, n in rows if all(label in row for label in wanted))

    async def undisturbed(self) -> None:
        """From now on, the vehicle still moves on the map, its track is still committed, and no part has failed."""
        assert self.watching is not None
        lives, through = len(self.watched.lives), self.watched.state["through"]
        await eventually(
            lambda: len(self.watched.lives) >= lives + 2 and self.watched.state["through"] > through, within_s=12
        )
        assert not self.watching.done(), "the healthy client keeps its connection"
        assert self.watched.state["on"]
        for name in QUIET:
            assert await self.counted(name) == 0, name
        for process in (self.hub.process, self.driver.agent):
            assert process.running
        logs = [
            process.log.read_text(encoding="utf-8", errors="replace")
            for process in (self.hub.process, self.driver.agent)
        ]
        seen, self.bugs = self.bugs, sum(log.count("Traceback") for log in logs)
        assert self.bugs == seen, "a bug shows in a log"
        assert "link.down" not in self.driver.agent.log.read_text(encoding="utf-8")


def scene_at(folder: Path) -> Scene:
    """A hub with everything embedded, and a vehicle on a rig at the pace of the real drive."""
    hub = Hub(folder / "hub")
    driver = Gateway(
        "gw-driver", "driver", RECORDINGS / "nds-drive33.csv.gz", folder / "driver", "",
        extra=QUICK, hub_extra=PATIENCE,
    )  # fmt: skip
    return Scene(hub, driver)


class Line:
    """A pty that we speak on as a device would; the agent opens its other end."""

    def __init__(self, link: Path) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.ttyname(self._slave))

    async def say(self, data: bytes, *, within_s: float = 20.0) -> None:
        """Write all of it, as fast as it is read."""
        rest = memoryview(data)
        async with asyncio.timeout(within_s):
            while rest:
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(self.master, rest) :]
                await asyncio.sleep(0.001)

    def close(self) -> None:
        """Unplug it."""
        os.close(self.master)
        os.close(self._slave)


class Receiver(Line):
    """A receiver on a straight road, whose fixes can be asked for one by one."""

    def __init__(self, link: Path) -> None:
        super().__init__(link)
        self.fix = Fix((clock.utc_ms() // 1000 - 600) * 1000, 52.0, 13.0, alt_m=40.0, speed_mps=10.0, course_deg=0.0)

    async def fixes(self, count: int) -> None:
        """So many good epochs, a second apart on the receiver's clock."""
        for _ in range(count):
            self.fix = replace(self.fix, at_ms=self.fix.at_ms + 1000, lat_deg=self.fix.lat_deg + 9e-5)
            await self.say(made(self.fix))
            await asyncio.sleep(0.12)


class Adapter(Line):
    """An OBD adapter that answers each command as it is told to, from nonsense to the truth."""

    def __init__(self, link: Path) -> None:
        super().__init__(link)
        self.heard = 0
        self.answer: Callable[[bytes], bytes] | None = None
        self._truth = Responder()
        self._car = Car(frozenset({"rp", "vs"}), {"rp": 2000.0, "vs": 36.0})
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            asked = b""
            with contextlib.suppress(BlockingIOError):
                asked = os.read(self.master, 256)
            self.heard += len(asked)
            if self.answer is None:
                self._truth.feed(asked, clock.mono_ms(), self._car)
                await self.say(self._truth.take(clock.mono_ms()))
            elif asked:
                await self.say(self.answer(asked))

    async def unplug(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.close()


class Guest:
    """A device with a credential of its own that says whatever it likes."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.acks: asyncio.Queue[Ack] = asyncio.Queue()
        self.connection: Connection | None = None

    @classmethod
    async def login(cls, url: str, identity: str, secret_file: Path) -> Self:
        """Connect, and listen to the hub's acks."""
        guest = cls(identity)
        where = login(url, identity, secret=secret(secret_file))
        for _ in range(20):
            with contextlib.suppress(RefusedError):  # a device that was just added is known within a second
                guest.connection = await Connection.open(where, guest._take)
                break
            await asyncio.sleep(0.2)
        assert guest.connection is not None
        await guest.connection.subscribe(f"odo/1/{identity}/down/ack")
        return guest

    def _take(self, _topic: str, payload: bytes) -> None:
        self.acks.put_nowait(decode_ack(payload))

    async def say(self, name: str, payload: bytes, *, to: str = "") -> None:
        """Publish on `up/<name>` (or on another topic altogether), until the broker has it."""
        assert self.connection is not None
        topic = to or f"odo/1/{self.identity}/up/{name}"
        await asyncio.wait_for(self.connection.publish(topic, payload), 5)

    async def answer(self) -> Ack:
        """The hub's next word."""
        return await asyncio.wait_for(self.acks.get(), 5)

    async def leave(self) -> None:
        """Say good-bye."""
        if self.connection is not None:
            await self.connection.close()


def deflated(body: bytes) -> bytes:
    """As the body of a batch is packed."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(body) + squeezer.flush()


def batch_of(raw: bytes, first: int, last: int, **other: object) -> bytes:
    """A track payload with a header that is right for its body, but for what `other` says."""
    head = {"v": 1, "s": "AAAAAAAAAAE", "f": first, "l": last, "w": 1, "a": "AAAAAAAAAAA", "b": "BBBBBBBBBBB"}
    return dump(head | {"c": f"{zlib.crc32(raw):08x}"} | other) + b"\n" + raw


def kept_raw(hub: Hub) -> list[dict[str, Any]]:
    """What is in the hub's quarantine, without its payloads; read beside the running hub."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(f"file:{hub.folder / 'data' / 'odograph.db'}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [
            {key: row[key] for key in row.keys() if key != "payload"}  # noqa: SIM118  # a Row iterates over its values
            for row in db.execute("SELECT * FROM quarantine")
        ]


def frame(text: str | bytes) -> dict[str, Any]:
    """A frame of the stream."""
    value: dict[str, Any] = json.loads(text)
    return value


def live_of(**other: object) -> dict[str, object]:
    fine = {"v": 1, "t": clock.utc_ms(), "lat": 52.0, "lon": 13.0, "alt": 1, "spd": 1.0, "crs": 2, "acc": 3, "eps": 10}
    return fine | other


async def state_of(gateway: Gateway) -> dict[str, object]:
    state = await asyncio.to_thread(ask, socket_path(gateway.outbox))
    assert state is not None
    return state


async def number(gateway: Gateway, key: str) -> int:
    value = (await state_of(gateway))[key]
    assert isinstance(value, int)
    return value
