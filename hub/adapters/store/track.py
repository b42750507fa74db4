"""The track in the store: appending batches behind their marks, and reading them back."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from sqlalchemy import case, func, select, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.adapters.store import schema
from hub.adapters.store.events import EventPart
from hub.core.marks import (
    DAY_MS,
    Closed,
    Incoming,
    Kind,
    Mark,
    Outcome,
    StoredEvent,
    Verdict,
    alarm,
    closed,
    decide,
    moved,
    poisoned,
)
from hub.ports import Chunk, SavedLive
from wire.kinds import ROLLBACK

Key = tuple[str, str]
PAYLOADS_AT_ONCE = 32


class _Writes:
    """What one transaction will write, collected while the verdicts are made."""

    def __init__(self) -> None:
        self.chunks: list[dict[str, object]] = []
        self.quarantine: list[dict[str, object]] = []
        self.events: list[StoredEvent] = []
        self.counts: Counter[tuple[str, int, str]] = Counter()
        self.marks: dict[Key, Mark] = {}
        self.closed: list[tuple[str, Closed]] = []

    def take(self, batch: Incoming, mark: Mark) -> Outcome:
        """The verdict about a batch, with its rows put beside."""
        header, verdict = batch.header, decide(mark, batch.header)
        if verdict in {Verdict.DUPLICATE, Verdict.ANSWER}:
            return Outcome(verdict, mark)
        lost = 0
        if verdict is Verdict.ROLLBACK:
            lost = header.low - 1 - mark.last
            self.counts[batch.device, batch.received_ms // DAY_MS, f"lost:{ROLLBACK}"] += lost
            self.events.append(alarm(batch, mark))
        for (day, what), n in batch.counts.items():
            self.counts[batch.device, day, what] += n
        place = {"device": batch.device, "store": header.store, "first": header.first, "last": header.last}
        place |= {"received_ms": batch.received_ms, "payload": batch.payload}
        if batch.kind is Kind.POISON:
            self.quarantine.append(place | {"reason": batch.reason, "size": len(batch.payload)})
        else:
            self.events += batch.events
            self.chunks.append(
                place
                | {"kind": str(batch.kind), "rows": batch.rows, "events": len(batch.events)}
                | {"t_min_ms": batch.t_min_ms, "t_max_ms": batch.t_max_ms}
            )
        self.marks[batch.key] = moved(batch, mark)
        self.closed += [(batch.device, one) for one in closed(batch)]
        return Outcome(verdict, self.marks[batch.key], lost)


class TrackPart(EventPart):
    """Batches, marks, ledger, live states."""

    async def append(self, groups: Sequence[Incoming]) -> list[Outcome]:
        """Append batches in one transaction; if that fails, device by device; what fails alone goes to quarantine."""
        if not groups:
            return []
        try:
            return await self._append(groups)
        except DBAPIError as error:
            self._watch("store.retried", reason=type(error.orig).__name__)
        outcomes = []
        for batch in groups:
            try:
                outcomes += await self._append([batch])
            except DBAPIError as error:
                outcomes.append(await self._raw(poisoned(batch, type(error.orig).__name__)))
        return outcomes

    async def _raw(self, batch: Incoming) -> Outcome:
        """Keep what can't be taken as rows. If not even that can be done, it is left to the device, and others go on."""
        try:
            return (await self._append([batch]))[0]
        except DBAPIError as error:
            self._watch("store.refused", device=batch.device, reason=type(error.orig).__name__)
            return Outcome(Verdict.REFUSED, Mark())

    async def _append(self, groups: Sequence[Incoming]) -> list[Outcome]:
        async with self.writing() as tx:
            marks = await self._locked_marks(tx, groups)
            writes, outcomes = _Writes(), []
            for batch in groups:
                outcome = writes.take(batch, marks.get(batch.key, Mark()))
                marks[batch.key] = outcome.mark
                outcomes.append(outcome)
            await self._write(tx, writes)
        return outcomes

    async def _locked_marks(self, tx: AsyncConnection, groups: Sequence[Incoming]) -> dict[Key, Mark]:
        """The marks of these devices, held until the commit, always taken in the same order: no dead lock."""
        keys = sorted({batch.key for batch in groups})
        mark = schema.mark.c
        if self.is_postgres:
            able = (Verdict.APPEND, Verdict.ROLLBACK)
            fresh = {batch.key for batch in groups if decide(Mark(), batch.header) in able}
            rows = [{"device": d, "store": s, "last": 0, "h": Mark().h} for d, s in sorted(fresh)]
            if rows:
                await tx.execute(self.insert(schema.mark).on_conflict_do_nothing(), rows)
        query = select(schema.mark).where(tuple_(mark.device, mark.store).in_(keys))
        found = await tx.execute(query.order_by(mark.device, mark.store).with_for_update())
        return {(row.device, row.store): Mark(row.last, row.h, row.newest, row.told_ms) for row in found}

    async def _write(self, tx: AsyncConnection, writes: _Writes) -> None:
        if writes.chunks:
            await tx.execute(schema.track_chunk.insert(), writes.chunks)
        if writes.quarantine:
            await tx.execute(schema.quarantine.insert(), writes.quarantine)
        if writes.events:
            await self.make_way(tx, writes.events)
            await self.put_events(tx, writes.events)
        await self.book(tx, writes.counts)
        if writes.marks:
            rows = [
                {
                    "device": d,
                    "store": s,
                    "last": m.last,
                    "h": m.h,
                    "newest": m.newest,
                    "told_ms": m.told_ms,
                    "closed": None,
                }
                for (d, s), m in writes.marks.items()
            ]
            put = self.insert(schema.mark)
            fresh = {name: put.excluded[name] for name in ("last", "h", "newest", "told_ms", "closed")}
            await tx.execute(put.on_conflict_do_update(index_elements=["device", "store"], set_=fresh), rows)
        for device, one in writes.closed:
            await self._close(tx, device, one)

    async def book(self, tx: AsyncConnection, counts: Mapping[tuple[str, int, str], int]) -> None:
        """Add to the ledger, within a transaction; less than nothing takes away."""
        if counts:
            lines = [{"device": d, "day": day, "what": what, "n": n} for (d, day, what), n in counts.items()]
            book = self.insert(schema.ledger)
            total = schema.ledger.c.n + book.excluded.n
            await tx.execute(
                book.on_conflict_do_update(index_elements=["device", "day", "what"], set_={"n": total}),
                sorted(lines, key=lambda line: (line["device"], line["day"], line["what"])),
            )

    async def _close(self, tx: AsyncConnection, device: str, told: Closed) -> None:
        """A store has ended: what it had came along, or stays open in the ledger until it was salvaged."""
        mark = schema.mark.c
        if told.salvaged:
            mine = (mark.device == device) & mark.closed.is_not(None)
            if told.store is not None:
                mine &= mark.store == told.store
            await tx.execute(update(schema.mark).where(mine).values(newest=mark.last))
            return
        row = {"device": device, "store": told.store, "last": 0, "h": Mark().h}
        await tx.execute(self.insert(schema.mark).on_conflict_do_nothing(), row)
        mine = (mark.device == device) & (mark.store == told.store)
        newest = mark.last if told.newest is None else case((mark.newest > told.newest, mark.newest), else_=told.newest)
        await tx.execute(update(schema.mark).where(mine).values(newest=newest, closed=told.why))

    async def mark(self, device: str, store: str) -> Mark:
        """The mark of a device's store."""
        mark = schema.mark.c
        async with self.reading() as tx:
            query = select(schema.mark).where(mark.device == device, mark.store == store)
            row = (await tx.execute(query)).first()
        return Mark() if row is None else Mark(row.last, row.h, row.newest, row.told_ms)

    async def chunks(self, device: str, from_ms: int, until_ms: int) -> AsyncIterator[Chunk]:
        """Stored payloads of known rows that touch a span of time, in order of time."""
        chunk = schema.track_chunk.c
        wanted = (chunk.device == device) & (chunk.t_max_ms >= from_ms) & (chunk.t_min_ms < until_ms)
        async with self.reading() as tx:
            query = select(chunk.id).where(wanted, chunk.kind == str(Kind.ROWS)).order_by(chunk.t_min_ms, chunk.id)
            ids = list(await tx.scalars(query))
        for start in range(0, len(ids), PAYLOADS_AT_ONCE):
            some = ids[start : start + PAYLOADS_AT_ONCE]
            async with self.reading() as tx:
                found = {row.id: row for row in await tx.execute(select(schema.track_chunk).where(chunk.id.in_(some)))}
            for number in some:
                row = found[number]
                yield Chunk(row.device, row.store, row.first, row.payload)

    async def through(self) -> Mapping[str, int]:
        """For each device the newest committed time."""
        chunk = schema.track_chunk.c
        async with self.reading() as tx:
            query = select(chunk.device, func.max(chunk.t_max_ms)).where(chunk.t_max_ms.is_not(None))
            found = await tx.execute(query.group_by(chunk.device))
            return {row[0]: row[1] for row in found}

    async def save_live(self, rows: Sequence[SavedLive]) -> None:
        """Keep the newest live messages."""
        if not rows:
            return
        put = self.insert(schema.live_state)
        newer = {name: put.excluded[name] for name in ("vehicle", "payload", "received_ms")}
        async with self.writing() as tx:
            await tx.execute(
                put.on_conflict_do_update(index_elements=["device"], set_=newer),
                [
                    {"device": r.device, "vehicle": r.vehicle, "payload": r.payload, "received_ms": r.received_ms}
                    for r in sorted(rows, key=lambda row: row.device)
                ],
            )

    async def load_live(self) -> list[SavedLive]:
        """The kept live messages."""
        async with self.reading() as tx:
            found = await tx.execute(select(schema.live_state))
            return [SavedLive(row.device, row.vehicle, row.payload, row.received_ms) for row in found]
