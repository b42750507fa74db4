"""Where the outbox lies: whether its disk has room for SQLite to begin, real blocks for its shared memory, and who may read it."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from wire.errors import UnavailableError

NEEDED_BYTES = 64 << 10
"""So much SQLite wants before it can begin: shared memory, and the head of a journal."""
SHARED_BYTES, SHARED_AHEAD = 32 << 10, 128 << 10
ROOMY_BYTES = 1 << 20
UNKNOWN = 1 << 62
PRIVATE = 0o600


def free_bytes(folder: Path) -> int:
    """What we may still write there; a file system that does not tell has plenty."""
    try:
        left = os.statvfs(folder)
    except OSError:
        return UNKNOWN
    return left.f_bavail * left.f_frsize if left.f_blocks else UNKNOWN


def short_of_room(path: Path) -> bool:
    """Whether the disk is too full for SQLite to begin. The shared memory of a session that was cut off is used again."""
    try:
        ours = path.with_name(path.name + "-shm").stat().st_blocks * 512
    except OSError:
        ours = 0
    needed = NEEDED_BYTES - min(ours, SHARED_BYTES)
    return free_bytes(path.parent) < needed and not (os.geteuid() == 0 and _may_still_take(path.parent, needed))


def _may_still_take(folder: Path, size: int) -> bool:
    """Root may have blocks that are kept back for it; how many, only trying tells."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        return error.errno not in {errno.ENOSPC, errno.EDQUOT}
    return True


def full(path: Path, then: str = "systemd tries again") -> str:
    """What is wrong, and what to do."""
    return f"{path}: the disk is full ({free_bytes(path.parent)} bytes free): make room on {path.parent}; {then}"


def give_blocks(path: Path) -> None:
    """Give the shared memory of an open outbox its blocks. Raises UnavailableError when there are none.

    SQLite writes only one byte in 4 KiB of it. Where blocks are smaller, the rest is a hole, and on a full disk whoever touches a hole
    is killed by SIGBUS. It is done through SQLite's own descriptor, because closing another one would free SQLite's locks.
    """
    handle = _handle_of(path.with_name(path.name + "-shm"))
    if handle is None:
        return
    try:
        os.posix_fallocate(handle, 0, SHARED_BYTES)
        if free_bytes(path.parent) > ROOMY_BYTES:
            os.posix_fallocate(handle, 0, SHARED_AHEAD)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError(full(path)) from None


def _handle_of(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        there = path.stat()
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # numbers, not paths
            with contextlib.suppress(OSError):
                held = os.fstat(int(name))
                if (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
                    return int(name)
    return None


def keep_private(path: Path) -> None:
    """Make the file if there is none; only its user may read where the vehicle was. Journals take their mode from it."""
    with contextlib.suppress(OSError):  # SQLite says what is wrong
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
        except FileExistsError:
            for end in ("", "-wal", "-shm"):
                _tighten(path.with_name(path.name + end))


def _tighten(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(PRIVATE)
