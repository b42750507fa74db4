"""Pages of real SQLite files, and of files that were never any."""

import random
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest

from agent.core.pages import FRAME, PAGE, WAL_HEADER, Cell, cells, free_pages, journal, payload, values

ROWS = [
    (1, None, "a", 0),
    (2, 1, "b" * 3000, 1),
    (300, -70_000, "ü", 1.5),
    (4_000_000, 1 << 40, b"\x00" * 1200, -(1 << 60)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A database with a journal, as a power cut leaves it: rows 1 to 4 in the database, one more in the journal, pages set free."""
    db = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    db.executescript(
        "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0"
    )
    db.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); CREATE TABLE m (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID"
    )
    db.execute("INSERT INTO m VALUES ('key', ?)", ("long" * 300,))
    db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", ROWS)
    db.executemany("INSERT INTO t VALUES (?, 0, ?, 0)", [(5_000_000 + i, b"x" * 900) for i in range(20)])
    db.execute("DELETE FROM t WHERE id >= 5000000")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("INSERT INTO t VALUES (9000000, 8, 'new', 9)")
    db.execute("INSERT INTO t VALUES (9000001, 8, ?, 9)", (b"z" * 5000,))
    db.execute("UPDATE t SET a = 7 WHERE id = 9000000")
    shutil.copytree(tmp_path, tmp_path / "cut")
    db.close()
    return tmp_path / "cut"


def page_of(raw: bytes, number: int) -> bytes:
    return raw[(number - 1) * PAGE : number * PAGE]


def rows(raw: bytes) -> list[tuple[int | None, object]]:
    found = list[tuple[int | None, object]]()
    for number in range(1, len(raw) // PAGE + 1):
        for cell in cells(page_of(raw, number), first=page_of(raw, number)[:6] == b"SQLite"):
            whole = payload(cell, lambda n: page_of(raw, n))
            found.append((cell.rowid, values(whole) if whole is not None else None))
    return found


def test_every_row_is_read_as_sqlite_reads_it(folder: Path) -> None:
    raw = (folder / "one.db").read_bytes()
    read = rows(raw)
    for rowid, *rest in ROWS:
        assert (rowid, [None, *rest]) in read
    assert (None, ["key", "long" * 300]) in read
    free = free_pages(lambda n: page_of(raw, n))
    assert free is not None
    with sqlite3.connect(f"file:{folder / 'one.db'}?immutable=1", uri=True) as db:
        assert len(free) == db.execute("PRAGMA freelist_count").fetchone()[0] > 5
    db.close()


def test_the_journal_has_the_newest_page_and_a_torn_one_is_in_doubt(folder: Path) -> None:
    wal = (folder / "one.db-wal").read_bytes()
    whole = journal(wal)
    assert whole.doubtful == ()
    (place,) = [at for at in whole.pages.values() if (9_000_000, [None, 7, "new", 9]) in rows(wal[at : at + PAGE])]
    frames = range(WAL_HEADER, len(wal), FRAME)
    torn = bytearray(wal)
    torn[frames[-1] + 100] ^= 1
    assert journal(bytes(torn)).doubtful == (len(wal) - PAGE,)
    headless = journal(bytes(WAL_HEADER) + wal[WAL_HEADER:])
    assert (headless.pages, len(headless.doubtful)) == ({}, len(frames))
    uncommitted = bytearray(wal[: frames[-1] + FRAME])
    assert place in {*journal(bytes(uncommitted)).pages.values()}
    old = bytearray(wal)
    old[frames[-1] + 8] ^= 1
    assert len(journal(bytes(old)).pages) + len(journal(bytes(old)).doubtful) < len(frames) + 1
    assert journal(b"") == journal(b"abc") == journal(bytes(10))
    assert journal(b"").pages == {}


def test_frames_without_a_commit_are_in_doubt(folder: Path) -> None:
    wal = (folder / "one.db-wal").read_bytes()
    big = struct.unpack(">I", wal[WAL_HEADER + 4 : WAL_HEADER + 8])[0]
    first = journal(wal[: WAL_HEADER + FRAME])
    assert (len(first.pages), len(first.doubtful)) == ((1, 0) if big else (0, 1))


def test_nothing_raises(folder: Path) -> None:
    whole = (folder / "one.db").read_bytes()
    for seed in range(200):
        chance, raw = random.Random(seed), bytearray(whole)
        for _ in range(chance.randrange(1, 40)):
            raw[chance.randrange(len(raw))] = chance.choice([0, 13, 10, 255, chance.randrange(256)])
        rows(bytes(raw))
        free_pages(lambda n, raw=bytes(raw): page_of(raw, n))  # type: ignore[misc]  # bound early
        journal(bytes(raw[: 20 * PAGE]))
        rows(chance.randbytes(PAGE))
        values(chance.randbytes(chance.randrange(40)))


def test_what_is_no_cell() -> None:
    assert list(cells(b"")) == []
    assert list(cells(bytes(PAGE))) == []
    page = bytearray(PAGE)
    page[0], page[4] = 13, 3
    page[8:14] = struct.pack(">3H", 2, PAGE - 2, PAGE - 20)
    page[PAGE - 2 :] = b"\x00\x01"
    page[PAGE - 20 : PAGE - 10] = b"\xff" * 10
    assert [cell.rowid for cell in cells(bytes(page))] == []
    assert payload(Cell(1, 10, b"abc", 0), lambda _: b"") is None
    assert payload(Cell(1, 10, b"abc", 5), lambda _: b"") is None


def test_what_is_no_record() -> None:
    assert values(b"") is None
    assert values(b"\x05\x01") is None
    assert values(b"\x02\x0a") is None
    assert values(b"\x02\x0f\xff") is None, "no UTF-8"
    assert values(b"\x02\x01") is None
    assert values(b"\x02\x01\x05\x06") is None
    assert values(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff") is None, "a negative type"
    assert values(b"\x04\x08\x09\x00") == [0, 1, None]
    assert values(b"\x02\x07" + struct.pack(">d", 2.5)) == [2.5]


def test_lists_of_free_pages_that_lie() -> None:
    head = bytearray(PAGE)
    assert free_pages(lambda _: bytes(head)) is None
    head[:16] = b"SQLite format 3\0"
    assert free_pages(lambda _: bytes(head)) == set()
    head[32:40] = struct.pack(">2I", 2, 1)
    assert free_pages(lambda n: bytes(head) if n == 1 else b"") is None
    assert free_pages(lambda n: bytes(head) if n == 1 else struct.pack(">2I", 0, 9999).ljust(PAGE, b"\0")) is None
    assert free_pages(lambda n: bytes(head) if n == 1 else bytes(PAGE)) == {2}
    assert free_pages(lambda n: bytes(head) if n == 1 else struct.pack(">3I", 2, 1, 7).ljust(PAGE, b"\0")) is None
