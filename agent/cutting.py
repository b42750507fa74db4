"""What the outbox holds, cut into the batches and the event copies that go to the hub."""

import json

from agent.core import room
from agent.ports import Kind, Outbox, Stored
from wire.codec import MOST_DAYS
from wire.errors import UnavailableError
from wire.messages import Batch, Event, Row
from wire.schema import COLUMNS
from wire.track import GENESIS, MAX_SPAN

DAY_MS = 86_400_000


async def cut(outbox: Outbox, limit: int) -> Batch:
    """The next batch, from the mark or the oldest that is there; it ends at a record, and receipts fill what is missing."""
    first, ready = max(outbox.acked + 1, outbox.low), outbox.ready
    stored = [item for item in await outbox.read(first, limit) if item.seq <= ready]
    before = await outbox.hash_at(first - 1)
    if not stored:
        raise UnavailableError("the outbox was forked while a batch was cut")  # the next link begins with the new store
    seqs = [item.seq for item in stored]
    lost = room.tiled(first, seqs[-1], seqs, await outbox.lost(first, seqs[-1]))
    stored = stored[: room.fitting(first, seqs, lost, limit, span=MAX_SPAN)]
    rows = tuple((item.seq, row_of_body(item.body)) for item in stored if item.kind is Kind.FIX)
    events = tuple(event_of(item) for item in stored if item.kind is Kind.EVENT)
    last = stored[-1]
    return Batch(
        store=outbox.store, first=first, last=last.seq, low=outbox.low,
        before=before or GENESIS, after=last.h,
        rows=rows, events=events, lost=tuple(one for one in lost if one.last < last.seq),
        waiting=outbox.newest - last.seq,
    )  # fmt: skip


async def days_out(outbox: Outbox) -> tuple[tuple[int, int], ...]:
    """Of which UTC days the records are that the hub has not committed: each day, and the last seq of it.

    By a search for each midnight, because a backlog may be of weeks: records are taken to be in the order of their times.
    One without a time counts to the day before it.
    """
    first, newest = max(outbox.acked + 1, outbox.low), outbox.newest
    found: list[tuple[int, int]] = []
    day = -1
    while first <= newest and len(found) < MOST_DAYS:
        day = max(day + 1, await _day_of(outbox, first))
        low, high = first, newest
        while low < high:
            middle = (low + high + 1) // 2
            if await _day_of(outbox, middle) <= day:
                low = middle
            else:
                high = middle - 1
        found.append((day, low))
        first = low + 1
    return tuple(found)


async def _day_of(outbox: Outbox, seq: int) -> int:
    """The day of the first record from a seq on; 0 when it has no time."""
    found = await outbox.read(seq, 1)
    return 0 if not found else (found[0].at_ms or 0) // DAY_MS


def row_of_body(body: bytes) -> Row:
    """The row as it was kept; an older agent knew fewer columns."""
    values = json.loads(body)
    return (*values, *[None] * (len(COLUMNS) - len(values)))


def event_of(stored: Stored) -> Event:
    """The event as it was kept."""
    when, kind, lat, lon, detail = json.loads(stored.body)
    if isinstance(when, list):
        return Event(stored.seq, None, kind, lat, lon, detail, *when)
    return Event(stored.seq, when, kind, lat, lon, detail)
