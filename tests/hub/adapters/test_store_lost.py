"""A thinned and a dropped stretch, from the agent's outbox through ingest into SQLite, and out again as a track."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.cutting import cut
from agent.ports import Kind, Record
from hub.adapters.store.sql import SqlStore
from hub.core.exports import FORMATS, points
from hub.core.registry import Stay
from tests.hub.flow.ingest_yard import Yard
from tests.hub.makers import T0, a_watch
from tests.rigs import eventually
from wire.codec import dump
from wire.messages import Fix
from wire.schema import row_of
from wire.track import encode_batch


def drive(n: int) -> list[Record]:
    """Fixes of a drive that turns now and then, and stops for five minutes in the middle."""
    chance = random.Random(7)
    lat, lon, north, east, out = 41.0, -96.0, 1e-4, 0.0, []
    for i in range(n):
        if chance.random() < 0.05:
            north, east = chance.uniform(-1e-4, 1e-4), chance.uniform(-1e-4, 1e-4)
        if not n // 2 < i < n // 2 + 300:
            lat, lon = lat + north, lon + east
        at_ms = T0 + 1000 * i
        out.append(Record(Kind.FIX, Moment(at_ms, "b", i), dump([*row_of(Fix(at_ms, lat, lon))])))
    return out


async def lines(store: SqlStore) -> list[list[Any]]:
    """The exported track of all that is stored."""
    export, stay = FORMATS["geojson"]("van-1"), Stay("gw-a", 0, 1 << 50)
    text = export.head()
    async for chunk in store.chunks("gw-a", 0, 1 << 50):
        text += export.part(points(chunk.payload, "gw-a", stay))
    found: list[list[Any]] = json.loads(text + export.tail())["geometry"]["coordinates"]
    return found


async def test_thinned_and_dropped_stretches_are_booked_and_shown(tmp_path: Path) -> None:
    outbox = await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(T0, "b", 0))
    yard, store = Yard(), SqlStore(tmp_path / "hub.db", None, watch=a_watch())
    await store.open()
    yard.at_ms = T0 + 10_000_000
    yard.store = store  # type: ignore[assignment]  # the same port
    yard.ingest._store = store
    try:
        await yard.people()
        await yard.start("track")
        await outbox.put(drive(3000))
        while await outbox.thin():
            pass
        await send_all(outbox, yard, upto=1500)
        assert len(await lines(store)) == 1, "a thinned track is a whole line, stops of minutes included"
        while not (await outbox.make_room()).dropped:
            pass
        await send_all(outbox, yard, upto=3000)
        assert len(await lines(store)) == 2, "what was dropped breaks it"
        booked: Counter[str] = Counter()
        for line in await store.ledger("gw-a"):
            booked[line.what] += line.n
        assert booked["lost:thinned"] > 1000
        assert booked["lost:dropped"] >= 100
        assert booked.total() == outbox.newest == 3000, "recorded = received + lost by reason"
        assert booked["lost:dropped"] == outbox.lost_so_far["dropped"]
    finally:
        await yard.stop()
        await store.close()
        await outbox.close()


async def send_all(outbox: SqliteOutbox, yard: Yard, *, upto: int) -> None:
    """Batch by batch, each acknowledged by what the hub says after its commit."""
    while outbox.acked < upto:
        batch, said = await cut(outbox, 60), len(yard.acks())
        yard.send("track", encode_batch(batch))
        await eventually(lambda n=said: len(yard.acks()) > n)
        ack = yard.acks()[-1]
        assert (ack.upto, ack.h, ack.bad) == (batch.last, batch.after, None)
        await outbox.settle(ack.upto or 0, ack.h or "")
