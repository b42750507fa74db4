"""Events in the store: exactly once by device, store and seq; then a gap-free place in the fleet's log."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import exists, select, update

from hub.adapters.store import schema
from hub.adapters.store.database import Database
from hub.core.marks import StoredEvent
from wire.messages import Event


def event_rows(events: Iterable[StoredEvent]) -> list[dict[str, object]]:
    """Rows for the table. An event that is there already keeps its row."""
    return [
        {
            "device": stored.device, "store": stored.store, "seq": stored.event.seq,
            "fleet": stored.fleet, "vehicle": stored.vehicle, "at_ms": stored.event.at_ms, "kind": stored.event.kind,
            "lat": stored.event.lat_deg, "lon": stored.event.lon_deg, "detail": json.dumps(dict(stored.event.detail)),
            "received_ms": stored.received_ms, "published": False,
        }
        for stored in events
    ]  # fmt: skip


def _stored(row: Any) -> StoredEvent:
    told = Event(row.seq, row.at_ms, row.kind, row.lat, row.lon, json.loads(row.detail))
    return StoredEvent(row.device, row.store, told, row.fleet, row.vehicle, row.received_ms, row.pos)


class EventPart(Database):
    """Events and the relay's place-giving."""

    async def add_events(self, events: Sequence[StoredEvent]) -> None:
        """Store events exactly once by device, store and seq."""
        if events:
            async with self.writing() as tx:
                await tx.execute(self.insert(schema.event).on_conflict_do_nothing(), event_rows(events))

    async def relay(self, fleet: str, most: int) -> list[StoredEvent]:
        """Give new events of a fleet their place in the log; gives those that are not published yet, in order."""
        event = schema.event.c
        mine = event.fleet == fleet
        async with self.reading() as tx:
            if not await tx.scalar(select(exists().where(mine, event.published.is_(False)))):
                return []
        async with self.writing() as tx:
            column = schema.fleet.c
            last = await tx.scalar(select(column.last_pos).where(column.fleet == fleet).with_for_update())
            if last is None:
                return []
            fresh = list(
                await tx.scalars(select(event.id).where(mine, event.pos.is_(None)).order_by(event.id).limit(most))
            )
            for pos, number in enumerate(fresh, start=last + 1):
                await tx.execute(update(schema.event).where(event.id == number).values(pos=pos))
            if fresh:
                await tx.execute(update(schema.fleet).where(column.fleet == fleet).values(last_pos=last + len(fresh)))
            waiting = select(schema.event).where(mine, event.published.is_(False), event.pos.is_not(None))
            return [_stored(row) for row in await tx.execute(waiting.order_by(event.pos).limit(most))]

    async def published(self, fleet: str, upto_pos: int) -> None:
        """These events are out."""
        event = schema.event.c
        out = (event.fleet == fleet) & (event.pos <= upto_pos) & event.published.is_(False)
        async with self.writing() as tx:
            await tx.execute(update(schema.event).where(out).values(published=True))

    async def events_after(self, fleet: str, pos: int, most: int) -> list[StoredEvent]:
        """Events of a fleet behind a position, in order."""
        event = schema.event.c
        query = select(schema.event).where(event.fleet == fleet, event.pos > pos).order_by(event.pos).limit(most)
        async with self.reading() as tx:
            return [_stored(row) for row in await tx.execute(query)]

    async def last_pos(self, fleet: str) -> int:
        """The position of a fleet's newest event."""
        async with self.reading() as tx:
            query = select(schema.fleet.c.last_pos).where(schema.fleet.c.fleet == fleet)
            return int(await tx.scalar(query) or 0)
