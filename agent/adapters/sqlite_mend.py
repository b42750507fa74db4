"""A disk that fails: what is wrong in plain words, and a handle that is opened anew, verified and made safe before it is used again.

After a failed fsync nobody knows what of the journal is on the disk, and a second fsync that succeeds says nothing about the first:
the system may have let the pages go. So all that was committed is written again, from the journal into the database, and the
journal begins anew. What was being written is the caller's, who still has it.
"""

import sqlite3
from pathlib import Path

import aiosqlite

from agent.adapters.sqlite_disk import quick_check
from agent.adapters.sqlite_room import SQL
from agent.core.packing import packed, unpacked

RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
DOUBTFUL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
CURES = {
    sqlite3.SQLITE_FULL: "make room on this disk, or lower outbox.max_mb",
    sqlite3.SQLITE_READONLY: "the file system is read-only: see dmesg for why, then mount it writable again",
    sqlite3.SQLITE_CANTOPEN: "see that the folder is there and the agent's user may write in it",
    sqlite3.SQLITE_IOERR: "the storage fails: see dmesg, and replace the card; the agent tries on by itself",
}


def code_of(error: sqlite3.Error) -> int:
    """The primary code; that of a ruined file for our own check."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)) & 0xFF


def described(path: Path, error: sqlite3.Error) -> str:
    """What, where, and what to do."""
    cure = CURES.get(code_of(error))
    return f"{path}: the outbox can't be written: {error}" + (f"; {cure}" if cure else "")


async def connected(path: Path) -> aiosqlite.Connection:
    """A handle as the outbox wants it."""
    sqlite3.connect(path).close()  # tells what is wrong at once; the library's thread would outlive its failure
    db = await aiosqlite.connect(path, isolation_level=None)
    try:
        for function in (packed, unpacked):
            await db.create_function(function.__name__, 1, function)
        await db.executescript(SQL["pragmas"])
    except BaseException:
        await db.close()
        raise
    return db


async def make_safe(db: aiosqlite.Connection) -> None:
    """All that was committed is written again and the journal begins anew. Raises sqlite3.Error while that can't be done."""
    async with db.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
        row = await cursor.fetchone()
    if row is None or row[0]:
        raise sqlite3.OperationalError("somebody reads the outbox; what it holds can't be made safe yet")
    await quick_check(db)
