"""Two devices with one identity: a cloned card, or one that was rolled back, against a real hub's ingest and its store on SQLite.

Never mixed, nothing acknowledged that the hub does not have, an alarm, and a ledger that adds up.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment, event_body
from agent.cutting import cut, event_of
from agent.lanes import Config, Uplink
from agent.ports import Kind, Record
from agent.uplink import take_ack
from hub.adapters.memory import MemoryDown, MemoryNow
from hub.adapters.store.sql import SqlStore
from hub.flow import Limits
from hub.upkeep import Upkeep
from tests.agent.adapters.test_outbox_room import AT, T
from tests.agent.test_flow import senses
from tests.hub.makers import a_watch
from tests.rigs import eventually
from wire.codec import decode_ack, dump, encode_event
from wire.messages import Fix
from wire.schema import row_of
from wire.topics import Way, build
from wire.track import decode_batch, encode_batch

UP, DOWN = build("gw-a", Way.UP, "track"), build("gw-a", Way.DOWN, "ack")
EVENT = build("gw-a", Way.UP, "event")


def fixes(n: int, *, start: int, lat: float) -> list[Record]:
    """Rows that tell by their latitude which device made them."""
    rows = [row_of(Fix(T + 1000 * i, lat, -96.0, 300.0, 5.0, 90.0)) for i in range(start, start + n)]
    return [Record(Kind.FIX, Moment(row[0], "b007", 0), dump([*row])) for row in rows]


def sos(who: str, at: int) -> Record:
    moment = Moment(T + 1000 * at, "b007", 0)
    return Record(Kind.EVENT, moment, event_body(moment, "sos", (None, None), {"who": who}))


class Yard:
    """The hub, and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.store, self.down, watch = SqlStore(folder / "hub.db", None, watch=a_watch()), MemoryDown(), a_watch()
        self.ingest = Upkeep(self.store, MemoryNow(), watch=watch, utc_ms=lambda: T + 10_000_000, limits=Limits(64, 64))
        self.ingest.bulk = self.ingest.fast = self.down

    async def start(self) -> None:
        await self.store.open()
        await self.store.add_fleet("main", T)
        await self.store.add_vehicle("van-1", "main", name="Van", tags=[], now_ms=T)
        await self.store.add_device("gw-a", "van-1", password_hash="H", valid_from_ms=T - 1000, now_ms=T)
        await self.ingest.start()

    async def answer(self, topic: str, payload: bytes) -> bytes:
        before = len(self.down.sent)
        self.ingest.take(topic, payload)
        await eventually(lambda: len(self.down.sent) > before, every_s=0.002)
        return self.down.sent[-1][1]

    async def rows(self) -> list[tuple[str, int, float, int]]:
        """Every row that the hub holds: store, seq, latitude, time."""
        found = []
        async for chunk in self.store.chunks("gw-a", 0, 1 << 43):
            batch = decode_batch(chunk.payload)
            found += [(chunk.store, seq, (row[1] or 0) / 1e7, row[0] or 0) for seq, row in batch.rows]
        return found

    async def ledger(self) -> dict[str, int]:
        told: dict[str, int] = {}
        for line in await self.store.ledger("gw-a"):
            told[line.what] = told.get(line.what, 0) + line.n
        return told


class Device:
    """One of the two, with its own latitude."""

    def __init__(self, box: SqliteOutbox, yard: Yard, lat: float) -> None:
        self.box, self.yard, self.lat, self.made = box, yard, lat, 0
        s = senses()
        self.up = Uplink(box, s.recorder, s.live, s, s.clock, s.watch, Config("0", "c1"), lambda: 0.5)

    async def drive(self, n: int, *, start: int) -> None:
        await self.box.put(fixes(n, start=start, lat=self.lat))
        self.made += n

    async def send(self, *, most: int = 50, times: int = 99) -> None:
        """Batches until all is acknowledged, or so many."""
        for _ in range(times):
            if self.box.acked >= self.box.ready:
                return
            payload = encode_batch(await cut(self.box, most))
            ack = decode_ack(await self.yard.answer(UP, payload))
            if ack.store == self.box.store:
                await take_ack(ack, self.up)
        assert times < 99, "it got stuck"

    async def press(self, who: str, at: int) -> bytes:
        """The fast copy of a call, on its way to the hub."""
        (stored,) = await self.box.put([sos(who, at)])
        copy = encode_event(self.box.store, event_of(stored))
        self.yard.ingest.take(EVENT, copy)
        return copy


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard(tmp_path)
    await made.start()
    lanes = [asyncio.ensure_future(lane()) for lane in (made.ingest.track_lane, made.ingest.word_lane)]
    yield made
    for lane in lanes:
        lane.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await lane
    await made.store.close()


async def pair(yard: Yard, folder: Path, *, first: int = 100, sent: int = 2) -> tuple[Device, Device]:
    """A card that has driven and sent some of it, and its copy."""
    one = await SqliteOutbox.open(folder / "one" / "outbox.db", now=AT)
    device = Device(one, yard, 41.0)
    await device.drive(first, start=0)
    await device.send(times=sent)
    await one.put([])
    await one.close()
    shutil.copytree(folder / "one", folder / "two")
    boxes = [await SqliteOutbox.open(folder / name / "outbox.db", now=AT) for name in ("one", "two")]
    return Device(boxes[0], yard, 41.0), Device(boxes[1], yard, 42.0)


async def closed(*devices: Device) -> None:
    for device in devices:
        await device.box.close()


async def alarms(yard: Yard) -> list[dict[str, object]]:
    await yard.store.relay("main", 999)
    found = await yard.store.events_after("main", 0, 999)
    return [dict(one.event.detail) | {"kind": one.event.kind, "store": one.store} for one in found]


