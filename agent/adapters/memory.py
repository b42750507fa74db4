"""Outbox and link in memory: the twins that tests of the flow use. They keep the same promises, but not over a restart."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace

from agent.core import room
from agent.core.dating import Moment, dated, event_body, undated
from agent.core.room import Made
from agent.ports import Kind, Limits, Record, Settled, Stored
from wire.errors import OdographError, UnavailableError
from wire.kinds import DROPPED, THINNED
from wire.messages import TIME_KNOWN, Lost, Status
from wire.track import GENESIS, b64, chain


class MemoryOutbox:
    """Same port as `SqliteOutbox`. `full` makes writes fail, as a full disk does."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.store = b64(secrets.token_bytes(8))
        self.acked = self.sent = self.ahead = 0
        self.limits = limits or Limits()
        self._acked_h = ""
        self._lost: list[Lost] = []
        self._final = 0
        self.full = False
        self._rows: list[Stored] = []
        self._moments: dict[int, Moment] = {}
        self._undated_boot = ""

    @property
    def newest(self) -> int:
        """The newest seq."""
        return self._rows[-1].seq if self._rows else 0

    @property
    def low(self) -> int:
        """The lowest seq that is still there."""
        return min([row.seq for row in self._rows[:1]] + [one.first for one in self._lost[:1]], default=1)

    @property
    def lost_so_far(self) -> dict[str, int]:
        """Of the receipts that are still there."""
        return {
            reason: sum(one.last - one.first + 1 for one in self._lost if one.reason == reason)
            for reason in (THINNED, DROPPED)
        }

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        """Give seqs and keep."""
        if self.full:
            raise UnavailableError("no space left")
        h, seq = (self._rows[-1].h, self.newest) if self._rows else (GENESIS, 0)
        stored = []
        for record in records:
            seq += 1
            h = chain(h, seq, record.body)
            stored.append(Stored(seq, record.kind, record.moment.at_ms, record.body, h))
            self._moments[seq] = record.moment
        self._rows += stored
        return stored

    async def read(self, first: int, limit: int) -> list[Stored]:
        """At most `limit` records from `first` on."""
        return [row for row in self._rows if row.seq >= first][:limit]

    async def unacked_events(self, limit: int) -> list[Stored]:
        """Events that the hub has not committed yet."""
        return [row for row in self._rows if row.seq > self.acked and row.kind is Kind.EVENT][:limit]

    async def hash_at(self, seq: int) -> str | None:
        """The chain hash at a seq."""
        told = self._acked_h if seq == self.acked else ""
        return GENESIS if seq == 0 else next((row.h for row in self._rows if row.seq == seq), told or None)

    async def lost(self, first: int, last: int) -> list[Lost]:
        """Receipts that touch a range."""
        return [one for one in self._lost if one.first <= last and one.last >= first]

    async def going(self, last: int) -> None:
        """Note what may be on its way."""
        self.sent = max(self.sent, last)

    async def settle(self, upto: int, h: str) -> Settled:
        """Take the hub's mark."""
        own = await self.hash_at(upto)
        if upto > self.newest or (own != h and not (own is None and upto < self.low)):
            return Settled.FORKED
        if upto == self.acked:
            return Settled.STALE
        self.acked, self._acked_h = upto, h
        return Settled.TAKEN

    @property
    def ready(self) -> int:
        """The newest seq that may be sent."""
        return next((row.seq - 1 for row in self._rows if row.at_ms is None), self.newest)

    @property
    def unsettled(self) -> bool:
        """Whether `settle_times` has something to do."""
        return self.ready < self.newest or bool(self._undated_boot)

    async def settle_times(self, now: Moment, wait_ms: int) -> int:
        """Make open records final."""
        if self.full:
            raise UnavailableError("no space left")
        finals, first = 0, self.ready + 1
        for at, row in enumerate(self._rows):
            moment = self._moments[row.seq]
            if row.at_ms is not None:
                continue
            if moment.boot == now.boot and now.at_ms is not None:
                at_ms = now.at_ms - now.mono_ms + moment.mono_ms
                self._rows[at] = replace(row, at_ms=at_ms, body=dated(row.body, at_ms))
            elif moment.boot != now.boot or now.mono_ms - moment.mono_ms >= wait_ms:
                self._undated_boot = now.boot if moment.boot == now.boot else self._undated_boot
                self._rows[at] = replace(row, kind=Kind.EVENT, at_ms=0, body=undated(row.body, moment))
            else:
                continue
            finals += 1
        self._rechain(first)
        if self._undated_boot == now.boot and now.at_ms is not None:
            detail: dict[str, object] = {"boot": now.boot, "offset_ms": now.at_ms - now.mono_ms}
            self._undated_boot = ""
            await self.put([Record(Kind.EVENT, now, event_body(now, TIME_KNOWN, (None, None), detail))])
        return finals

    async def fork(self, now: Moment, *, hub_seq: int) -> None:
        """Go on under a new store id."""
        if self.full:
            raise UnavailableError("no space left")
        rows, moments, by = (
            [row for row in self._rows if row.seq > self.acked],
            self._moments,
            max(self.acked, self.low - 1) - 1,
        )
        detail = {"prev": self.store, "prev_seq": self.newest, "hub_seq": hub_seq}
        lost = [one for one in self._lost if one.last > self.acked]
        self._lost = [room.receipt(max(one.first, by + 2) - by, one.last - by, one.reason) for one in lost]
        self.store, self.acked, self.sent, self._rows, self._moments = b64(secrets.token_bytes(8)), 0, 0, [], {}
        self._final = max(0, self._final - by)
        await self.put([Record(Kind.EVENT, now, event_body(now, "fork", (None, None), detail))])
        self._rows += [replace(row, seq=row.seq - by) for row in rows]
        self._moments |= {row.seq - by: moments[row.seq] for row in rows}
        self._rechain(1)

    async def forget(self, now_ms: int) -> None:
        """Delete acknowledged records that are older than a day."""
        young = next((row.seq for row in self._rows if (row.at_ms or 0) >= now_ms - 24 * 3_600_000), self.acked)
        self._forget(min(young, self.acked))

    def _forget(self, before: int) -> int:
        count = len(self._rows)
        self._rows = [row for row in self._rows if row.seq >= before]
        oldest = self._rows[0].seq if self._rows else 0
        self._lost = [one for one in self._lost if one.last > min(self.acked, oldest)]
        return count - len(self._rows)

    def _rechain(self, first: int) -> None:
        h = next((row.h for row in reversed(self._rows) if row.seq < first), GENESIS)
        for at, row in enumerate(self._rows):
            if row.seq >= first:
                h = chain(h, row.seq, row.body)
                self._rows[at] = replace(row, h=h)

    async def used_bytes(self) -> int:
        """What the bodies take."""
        return sum(len(row.body) for row in self._rows)

    async def see_to_disk(self) -> None:
        """There is none."""

    def _fixes(self, start: int) -> list[Stored]:
        return [row for row in self._rows if start <= row.seq < self.ready and row.kind is Kind.FIX]

    def _remove(self, seqs: list[int]) -> None:
        gone = set(seqs)
        self._rows = [row for row in self._rows if row.seq not in gone]

    async def thin(self) -> int:
        """Thin the oldest fixes that have not been."""
        while True:
            fixes = self._fixes(max(self.acked, self.sent, self._final))[: room.THIN_PIECE]
            if len(fixes) < room.THIN_LEAST:
                return 0
            gone, self._final = room.thin([(row.seq, row.body) for row in fixes], self.limits.thin_m)
            self._remove(gone)
            self._lost += [room.receipt(*span, THINNED) for span in room.spans(gone)]
            if gone:
                return len(gone)

    async def make_room(self) -> Made:
        """One step: forget what the hub has; else thin; else drop."""
        if forgotten := self._forget(self.acked):
            return Made(forgotten=forgotten)
        if thinned := await self.thin():
            return Made(thinned=thinned)
        start, was = max(self.acked, self.sent), self.lost_so_far[DROPPED]
        seqs = [row.seq for row in self._fixes(start + 1)][: room.DROP_PIECE]
        if not seqs:
            return Made(more=False)
        self._remove(seqs)
        last = next(row.seq for row in self._rows if row.seq > seqs[-1]) - 1
        staying = [row.seq for row in self._rows if start < row.seq <= last]
        spans = room.gaps(start + 1, last, staying)
        untouched = [
            room.receipt(one.first, min(one.last, start), one.reason) for one in self._lost if one.first <= start
        ]
        self._lost = [
            *untouched,
            *(room.receipt(*span, DROPPED) for span in spans),
            *(one for one in self._lost if one.first > last),
        ]
        return Made(dropped=self.lost_so_far[DROPPED] - was)

    async def close(self) -> None:
        """Nothing to do."""


