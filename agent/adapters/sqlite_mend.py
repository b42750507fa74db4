"""A disk that fails: what is wrong in plain words, and a handle that is opened anew, verified and made safe before it is used again.

After a failed fsync nobody knows what of the journal is on the disk, and a second fsync that succeeds says nothing about the first:
the system may have let the pages go. So all that was committed is written again, from the journal into the database, and the
journal begins anew. What was being written is the caller's, who still has it.
"""

import sqlite3
from pathlib import Path

import aiosqlite

from agent.adapters.sqlite_disk import quick_check
from agent.adapters.sqlite_place import give_blocks, short_of_room
from agent.adapters.sqlite_room import SQL, one
from agent.core.packing import packed, unpacked

RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
DOUBTFUL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
NO_ROOM = {
    sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_FULL,
}  # fmt: skip
"""What SQLite says when the disk is full: not always that it is."""
CURES = {
    sqlite3.SQLITE_FULL: "make room on this disk, or lower outbox.max_mb",
    sqlite3.SQLITE_READONLY: "the file system is read-only: see dmesg for why, then mount it writable again",
    sqlite3.SQLITE_CANTOPEN: "see that the folder is there and the agent's user may write in it",
    sqlite3.SQLITE_IOERR: "the storage fails: see dmesg, and replace the card; the agent tries on by itself",
}


def code_of(error: sqlite3.Error) -> int:
    """The primary code; that of a ruined file for our own check, and of a full disk when shared memory can't grow."""
    code = int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT))
    return sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR_SHMSIZE else code & 0xFF


def for_want_of_room(path: Path, error: sqlite3.Error) -> bool:
    """Whether it is only that the disk is full, and not the storage that fails."""
    return getattr(error, "sqlite_errorcode", 0) in NO_ROOM and short_of_room(path)


def described(path: Path, error: sqlite3.Error) -> str:
    """What, where, and what to do."""
    full = for_want_of_room(path, error)
    cure = CURES.get(sqlite3.SQLITE_FULL if full else code_of(error))
    what = "the disk is full" if full else str(error)
    return f"{path}: the outbox can't be written: {what}" + (f"; {cure}" if cure else "")


async def connected(path: Path, store: str = "") -> aiosqlite.Connection:
    """A handle as the outbox wants it; it never makes the file, and takes only the one with our store in it, if that is named."""
    where = f"{path.absolute().as_uri()}?mode=rw"
    sqlite3.connect(
        where, uri=True
    ).close()  # tells what is wrong at once; the library's thread would outlive its failure
    db = await aiosqlite.connect(where, uri=True, isolation_level=None)
    try:
        if store:
            await _check_ours(db, store)
        for function in (packed, unpacked):
            await db.create_function(function.__name__, 1, function)
        await db.executescript(SQL["pragmas"])
        give_blocks(path)
    except BaseException:
        await db.close()
        raise
    return db


async def _check_ours(db: aiosqlite.Connection, store: str) -> None:
    """Another file stands in its place while its file system is not mounted. Not ruined, then: it is tried again."""
    try:
        found = await one(db, "get_meta", "store")
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_ERROR:  # that one means: no such table
            raise
        found = None
    if found != store:
        away = sqlite3.OperationalError("the file there is not this outbox: is its file system mounted?")
        away.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise away


async def make_safe(db: aiosqlite.Connection) -> None:
    """All that was committed is written again and the journal begins anew. Raises sqlite3.Error while that can't be done."""
    async with db.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
        row = await cursor.fetchone()
    if row is None or row[0]:
        raise sqlite3.OperationalError("somebody reads the outbox; what it holds can't be made safe yet")
    await quick_check(db)
