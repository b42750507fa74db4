"""A disk that forgets: what was written, in order, and what of it may be there after the power was cut.

`Log` is filled by SQLite (through `vfs`) and by the modules whose `os` is a `Hands`. `Disk` goes through a log; at any point `cut`
gives files as a power cut might leave them: what was synced is there; of the rest any part, torn at sectors of 512 bytes; files may
be shorter than they were; names that were made, moved or removed since their folder was last synced may be as before.
"""

import errno
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.power import vfs

SECTOR = 512
KEEP = (0.0, 0.1, 0.5, 0.9, 1.0)
Entry = tuple[str, str, Any, Any]


class Log:
    """All that was done to the disk; `mark` notes what the program believed by then."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.marks: list[tuple[int, str, Any]] = []
        self.lying = frozenset[str]()
        """Ends of the names of files whose sync does nothing: planted."""

    def mark(self, kind: str, what: Any = None) -> None:
        self.marks.append((len(self.entries), kind, what))

    def met(self, path: Path) -> None:
        """A file that was there, safely, before."""
        self.entries.append(("met", str(path), path.read_bytes(), None))

    def write(self, path: str, at: int, data: bytes) -> int:
        self.entries.append(("write", path, at, data))
        return 0

    def truncate(self, path: str, size: int) -> int:
        self.entries.append(("truncate", path, size, None))
        return 0

    def sync(self, path: str) -> int:
        if not any(path.endswith(end) for end in self.lying):
            self.entries.append(("sync", path, None, None))
        return 0

    def sync_folder(self, path: str) -> int:
        self.entries.append(("sync-folder", path, None, None))
        return 0

    def create(self, path: str) -> int:
        self.entries.append(("create", path, None, None))
        return 0

    def delete(self, path: str) -> int:
        self.entries.append(("delete", path, None, None))
        return 0

    def rename(self, path: str, to: str) -> int:
        self.entries.append(("rename", path, to, None))
        return 0


class Hands:
    """Stands for `os` in a module: does it, and tells the log before."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._files: dict[int, tuple[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            if not Path(path).exists():
                _heed(self._log.create(str(path)))
            if flags & os.O_TRUNC:
                _heed(self._log.truncate(str(path), 0))
        handle = os.open(path, flags, mode)
        self._files[handle] = (str(path), 0)
        return handle

    def write(self, handle: int, data: bytes) -> int:
        path, at = self._files[handle]
        _heed(self._log.write(path, at, bytes(data)))
        n = os.write(handle, data)
        self._files[handle] = (path, at + n)
        return n

    def fsync(self, handle: int) -> None:
        path = self._files[handle][0]
        _heed(self._log.sync_folder(path) if Path(path).is_dir() else self._log.sync(path))

    def close(self, handle: int) -> None:
        self._files.pop(handle, None)
        os.close(handle)

    def replace(self, path: Path, to: Path) -> None:
        _heed(self._log.rename(str(path), str(to)))
        path.replace(to)

    def unlink(self, path: Path) -> None:
        if Path(path).exists():
            _heed(self._log.delete(str(path)))
        path.unlink()


ERRNO = {vfs.FULL: errno.ENOSPC, vfs.READONLY: errno.EROFS}


def _heed(code: int) -> None:
    if code:
        number = ERRNO.get(code, errno.EIO)
        raise OSError(number, os.strerror(number))


@dataclass(slots=True)
class Fault:
    """From the `first` call of one of these kinds on, so many fail with SQLite's code; `healed` ends it."""

    kinds: frozenset[str]
    first: int
    times: int
    code: int
    met: int = 0
    struck: int = 0
    healed: bool = False

    def strikes(self, kind: str) -> int:
        """The code for this call; 0 if it goes well."""
        if self.healed or kind not in self.kinds:
            return 0
        self.met += 1
        if not self.first <= self.met < self.first + self.times:
            return 0
        self.struck += 1
        return self.code