class MemorySession:
    """A link in memory: what is published is kept in `sent`; the test acknowledges by `puback` or answers in `inbox`."""

    def __init__(self, *, puback: bool = True) -> None:
        self.lost: asyncio.Future[UnavailableError] = asyncio.get_running_loop().create_future()
        self.inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.sent: list[tuple[str, bytes]] = []
        self.puback = puback
        self.closed = False

    def publish(self, name: str, payload: bytes) -> asyncio.Future[None]:
        """Keep it; acknowledged at once when `puback` is set."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((name, payload))
        if self.puback:
            future.set_result(None)
        return future

    def drop(self, error: UnavailableError) -> None:
        """The link is gone."""
        if not self.lost.done():
            self.lost.set_result(error)

    async def close(self) -> None:
        """Good-bye."""
        self.closed = True


class MemoryLink:
    """Gives the sessions, or raises the errors, that the test has lined up; then never answers."""

    def __init__(self, *line: MemorySession | OdographError) -> None:
        self._line = list(line)
        self.opened = 0
        self.wills: list[Status] = []

    async def open(self, will: Status) -> MemorySession:
        """The next of the line."""
        self.opened += 1
        self.wills.append(will)
        if not self._line:
            await asyncio.get_running_loop().create_future()
        item = self._line.pop(0)
        if isinstance(item, MemorySession):
            return item
        raise item
