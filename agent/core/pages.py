"""A SQLite file page by page, for when SQLite itself gives it up: frames of the journal, cells of leaf pages, their values.

As published in SQLite's description of its file format. Nothing here raises for what it is given: what is no page, no cell or no
record is left out. Pages have `PAGE` bytes, as those of the outbox do.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PAGE = 512
HEADER = 100
"""Bytes before the content of the first page."""
WAL_HEADER, FRAME_HEADER = 32, 24
FRAME = FRAME_HEADER + PAGE
MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
TABLE_LEAF, INDEX_LEAF = 13, 10
LEAST_LOCAL = (PAGE - 12) * 32 // 255 - 23
MOST_LOCAL = {TABLE_LEAF: PAGE - 35, INDEX_LEAF: (PAGE - 12) * 64 // 255 - 23}
LARGEST = 1 << 20
"""No record of ours is larger."""
WORD = 0xFFFFFFFF

Value = int | float | bytes | str | None


@dataclass(frozen=True, slots=True)
class Journal:
    """Where pages stand in a journal: the newest committed of each number, and those that no checksum vouches for.

    `ends` counts commits that end behind the first torn place. A power cut leaves one at most, because each is on the disk before
    the next begins: more of them are damage.
    """

    pages: dict[int, int]
    doubtful: tuple[int, ...]
    ends: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A record on a page: its row id (none in an index), its size, what stands on the page, and where the rest does."""

    rowid: int | None
    size: int
    local: bytes
    rest: int


def _sums(data: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    one, two = before
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & WORD
        two = (two + second + one) & WORD
    return one, two


def journal(wal: bytes) -> Journal:
    """The pages of a write-ahead log. Behind a frame that is torn nothing is sure, but it may still be worth a look."""
    order = MAGIC.get(int.from_bytes(wal[:4]), "<")
    sums = _sums(wal[:24], (0, 0), order) if len(wal) >= WAL_HEADER else (0, 0)
    whole = int.from_bytes(wal[:4]) in MAGIC and struct.pack(">2I", *sums) == wal[24:32]
    salts = wal[16:24] if whole else wal[WAL_HEADER + 8 : WAL_HEADER + 16]
    pages: dict[int, int] = {}
    waiting: dict[int, int] = {}
    doubtful, ends = [], 0
    for at in range(WAL_HEADER, len(wal) - FRAME + 1, FRAME):
        if wal[at + 8 : at + 16] != salts:  # of the round before; what it says is in the database
            continue
        place = at + FRAME_HEADER
        if whole:
            sums = _sums(wal[place : at + FRAME], _sums(wal[at : at + 8], sums, order), order)
            whole = struct.pack(">2I", *sums) == wal[at + 16 : place]
        if not whole:
            doubtful.append(place)
            ends += wal[at + 4 : at + 8] != bytes(4)
            continue
        number, commit = struct.unpack(">2I", wal[at : at + 8])
        waiting[number] = place
        if commit:
            pages |= waiting
            waiting = {}
    return Journal(pages, (*waiting.values(), *doubtful), ends)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends. Beyond the end of the data there are zeros."""
    value = 0
    for i in range(8):
        byte = data[at + i] if at + i < len(data) else 0
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    last = data[at + 8] if at + 8 < len(data) else 0
    value = value << 8 | last
    return value - (1 << 64) if value >> 63 else value, at + 9


def cells(page: bytes, *, first: bool = False) -> Iterator[Cell]:
    """The cells of a leaf page, in order; none of any other page. `first` is the first page of a file."""
    start = HEADER if first else 0
    if len(page) != PAGE or page[start] not in MOST_LOCAL:
        return
    kind, count = page[start], int.from_bytes(page[start + 3 : start + 5])
    end = start + 8 + 2 * count
    for pointer in range(start + 8, min(end, PAGE - 1), 2):
        at = int.from_bytes(page[pointer : pointer + 2])
        if not end <= at < PAGE:
            continue
        size, at = _varint(page, at)
        rowid = None
        if kind == TABLE_LEAF:
            rowid, at = _varint(page, at)
        if not 0 < size <= LARGEST:
            continue
        local, rest = size, 0
        if size > MOST_LOCAL[kind]:
            local = LEAST_LOCAL + (size - LEAST_LOCAL) % (PAGE - 4)
            local = local if local <= MOST_LOCAL[kind] else LEAST_LOCAL
            rest = int.from_bytes(page[at + local : at + local + 4])
        yield Cell(rowid, size, page[at : at + local], rest)


def payload(cell: Cell, page_at: Callable[[int], bytes]) -> bytes | None:
    """All of a record, also what stands on other pages; None if that is not all there."""
    data, number = cell.local, cell.rest
    while len(data) < cell.size and number:
        page = page_at(number)
        data += page[4 : 4 + cell.size - len(data)]
        number = int.from_bytes(page[:4]) if len(page) == PAGE else 0
    return data if len(data) == cell.size else None


_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def values(record: bytes) -> list[Value] | None:
    """The columns of a record; None if it is none."""
    header, at = _varint(record, 0)
    if not 1 <= header <= len(record):
        return None
    place, found = header, list[Value]()
    while at < header:
        code, at = _varint(record, at)
        size = _INTEGERS.get(code, 8 if code == 7 else 0) if code < 12 else (code - 12) // 2
        raw = record[place : place + size]
        if code < 0 or code in {10, 11} or len(raw) != size:
            return None
        place += size
        try:
            found.append(_value(code, raw))
        except UnicodeDecodeError:
            return None
    return found if at == header and place == len(record) else None


def _value(code: int, raw: bytes) -> Value:
    if code in _INTEGERS:
        return int.from_bytes(raw, signed=True)
    if code == 7:
        return float(struct.unpack(">d", raw)[0])
    if code >= 12:
        return raw.decode() if code % 2 else raw
    return {0: None, 8: 0, 9: 1}[code]


def free_pages(page_at: Callable[[int], bytes]) -> set[int] | None:
    """The pages that hold nothing any more, whatever stands there; None if the list of them can't be read."""
    head = page_at(1)
    if head[:16] != b"SQLite format 3\0":
        return None
    number, wanted = struct.unpack(">2I", head[32:40])
    found: set[int] = set()
    while number and number not in found:
        page = page_at(number)
        if len(page) != PAGE or (count := int.from_bytes(page[4:8])) > PAGE // 4 - 2:
            return None
        found |= {number, *struct.unpack(f">{count}I", page[8 : 8 + 4 * count])}
        number = int.from_bytes(page[:4])
    return found if len(found) == wanted else None
