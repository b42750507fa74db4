"""The books in the store: how far devices' stores go, the ledger, and the quarantine with a second try at what is in it."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, literal, null, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.adapters.store import schema
from hub.adapters.store.track import TrackPart
from hub.core.ledger import FIRST_DAY, LAST_DAY, LOST, Line, Reach
from hub.core.marks import DAY_MS, Incoming, Kind, Mark
from hub.ports import Heard
from wire.kinds import QUARANTINE

FEW = 500
"""So many devices are asked for by name; of more, all are read."""
PAYLOADS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A payload that could not be read. `raw` is None where it was not asked for, and empty when it was dropped."""

    number: int
    kind: Kind
    device: str
    store: str
    first: int
    last: int
    reason: str
    received_ms: int
    size: int
    there: bool
    raw: bytes | None = None

    @property
    def name(self) -> str:
        """How the command line names it: `p` for poison, `u` for a schema that was unknown."""
        return f"{self.kind[0]}{self.number}"


class BooksPart(TrackPart):
    """Reaches, ledgers, quarantine."""

    async def heard(self, told: Sequence[Heard]) -> None:
        """Keep how far the stores of devices go; a store that has ended goes no further.

        None goes back: a word that tells of less than is known is an old one (a broker keeps the last status of each device).
        """
        if not told:
            return
        rows = [
            {
                "device": one.device,
                "store": one.store,
                "last": 0,
                "h": Mark().h,
                "newest": one.newest,
                "told_ms": one.at_ms,
                "days": json.dumps(one.days) if one.days else None,
            }
            for one in sorted(told, key=lambda one: (one.device, one.store))
        ]
        put, mark = self.insert(schema.mark), schema.mark.c
        known = case((mark.newest > mark.last, mark.newest), else_=mark.last)
        fresh = put.excluded.newest >= known
        said = {"newest": case((fresh, put.excluded.newest), else_=known)}
        said |= {name: case((fresh, put.excluded[name]), else_=mark[name]) for name in ("told_ms", "days")}
        async with self.writing() as tx:
            await tx.execute(
                put.on_conflict_do_update(index_elements=["device", "store"], set_=said, where=mark.closed.is_(None)),
                rows,
            )

    async def out_there(self) -> int:
        """How many records the devices have told of that have not come."""
        mark = schema.mark.c
        query = select(func.sum(mark.newest - mark.last)).where(mark.closed.is_(None), mark.newest > mark.last)
        async with self.reading() as tx:
            return int(await tx.scalar(query) or 0)

    # The ledger.

    async def ledger(self, device: str) -> list[Line]:
        """The ledger of a device."""
        return await self.ledgers([device], FIRST_DAY, LAST_DAY)

    async def ledgers(self, devices: Collection[str] | None, first: int, last: int) -> list[Line]:
        """The ledgers of these devices, or of all, from day to day."""
        line = schema.ledger.c
        query = select(schema.ledger).where(line.day >= first, line.day <= last, line.n != 0)
        rows = await self._of(query.order_by(line.device, line.day, line.what), line.device, devices)
        return [Line(row.device, row.day, row.what, row.n) for row in rows]

    async def totals(self, devices: Collection[str] | None) -> list[Line]:
        """The ledgers of these devices, or of all, summed over all days."""
        line = schema.ledger.c
        query = select(line.device, line.what, func.sum(line.n).label("n")).group_by(line.device, line.what)
        return [Line(row.device, 0, row.what, int(row.n)) for row in await self._of(query, line.device, devices)]

    async def reaches(self, devices: Collection[str] | None) -> list[Reach]:
        """How far the stores of these devices, or of all, are held and go."""
        mark = schema.mark.c
        rows = await self._of(select(schema.mark).order_by(mark.device, mark.store), mark.device, devices)
        return [
            Reach(
                row.device, row.store, row.last, row.newest, row.told_ms, row.closed,
                tuple((day, upto) for day, upto in json.loads(row.days or "[]")),
            )
            for row in rows
        ]  # fmt: skip

    async def _of(self, query: Any, device: ColumnElement[str], devices: Collection[str] | None) -> list[Any]:
        """The rows of some devices: by name if they are few."""
        if devices is not None and len(devices) <= FEW:
            query = query.where(device.in_(sorted(devices)))
        async with self.reading() as tx:
            rows = list(await tx.execute(query))
        return rows if devices is None else [row for row in rows if row.device in devices]

    # The quarantine.

    async def kept(self, device: str | None = None, *, name: str | None = None) -> list[Kept]:
        """What could not be read, oldest first; the one of this name with its raw payload."""
        found = []
        async with self.reading() as tx:
            for kind, table in ((Kind.POISON, schema.quarantine), (Kind.UNKNOWN, schema.track_chunk)):
                if name is not None and name[:1] != kind[0]:
                    continue
                found += [_kept(kind, row) for row in await tx.execute(_kept_query(kind, table.c, device, name))]
        return sorted(found, key=lambda one: (one.received_ms, one.kind, one.number))

    async def trim_quarantine(self, most_bytes: int) -> int:
        """Drop the oldest raw payloads of poison beyond a size, never their lines; gives how many."""
        row = schema.quarantine.c
        size = func.length(row.payload)
        async with self.reading() as tx:
            left = int(await tx.scalar(select(func.sum(size))) or 0)
            if left <= most_bytes:
                return 0
            sizes = await tx.execute(select(row.id, size.label("n")).where(size > 0).order_by(row.id))
            gone = []
            for one in sizes:
                if left <= most_bytes:
                    break
                gone.append(one.id)
                left -= one.n
        async with self.writing() as tx:
            await tx.execute(update(schema.quarantine).where(row.id <= gone[-1]).values(payload=b""))
        return len(gone)

    async def retry(self, one: Kept, read: Incoming) -> str:
        """Book what can be read now, once: in place of what it was. Gives why not, or nothing if it was done."""
        try:
            async with self.writing() as tx:
                return await self._retry(tx, one, read)
        except DBAPIError as error:
            return f"the store can't take it: {type(error.orig).__name__}"

    async def _retry(self, tx: AsyncConnection, one: Kept, read: Incoming) -> str:
        chunk, poison = schema.track_chunk.c, one.kind is Kind.POISON
        beside = (chunk.device == one.device) & (chunk.store == one.store)
        beside &= (chunk.first <= one.last) & (chunk.last >= one.first)
        if not poison:
            beside &= chunk.id != one.number
        if await tx.scalar(select(chunk.id).where(beside).limit(1)) is not None:
            return "the track has rows of this range already"
        if poison:
            drop = delete(schema.quarantine).where(schema.quarantine.c.id == one.number)
        else:
            drop = delete(schema.track_chunk).where(chunk.id == one.number, chunk.kind == str(Kind.UNKNOWN))
        if (await tx.execute(drop)).rowcount != 1:
            return "it is not there any more"
        place = {"device": one.device, "store": one.store, "first": one.first, "last": one.last}
        times = {"received_ms": one.received_ms, "t_min_ms": read.t_min_ms, "t_max_ms": read.t_max_ms}
        counted = {"kind": str(read.kind), "rows": read.rows, "events": len(read.events), "payload": read.payload}
        await tx.execute(schema.track_chunk.insert(), place | times | counted)
        if read.events:
            await self.make_way(tx, read.events)
            await self.put_events(tx, read.events)
        await self.book(tx, _difference(one, read))
        return ""


