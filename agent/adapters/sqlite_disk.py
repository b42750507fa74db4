"""The outbox and its disk: a damaged file is set aside, and a reserve is kept for the day when the disk is full.

The reserve is a file of 1 MB beside the outbox that is given up, so that thinning has a place to write. A full disk stops even
what would make room: the journal can't grow, and pages that are only in the journal can't go into the database. With the reserve gone both can; from then on the database may grow by half of it, and then new records take the place of thinned ones.
When others have made room on the disk, the reserve is filled again and the database may grow.
"""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
from pathlib import Path

import aiosqlite

from agent.core.pages import PAGE, journal

RESERVE_BYTES = 1 << 20
ROOMY_BYTES = 8 * RESERVE_BYTES
UNLIMITED = 0xFFFFFFFE
WAL_MOST = 64 << 20
WAL_LOOKED = 4 << 20
"""A journal that is longer is not looked through at each start."""


def write_file(path: Path, data: bytes) -> None:
    """Write a file and have it on the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        at = 0
        while at < len(data):
            at += os.write(handle, data[at:])
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108  # what changes the disk goes through os: tests record it there


def rename(path: Path, to: Path) -> None:
    """Rename a file."""
    os.replace(path, to)  # noqa: PTH105  # likewise


def sync_folder(path: Path) -> None:
    """Have names on the disk: of files that are new, renamed or removed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Reserve:
    """The file `….reserve`. Its methods run outside of transactions."""

    def __init__(self, database: Path, connection: aiosqlite.Connection) -> None:
        self._path, self._database = database.with_suffix(".reserve"), database
        self._db = connection
        self._capped = False

    def hold(self, connection: aiosqlite.Connection) -> None:
        """Another handle of the same database; how large it may be is a matter of the handle."""
        self._db, self._capped = connection, False

    async def fill(self) -> None:
        """Best effort, on a disk that has room enough."""
        with contextlib.suppress(OSError):
            if not self._database.exists() or shutil.disk_usage(self._path.parent).free < ROOMY_BYTES:
                return  # without the database it is another disk: that of the folder below the mount
            if not self._path.exists() or self._path.stat().st_size != RESERVE_BYTES:
                write_file(
                    self._path, secrets.token_bytes(RESERVE_BYTES)
                )  # not zeros: some flash file systems pack them
            if self._capped:
                await self._db.execute(f"PRAGMA max_page_count = {UNLIMITED}")
                self._capped = False

    async def give_up(self) -> None:
        """Make a place for the journal, and let the database be little larger than it is."""
        if self._capped:
            return
        with contextlib.suppress(OSError):
            remove(self._path)
        with contextlib.suppress(sqlite3.OperationalError):  # still full: what comes next says so
            await self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        async with self._db.execute("PRAGMA page_count") as cursor:
            row = await cursor.fetchone()
        pages = (0 if row is None else int(row[0])) + RESERVE_BYTES // 2 // PAGE
        await self._db.execute(f"PRAGMA max_page_count = {pages}")
        self._capped = True


def give_up_reserve(database: Path) -> bool:
    """For a start on a full disk, where SQLite can't even have its shared memory; whether that has helped."""
    path = database.with_suffix(".reserve")
    with contextlib.suppress(OSError):
        if path.exists() and shutil.disk_usage(path.parent).free < RESERVE_BYTES:
            remove(path)
            return True
    return False


class Side:
    """The file `….store`: the store id and the last known seq, so that even a lost database can be named."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_suffix(".store")
        self.at = 0

    def read(self) -> tuple[str, int] | None:
        """Store and seq; None without the file."""
        return read_side(self._path)

    def write(self, store: str, seq: int) -> None:
        """Best effort: a full disk that has just taken a commit must not make that commit look failed."""
        fresh = self._path.with_suffix(".store-new")
        with contextlib.suppress(OSError):
            write_file(
                fresh, json.dumps({"store": store, "seq": seq}).encode()
            )  # before the rename, else that may come alone
            rename(fresh, self._path)
            sync_folder(self._path.parent)
        self.at = seq


def read_side(path: Path) -> tuple[str, int] | None:
    """What a side file says."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return str(data["store"]), int(data["seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_journal(wal: bytes) -> None:
    """Raises DatabaseError for a journal that SQLite would cut off before its end, as if a power cut had left it so."""
    if len(wal) <= WAL_LOOKED and journal(wal).ends > 1:
        raise sqlite3.DatabaseError("the journal is torn before its end")


async def quick_check(db: aiosqlite.Connection) -> None:
    """Raises DatabaseError for a file that is damaged."""
    async with db.execute("PRAGMA quick_check(1)") as cursor:
        verdict = await cursor.fetchone()
    if verdict is None or verdict[0] != "ok":
        raise sqlite3.DatabaseError("quick_check failed")


def journal_of(path: Path) -> bytes:
    """The journal as it was left, before SQLite cuts off what stands behind a torn place."""
    wal = path.with_name(path.name + "-wal")
    try:
        with wal.open("rb") as file:
            return file.read(WAL_MOST)
    except OSError:
        return b""


def set_aside(path: Path, wal: bytes) -> Path:
    """Rename a damaged database and its journals, with a copy of the side file, so that they can be salvaged."""
    number = 1
    while any(path.parent.glob(f"{path.name}.*-{number}")):
        number += 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    with contextlib.suppress(OSError):
        write_file(aside.with_name(aside.name + ".store"), path.with_suffix(".store").read_bytes())
    if wal:
        with contextlib.suppress(OSError):
            write_file(aside.with_name(aside.name + "-wal"), wal)
    rename(path, aside)
    for suffix in ("-wal", "-shm"):
        remove(path.with_name(path.name + suffix))
    sync_folder(path.parent)
    return aside
