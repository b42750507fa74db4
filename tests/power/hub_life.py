"""Short lives of the real hub's way in, from a seed: its own ingest on its own SQLite store, with every ack marked as it goes out.

Batches of several devices in one commit, repeated and out of order, with events and receipts; fast copies of events; statuses;
poison and unknown schemas; a roll-back; live states, the relay, the trimming of the quarantine.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from hub.adapters.store import database
from hub.adapters.store.database import Database
from hub.adapters.store.sql import SqlStore
from hub.core.marks import Incoming, Outcome
from hub.ports import SavedLive
from tests.hub.flow.ingest_yard import Yard
from tests.hub.makers import STORE, T0, a_batch, a_watch, bent_body
from tests.power.disk import Log
from tests.power.vfs import observed
from tests.rigs import eventually
from wire.codec import decode_ack, encode_event, encode_status
from wire.messages import Event, Lost, Status
from wire.track import encode_batch

BUGS = ("", "normal", "off", "ack-early")
DEVICES = ("gw-a", "gw-b")
TABLES = ("track_chunk", "mark", "event", "live_state", "ledger", "quarantine", "fleet", "device")
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass(slots=True)
class Life:
    """A recorded life."""

    seed: int
    log: Log
    fresh: bool


def tables_of(db: sqlite3.Connection) -> Tables:
    """All that counts."""
    return {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall() for name in TABLES}  # constants


async def _made(folder: Path) -> None:
    store = SqlStore(folder / "hub.db", None, watch=a_watch())
    await store.open()
    await people(store)
    await store.close()


async def people(store: SqlStore) -> None:
    """A fleet of two."""
    await store.add_fleet("main", T0)
    for device, vehicle in zip(DEVICES, ("van-1", "van-2"), strict=True):
        await store.add_vehicle(vehicle, "main", name=vehicle.title(), tags=["cooled"], now_ms=T0)
        await store.add_device(device, vehicle, password_hash="H", valid_from_ms=T0 - 1000, now_ms=T0)  # none


@cache
def _template() -> dict[str, bytes]:
    return {}


async def template() -> bytes:
    """A store with its people, made once."""
    if not _template():
        with tempfile.TemporaryDirectory() as folder:
            await _made(Path(folder))
            _template()["hub.db"] = (Path(folder) / "hub.db").read_bytes()
    return _template()["hub.db"]


class _Acks:
    """The way down: each ack is marked in the log as it goes out."""

    up = True

    def __init__(self, log: Log) -> None:
        self.log, self.count = log, 0

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        del retain
        if topic.endswith("/ack"):
            self.count += 1
            self.log.mark("ack", (topic.split("/")[2], decode_ack(payload)))


@contextlib.contextmanager
def _listening(log: Log, path: Path, bug: str) -> Iterator[None]:
    """The store's transactions tell the log what holds after each."""
    writing, engine, eyes = Database.writing, database._sqlite_engine, list[sqlite3.Connection]()

    @contextlib.asynccontextmanager
    async def told(self: Database) -> AsyncIterator[Any]:
        log.mark("begin")
        async with writing(self) as tx:
            yield tx
        if not eyes:
            eyes.append(sqlite3.connect(path))
        with contextlib.suppress(sqlite3.OperationalError):  # a lock, or no table yet
            log.mark("state", tables_of(eyes[0]))

    def careless(*args: Any, **kwargs: Any) -> Any:
        made = engine(*args, **kwargs)

        def connected(connection: Any, _record: object) -> None:
            connection.cursor().execute(f"PRAGMA synchronous={bug}")

        event.listen(made.sync_engine, "connect", connected)
        return made

    with observed(log), patch.object(Database, "writing", told), contextlib.ExitStack() as stack:
        if bug in {"normal", "off"}:
            stack.enter_context(patch.object(database, "_sqlite_engine", careless))
        yield
        for one in eyes:
            one.close()


