"""Room in the SQLite outbox: thinning, dropping and forgetting, with the receipts kept in the same transaction.

Everything here runs inside a transaction of the outbox; what it remembers stands in the table `meta`.
"""

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import aiosqlite

from agent.core import room
from wire.kinds import DROPPED, THINNED
from wire.messages import Lost

THINNED_UPTO, DROPPED_UPTO = "thinned_upto", "dropped_upto"


def _statements() -> dict[str, str]:
    text = resources.files("agent.adapters").joinpath("outbox.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


SQL = _statements()


async def one(db: aiosqlite.Connection, name: str, *values: object) -> Any:
    """The first column of the first row; None without one."""
    async with db.execute(SQL[name], values) as cursor:
        row = await cursor.fetchone()
    return None if row is None else row[0]


class Room:
    """What makes room. `start` is the newest seq that may be on its way or is committed: nothing up to it is touched."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._db = connection

    async def lost(self, first: int, last: int) -> list[Lost]:
        """Receipts that touch a range."""
        async with self._db.execute(SQL["lost"], {"first": first, "last": last}) as cursor:
            return [room.receipt(*row) async for row in cursor]

    async def used_bytes(self) -> int:
        """Of the database file, without its free pages."""
        sizes = []
        for name in ("page_count", "freelist_count", "page_size"):
            async with self._db.execute(f"PRAGMA {name}") as cursor:
                row = await cursor.fetchone()
            sizes.append(0 if row is None else int(row[0]))
        return (sizes[0] - sizes[1]) * sizes[2]

    async def totals(self) -> dict[str, int]:
        """How many records of this store have been thinned, and how many dropped."""
        return {reason: await self._meta(f"lost:{reason}") for reason in (THINNED, DROPPED)}

    async def forget_some(self, acked: int) -> int:
        """The oldest of what the hub has. The record at the mark stays, to carry the chain."""
        async with self._db.execute(SQL["forget_some"], (acked, room.THIN_PIECE)) as cursor:
            count = cursor.rowcount
        await self._db.execute(SQL["forget_lost"], (acked,))
        return count

    async def thin(self, start: int, ready: int, eps_m: float) -> int | None:
        """Thin the oldest piece that has not been; gives how many went, or None if there is nothing left to do."""
        start = max(start, await self._meta(THINNED_UPTO), await self._meta(DROPPED_UPTO))
        async with self._db.execute(SQL["fixes"], (start, ready, room.THIN_PIECE)) as cursor:
            fixes = [(seq, body) async for seq, body in cursor]
        if len(fixes) < room.THIN_LEAST:
            return None
        gone, upto = room.thin(fixes, eps_m)
        await self._remove(gone)
        await self._db.executemany(SQL["put_lost"], [(*span, THINNED) for span in room.spans(gone)])
        await self._set(THINNED_UPTO, upto)
        await self._count(THINNED, len(gone))
        return len(gone)

    async def drop(self, start: int, ready: int) -> int | None:
        """Drop the oldest fixes; gives how many seqs that adds to the receipts, or None if there are no more fixes.

        The receipts between two records that stay become one: what was thinned between dropped fixes is no line any more.
        """
        async with self._db.execute(
            SQL["fixes"], (max(start, await self._meta(DROPPED_UPTO)) + 1, ready, room.DROP_PIECE)
        ) as cursor:
            seqs = [seq async for seq, _ in cursor]
        if not seqs:
            return None
        before = max(start, await one(self._db, "kept_before", seqs[0]) or 0)
        gone = room.drop(seqs, before)
        await self._remove(gone)
        first, last = before + 1, await one(self._db, "kept_after", seqs[-1]) - 1
        told = await self.lost(first, last)
        await self._db.execute(SQL["cut_lost"], {"upto": before})
        await self._db.execute(SQL["remove_lost"], (first, last))
        async with self._db.execute(SQL["kept_between"], (first, last)) as cursor:
            staying = [seq async for (seq,) in cursor]
        spans = room.gaps(first, last, staying)
        await self._db.executemany(SQL["put_lost"], [(*span, DROPPED) for span in spans])
        await self._set(DROPPED_UPTO, last)
        was = {reason: _seqs(told, first, reason) for reason in (THINNED, DROPPED)}
        dropped = sum(end - begin + 1 for begin, end in spans) - was[DROPPED]
        await self._count(THINNED, -was[THINNED])
        await self._count(DROPPED, dropped)
        return dropped

    async def shift(self, acked: int) -> None:
        """The store begins anew behind the mark, with one record before: receipts move with their records."""
        await self._db.execute(SQL["lost_before"], (acked + 1,))
        await self._db.execute(SQL["lost_behind"], {"first": acked + 1})
        await self._db.execute(SQL["lost_mirror"], {"by": acked - 1})
        await self._db.execute(SQL["lost_back"])
        for key in (THINNED_UPTO, DROPPED_UPTO):
            await self._set(key, max(0, await self._meta(key) - acked + 1))

    async def book(self, seq: int, gap: Sequence[tuple[int, str]]) -> int:
        """Receipts behind the newest record, how many and why each; gives the seq of the last."""
        for count, reason in gap:
            await self._db.execute(SQL["put_lost"], (seq + 1, seq + count, reason))
            if reason in {THINNED, DROPPED}:
                await self._count(reason, count)
            seq += count
        return seq

    async def _remove(self, seqs: list[int]) -> None:
        await self._db.executemany(SQL["remove"], room.spans(seqs))

    async def _meta(self, key: str) -> int:
        return int(await one(self._db, "get_meta", key) or 0)

    async def _set(self, key: str, value: int) -> None:
        await self._db.execute(SQL["set_meta"], (key, str(value)))

    async def _count(self, reason: str, n: int) -> None:
        await self._set(f"lost:{reason}", await self._meta(f"lost:{reason}") + n)


def _seqs(receipts: list[Lost], first: int, reason: str) -> int:
    """How many seqs from `first` on the receipts of a reason name."""
    return sum(one.last - max(one.first, first) + 1 for one in receipts if one.reason == reason)
