"""Events in the store: exactly once by device, store and seq; then a gap-free place in the fleet's log."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import exists, select, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.adapters.store import schema
from hub.adapters.store.database import Database
from hub.core.marks import StoredEvent, dating
from wire.messages import TIME_KNOWN, Event

ASIDE = 1 << 52
PLACES_AT_ONCE = 200
DATINGS = 20
"""So many of a device's newest `time-known` events are looked through for the boot of an undated event."""


def event_rows(events: Iterable[StoredEvent]) -> list[dict[str, object]]:
    """Rows for the table. An event that is there already keeps its row."""
    return [
        {
            "device": stored.device, "store": stored.store, "seq": stored.event.seq,
            "fleet": stored.fleet, "vehicle": stored.vehicle, "at_ms": stored.event.at_ms, "kind": stored.event.kind,
            "lat": stored.event.lat_deg, "lon": stored.event.lon_deg, "detail": json.dumps(dict(stored.event.detail)),
            "received_ms": stored.received_ms, "published": False,
            "boot": stored.event.boot, "mono_ms": stored.event.mono_ms,
        }
        for stored in events
    ]  # fmt: skip


def _stored(row: Any) -> StoredEvent:
    told = Event(row.seq, row.at_ms, row.kind, row.lat, row.lon, json.loads(row.detail), row.boot, row.mono_ms)
    return StoredEvent(row.device, row.store, told, row.fleet, row.vehicle, row.received_ms, row.pos)


class EventPart(Database):
    """Events and the relay's place-giving."""

    async def add_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Store events exactly once by device, store and seq: together, or, if that fails, one by one.

        Gives those that the store can't take, or that find another event in their place: they hold no other event up, and
        their record comes with the track.
        """
        if not events:
            return []
        try:
            async with self.writing() as tx:
                await self.put_events(tx, events)
                return await self._displaced(tx, events)
        except DBAPIError as error:
            self._watch("store.retried", reason=type(error.orig).__name__)
            return [one for one in events if not await self._add_event(one)]

    async def _add_event(self, event: StoredEvent) -> bool:
        try:
            async with self.writing() as tx:
                await self.put_events(tx, [event])
                return not await self._displaced(tx, [event])
        except DBAPIError as error:
            self._watch("store.refused", device=event.device, reason=type(error.orig).__name__)
            return False

    async def _displaced(self, tx: AsyncConnection, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """Those in whose place another event stands: two cards of one identity were there."""
        event = schema.event.c
        places = sorted({(one.device, one.store, one.event.seq) for one in events})
        there: dict[tuple[str, str, int], tuple[str, str]] = {}
        for start in range(0, len(places), PLACES_AT_ONCE):
            some = tuple_(event.device, event.store, event.seq).in_(places[start : start + PLACES_AT_ONCE])
            found = await tx.execute(select(event.device, event.store, event.seq, event.kind, event.detail).where(some))
            there |= {(row.device, row.store, row.seq): (row.kind, row.detail) for row in found}
        return [
            one
            for one, row in zip(events, event_rows(events), strict=True)
            if there.get((one.device, one.store, one.event.seq)) != (row["kind"], row["detail"])
        ]

    async def put_events(self, tx: AsyncConnection, events: Sequence[StoredEvent]) -> None:
        """Within a transaction. An event that is there keeps its row, but a time that is sure replaces a provisional one."""
        put, event = self.insert(schema.event), schema.event.c
        sure = {name: put.excluded[name] for name in ("at_ms", "vehicle", "boot", "mono_ms")}
        unsure = event.boot.is_not(None) & put.excluded.boot.is_(None)
        unsure &= (event.kind == put.excluded.kind) & (event.detail == put.excluded.detail)
        await tx.execute(
            put.on_conflict_do_update(index_elements=["device", "store", "seq"], set_=sure, where=unsure),
            event_rows(events),
        )
        offsets = {(one.device, told[0]): told[1] for one in events if (told := dating(one.event)) is not None}
        for device in {one.device for one in events if one.event.boot is not None}:
            offsets = await self._told_before(tx, device) | offsets
        for (device, boot), offset_ms in offsets.items():
            mine = (event.device == device) & (event.boot == boot)
            now_known = {"at_ms": event.mono_ms + offset_ms, "boot": None, "mono_ms": None}
            await tx.execute(update(schema.event).where(mine).values(now_known))

    async def make_way(self, tx: AsyncConnection, events: Sequence[StoredEvent]) -> None:
        """Where the track brings an event whose place has another one, that was a fast copy of a device with a cloned card.

        It stays in the log, because somebody may have called for help, under a seq that no device has.
        """
        event = schema.event.c
        for row in event_rows(events):
            here = (event.device == row["device"]) & (event.store == row["store"]) & (event.seq == row["seq"])
            another = (event.kind != row["kind"]) | (event.detail != row["detail"])
            await tx.execute(update(schema.event).where(here & another).values(seq=-event.id - ASIDE))

    async def _told_before(self, tx: AsyncConnection, device: str) -> dict[tuple[str, str], int]:
        event = schema.event.c
        query = select(schema.event).where(event.device == device, event.kind == TIME_KNOWN)
        rows = await tx.execute(query.order_by(event.id.desc()).limit(DATINGS))
        datings = [dating(_stored(row).event) for row in rows]
        return {(device, told[0]): told[1] for told in datings if told is not None}

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
