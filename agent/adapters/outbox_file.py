"""The outbox's file from outside: who holds it, and what is in it, without opening it for work."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from wire.errors import RefusedError, UnavailableError
from wire.kinds import DROPPED, THINNED


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


def look_into(path: Path) -> dict[str, object] | None:
    """What an outbox holds, without changing it; None when there is none."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            newest = db.execute("SELECT max(seq) FROM record").fetchone()[0] or 0
            meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
    except sqlite3.Error as error:
        raise UnavailableError(f"{path}: the outbox can't be read: {error}") from None
    acked = int(meta.get("acked", 0))
    gone = {reason: int(meta.get(f"lost:{reason}", 0)) for reason in (THINNED, DROPPED)}
    return {
        "store": meta.get("store", ""),
        "recorded": newest,
        "committed_by_hub": acked,
        "waiting": newest - acked,
    } | {reason: n for reason, n in gone.items() if n}
