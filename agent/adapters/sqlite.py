"""The outbox in SQLite: WAL, `synchronous=FULL`, 512-byte pages. What `put` has returned survives a power cut.

A file that is damaged is set aside (`…damaged-1`), a new store is opened, and its first record names the store before it;
`sqlite_salvage` brings in what can still be read.
When the disk is full, room is made by `sqlite_room`: seqs then have gaps, and each gap has a receipt.
"""

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aiosqlite

from agent.adapters.sqlite_disk import Reserve, Side, check_journal, give_up_reserve, journal_of, quick_check, set_aside
from agent.adapters.sqlite_mend import DOUBTFUL, RUINED, code_of, connected, described, for_want_of_room, make_safe
from agent.adapters.sqlite_place import ROOMY_BYTES, free_bytes, full, give_blocks, keep_private, short_of_room
from agent.adapters.sqlite_room import SQL, Room, one
from agent.adapters.sqlite_rows import Rows
from agent.core.dating import Moment, event_body
from agent.core.room import Made
from agent.core.salvage import OPEN, sound, told_ruined
from agent.ports import Kind, Limits, Record, Settled, Stored
from wire.errors import UnavailableError
from wire.messages import TIME_KNOWN, Lost
from wire.track import GENESIS, b64

KEEP_ACKED_MS = 24 * 3_600_000
SIDE_EVERY = 600
SALVAGE = "salvage"
Run = tuple[Sequence[tuple[int, str]], list[Record]]
"""How many are missing and why, one after the other, and the records behind them."""


