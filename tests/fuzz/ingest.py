"""Hostile payloads through the hub's real ingest, with the real store: each is answered or counted, and what is good goes on.

Rules: no lane ends; every track payload gets an answer (the mark, or `bad`); the next good batch, event and position of the same
device are taken; the raw payloads in quarantine stay within their size; marks and ledger agree.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub import upkeep
from hub.adapters.memory import MemoryDown
from hub.adapters.store.sql import SqlStore
from hub.core.ledger import balances
from hub.flow import Limits
from tests.fuzz import corpus
from tests.fuzz.corpus import opened, sealed
from tests.fuzz.mutate import Mutator
from tests.hub.flow.ingest_yard import Yard
from tests.hub.makers import T0, a_batch, a_row
from wire.codec import MAX_SEQ, decode_ack, encode_event, encode_live
from wire.messages import Ack, Batch, Event, Live
from wire.track import GENESIS, b64, chain, encode_batch

DEVICES = tuple(f"gw-{name}" for name in "abcdefgh")
ROUND_MS = 1000
GOOD_EVERY = 8
QUARANTINE_BYTES = 1 << 20
PATIENCE_S = 20.0
LANES = ("live", "track", "word")
WORDS = ("live", "event", "status", "cmd")


class IngestViolationError(AssertionError):
    """A rule is broken; says with which payload."""


@dataclass(slots=True)
class Place:
    """Where a device's store is, as its acks say."""

    store: str
    last: int = 0
    h: str = GENESIS
    bad: int = 0
    answers: int = 0
    events: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Ingesting:
    """A run: the yard, where each device is, what was sent, and what came of it."""

    yard: Yard
    store: SqlStore
    chance: random.Random
    hurt: Callable[[bytes], bytes] = lambda answer: answer
    """May spoil what the hub says: for the proof that the rules are looked at."""
    places: dict[str, Place] = field(default_factory=dict)
    sent: int = 0
    tracks: int = 0
    rounds: int = 0
    slowest_s: float = 0.0
    last: dict[str, bytes] = field(default_factory=dict)
    tasks: list["asyncio.Task[Any]"] = field(default_factory=list)
    bulk: MemoryDown = field(default_factory=MemoryDown)
    mutators: dict[str, Mutator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        corpora = {
            "live": corpus.lives(),
            "event": corpus.events(),
            "status": corpus.statuses(),
            "cmd": corpus.outcomes(),
        }
        self.mutators = {name: Mutator(self.chance, some) for name, some in corpora.items()}
        self.places = {device: Place(a_store()) for device in DEVICES}

    async def round(self) -> None:
        """One hostile payload for each device on its track, some on its other topics; now and then good ones for all."""
        self.rounds += 1
        self.yard.at_ms += ROUND_MS
        for device in DEVICES:
            for name in self.chance.choices(WORDS, k=2):
                self._send(device, name, self.mutators[name].one())
        for device, place in self.places.items():
            self._send(device, "track", self._hostile(place))
        await self._answered("a hostile batch is answered")
        if self.rounds % GOOD_EVERY == 0:
            await self.good()

    async def good(self) -> None:
        """What is good is taken, whatever came before it."""
        self.yard.at_ms += 20 * ROUND_MS
        wanted: dict[str, tuple[str, int]] = {}
        for device in DEVICES:
            if self.places[device].last > MAX_SEQ - 100:
                self.places[device] = Place(a_store())  # its numbers are at their end: a device begins a new store
            place = self.places[device]
            batch = following(place, n=3, at_ms=self.yard.at_ms)
            wanted[device] = (place.store, batch.last)
            self._send(device, "track", encode_batch(batch))
            self._send(
                device, "event", encode_event(place.store, Event(self.rounds, self.yard.at_ms, "sos", 41.0, -96.0))
            )
            self._send(device, "live", encode_live(Live(self.yard.at_ms, 41.0, -96.0)))
        await self._answered("a good batch is answered")
        for device, (store, last) in wanted.items():
            place = self.places[device]
            if (place.store, place.last) != (store, last):
                raise IngestViolationError(
                    f"{device}: a good batch up to {last} was not taken: {place}, after {self._last(device)}"
                )
        await self._until(
            lambda: all(self.rounds in place.events for place in self.places.values()), "good events are acked"
        )
        await self._until(self._shown, "good positions are shown")

    def _shown(self) -> bool:
        for i in range(len(DEVICES)):
            view = self.yard.ingest.views.get(f"van-{i}")
            if view is None or view.live is None or view.live.at_ms != self.yard.at_ms:
                return False
        return True

    def _hostile(self, place: Place) -> bytes:
        base = (
            corpus.tracks()
            if self.chance.random() < 0.2
            else [opened(encode_batch(following(place, n=self.chance.choice((1, 2, 9)))))]
        )
        return sealed(Mutator(self.chance, base).one(), self.chance)

    def _send(self, device: str, name: str, payload: bytes) -> None:
        self.sent += 1
        if name == "track":
            if not payload or len(payload) > 65_536:
                payload = b"\n" + payload[:9000]
            self.tracks += 1
            self.last[device] = payload
        self.yard.send(name, payload, device)

    async def _answered(self, rule: str) -> None:
        owed = {device: place.answers + 1 for device, place in self.places.items()}
        began = time.monotonic()
        await self._until(lambda: all(self.places[device].answers >= n for device, n in owed.items()), rule)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    async def _until(self, check: Callable[[], bool], rule: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._hear()
            if check():
                return
            for task in self.tasks:
                if task.done():
                    raise IngestViolationError(f"a lane has ended: {task.exception()!r}, after {self._last()}")
            if time.monotonic() > deadline:
                raise IngestViolationError(f"not within {PATIENCE_S} s: {rule}; after {self._last()}")
            await asyncio.sleep(0.001)

    def _last(self, device: str | None = None) -> str:
        return repr({name: payload[:600] for name, payload in self.last.items() if device in {None, name}})

    def _hear(self) -> None:
        """Take in what the hub has said."""
        for down in (self.bulk, self.yard.down):
            said, down.sent = list(down.sent), []
            for topic, payload, _ in said:
                if topic.endswith("/ack") and (heard := self.hurt(payload)):
                    self._one(self.places[topic.split("/")[2]], decode_ack(heard), answers=down is self.bulk)

    def _one(self, place: Place, ack: Ack, *, answers: bool) -> None:
        """An ack; those of batches come another way than those of events and statuses."""
        place.events |= set(ack.events)
        place.answers += answers
        place.bad += ack.bad is not None
        if ack.upto is not None and ack.h is not None and ack.store == place.store:
            place.last, place.h = ack.upto, ack.h

    async def ended(self) -> None:
        """What must hold at the end."""
        await self.good()
        await asyncio.sleep(0)
        kept = [one for one in await self.store.kept() if one.there]
        held = sum(one.size for one in kept if one.kind == "poison")
        deadline = time.monotonic() + PATIENCE_S
        while held > QUARANTINE_BYTES and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            held = sum(one.size for one in await self.store.kept() if one.there and one.kind == "poison")
        if held > QUARANTINE_BYTES:
            raise IngestViolationError(f"the quarantine holds {held} bytes")
        for one in balances(await self.store.totals(None), await self.store.reaches(None), now_ms=self.yard.at_ms):
            for why in one.why:
                if "differ" in why:
                    raise IngestViolationError(f"{one.device}: {why}")


def a_store() -> str:
    return b64(secrets.token_bytes(8))


def following(place: Place, *, n: int, at_ms: int = T0) -> Batch:
    first = place.last + 1
    last = first + n - 1
    rows = tuple((seq, a_row(i, at_ms)) for i, seq in enumerate(range(first, last + 1)))
    base = a_batch(1, 1)
    return Batch(place.store, first, last, base.low, place.h, chain(place.h, last, b"fuzz"), rows)


@contextlib.asynccontextmanager
async def ingesting(folder: Path, seed: int) -> AsyncIterator[Ingesting]:
    """An ingest on a real store, with its lanes and its books running."""
    yard = Yard()
    store = SqlStore(folder / "hub.db", None, watch=yard.watch)
    await store.open()
    yard.store = store  # type: ignore[assignment]  # the same port
    yard.ingest._store = store
    yard.ingest._limits = Limits(256, 256)
    await store.add_fleet("main", T0)
    for i, device in enumerate(DEVICES):
        await store.add_vehicle(f"van-{i}", "main", name=f"Van {i}", tags=[], now_ms=T0)
        await store.add_device(device, f"van-{i}", password_hash="H", valid_from_ms=T0 - 1000, now_ms=T0)
    run = Ingesting(yard, store, random.Random(seed))
    yard.ingest.bulk = run.bulk
    pause_s, upkeep.BOOKS_S = upkeep.BOOKS_S, 0.2
    try:
        await yard.start(*LANES)
        run.tasks = [*yard._tasks, asyncio.create_task(yard.ingest.keep_books(QUARANTINE_BYTES))]
        yield run
    finally:
        upkeep.BOOKS_S = pause_s
        run.tasks[-1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run.tasks[-1]
        await yard.stop()
        await store.close()
