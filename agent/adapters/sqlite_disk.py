"""The outbox and its disk: a damaged file is set aside, and a reserve is kept for the day when the disk is full.

The reserve is a file of 1 MB beside the outbox that is given up, so that thinning has a place to write. A full disk stops even what would make room: the journal can't grow, and pages that are only in the journal can't go into the
database. With the reserve gone both can; from then on the database may not grow, and new records take the place of thinned ones.
When others have made room on the disk, the reserve is filled again and the database may grow.
"""

import contextlib
import secrets
import shutil
import sqlite3
from pathlib import Path

import aiosqlite

RESERVE_BYTES = 1 << 20
ROOMY_BYTES = 8 * RESERVE_BYTES
UNLIMITED = 0xFFFFFFFE


class Reserve:
    """The file `….reserve`. Its methods run outside of transactions."""

    def __init__(self, database: Path, connection: aiosqlite.Connection) -> None:
        self._path = database.with_suffix(".reserve")
        self._db = connection
        self._capped = False

    async def fill(self) -> None:
        """Best effort, on a disk that has room enough."""
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < ROOMY_BYTES:
                return
            if not self._path.exists() or self._path.stat().st_size != RESERVE_BYTES:
                self._path.write_bytes(
                    secrets.token_bytes(RESERVE_BYTES)
                )  # not zeros: some flash file systems pack them
            if self._capped:
                await self._db.execute(f"PRAGMA max_page_count = {UNLIMITED}")
                self._capped = False

    async def give_up(self) -> None:
        """Make a place for the journal, and let the database be as large as it is."""
        if self._capped:
            return
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        with contextlib.suppress(sqlite3.OperationalError):  # still full: what comes next says so
            await self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        await self._db.execute("PRAGMA max_page_count = 1")  # it is never less than what there is
        self._capped = True


async def quick_check(db: aiosqlite.Connection) -> None:
    """Raises DatabaseError for a file that is damaged."""
    async with db.execute("PRAGMA quick_check(1)") as cursor:
        verdict = await cursor.fetchone()
    if verdict is None or verdict[0] != "ok":
        raise sqlite3.DatabaseError("quick_check failed")


def set_aside(path: Path) -> Path:
    """Rename a damaged database and its journals so that they can be looked at later."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            journal.rename(aside.with_name(aside.name + suffix))
    return aside
