"""SQLite's own way to the disk, listened to: the default VFS of the very library that `sqlite3` uses, with writing calls wrapped.

Reads, locks and shared memory pass through untouched. An observer hears of each write, truncation, sync, creation and deletion
before it is done, and may refuse it with one of SQLite's own codes: then the call is not done.
"""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast, pointer
from pathlib import Path
from typing import Any, Protocol

OK, READONLY, IOERR, FULL, CANTOPEN = 0, 8, 10, 13, 14
IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = IOERR | 3 << 8, IOERR | 4 << 8, IOERR | 6 << 8, IOERR | 10 << 8
MAIN_JOURNAL, WAL, CREATE = 0x0800, 0x80000, 0x0004

Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
Sync = CFUNCTYPE(c_int, c_void_p, c_int)
Close = CFUNCTYPE(c_int, c_void_p)
Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


KEPT: list["Shim"] = []
"""What a test has left open when it failed must still find its callbacks."""


class Methods(Structure):
    """`sqlite3_io_methods`; the names of what is not wrapped are left out."""

    _fields_ = [
        ("version", c_int), ("close", Close), ("read", c_void_p), ("write", Write), ("truncate", Truncate),
        ("sync", Sync), ("rest", c_void_p * 13),
    ]  # fmt: skip


class File(Structure):
    """The head of `sqlite3_file`."""

    _fields_ = [("methods", POINTER(Methods))]


class Vfs(Structure):
    """`sqlite3_vfs`."""

    _fields_ = [
        ("version", c_int), ("os_file", c_int), ("max_pathname", c_int), ("next", c_void_p), ("name", c_char_p),
        ("app_data", c_void_p), ("open", Open), ("delete", Delete), ("rest", c_void_p * 14),
    ]  # fmt: skip


class Observer(Protocol):
    """Hears what is about to be done to a file. Gives 0, or the code with which it fails."""

    def write(self, path: str, at: int, data: bytes) -> int:
        """Bytes at a place."""

    def truncate(self, path: str, size: int) -> int:
        """A file is cut off."""

    def sync(self, path: str) -> int:
        """What was written is to be on the disk."""

    def sync_folder(self, path: str) -> int:
        """Names in a folder are to be on the disk."""

    def create(self, path: str) -> int:
        """A file comes into being, or is met for the first time."""

    def delete(self, path: str) -> int:
        """A file goes."""


def library() -> ctypes.CDLL:
    """The library that the interpreter's own `sqlite3` has loaded."""
    import sqlite3  # noqa: F401  # now it is in the map

    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    found = re.search(r"(/\S*libsqlite3\S*\.so\S*)", maps) or re.search(r"(/\S*_sqlite3\S*\.so)", maps)
    if found is None:
        raise RuntimeError("the interpreter's SQLite was not found")
    lib = ctypes.CDLL(found[1])
    lib.sqlite3_vfs_find.restype = POINTER(Vfs)
    lib.sqlite3_vfs_find.argtypes = [c_char_p]
    lib.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
    lib.sqlite3_vfs_unregister.argtypes = [c_void_p]
    return lib


class Shim:
    """One wrapped VFS. Nothing may be open any more when it goes: see `KEPT`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lib = library()
        self._under = self._lib.sqlite3_vfs_find(None)
        self._paths: dict[int, str] = {}
        self._unsynced: set[int] = set()
        self._originals: dict[int, Methods] = {}
        self._wrapped: dict[int, Methods] = {}
        self._of: dict[int, Methods] = {}
        self._open, self._delete = Open(self._opening), Delete(self._deleting)
        self._calls: tuple[Any, ...] = (
            Write(self._writing), Truncate(self._truncating), Sync(self._syncing), Close(self._closing),
        )  # fmt: skip
        self._vfs = Vfs()
        ctypes.memmove(pointer(self._vfs), self._under, ctypes.sizeof(Vfs))
        self._vfs.name, self._vfs.open, self._vfs.delete = b"observed", self._open, self._delete

    def register(self) -> None:
        """Be the default from now on."""
        self._lib.sqlite3_vfs_register(pointer(self._vfs), 1)

    def unregister(self) -> None:
        """The one before is the default again."""
        self._lib.sqlite3_vfs_register(self._under, 1)
        self._lib.sqlite3_vfs_unregister(pointer(self._vfs))

    def _opening(self, _vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = "" if name is None else ctypes.string_at(name).decode()
        there = not path or Path(path).exists()
        if not there and flags & CREATE and (code := self._observer.create(path)):
            return code
        code = int(self._under.contents.open(cast(self._under, c_void_p), name, file, flags, out))
        if code or not path:
            return code
        if there:
            self._observer.create(path)  # it may be new to who listens
        methods = cast(file, POINTER(File)).contents.methods
        where = cast(methods, c_void_p).value or 0
        if where not in self._wrapped:
            self._originals[where], self._wrapped[where] = methods.contents, _copied(methods.contents, self._calls)
        self._paths[file], self._of[file] = path, self._originals[where]
        if not there and flags & (WAL | MAIN_JOURNAL):
            self._unsynced.add(file)  # the first sync of a new journal syncs its folder, too
        cast(file, POINTER(File)).contents.methods = pointer(self._wrapped[where])
        return OK

    def _deleting(self, _vfs: int, name: int, sync: int) -> int:
        path = ctypes.string_at(name).decode()
        if Path(path).exists() and (code := self._observer.delete(path)):
            return code
        code = int(self._under.contents.delete(cast(self._under, c_void_p), name, sync))
        if code == OK and sync:
            return self._observer.sync_folder(str(Path(path).parent))
        return code

    def _writing(self, file: int, data: int, size: int, at: int) -> int:
        code = self._observer.write(self._paths[file], at, ctypes.string_at(data, size))
        return code or int(self._of[file].write(file, data, size, at))

    def _truncating(self, file: int, size: int) -> int:
        return self._observer.truncate(self._paths[file], size) or int(self._of[file].truncate(file, size))

    def _syncing(self, file: int, flags: int) -> int:
        if code := self._observer.sync(self._paths[file]):
            return code
        if file in self._unsynced:
            self._unsynced.discard(file)
            self._observer.sync_folder(str(Path(self._paths[file]).parent))
        return int(self._of[file].sync(file, flags))

    def _closing(self, file: int) -> int:
        self._paths.pop(file, None)
        self._unsynced.discard(file)
        methods = self._of.pop(file)
        return int(methods.close(file))


def _copied(original: Methods, calls: tuple[Any, ...]) -> Methods:
    fresh = Methods()
    ctypes.memmove(pointer(fresh), pointer(original), ctypes.sizeof(Methods))
    fresh.write, fresh.truncate, fresh.sync, fresh.close = calls
    return fresh


@contextmanager
def observed(observer: Observer) -> Iterator[Shim]:
    """All that SQLite opens meanwhile is listened to."""
    shim = Shim(observer)
    KEPT.append(shim)
    shim.register()
    try:
        yield shim
    finally:
        shim.unregister()