class SqliteOutbox:
    """Open with `SqliteOutbox.open`. `cut_off` is the boot of a session before this one that was not closed."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, limits: Limits) -> None:
        self._path = path
        self._reserve, self._side = Reserve(path, connection), Side(path)
        self._hold(connection)
        self.limits = limits
        self.lost_so_far: dict[str, int] = {}
        self.sent = self.ahead = 0
        self._acked_h, self._noted = "", (-1, "", -1)
        self._full = self._stale = self._doubtful = False
        self.store = ""
        self.newest = 0
        self.acked = 0
        self.low, self._h = 1, GENESIS
        self._first_open: int | None = None
        self._undated_boot = ""
        self.cut_off: str | None = None
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, *, now: Moment, limits: Limits = Limits()) -> "SqliteOutbox":  # noqa: B008  # frozen
        """Open or make the store. Raises UnavailableError when the disk does not let us."""
        path.parent.mkdir(parents=True, exist_ok=True)
        wal = journal_of(path)
        if short_of_room(path):
            give_up_reserve(path)
            if short_of_room(path):
                raise UnavailableError(full(path))  # SQLite may die of it, so it does not even begin
        try:
            return await cls._open(path, now, limits, wal=wal)
        except sqlite3.DatabaseError as error:
            if give_up_reserve(path):
                return await cls.open(path, now=now, limits=limits)
            if for_want_of_room(path, error):
                raise UnavailableError(full(path)) from None
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise UnavailableError(described(path, error).replace("written", "opened", 1)) from None
        aside = set_aside(path, wal)
        try:
            outbox = await cls._open(path, now, limits)
        except sqlite3.Error as error:
            raise UnavailableError(f"{path}: the outbox can't be opened: {error}") from None
        await outbox.put([_event("outbox-damaged", now, {"file": aside.name})])
        return outbox

    @classmethod
    async def _open(cls, path: Path, now: Moment, limits: Limits, *, wal: bytes = b"") -> "SqliteOutbox":
        keep_private(path)
        db = await connected(path)
        try:
            check_journal(wal)
            await quick_check(db)
            await db.executescript(SQL["schema"])
            async with db.execute(SQL["columns"]) as cursor:
                if "boot" not in {name async for (name,) in cursor}:  # an outbox of version 0.1.0
                    await db.executescript(SQL["add_moments"])
            await db.execute(SQL["index_open"])
            outbox = cls(path, db, limits)
            await outbox._load(now)
            give_blocks(path)
            await outbox._reserve.fill()
            if free_bytes(path.parent) < ROOMY_BYTES:
                await outbox._reserve.give_up()
        except BaseException:
            await db.close()
            raise
        return outbox

    async def _load(self, now: Moment) -> None:
        await self._table.boot(now.boot)
        self.cut_off = await self._meta("session") or None
        await self._db.execute(SQL["set_meta"], ("session", now.boot))
        self.lost_so_far = await self._room.totals()
        self.store = await self._meta("store") or ""
        if not self.store:
            await self._begin_store(now)
            return
        self._undated_boot = await self._meta("undated_boot") or ""
        self._first_open = await self._number("first_open")
        self.acked, self._acked_h = int(await self._meta("acked") or 0), await self._meta("acked_h") or ""
        self.sent = int(await self._meta("sent") or 0)
        async with self._db.execute(SQL["newest"]) as cursor:
            row = await cursor.fetchone()
        if row is not None:
            self.newest, self._h = row
        self.low = await self._number("low") or 1
        told = self._side.read()
        if told is not None and told[0] == self.store and told[1] > self.newest:
            raise sqlite3.DatabaseError("the newest records are gone")
        if told is None or told[0] != self.store:
            self._side.write(self.store, self.newest)

    async def _begin_store(self, now: Moment) -> None:
        """Make a store id; if the side file knows a store before this one, the first record names it."""
        before, self.store = self._side.read(), b64(secrets.token_bytes(8))
        async with self._writing():
            await self._db.execute(SQL["set_meta"], ("store", self.store))
            if before is not None:
                detail: dict[str, object] = {"prev": before[0], "prev_seq": before[1]}
                _, seq, h = await self._table.append([_event("store-new", now, detail)], 0, GENESIS)
                self.newest, self._h = seq, h
                self._first_open = seq if now.at_ms is None else None
        self._side.write(self.store, self.newest)

    async def _meta(self, key: str) -> str | None:
        return None if (value := await one(self._db, "get_meta", key)) is None else str(value)

    async def _number(self, name: str) -> int | None:
        value = await one(self._db, name)
        return None if value is None else int(value)

    @property
    def ready(self) -> int:
        """The newest seq that may be sent."""
        return self.newest if self._first_open is None else self._first_open - 1

    @property
    def unsettled(self) -> bool:
        """Whether `settle_times` has something to do."""
        return self._first_open is not None or bool(self._undated_boot)

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        """Give seqs and keep, in one transaction; durable when it returns. On a full disk, room is made first."""
        while True:
            try:
                return await self._put(records)
            except UnavailableError:
                if not self._full:
                    raise
                async with self._lock:
                    await self._reserve.give_up()
                if not (await self.make_room()).more:
                    raise

    async def _put(self, records: Sequence[Record]) -> list[Stored]:
        async with self._writing():
            stored, seq, h = await self._table.append(records, self.newest, self._h)
            if self.ahead:
                self.sent = max(self.sent, min(seq, self.acked + self.ahead))
        self.newest, self._h = seq, h
        if self._first_open is None:
            self._first_open = next((one.seq for one in stored if one.at_ms is None), None)
        if seq - self._side.at >= SIDE_EVERY:
            self._side.write(self.store, self.newest)
        return stored

    async def take_in(self, runs: Sequence[Run], *, note: str) -> None:
        """Records of a damaged store, each run behind receipts for what is missing before it; `note` says how far that is."""
        async with self._writing():
            seq, h = self.newest, self._h
            for gap, records in runs:
                seq = await self._room.book(seq, gap)
                _, seq, h = await self._table.append(records, seq, h)
            await self._db.execute(SQL["set_meta"], (SALVAGE, note))
            first_open, totals = await self._number("first_open"), await self._room.totals()
        self.newest, self._h, self._first_open, self.lost_so_far = seq, h, first_open, totals

    async def note(self) -> str:
        """The note of `take_in`."""
        return await self._meta(SALVAGE) or ""

    async def settle_times(self, now: Moment, wait_ms: int) -> int:
        """Make open records final; see the port."""
        if not self.unsettled:
            return 0
        async with self._writing():
            finals, owing = await self._table.finals(now, wait_ms, self._undated_boot)
            await self._table.make_final(finals)
            seq, h = self.newest, self._h
            if finals:
                first = finals[0][-1]
                h = await self._table.rechain(first, await self.hash_at(first - 1) or GENESIS)
            if owing == now.boot and now.at_ms is not None:
                detail: dict[str, object] = {"boot": now.boot, "offset_ms": now.at_ms - now.mono_ms}
                _, seq, h = await self._table.append([_event(TIME_KNOWN, now, detail)], seq, h)
                owing = ""
            await self._db.execute(SQL["set_meta"], ("undated_boot", owing))
            first_open = await self._number("first_open")
        self.newest, self._h, self._first_open, self._undated_boot = seq, h, first_open, owing
        return len(finals)

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """One transaction at a time, with the newest ack in it; all or nothing.

        The ack needs no fsync of its own: the hub would only say it again.
        """
        async with self._lock:
            try:
                await self._trusted()
                await self._db.execute("BEGIN IMMEDIATE")
                yield
                if (mark := (self.acked, self._acked_h, self.sent)) != self._noted:
                    facts = zip(("acked", "acked_h", "sent"), map(str, mark), strict=True)
                    await self._db.executemany(SQL["set_meta"], list(facts))
                await self._db.execute("COMMIT")
                self._noted, self._full = mark, False
            except BaseException as error:
                self._table.forget_boots()
                with contextlib.suppress(sqlite3.Error):  # also behind a BEGIN that the thread has not come to yet
                    await self._db.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error) or code_of(error) in RUINED:
                    raise  # of a file that is ruined the next start makes the best
                self._full = code_of(error) == sqlite3.SQLITE_FULL
                if code_of(error) in DOUBTFUL:
                    self._stale = self._doubtful = True
                raise UnavailableError(described(self._path, error)) from None

    async def _trusted(self) -> None:
        """After a failure: a handle that is fresh, and everything that was committed made safe, before anything else."""
        if self._stale:
            fresh, old = await connected(self._path, self.store), self._db
            self._hold(fresh)
            self._stale = False
            await old.close()
        if self._doubtful:
            await make_safe(self._db)
            self._doubtful = False

    def _hold(self, db: aiosqlite.Connection) -> None:
        self._db, self._room, self._table = db, Room(db), Rows(db)
        self._reserve.hold(db)

    async def read(self, first: int, limit: int) -> list[Stored]:
        """At most `limit` records from `first` on. Instead of one that the storage has ruined comes an event that says so."""
        return await self._rows("read", first, limit)

    async def unacked_events(self, limit: int) -> list[Stored]:
        """Events that the hub has not committed yet."""
        return await self._rows("unacked_events", self.acked, limit)

    async def _rows(self, name: str, first: int, limit: int) -> list[Stored]:
        with self._reading():
            rows = [(*row,) for row in await self._db.execute_fetchall(SQL[name], (first, limit))]
        ruined = [(seq, at_ms) for seq, kind, at_ms, body, _ in rows if not sound(kind, at_ms, body)]
        if not ruined:
            return [
                Stored(seq, Kind(kind), None if at_ms == OPEN else at_ms, body, h) for seq, kind, at_ms, body, h in rows
            ]
        async with self._writing():  # told in its place, so that one bad row never blocks the rest
            await self._table.make_final([told_ruined(*each) for each in ruined])
        self._first_open = await self._number("first_open")
        return await self._rows(name, first, limit)

    async def hash_at(self, seq: int) -> str | None:
        """The chain hash at a seq."""
        if seq == 0:
            return GENESIS
        told = self._acked_h if seq == self.acked else ""
        with self._reading():
            return await one(self._db, "hash_at", seq) or told or None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnavailableError(described(self._path, error).replace("written", "read", 1)) from None

    async def lost(self, first: int, last: int) -> list[Lost]:
        """Receipts that touch a range."""
        with self._reading():
            return await self._room.lost(first, last)

    async def going(self, last: int) -> None:
        """Note what may be on its way; see the port."""
        self.sent = max(self.sent, last)
        if self.sent > self._noted[-1]:
            with contextlib.suppress(UnavailableError):  # a full disk must not keep the backlog from going
                async with self._writing():
                    pass

    async def settle(self, upto: int, h: str) -> Settled:
        """Take the hub's mark; see the port."""
        own = await self.hash_at(upto)
        if upto > self.newest or (own != h and not (own is None and upto < self.low)):
            return Settled.FORKED
        if upto == self.acked:
            return Settled.STALE
        self.acked, self._acked_h = upto, h
        return Settled.TAKEN

    async def fork(self, now: Moment, *, hub_seq: int) -> None:
        """Another store has written under our id: go on under a new one with what the hub has not acknowledged."""
        store, was, sent = b64(secrets.token_bytes(8)), self.acked, self.sent
        upto = max(was, self.low - 1)  # the hub's mark may have gone back behind what is still there
        named = _event("fork", now, {"prev": self.store, "prev_seq": self.newest, "hub_seq": hub_seq})
        try:
            await self._db.execute("PRAGMA secure_delete = ON")  # no old number may ever be salvaged
            async with self._writing():
                seq, h = await self._table.begin_anew(named, acked=self.acked, upto=upto)
                await self._room.shift(upto)
                await self._db.execute(SQL["set_meta"], ("store", store))
                first_open = await self._number("first_open")
                self.acked = self.sent = 0
        except UnavailableError:
            self.acked, self.sent = was, sent
            raise
        finally:
            await self._db.execute("PRAGMA secure_delete = FAST")
        self.store, self.newest, self._h, self.low, self._first_open = store, seq, h, 1, first_open
        self._side.write(self.store, self.newest)

    async def forget(self, now_ms: int) -> None:
        """Delete acknowledged records that are older than a day; the one at the mark always stays, to carry the chain."""
        async with self._writing():
            await self._db.execute(SQL["forget"], {"acked": self.acked, "old_ms": now_ms - KEEP_ACKED_MS})
            await self._db.execute(SQL["forget_lost"], (self.acked,))
        self.low = await self._number("low") or self.low

    async def used_bytes(self) -> int:
        """How large the file is, without its free pages."""
        with self._reading():
            return await self._room.used_bytes()

    async def see_to_disk(self) -> None:
        """Fill the reserve again when the disk has room; see the port."""
        async with self._lock:
            with self._reading():
                await self._reserve.fill()

    async def thin(self) -> int:
        """Thin the oldest fixes that have not been; see the port."""
        while True:
            async with self._writing():
                thinned = await self._room.thin(max(self.acked, self.sent), self.ready, self.limits.thin_m)
                totals = await self._room.totals()
            self.lost_so_far = totals
            if thinned != 0:
                return thinned or 0

    async def make_room(self) -> Made:
        """One step: forget what the hub has; else thin; else drop."""
        async with self._writing():
            forgotten = await self._room.forget_some(self.acked)
        if forgotten:
            self.low = await self._number("low") or self.low
            return Made(forgotten=forgotten)
        if thinned := await self.thin():
            return Made(thinned=thinned)
        async with self._writing():
            dropped = await self._room.drop(max(self.acked, self.sent), self.ready)
            totals = await self._room.totals()
        self.lost_so_far = totals
        return Made(dropped=dropped or 0, more=dropped is not None)

    async def anew(self, now: Moment) -> "SqliteOutbox":
        """Instead of one whose file was found ruined meanwhile: that is set aside, as a start would, and a new one takes what waits."""
        await self.close()
        return await self.open(self._path, now=now, limits=self.limits)

    async def close(self) -> None:
        """Write the side file and close. What is closed was not cut off."""
        self._side.write(self.store, self.newest)
        with contextlib.suppress(sqlite3.Error, ValueError):  # it may be closed
            await self._db.execute(SQL["set_meta"], ("session", ""))
        await self._db.close()


def _event(kind: str, now: Moment, detail: dict[str, object]) -> Record:
    return Record(Kind.EVENT, now, event_body(now, kind, (None, None), detail))
