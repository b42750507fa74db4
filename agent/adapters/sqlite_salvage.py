"""What can still be read of a damaged outbox goes into the new one: beside the recording, in small transactions, each record once.

1. The file is read page by page (`core.pages`), never by SQLite, which refuses all of it for one page.
2. The hub is asked for its mark of the damaged store, because only it knows what it has: `asking` names the store, `hear` takes
   the answer. Until then nothing moves, and nothing is lost: the file waits.
3. What the hub lacks gets new seqs in its old order; what can't be read gets receipts. A note in each transaction says how far
   that has come, so a restart goes on from there.
"""

import asyncio
import json
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from agent.adapters.sqlite import Run, SqliteOutbox
from agent.adapters.sqlite_disk import journal_of, read_side
from agent.core import pages, salvage
from agent.core.dating import Moment, event_body
from agent.core.pages import PAGE
from agent.core.room import SPAN
from agent.core.salvage import Facts, Found, Job, Receipts
from agent.ports import Kind, Record
from wire.codec import MAX_SEQ
from wire.errors import UnavailableError
from wire.kinds import DAMAGED
from wire.messages import Batch, Lost
from wire.track import GENESIS, encode_batch

PAGES_AT_ONCE, RECORDS_AT_ONCE = 256, 200
PAUSE_S, AGAIN_S = 0.02, 5.0
NO_BOOT = "unknown"
Unbroken = Callable[[Coroutine[object, object, None]], Awaitable[None]]
"""Lets a write run to its end even when the caller is cancelled."""


class Damaged:
    """A damaged file and its journal. `survey` all of it first."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._wal = journal_of(path)
        self._journal = pages.journal(self._wal)
        self.count = max([-(-path.stat().st_size // PAGE), *self._journal.pages])
        self._free = pages.free_pages(self.page) or set()
        self._firsts, self._places = array("q"), array("q")
        self.facts = Facts()
        self.newest = 0

    def page(self, number: int) -> bytes:
        """A page as last committed; empty if there is none."""
        if number in self._journal.pages:
            return self._doubtful(self._journal.pages[number])
        self._file.seek(max(0, number - 1) * PAGE)
        return self._file.read(PAGE) if number > 0 else b""

    def _doubtful(self, at: int) -> bytes:
        return self._wal[at : at + PAGE]

    def survey(self, first: int, count: int) -> None:
        """Find the records on some pages, by number from 1; the page behind the last stands for what is in doubt."""
        for number in range(first, min(first + count, self.count + 1)):
            if number not in self._free:
                self._look(number)
        if first + count > self.count:
            for at in self._journal.doubtful:
                self._look(-at)

    def _rows(self, place: int) -> Iterator[tuple[int | None, list[pages.Value]]]:
        page = self.page(place) if place > 0 else self._doubtful(-place)
        for cell in pages.cells(page, first=page[:6] == b"SQLite" or (place == 1 and page[:1] not in {b"\r", b"\n"})):
            whole = pages.payload(cell, self.page)
            columns = None if whole is None else pages.values(whole)
            if columns is not None:
                yield cell.rowid, columns

    def _look(self, place: int) -> None:
        for rowid, columns in self._rows(place):
            if rowid is not None and len(columns) in {5, 7}:
                if salvage.record_of(rowid, columns) is not None:
                    self._firsts.append(rowid)
                    self._places.append(place)
                    return
            else:
                salvage.learn(self.facts, rowid, columns)

    def versions(self) -> Iterator[list[Found]]:
        """All records by rising seq, each with all its versions."""
        waiting: dict[int, list[Found]] = {}
        for i in sorted(range(len(self._firsts)), key=self._firsts.__getitem__):
            for seq in sorted(seq for seq in waiting if seq < self._firsts[i]):
                yield waiting.pop(seq)
            for rowid, columns in self._rows(self._places[i]):
                found = salvage.record_of(rowid, columns, sure=self._places[i] > 0)
                if found is not None:
                    waiting.setdefault(found.seq, []).append(found)
        for seq in sorted(waiting):
            yield waiting[seq]

    def believed(self, most: int) -> Iterator[Found]:
        """The records that count, in order."""
        return salvage.believed(self.versions(), self.facts, most=most)

    def fits(self, seq: int, h: str) -> bool:
        """Whether the file's own record at a seq, if it is there, has this hash."""
        for versions in self.versions():
            if versions[0].seq == seq:
                return any(one.h == h for one in versions)
            if versions[0].seq > seq:
                break
        return True

    def close(self) -> None:
        """Close."""
        self._file.close()