async def live(seed: int, folder: Path, *, bug: str = "", steps: int = 22, fresh: bool = False) -> Life:
    """Live it."""
    log, path = Log(), folder / "hub.db"
    made = Life(seed, log, fresh)
    if not fresh:
        path.write_bytes(await template())
        log.met(path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            log.mark("state", tables_of(db))
            log.entries.append(("sync", str(path), None, None))
    with _listening(log, path, bug):
        one = _One(log, path, random.Random(seed), bug)
        if fresh:
            log.create(str(path))
        await one.run(steps, fresh=fresh)
    return made


class _One:
    def __init__(self, log: Log, path: Path, chance: random.Random, bug: str) -> None:
        self.log, self.chance, self.bug = log, chance, bug
        self.yard = Yard()
        self.acks = _Acks(log)
        self.store = SqlStore(path, None, watch=self.yard.watch)
        self.last = dict.fromkeys(DEVICES, 0)
        self.ahead = dict.fromkeys(DEVICES, 0)

    async def run(self, steps: int, *, fresh: bool) -> None:
        await self.store.open()
        if fresh:
            await people(self.store)
        yard = self.yard
        yard.store = self.store  # type: ignore[assignment]  # the same port
        yard.ingest._store = _Hasty(self.store, self.acks) if self.bug == "ack-early" else self.store
        yard.ingest.bulk = yard.ingest.fast = self.acks
        await yard.start("track", "word")
        acts = {
            "batches": 14,
            "again": 2,
            "event": 4,
            "status": 2,
            "poison": 2,
            "rollback": 1,
            "live": 2,
            "relay": 2,
            "trim": 1,
        }
        for _ in range(steps):
            name = self.chance.choices([*acts], [*acts.values()])[0]
            yard.at_ms += 1000
            await getattr(self, name)()
        await yard.stop()
        await self.store.close()

    async def _sent(self, *messages: tuple[str, bytes, str]) -> None:
        want = self.acks.count + len(messages)
        for name, payload, device in messages:
            self.yard.send(name, payload, device)
        await eventually(lambda: self.acks.count >= want, every_s=0.0005)

    def _batch(self, device: str) -> bytes:
        first, n = self.last[device] + 1, self.chance.randint(1, 12)
        events = (
            [Event(first + n, T0 + 1000 * first, "sos", 41.5, -96.5, {"n": first})]
            if self.chance.random() < 0.3
            else []
        )
        end = first + n + len(events)
        lost = [Lost(end, end + 3, "thinned", {"fixes": 4})] if self.chance.random() < 0.1 else []
        batch = a_batch(first, n, events=events, lost=lost, start_ms=T0 + self.last[device])
        self.last[device] = batch.last
        return encode_batch(batch)

    async def batches(self) -> None:
        """Of one device or of both; what comes together is committed together."""
        some = [device for device in DEVICES if self.chance.random() < 0.7] or ["gw-a"]
        await self._sent(*(("track", self._batch(device), device) for device in some))

    async def again(self) -> None:
        """A repeated batch, and one from the future."""
        device = self.chance.choice(DEVICES)
        if self.last[device]:
            await self._sent(("track", encode_batch(a_batch(1, self.last[device])), device))
        await self._sent(("track", encode_batch(a_batch(self.last[device] + 40, 3)), device))

    async def event(self) -> None:
        """A fast copy; its record comes with the track, or never."""
        device = self.chance.choice(DEVICES)
        self.ahead[device] = max(self.ahead[device], self.last[device]) + 500
        told = Event(self.ahead[device], T0 + self.ahead[device], "sos", 41.5, -96.5, {"why": "button"})
        await self._sent(("event", encode_event(STORE, told), device))

    async def status(self) -> None:
        device = self.chance.choice(DEVICES)
        told = Status(True, "c1", "0.1", STORE, self.last[device], self.last[device] + 7, 2.0)
        await self._sent(("status", encode_status(told), device))

    async def poison(self) -> None:
        """A body that does not decode, or a schema of the future."""
        device = self.chance.choice(DEVICES)
        batch = a_batch(self.last[device] + 1, 4)
        payload = bent_body(batch)
        if self.chance.random() < 0.5:
            head, _, body = encode_batch(batch).partition(b"\n")
            payload = json.dumps(json.loads(head) | {"v": 9}).encode() + b"\n" + body
        self.last[device] = batch.last
        await self._sent(("track", payload, device))

    async def rollback(self) -> None:
        """The device has no longer what the hub lacks."""
        device, gap = self.chance.choice(DEVICES), self.chance.randint(2, 30)
        first = self.last[device] + gap
        batch = replace(a_batch(first, 5), low=first)
        self.last[device] = batch.last
        await self._sent(("track", encode_batch(batch), device))

    async def live(self) -> None:
        await self.store.save_live([SavedLive("gw-a", "van-1", self.chance.randbytes(80), self.yard.at_ms)])

    async def relay(self) -> None:
        fresh = await self.store.relay("main", 10)
        if fresh:
            await self.store.published("main", fresh[-1].pos or 0)

    async def trim(self) -> None:
        await self.store.trim_quarantine(100)


class _Hasty:
    """Planted: the ack goes out before the commit."""

    def __init__(self, store: SqlStore, acks: _Acks) -> None:
        self._store, self._acks = store, acks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, batches: Sequence[Incoming]) -> list[Outcome]:
        from wire.codec import encode_ack  # only for the planted bug
        from wire.messages import Ack  # likewise

        for one in batches:
            told = Ack(one.header.store, one.header.last, one.header.after)
            self._acks.send(f"odo/1/{one.device}/down/ack", encode_ack(told))
            self._acks.count -= 1
        await asyncio.sleep(0)
        return await self._store.append(batches)
