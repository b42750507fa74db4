"""Records on their way to the outbox: they wait in memory until a commit window closes, and a write is never cut in half."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import TypeVar

from agent.core.dating import Moment, event_body
from agent.ports import Clock, Kind, Outbox, Record, Stored
from wire.codec import dump
from wire.errors import UnavailableError
from wire.kinds import SOS
from wire.messages import Fix, Reading
from wire.ops.watch import WatchCall
from wire.schema import AT_MS, row_of

Result = TypeVar("Result")

PENDING_MAX = 7_200
CROWDED = 600
OPEN_MS = 600_000
"""So long a record waits for somebody to tell the time."""
DATE_EVERY_S = 1.0


async def unbroken(work: Coroutine[object, object, Result]) -> Result:
    """Let a write run to its end even when the caller is cancelled meanwhile.

    Half of it would leave disk and memory apart: seqs that are taken and not known, or a transaction that stays open.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise


def _is_sos(body: bytes) -> bool:
    return b'"sos"' in body and json.loads(body)[1] == SOS


class Recorder:
    """Records wait here until the commit window closes; events close it at once. Nothing is sent before its commit.

    `fault` says why the disk refuses, as long as it does: records wait in memory then, and are tried again with each window.
    """

    def __init__(self, outbox: Outbox, clock: Clock, *, watch: WatchCall, commit_ms: int) -> None:
        self._outbox = outbox
        self._clock = clock
        self._watch = watch
        self._commit_ms = commit_ms
        self._pending: list[Record] = []
        self._in_hand = 0
        self._writing = asyncio.Lock()
        self.fault = ""
        self._failed_ms = 0
        self._dropped = dict.fromkeys(Kind, 0)
        self.on_event: Callable[[Stored], None] = lambda _stored: None
        self.on_dated: Callable[[], None] = lambda: None

    @property
    def unwritten(self) -> int:
        """Records that are not on disk yet, those of the commit that runs included."""
        return len(self._pending) + self._in_hand

    @property
    def recorded(self) -> int:
        """Records so far: `waiting` of them and those that the hub has committed."""
        return self._outbox.newest + self.unwritten

    @property
    def waiting(self) -> int:
        """Records that the hub has not committed yet."""
        return self.recorded - self._outbox.acked

    @property
    def crowded(self) -> bool:
        """Whether so much waits that the window should close early; not while the disk refuses anyway."""
        return len(self._pending) >= CROWDED and not self.fault

    def add_fix(self, fix: Fix, reading: Reading, *, dated: bool = True) -> None:
        """Keep a fix; it is committed with the others of its window. One that is not `dated` is open until time is known."""
        now = self._clock.now()
        row: list[int | None] = list(row_of(fix, reading))
        if not dated:
            row[AT_MS] = None
        self._add(Record(Kind.FIX, Moment(row[AT_MS], now.boot, now.mono_ms), dump([*row])))

    async def add_event(self, kind: str, place: Fix | None, detail: dict[str, object] | None = None) -> None:
        """Keep an event, commit at once, and hand it to the event lane."""
        now = self._clock.now()
        where = (place.lat_deg, place.lon_deg) if place is not None else (None, None)
        self._watch("event.made", kind=kind)
        self._add(Record(Kind.EVENT, now, event_body(now, kind, where, detail or {})))
        await self.commit()

    def _add(self, record: Record) -> None:
        self._pending.append(record)
        if len(self._pending) > PENDING_MAX and (least := self._least()) is not None:
            self._dropped[self._pending.pop(least).kind] += 1
            self._watch("outbox.overflow")

    def _least(self) -> int | None:
        """What can best be done without: the oldest fix, else the oldest event. An SOS never is."""
        oldest_fix = next((i for i, one in enumerate(self._pending) if one.kind is Kind.FIX), None)
        if oldest_fix is not None:
            return oldest_fix
        return next((i for i, one in enumerate(self._pending) if not _is_sos(one.body)), None)

    async def go_on_in(self, outbox: Outbox) -> bool:
        """Commit what waits in another outbox, because this one's file is ruined. Nobody is told: the agent ends."""
        self._outbox, self.on_event = outbox, lambda _stored: None
        return await self.commit()

    async def commit(self) -> bool:
        """Write what waits; False when the disk refuses and the records stay in memory."""
        return await unbroken(self._commit())

    async def _commit(self) -> bool:
        async with self._writing:
            batch, self._pending = self._pending, []
            if not batch:
                return True
            self._in_hand = len(batch)
            try:
                stored = await self._outbox.put(batch)
            except BaseException as error:
                self._pending = batch + self._pending  # whatever it is: what is not on the disk stays here
                if not isinstance(error, UnavailableError):
                    raise
                self._refused(error)
                return False
            finally:
                self._in_hand = 0
            self._took()
            self._watch("outbox.commit")
            self._watch("outbox.record", n=len(stored))
            for item in stored:
                if item.kind is Kind.EVENT:
                    self.on_event(item)
            return True

    def _refused(self, error: UnavailableError) -> None:
        """Told once, and again when it is for another reason."""
        if not self.fault:
            self._failed_ms = self._clock.mono_ms()
        self._watch("outbox.failed" if self.fault != str(error) else "outbox.again", error=error)
        self.fault = str(error)

    def _took(self) -> None:
        """The disk takes records. What memory could not hold meanwhile is told to the hub, too: it has no seq and no receipt."""
        if not self.fault:
            return
        after_s = (self._clock.mono_ms() - self._failed_ms) // 1000
        self._watch("outbox.back", after_s=after_s, dropped=sum(self._dropped.values()))
        self.fault = ""
        if any(self._dropped.values()):
            events = {"events": n} if (n := self._dropped[Kind.EVENT]) else {}
            now, detail = self._clock.now(), {"fixes": self._dropped[Kind.FIX], "after_s": after_s} | events
            self._dropped = dict.fromkeys(Kind, 0)
            self._add(Record(Kind.EVENT, now, event_body(now, "memory-full", (None, None), detail)))

    async def told(self) -> None:
        """Wait until every event that is committed has been handed to the event lane."""
        async with self._writing:
            return

    async def keep_committing(self) -> None:
        """Close a commit window again and again."""
        while True:
            await asyncio.sleep(self._commit_ms / 1000.0)
            await self.commit()

    async def keep_dating(self) -> None:
        """Give open records their time as soon as it is known; after `OPEN_MS` they go without."""
        while True:
            await asyncio.sleep(DATE_EVERY_S)
            if self._outbox.unsettled:
                await self.settle_times()

    async def settle_times(self) -> None:
        """Make open records final whose time is known, or who have waited long enough."""
        try:
            settled = await unbroken(self._outbox.settle_times(self._clock.now(), OPEN_MS))
        except UnavailableError as error:
            self._refused(error)
            return
        if settled:
            self._watch("outbox.dated", n=settled)
            self.on_dated()