async def surveyed(path: Path) -> Damaged:
    """A damaged file, looked through in small steps."""
    damaged = await asyncio.to_thread(Damaged, path)
    try:
        for first in range(1, damaged.count + 1, PAGES_AT_ONCE):
            await asyncio.to_thread(damaged.survey, first, PAGES_AT_ONCE)
            await asyncio.sleep(PAUSE_S)
    except BaseException:
        damaged.close()
        raise
    return damaged


def question(store: str) -> bytes:
    """A track message that asks for a store's mark: it starts so far ahead that any hub answers with the mark, and keeps nothing."""
    far = Lost(MAX_SEQ, MAX_SEQ, DAMAGED)
    return encode_batch(Batch(store, MAX_SEQ, MAX_SEQ, 1, GENESIS, GENESIS, lost=(far,)))


def aside(path: Path) -> list[Path]:
    """The damaged files beside an outbox that may hold something, the newest first."""
    found = [
        one for one in path.parent.glob(f"{path.name}.damaged-*") if one.suffix.removeprefix(".damaged-").isdigit()
    ]
    return sorted(found, key=lambda one: int(one.suffix.removeprefix(".damaged-")), reverse=True)


class Salvage:
    """The work for one outbox. `asking` names the store whose mark is wanted, or nothing."""

    def __init__(
        self,
        outbox: SqliteOutbox,
        path: Path,
        *,
        now: Callable[[], Moment],
        told: Callable[[str, Job], None],
        unbroken: Unbroken,
    ) -> None:
        self._outbox, self._path, self._now, self._told, self._unbroken = outbox, path, now, told, unbroken
        self.asking = ""
        self._heard: asyncio.Future[tuple[int, str]] | None = None
        self._jobs: dict[str, Job] = {}

    def hear(self, store: str, upto: int, h: str) -> bool:
        """The hub's mark of a store; whether it was the one wanted."""
        if store != self.asking or self._heard is None:
            return False
        if not self._heard.done():
            self._heard.set_result((upto, h))
        return True

    async def run(self) -> None:
        """All damaged files, the newest first: it knows how far the one before it has come."""
        self._jobs = _jobs(await self._outbox.note())
        files = aside(self._path)
        for number, file in enumerate(files):
            if not self._jobs.get(file.name, Job()).done:
                await self._again(file, [one.name for one in files[number + 1 :]])
            self._put_away(file)

    async def _again(self, file: Path, older: list[str]) -> None:
        """A disk that refuses is tried again."""
        while True:
            try:
                damaged = await surveyed(file)
                try:
                    return await self._one(file.name, damaged, older)
                finally:
                    damaged.close()
            except (UnavailableError, OSError):
                await asyncio.sleep(AGAIN_S)

    async def _one(self, name: str, damaged: Damaged, older: list[str]) -> None:
        facts, side = damaged.facts, read_side(self._path.with_name(name + ".store"))
        inherited = _jobs(facts.meta["salvage"]) if "salvage" in facts.meta else {}
        for one in older:  # how far it had come stood in this file: if that is gone, doing it anew would double records
            self._jobs.setdefault(one, inherited.get(one, Job(done="store" not in facts.meta)))
        job = self._jobs.get(name, Job())
        if job.start is None:
            store = facts.meta.get("store") or (side[0] if side else "")
            job = replace(job, store=store, newest=side[1] if side and side[0] == store else 0)
            if store:
                upto, h = await self._ask(store)
                fits = await asyncio.to_thread(damaged.fits, upto, h)
                job = salvage.begun(job, salvage.begin_at(job, facts, upto, fits=fits))
        if job.start is not None:
            job = await self._move(name, damaged, job)
        await self._finish(name, damaged, job)

    async def _ask(self, store: str) -> tuple[int, str]:
        self._heard, self.asking = asyncio.get_running_loop().create_future(), store
        try:
            return await self._heard
        finally:
            self.asking = ""

    async def _move(self, name: str, damaged: Damaged, job: Job) -> Job:
        most = job.newest + salvage.SLACK if job.newest else 1 << 53
        records, receipts = damaged.believed(most), Receipts(damaged.facts)
        while piece := await asyncio.to_thread(lambda: list(islice(records, RECORDS_AT_ONCE))):
            runs, job = self._runs(
                name, [one for one in piece if one.seq > job.at], damaged.facts, receipts=receipts, job=job
            )
            if runs:
                await self._take_in(runs, name, job)
                await asyncio.sleep(PAUSE_S)
        return job

    def _runs(
        self, name: str, found: list[Found], facts: Facts, *, receipts: Receipts, job: Job
    ) -> tuple[list[Run], Job]:
        """Records with what is missing before them, and the job behind them."""
        runs = list[Run]()
        for one in found:
            gap = receipts.gap(job.at + 1, one.seq - 1)
            runs += self._long(name, gap)
            at_ms = None if one.at_ms == salvage.OPEN else one.at_ms
            moment = Moment(at_ms, facts.boots.get(one.boot, NO_BOOT), one.mono_ms)
            record = Record(Kind(one.kind), moment, one.body)
            if gap or not runs:
                runs.append((gap, [record]))
            else:
                runs[-1][1].append(record)
            missing = sum(n for n, reason in gap if reason == DAMAGED)
            job = replace(job, at=one.seq, salvaged=job.salvaged + 1, missing=job.missing + missing)
        return runs, job

    def _long(self, name: str, gap: list[tuple[int, str]]) -> list[Run]:
        """Of a gap that no batch could span, all but the last part, each with an event behind it."""
        runs = list[Run]()
        while len(gap) > 1 and sum(n for n, _ in gap) > SPAN:
            part = gap.pop(0)
            runs.append(([part], [self._event(name, missing=part[0])]))
        return runs

    async def _finish(self, name: str, damaged: Damaged, job: Job) -> None:
        gap = Receipts(damaged.facts).gap(job.at + 1, job.newest) if job.start is not None else []
        missing = sum(n for n, reason in gap if reason == DAMAGED)
        job = replace(job, at=max(job.at, job.newest), missing=job.missing + missing, done=True)
        runs = self._long(name, gap)
        prev = {"prev": job.store} if job.store else {}
        runs.append((gap, [self._event(name, salvaged=job.salvaged, missing=job.missing, **prev)]))
        await self._take_in(runs, name, job)
        self._told(name, job)

    def _event(self, name: str, **told: int | str) -> Record:
        now = self._now()
        return Record(Kind.EVENT, now, event_body(now, "outbox-damaged", (None, None), {"file": name, **told}))

    async def _take_in(self, runs: list[Run], name: str, job: Job) -> None:
        jobs = self._jobs | {name: job}
        note = json.dumps({one: asdict(each) for one, each in jobs.items()})
        await self._unbroken(self._outbox.take_in(runs, note=note))
        self._jobs = jobs  # not before: a disk that refuses has taken nothing

    def _put_away(self, file: Path) -> None:
        """A file of which all is in the new store has done its work; one that lacks something is kept until the next of its kind."""
        job = self._jobs[file.name]
        for one in file.parent.glob(f"{self._path.name}.salvaged-*"):
            one.unlink()
        for one in file.parent.glob(f"{file.name}*"):
            if job.missing or job.start is None:
                one.rename(one.with_name(one.name.replace(".damaged-", ".salvaged-")))
            else:
                one.unlink()


def _jobs(note: str) -> dict[str, Job]:
    try:
        data = json.loads(note or "{}")
    except ValueError:
        return {}
    return {name: salvage.job_of(job) for name, job in data.items()} if isinstance(data, dict) else {}