def _difference(one: Kept, read: Incoming) -> Mapping[tuple[str, int, str], int]:
    """What the ledger says of a payload now, less what it said before."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for (day, what), n in read.counts.items():
        counts[one.device, day, what] += n
    before = f"{LOST}{QUARANTINE}" if one.kind is Kind.POISON else "unknown"
    counts[one.device, one.received_ms // DAY_MS, before] -= one.last - one.first + 1
    return {key: n for key, n in counts.items() if n}


def _kept_query(kind: Kind, row: Any, device: str | None, name: str | None) -> Any:
    poison = kind is Kind.POISON
    size = row.size if poison else func.length(row.payload)
    raw = row.payload if name is not None else null()
    query = select(
        row.id, row.device, row.store, row.first, row.last, row.received_ms,
        (row.reason if poison else literal("unknown version")).label("reason"), size.label("size"),
        func.length(row.payload).label("left"), raw.label("raw"),
    ).order_by(row.id)  # fmt: skip
    if not poison:
        query = query.where(text("kind = 'unknown'"))  # as the partial index has it
    if device is not None:
        query = query.where(row.device == device)
    return query if name is None else query.where(row.id == _number(name))


def _number(name: str) -> int:
    digits = name[1:]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else -1


def _kept(kind: Kind, row: Any) -> Kept:
    place = (row.device, row.store, row.first, row.last, row.reason, row.received_ms)
    return Kept(row.id, kind, *place, size=row.size, there=bool(row.left), raw=row.raw)
