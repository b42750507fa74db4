"""Records as rows: put behind the newest, given their time, numbered anew; the hash chain is kept along the way.

Everything here runs inside a transaction of the outbox.
"""

from collections.abc import AsyncIterator, Iterable, Sequence

import aiosqlite

from agent.adapters.sqlite_room import SQL
from agent.core.dating import Moment, dated, undated
from agent.core.salvage import OPEN, UNDATED
from agent.ports import Kind, Record, Stored
from wire.track import GENESIS, chain

PIECE = 500
Final = tuple[str, int, bytes, int]
"""What an open record becomes: kind, time, body; and its seq."""


class Rows:
    """The table of records. `forget_boots` when a transaction was rolled back: a boot that it named has no number then."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._db = connection
        self._boots: dict[str, int] = {}

    def forget_boots(self) -> None:
        """Ask again which number stands for a boot."""
        self._boots = {}

    async def boot(self, name: str) -> int:
        """The number that stands for a boot in the rows."""
        if name not in self._boots:
            await self._db.execute(SQL["name_boot"], (name,))
            self._boots = {}
            async with self._db.execute(SQL["boots"]) as cursor:
                self._boots = {known: number async for number, known in cursor}
        return self._boots[name]

    async def append(self, records: Sequence[Record], seq: int, h: str) -> tuple[list[Stored], int, str]:
        """The records as stored behind a seq and its hash, and the end of the chain."""
        stored, rows = [], []
        for record in records:
            seq, moment = seq + 1, record.moment
            h = chain(h, seq, record.body)
            stored.append(Stored(seq, record.kind, moment.at_ms, record.body, h))
            at_ms = OPEN if moment.at_ms is None else moment.at_ms
            rows.append((seq, record.kind.value, at_ms, record.body, h, await self.boot(moment.boot), moment.mono_ms))
        await self._db.executemany(SQL["put"], rows)
        return stored, seq, h

    async def finals(self, now: Moment, wait_ms: int, owing: str) -> tuple[list[Final], str]:
        """What open records become, and the boot that has records without a time at the hub."""
        finals = []
        async with self._db.execute(SQL["open"]) as cursor:
            async for seq, kind, body, boot, mono_ms in cursor:
                if boot == now.boot and now.at_ms is not None:
                    at_ms = now.at_ms - now.mono_ms + mono_ms
                    finals.append((kind, at_ms, dated(body, at_ms), seq))
                elif boot != now.boot or now.mono_ms - mono_ms >= wait_ms:
                    owing = boot if boot == now.boot else owing
                    finals.append((Kind.EVENT.value, UNDATED, undated(body, Moment(None, boot, mono_ms)), seq))
        return finals, owing

    async def make_final(self, finals: Iterable[Final]) -> None:
        """Write what they have become."""
        await self._db.executemany(SQL["make_final"], finals)

    async def rechain(self, first: int, h: str) -> str:
        """The hashes from a seq on, made anew in pieces behind the hash before it; gives the last."""
        while True:
            async with self._db.execute(SQL["bodies"], (first, PIECE)) as cursor:
                piece = [(seq, body) async for seq, body in cursor]
            if not piece:
                return h
            fresh = []
            for seq, body in piece:
                h = chain(h, seq, body)
                fresh.append((h, seq))
            await self._db.executemany(SQL["rechain"], fresh)
            first = piece[-1][0] + 1

    async def begin_anew(self, first: Record, *, acked: int, upto: int) -> tuple[int, str]:
        """One record, and behind it what the hub has not acknowledged, numbered from 1; gives the end of the chain.

        Rows are numbered anew in pieces, so that a backlog of weeks does not fill the memory.
        """
        await self._db.execute(SQL["mirror"], (acked,))
        await self._db.execute(SQL["drop_rest"])
        _, seq, h = await self.append([first], 0, GENESIS)
        async for piece in self._mirrored():
            fresh = []
            for mirrored, body in piece:
                seq = 1 - mirrored - upto
                h = chain(h, seq, body)
                fresh.append((seq, h, mirrored))
            await self._db.executemany(SQL["renumber"], fresh)
        return seq, h

    async def _mirrored(self) -> AsyncIterator[list[tuple[int, bytes]]]:
        while True:
            async with self._db.execute(SQL["read_mirrored"], (PIECE,)) as cursor:
                piece = [(seq, body) async for seq, body in cursor]
            if not piece:
                return
            yield piece