async def adds_up(yard: Yard, *, fixes: int, boxes: tuple[Device, Device], shared: int) -> None:
    """All rows of both are at the hub; those that both had before the copy, at most once more."""
    rows = await yard.rows()
    for lat in (41.0, 42.0):
        mine = [at for _, _, where, at in rows if where == lat]
        assert len(set(mine)) == (fixes + shared if lat == 41.0 else fixes), "nothing acknowledged that the hub lacks"
    stores = {
        store: {lat for name, _, lat, at in rows if name == store and at >= T + 1000 * shared} for store, *_ in rows
    }
    assert all(len(lats) <= 1 for lats in stores.values()), (
        "never mixed: after the copy a store has rows of one device only"
    )
    assert len({(store, seq) for store, seq, *_ in rows}) == len(rows)
    told = await yard.ledger()
    assert told["rows"] == len(rows)
    marks = [await yard.store.mark("gw-a", store) for store in stores]
    assert sum(mark.last for mark in marks) == sum(told.values()), "recorded = received + lost"


@pytest.mark.parametrize("behind", [True, False])
async def test_a_cloned_card(yard: Yard, tmp_path: Path, *, behind: bool) -> None:
    one, two = await pair(yard, tmp_path)
    await one.drive(60, start=100)
    await one.send()
    before = one.box.store
    await two.drive(40 if behind else 80, start=100)
    await two.drive(20 if behind else 0, start=140)
    await two.send(most=30)
    assert (one.box.store, two.box.store != before) == (before, True)
    await one.drive(10, start=180)
    await two.drive(10, start=180)
    await one.send()
    await two.send()
    (alarm,) = [told for told in await alarms(yard) if told["kind"] == "fork"]
    assert alarm["prev"] == before
    assert alarm["store"] == two.box.store
    rows = await yard.rows()
    assert sum(lat == 42.0 for _, _, lat, _ in rows) == two.made
    assert sum(lat == 41.0 and store == before for store, _, lat, _ in rows) == 100 + one.made
    assert {lat for store, _, lat, _ in rows if store == before} == {41.0}, "never mixed"
    told = await yard.ledger()
    assert told["rows"] == len(rows)
    assert await yard.store.mark("gw-a", before) == await mark_of(one)
    await closed(one, two)


async def mark_of(device: Device) -> object:
    from hub.core.marks import Mark

    return Mark(device.box.acked, await device.box.hash_at(device.box.acked) or "")


async def test_both_send_by_turns(yard: Yard, tmp_path: Path) -> None:
    one, two = await pair(yard, tmp_path, sent=1)
    for turn in range(6):
        await one.drive(20, start=100 + 20 * turn)
        await two.drive(20, start=100 + 20 * turn)
        await one.send(most=15, times=1)
        await two.send(most=15, times=1)
    await one.send()
    await two.send()
    assert one.box.store != two.box.store
    assert len([told for told in await alarms(yard) if told["kind"] == "fork"]) == 1
    await adds_up(yard, fixes=120, boxes=(one, two), shared=100)
    await closed(one, two)


async def test_a_card_that_was_rolled_back(yard: Yard, tmp_path: Path) -> None:
    """Yesterday's image of the card: it knows less than the hub has, and goes on from there."""
    one, two = await pair(yard, tmp_path)
    await one.drive(200, start=100)
    await one.send()
    await one.box.close()
    await two.drive(30, start=400)
    await two.send()
    assert two.box.acked == two.box.newest
    assert [lat for _, _, lat, _ in await yard.rows()].count(42.0) == 30
    assert [lat for _, _, lat, _ in await yard.rows()].count(41.0) == 300
    assert [told["kind"] for told in await alarms(yard)] == ["fork"]
    await two.box.close()


async def test_a_card_that_was_rolled_back_to_what_the_hub_had_not_is_none_the_worse(
    yard: Yard, tmp_path: Path
) -> None:
    """The image has all that was ever recorded: the same chain, so it is the same device."""
    one, two = await pair(yard, tmp_path, sent=1)
    await one.send()
    await one.box.close()
    await two.send()
    await two.drive(30, start=400)
    await two.send()
    assert len(await yard.rows()) == 130
    assert await alarms(yard) == []
    await two.box.close()


@pytest.mark.parametrize("first", ["one", "two"])
async def test_an_alarm_of_each_comes(yard: Yard, tmp_path: Path, first: str) -> None:
    """Both press SOS under one seq: the fast copies can't both be kept, the track brings the other."""
    one, two = await pair(yard, tmp_path)
    order = [(one, "one"), (two, "two")][:: 1 if first == "one" else -1]
    copy = await order[0][0].press(order[0][1], 100)

    def acks() -> int:
        return sum(bool(decode_ack(payload).events) for _, payload, _ in yard.down.sent)

    await eventually(lambda: acks() == 1, every_s=0.002)
    await order[1][0].press(order[1][1], 100)
    assert decode_ack(await yard.answer(EVENT, copy)).events == (101,), "said again, acknowledged again"
    assert acks() == 2, "the hub does not hold the other, and does not say so"
    await one.send()
    await two.send()
    told = await alarms(yard)
    assert {each["who"] for each in told if each["kind"] == "sos"} == {"one", "two"}, (
        "none is lost; one may be told twice"
    )
    assert [each["kind"] for each in told].count("fork") == 1
    await closed(one, two)


def test_the_rows_are_readable() -> None:
    assert json.loads(fixes(1, start=0, lat=41.0)[0].body)[1] == 410_000_000
