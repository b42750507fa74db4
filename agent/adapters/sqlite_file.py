"""The outbox's file from outside: who holds it, and what is in it, without opening it for work."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.adapters.sqlite_mend import for_want_of_room
from agent.adapters.sqlite_place import full, short_of_room
from agent.core.packing import unpacked
from agent.core.salvage import Facts, Found
from wire.errors import RefusedError, UnavailableError
from wire.kinds import DROPPED, THINNED

PIECE = 1_000


class FullDiskError(UnavailableError):
    """The file may be sound, but there is no room even to look into it."""


@contextlib.contextmanager
def only_agent(path: Path) -> Iterator[None]:
    """Hold the outbox alone. Raises RefusedError when another agent has it; the kernel frees it when that one dies."""
    lock = path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UnavailableError(f"{lock}: the outbox can't be held: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise RefusedError(f"{path}: another agent runs on this outbox; end it, or name another outbox.path") from None
    try:
        yield
    finally:
        os.close(handle)


def _held(path: Path) -> bool:
    """Whether an agent runs on it."""
    try:
        handle = os.open(path.with_suffix(".lock"), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _opened(path: Path) -> sqlite3.Connection:
    """To read only. To read SQLite, too, wants shared memory on the disk, so on one that is full it is asked to do without."""
    how = ""
    if short_of_room(path) and not _held(path):  # with an agent the shared memory is there
        wal, shared = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
        if not wal.exists() or not wal.stat().st_size:
            how = "&immutable=1"
        elif shared.exists():
            how = "&readonly_shm=1"
        else:
            raise FullDiskError(full(path, "then it can be read"))
    return sqlite3.connect(f"{path.resolve(strict=True).as_uri()}?mode=ro{how}", uri=True)


def _refused(path: Path, error: sqlite3.Error | OSError, what: str) -> UnavailableError:
    if isinstance(error, sqlite3.Error) and for_want_of_room(path, error):
        return FullDiskError(full(path, "then it can be read"))
    return UnavailableError(f"{path}: {what}{error}")


def look_into(path: Path) -> dict[str, object] | None:
    """What an outbox holds, without changing it; None when there is none."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(_opened(path)) as db:
            newest = db.execute("SELECT max(seq) FROM record").fetchone()[0] or 0
            meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
    except (sqlite3.Error, OSError) as error:
        raise _refused(path, error, "the outbox can't be read: ") from None
    acked = int(meta.get("acked", 0))
    gone = {reason: int(meta.get(f"lost:{reason}", 0)) for reason in (THINNED, DROPPED)}
    return {
        "store": meta.get("store", ""),
        "recorded": newest,
        "committed_by_hub": acked,
        "waiting": newest - acked,
    } | {reason: n for reason, n in gone.items() if n}


class Reader:
    """An outbox read beside the agent that writes it: in pieces, so that its journal never waits for us."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise UnavailableError(f"{path}: there is no outbox yet; the agent makes it at its first start")
        try:
            self._db = _opened(path)
            self._db.create_function("unpacked", 1, unpacked)
            self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise _refused(path, error, "the outbox can't be read: ") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a question gives. Raises UnavailableError for a file that is damaged there."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _refused(self.path, error, "") from None

    def facts(self) -> Facts:
        """The small tables."""
        lost = {first: (last, reason) for first, last, reason in self.rows("SELECT first, last, reason FROM lost")}
        return Facts(dict(self.rows("SELECT key, value FROM meta")), dict(self.rows("SELECT id, name FROM boot")), lost)

    def records(self) -> Iterator[Found]:
        """All records, by rising seq; what comes meanwhile included."""
        seq = 0
        sql = "SELECT seq, kind, at_ms, unpacked(body), h, boot, mono_ms FROM record WHERE seq > ? ORDER BY seq LIMIT ?"
        while piece := self.rows(sql, seq, PIECE):
            yield from (Found(*row) for row in piece)
            seq = piece[-1][0]

    def integrity(self) -> list[str]:
        """What SQLite itself finds wrong."""
        try:
            told = [str(row[0]) for row in self.rows("PRAGMA integrity_check(20)")]
        except FullDiskError:
            raise
        except UnavailableError as error:
            return [str(error)]
        return [] if told == ["ok"] else told
