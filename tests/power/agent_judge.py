"""Whether an outbox is as it must be after the power was cut: opened by the product's own code, in the ordinary way."""

import random
import sqlite3
import time
from pathlib import Path

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_disk import read_side
from agent.core.dating import Moment
from agent.outbox import check
from agent.ports import Kind, Record
from tests.power.agent_life import T0, Life, State, salvage, small, state_of
from tests.power.disk import Disk
from wire.codec import dump
from wire.errors import UnavailableError

OPEN_MOST_S = 2.0
NOW = Moment(T0 + 10**9, "b008", 5)


async def cuts(life: Life, folder: Path, count: int) -> tuple[list[str], int]:
    """Cut a life at so many places; gives what was wrong, and the longest loss of what was not committed, in milliseconds."""
    chance, disk, wrong, longest = random.Random(life.seed ^ 0xC0FFEE), Disk(life.log), list[str](), 0
    places = sorted(chance.randrange(1, len(life.log.entries) + 1) for _ in range(count))
    with small(chance):
        for number, at in enumerate(places):
            disk.lay(folder, at, chance, shared="outbox.db-shm")
            judge = _Judge(life, at, folder)
            await judge.look(goes_on=number % 10 == 0)
            wrong += [f"seed {life.seed}, cut {number} at {at}: {one}" for one in judge.wrong]
            longest = max(longest, judge.loss_ms)
    return wrong, longest


class _Judge:
    def __init__(self, life: Life, at: int, folder: Path) -> None:
        self.life, self.at, self.path = life, at, folder / "outbox.db"
        self.wrong: list[str] = []
        self.loss_ms = 0
        marks = [one for one in life.log.marks if one[0] <= at]
        self.marks = {
            kind: [what for _, mark, what in marks if mark == kind]
            for kind in ("state", "event", "told", "hub", "made", "side")
        }
        self.waiting: list[int] = []
        """Times of fixes that nobody was told were committed."""
        for _, kind, what in marks:
            if kind == "made":
                self.waiting.append(what)
            elif kind in {"told", "event"}:
                self.waiting.clear()
        self.last: State | None = self.marks["state"][-1] if self.marks["state"] else None
        later = life.log.marks[len(marks) :]
        self.next: State | None = next((what for _, kind, what in later if kind == "state"), None)
        self.harmed = any(kind == "harm" for _, kind, _ in marks)

    def expect(self, fine: object, what: str) -> None:
        if not fine:
            self.wrong.append(what)

    async def look(self, *, goes_on: bool) -> None:
        side, began = read_side(self.path.with_suffix(".store")), time.perf_counter()
        if self.marks["side"]:
            self.expect(side is not None, "the side file is gone or torn")
        try:
            box = await SqliteOutbox.open(self.path, now=NOW)
        except (UnavailableError, sqlite3.Error) as error:
            self.wrong.append(f"can't be opened: {error}")
            return
        try:
            self.expect(time.perf_counter() - began < OPEN_MOST_S, "opening took long")
            if self.harmed:
                await self._salvaged(box)
            else:
                await self._whole(box)
            faults = check(self.path)
            self.expect(not faults, f"check: {faults[:2]}")
            if goes_on:
                (more,) = await box.put([Record(Kind.FIX, NOW, dump([T0, 1, 1]))])
                self.expect(more.seq == box.newest, "goes on")
        finally:
            await box._db.close()

    async def _whole(self, box: SqliteOutbox) -> None:
        """Exactly what was committed, or that and all of the transaction that was under way."""
        now = await state_of(box._db)
        self.expect(not list(self.path.parent.glob("*.damaged-*")), "set aside")
        if self.last is None:
            known = {what.store for _, kind, what in self.life.log.marks if kind == "state"}
            self.expect(now == self.next or now.store not in known, "not new")
            return
        if now not in {self.last, self.next}:
            before, after = {row[0] for row in self.last.rows}, {row[0] for row in now.rows}
            self.wrong.append(
                f"committed rows missing: {len(before - after)}, too many: {len(after - before)}, of {len(before)}"
            )
        self._promised(now)

    def _promised(self, now: State) -> None:
        """What was told to somebody, apart from what the transactions say."""
        rows = {row[0]: row[3] for row in now.rows}
        for store, seq, body in self.marks["event"]:
            if store == now.store and (not now.rows or seq >= now.rows[0][0]):
                self.expect(rows.get(seq) == body or body.startswith(b"[["), f"event {seq} is lost")
        told = [newest for store, newest in self.marks["told"] if store == now.store]
        self.expect(max(told, default=0) <= now.newest, "committed fixes are lost")
        had = max((upto for store, upto in self.marks["hub"] if store == now.store), default=0)
        self.expect(now.acked <= had, "acked, and the hub has it not")
        first = min([row[0] for row in now.rows[:1]] + [one[0] for one in now.lost[:1]], default=1)
        self.expect(first <= had + 1, "deleted, and the hub has it not")
        self.loss_ms = 0 if now == self.next or not self.waiting else self.waiting[-1] - self.waiting[0] + 1000
        self.expect(self.loss_ms <= self.life.window_ms, f"lost {self.loss_ms} ms")

    async def _salvaged(self, box: SqliteOutbox) -> None:
        """After the salvage all bodies that the hub lacks are there once."""
        await salvage(box, self.path, self.life.hub)
        now, was = await state_of(box._db), self.life.damaged
        if was is None:
            return
        upto = self.life.hub.get(was.store, (0, ""))[0]
        want = [row[3] for row in was.rows if row[0] > upto]
        if self.last is not None and self.last.store != was.store:
            want += [row[3] for row in self.last.rows if row[3] not in want]
        have = [row[3] for row in now.rows]
        missing = [body for body in want if body not in have]
        self.expect(not missing, f"{len(missing)} of {len(want)} not salvaged")
        fixes = [row[3] for row in now.rows if row[1] == "f"]
        self.expect(len(fixes) == len(set(fixes)), "doubled by the salvage")
