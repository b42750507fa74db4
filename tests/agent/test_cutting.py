"""Batches as they are cut, and of which days the backlog is."""

from agent.adapters.memory import MemoryOutbox, MemorySession
from agent.core.dating import Moment
from agent.cutting import cut, days_out
from agent.ports import Kind, Record
from tests.agent.test_flow import box, fix, senses
from tests.agent.test_uplink import ack_of, filled, names, running, stopped, up_of
from tests.rigs import eventually
from wire.codec import dump
from wire.schema import row_of
from wire.track import GENESIS, decode_batch


async def test_cut_begins_at_the_oldest_that_is_left() -> None:
    s = await filled(5)
    outbox: MemoryOutbox = box(s)
    await outbox.settle(3, (await outbox.hash_at(3)) or "")
    await outbox.forget(fix(0).at_ms + 2 * 86_400_000)
    await outbox.settle(0, GENESIS)
    batch = await cut(outbox, 10)
    assert (batch.first, batch.low, batch.before) == (3, 3, GENESIS)


async def test_a_batch_with_receipts_says_what_is_on_its_way_and_is_halved_to_the_end() -> None:
    s = await filled(1)
    up, session, outbox = up_of(s), MemorySession(), box(s)
    rows = [Record(Kind.FIX, Moment(fix(i).at_ms, "b007", i), dump([*row_of(fix(i))])) for i in range(1, 700)]
    await outbox.put(rows)
    assert await outbox.thin() > 600
    await s.recorder.add_event("sos", None)
    task = await running(up, session)
    await eventually(lambda: "track" in names(session))
    batch = decode_batch(next(payload for name, payload in session.sent if name == "track"))
    assert (batch.first, batch.last, outbox.sent) == (1, 701, 701)
    assert up.track.flight is not None
    assert up.track.flight.rows == len(batch.rows) + len(batch.events) + len(batch.lost) < 10
    for said in range(1, 9):
        await eventually(lambda: up.track.flight is not None)
        session.inbox.put_nowait(("ack", ack_of(session, upto=None, h=None, bad="checksum")))
        await eventually(lambda n=said: s.watch.count("track.bad") == n)  # type: ignore[attr-defined]  # a Watch
        if up.track.refusals:
            break
    sizes = [len(decode_batch(payload).rows) for name, payload in session.sent if name == "track"]
    assert (sizes[-1], up.track.limit) == (1, 1), "a record with its receipts waits like one row"
    await stopped(task)


async def test_the_status_says_of_which_days_the_backlog_is() -> None:
    s = senses()
    day_ms = 86_400_000
    for second in (0, 1, day_ms // 1000, day_ms // 1000 + 1, 3 * day_ms // 1000):
        s.recorder.add_fix(fix(second), s.vehicle.reading(0))
    await s.recorder.commit()
    first = fix(0).at_ms // day_ms
    assert await days_out(box(s)) == ((first, 2), (first + 1, 4), (first + 3, 5))
    box(s).acked = 3
    assert await days_out(box(s)) == ((first + 1, 4), (first + 3, 5))
    box(s).acked = 5
    assert await days_out(box(s)) == ()
