"""Group commit: nobody waits but for the commit that runs; a fault in one device's row stops no other device's ack."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.core.marks import Incoming, Outcome, incoming
from hub.flow import GROUP_ROWS, TURN_ROWS, Limits
from tests.hub.adapters.test_store_books import planted
from tests.hub.flow.ingest_yard import ON, SOS, Yard, on_a_real_store
from tests.hub.makers import STORE, T0, a_batch, bent_body
from tests.rigs import eventually
from wire.codec import encode_event, encode_status
from wire.messages import Event
from wire.track import encode_batch


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with on_a_real_store(tmp_path) as made:
        yield made


async def test_what_comes_during_a_commit_is_committed_together(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, gate, append = list[int](), asyncio.Event(), yard.store.append

    async def slow(batches: Sequence[Incoming]) -> list[Outcome]:
        groups.append(len(batches))
        await gate.wait()
        return await append(batches)

    monkeypatch.setattr(yard.store, "append", slow)
    await yard.start("track")
    yard.send("track", encode_batch(a_batch(1, 10)))
    await eventually(lambda: groups == [1], every_s=0.001)  # alone: it waits for no other
    for first in (11, 21):
        yard.send("track", encode_batch(a_batch(first, 10)))
    yard.send("track", encode_batch(a_batch(1, 10)), "gw-b")
    assert yard.acks() == [], "no ack before the commit"
    gate.set()
    await eventually(lambda: len(yard.acks()) == 3 and len(yard.acks("gw-b")) == 1)
    assert groups == [1, 3]
    assert [ack.upto for ack in yard.acks()] == [10, 20, 30]


async def test_a_backlog_leaves_others_their_turn(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding holds the loop: after a few ms of it, whoever brings a call for help has a turn. Counted in turns, not in time."""
    rows, n, turns = 600, 40, 0
    payloads = encode_batch(a_batch(1, rows)), bent_body(a_batch(1, rows))
    assert len(payloads[0]) < 500, "bytes alone would not do: the body is deflated"
    at_turn, groups = Counter[int](), list[int]()
    append = yard.store.append

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def decoded(device: str, payload: bytes, **known: Any) -> Incoming:
        at_turn[turns] += rows
        return incoming(device, payload, **known)

    async def appended(batches: Sequence[Incoming]) -> list[Outcome]:
        groups.append(rows * len(batches))
        return await append(batches)

    monkeypatch.setattr("hub.flow.incoming", decoded)
    monkeypatch.setattr(yard.store, "append", appended)
    yard.ingest._limits = Limits(n, n)
    await yard.start("track")
    counting = asyncio.create_task(turning())
    for i in range(n):
        yard.send("track", payloads[i % 2])
    await eventually(lambda: len(yard.acks()) == n)
    counting.cancel()
    assert max(at_turn.values()) < TURN_ROWS + rows
    assert max(groups) < GROUP_ROWS + rows
    assert sum(at_turn.values()) == sum(groups) == n * rows > 2 * GROUP_ROWS


async def test_an_event_in_anothers_place_is_acked_when_the_track_has_it(yard: Yard) -> None:
    """Two cards of one identity. An ack of the fast copy would be a lie: the gateway would let go of a call for help."""
    await yard.start("track", "word")
    yard.send("event", encode_event(STORE, Event(11, T0, "idle")))
    await eventually(lambda: [ack.events for ack in yard.acks()] == [(11,)])
    yard.send("event", encode_event(STORE, SOS))
    yard.send("event", encode_event(STORE, Event(12, T0, "idle")))
    await eventually(lambda: [ack.events for ack in yard.acks()] == [(11,), (12,)])
    yard.send("track", encode_batch(a_batch(1, 10, events=[SOS])))
    await eventually(lambda: yard.acks()[-1].upto == 11)
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: yard.acks()[-1].events == (11,))
    assert [one.event.kind for one in await yard.store.relay("main", 9)] == ["idle", "idle", "sos"]


async def test_a_device_whose_rows_can_not_be_stored_holds_nobody_up(yard: Yard) -> None:
    await planted(yard.store, "mark")  # type: ignore[arg-type]  # the real store
    await yard.start("track", "word")
    for device in ("gw-a", "gw-b"):
        yard.send("track", encode_batch(a_batch(1, 10)), device)
    await eventually(lambda: len(yard.acks("gw-b")) == 1)
    yard.send("track", encode_batch(a_batch(11, 10)), "gw-b")
    await eventually(lambda: len(yard.acks("gw-b")) == 2)
    assert [ack.upto for ack in yard.acks("gw-b")] == [10, 20]
    assert yard.acks() == [], "nothing is acknowledged that is not stored"
    assert yard.watch.count("store.refused") >= 1


async def test_an_event_that_can_not_be_stored_holds_no_other_up(yard: Yard) -> None:
    await planted(yard.store, "event")  # type: ignore[arg-type]  # the real store
    await yard.start("word")
    for device in ("gw-a", "gw-b", "gw-a", "gw-b"):
        yard.send("event", encode_event(STORE, SOS), device)
    await eventually(lambda: len(yard.acks("gw-b")) == 2)
    assert [ack.events for ack in yard.acks("gw-b")] == [(11,), (11,)]
    assert yard.acks() == []


async def test_the_books_are_kept(yard: Yard) -> None:
    """How much is out there is known, and the quarantine is held within its size."""
    await yard.start("track", "word")
    yard.send("status", encode_status(ON))
    yard.send("track", bent_body(a_batch(1, 4)))
    await eventually(lambda: len(yard.acks()) == 2)
    keeping = asyncio.create_task(yard.ingest.keep_books(0))
    await eventually(lambda: yard.watch.count("track.dropped-raw") == 1)
    assert yard.ingest.out_there == 6
    assert yard.watch.count("track.lost", reason="quarantine") == 4
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
