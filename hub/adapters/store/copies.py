"""Copies of an SQLite store: a consistent one while the hub runs, and one put back in its place, with a new epoch."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from wire.errors import RefusedError

OURS = {"alembic_version", "meta", "mark", "track_chunk", "ledger"}
PATIENCE_S = 30.0
PAGES_AT_ONCE = -1
"""All at once: one reading transaction, so the copy is of one moment, and the writer is never held up (WAL)."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What must never go back: the epoch, the version of the registry, the newest event of each fleet."""

    epoch: int
    registry: int
    last_pos: dict[str, int]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{path.resolve().as_posix()}?mode=rw", uri=True, isolation_level=None, timeout=PATIENCE_S
    )


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the disk, as refusals."""
    try:
        yield
    except sqlite3.Error as error:
        raise RefusedError(f"{path}: {error}") from None
    except OSError as error:
        raise RefusedError(f"{error.filename or path}: {error.strerror}") from None


def _synced(path: Path) -> None:
    """The file, and all names in its folder."""
    for one, flags in ((path, os.O_RDWR), (path.parent, os.O_RDONLY)):
        handle = os.open(one, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def copied(store: Path, out: Path) -> int:
    """Copy a store that may be in use into one new file; gives its size. It is whole, or it is not there."""
    if out.exists():
        raise RefusedError(f"{out} is there already; name another file")
    part = out.with_name(out.name + ".part")
    with _told(out):
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with closing(_opened(store)) as source, closing(_opened(part)) as target:
                source.backup(target, pages=PAGES_AT_ONCE)
                target.execute("PRAGMA journal_mode=DELETE")
            sound(part)
            _synced(part)
            part.rename(out)
            _synced(out)
        finally:
            part.unlink(missing_ok=True)
    return out.stat().st_size


def sound(path: Path) -> Numbers:
    """Check that a file is a store of ours and whole. Raises RefusedError."""
    if not path.is_file():
        raise RefusedError(f"there is no file {path}")
    with _told(path), closing(_opened(path)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= OURS:
            raise RefusedError(f"{path} is no store of a hub")
        verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise RefusedError(f"{path} is damaged: {verdict}")
        return numbers(db)


def numbers(db: sqlite3.Connection) -> Numbers:
    """The numbers of a store."""
    meta = dict(db.execute("SELECT key, value FROM meta"))
    return Numbers(meta["epoch"], meta["registry"], dict(db.execute("SELECT fleet, last_pos FROM fleet")))


def last_known(store: Path) -> Numbers | None:
    """The numbers of the store that is to be replaced, if it can still be read; its journal goes into it."""
    with contextlib.suppress(sqlite3.Error), closing(_opened(store)) as db:
        if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise RefusedError(f"{store} is being read by another program; end it, and try again")
        return numbers(db)
    return None


def set_aside(store: Path, stamp: str) -> Path | None:
    """Give the store that is there a second name, with its journal if it has one; gives that name.

    It stays in its place until `put_back`: after a power cut between the two the hub finds the store that it had.
    """
    if not store.exists():
        return None
    aside = store.with_name(f"{store.name}.before-{stamp}")
    with _told(store):
        for suffix in ("-wal", ""):
            one, other = store.with_name(store.name + suffix), aside.with_name(aside.name + suffix)
            if one.exists():
                try:
                    other.hardlink_to(one)
                except OSError:  # a file system without links
                    shutil.copyfile(one, other)
                    other.chmod(0o600)
                _synced(other)
    return aside


def prepared(copy: Path, store: Path) -> Path:
    """A copy of the copy beside the store, to be changed and then put in its place."""
    fresh = store.with_name(store.name + ".restored")
    with _told(copy):
        fresh.unlink(missing_ok=True)
        shutil.copyfile(copy, fresh)
        fresh.chmod(0o600)
    return fresh


def raised(fresh: Path, known: Numbers | None, least_epoch: int) -> int:
    """Raise what must not go back; gives the new epoch."""
    with _told(fresh), closing(_opened(fresh)) as db:
        own = numbers(db)
        epoch = max(own.epoch + 1, least_epoch, 0 if known is None else known.epoch + 1)
        registry = max(own.registry, 0 if known is None else known.registry) + 1
        db.execute("BEGIN IMMEDIATE")
        db.executemany("UPDATE meta SET value = ? WHERE key = ?", [(epoch, "epoch"), (registry, "registry")])
        if known is not None:
            db.executemany(
                "UPDATE fleet SET last_pos = max(last_pos, ?) WHERE fleet = ?",
                [(pos, fleet) for fleet, pos in known.last_pos.items()],
            )
        db.execute("COMMIT")
    return epoch


def put_back(fresh: Path, store: Path) -> None:
    """Put the file in the place of the store, at once. A journal of the store before would be read into the new one."""
    with _told(store):
        _synced(fresh)
        for suffix in ("-wal", "-shm"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        _synced(fresh)
        fresh.replace(store)
        _synced(store)