class Failing(Log):
    """A log of a disk that fails now and then. After a failed sync nothing of what was written before it gets to the disk."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault

    def write(self, path: str, at: int, data: bytes) -> int:
        return self.fault.strikes("write") or super().write(path, at, data)

    def truncate(self, path: str, size: int) -> int:
        return self.fault.strikes("truncate") or super().truncate(path, size)

    def sync(self, path: str) -> int:
        if code := self.fault.strikes("sync"):
            self.entries.append(("sync-failed", path, None, None))
            return code
        return super().sync(path)

    def create(self, path: str) -> int:
        return self.fault.strikes("create") or super().create(path)

    def delete(self, path: str) -> int:
        return self.fault.strikes("delete") or super().delete(path)

    def rename(self, path: str, to: str) -> int:
        return self.fault.strikes("rename") or super().rename(path, to)


@dataclass(slots=True, eq=False)
class Inode:
    """A file without a name: what is safely there, and what was done to it since."""

    safe: bytearray = field(default_factory=bytearray)
    since: list[tuple[str, int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        for what, at, data in self.since:
            _do(self.safe, what, at, data)
        self.since.clear()

    def torn(self, chance: random.Random, keep: float) -> bytes:
        """As it may be after the cut."""
        if not self.since:
            return bytes(self.safe)
        fresh, size = bytearray(self.safe), len(self.safe)
        for what, at, data in self.since:
            if what == "write" and chance.random() < 0.2:
                for start, piece in _sectors(at, data):
                    if chance.random() < 0.5:
                        _do(fresh, what, start, piece)
            elif chance.random() < keep:
                _do(fresh, what, at, data)
        if len(fresh) > size and chance.random() < 0.2:
            del fresh[chance.randrange(size, len(fresh)) :]
        return bytes(fresh)


def _do(data: bytearray, what: str, at: int, piece: bytes) -> None:
    if what == "truncate":
        del data[at:]
        data.extend(bytes(at - len(data)))
        return
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece


def _sectors(at: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    start = at
    while start < at + len(data):
        end = min(at + len(data), (start // SECTOR + 1) * SECTOR)
        yield start, data[start - at : end - at]
        start = end


class Disk:
    """Goes through a log, up to any place in it, forward only."""

    def __init__(self, log: Log) -> None:
        self._log = log.entries
        self._at = 0
        self._safe: dict[str, Inode] = {}
        self._names: dict[str, Inode] = {}
        self._since: list[tuple[str, str, Any]] = []

    def go(self, upto: int) -> None:
        """All entries before this one are done."""
        for what, path, one, two in self._log[self._at : upto]:
            self._step(what, path, one, two)
        self._at = upto

    def _step(self, what: str, path: str, one: Any, two: Any) -> None:
        if what == "met":
            self._names[path] = self._safe[path] = Inode(bytearray(one))
        elif what == "create":
            if path not in self._names:
                self._names[path] = Inode()
                self._since.append(("link", path, self._names[path]))
        elif what in {"write", "truncate"}:
            self._names[path].since.append((what, one, two or b""))
        elif what == "sync":
            if path in self._names:
                self._names[path].sync()
        elif what == "sync-failed":
            self._names[path].since.clear()
        elif what == "sync-folder":
            for each in self._since:
                _name(self._safe, *each)
            self._since.clear()
        else:
            self._since.append((what, path, one))
            _name(self._names, what, path, one)

    def safe(self) -> dict[str, bytes]:
        """What must be there, and nothing else."""
        return {path: bytes(inode.safe) for path, inode in self._safe.items()}

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Files by path, as they may be after the power was cut here."""
        keep = chance.choice(KEEP)
        names = dict(self._safe)
        some = chance.randrange(len(self._since) + 1) if self._since else 0
        in_order = chance.random() < 0.7
        for i, each in enumerate(self._since):
            if (i < some) if in_order else (chance.random() < 0.5):
                _name(names, *each)
        return {path: inode.torn(chance, keep) for path, inode in names.items()}

    def lay(self, folder: Path, upto: int, chance: random.Random, *, shared: str) -> None:
        """A folder as it may be after the power was cut there; what stands in the shared memory file may be anything."""
        self.go(upto)
        for old in folder.iterdir():
            old.unlink()
        for path, data in self.cut(chance).items():
            (folder / Path(path).name).write_bytes(data)
        if chance.random() < 0.1:
            (folder / shared).write_bytes(chance.randbytes(32_768))


def _name(names: dict[str, Inode], what: str, path: str, other: Any) -> None:
    if what == "link":
        names[path] = other
    elif what == "delete":
        names.pop(path, None)
    elif path in names:
        names[other] = names.pop(path)
