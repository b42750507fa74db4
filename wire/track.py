"""The track batch: one clear JSON header line, a newline, then delta columns as JSON in raw deflate (RFC 1951).

The header can be read and answered without touching the body. The body is bounded before it is unpacked.
`docs/contract.md` publishes the columns and a decoder of 20 lines; a test holds them against this file.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from wire.codec import (
    MAX_SEQ,
    detail_of,
    dump,
    integer,
    load_object,
    moment,
    moment_of,
    number,
    store_id,
    text,
    version,
)
from wire.errors import DecodeError
from wire.messages import Batch, Event, Header, Lost, Row
from wire.schema import AT_MS, COLUMNS, LAT, LON, SCHEMA_VERSION, Column

MAX_HEADER_BYTES = 256
MAX_BODY_BYTES = 65_536
MAX_UNPACKED_BYTES = 1 << 20
MAX_ROWS = 600
MAX_SPAN = 1_000_000
LEVEL = 8
"""Level 9 takes twice as long for 600 rows, and saves nothing."""
GENESIS = base64.urlsafe_b64encode(bytes(8)).decode().rstrip("=")


def b64(raw: bytes) -> str:
    """64 bits as 11 characters."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def chain(before: str, seq: int, body: bytes) -> str:
    """The hash of the store so far: 64 bits of BLAKE2b over the hash before, the seq and the record as kept."""
    return b64(hashlib.blake2b(f"{before}:{seq}:".encode() + body, digest_size=8).digest())


def _differences(values: Sequence[int], order: int) -> list[int]:
    """The first value, then differences; for order 2, the second is a difference and the rest differences of those."""
    steps = [b - a for a, b in pairwise(values)]
    if order == 2:
        steps = steps[:1] + [b - a for a, b in pairwise(steps)]
    return [*values[:1], *steps]


def _sums(packed: list[int], order: int) -> list[int]:
    if not packed:
        return []
    step, value, out = 0, packed[0], [packed[0]]
    for delta in packed[1:]:
        step = step + delta if order == 2 else delta
        value += step
        out.append(value)
    return out


def _pack_column(values: Iterable[int | None], order: int) -> list[int | None] | None:
    """First value, then differences; an absent value stays null and is stepped over. None if all are absent."""
    kept = list(values)
    deltas = iter(_differences([value for value in kept if value is not None], order))
    packed = [None if value is None else next(deltas) for value in kept]
    return packed if any(value is not None for value in packed) else None


def _unpack_column(column: Column, packed: Any, count: int) -> list[int | None]:
    if packed is None:
        return [None] * count
    if not isinstance(packed, list) or len(packed) != count:
        raise DecodeError("wrong-length", column.key)
    deltas = [value for value in packed if value is not None]
    if any(isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1 << 44 for value in deltas):
        raise DecodeError("not-an-integer", column.key)
    values = _sums(deltas, column.order)
    if any(not column.low <= value <= column.high for value in values):
        raise DecodeError("out-of-range", column.key)
    whole = iter(values)
    return [None if value is None else next(whole) for value in packed]


def encode_batch(batch: Batch) -> bytes:
    """The payload of a track message."""
    body: dict[str, object] = {"q": batch.waiting}
    if batch.rows:
        for i, column in enumerate(COLUMNS):
            packed = _pack_column([row[i] for _, row in batch.rows], column.order)
            if packed is not None:
                body[column.key] = packed
    if batch.events:
        body["e"] = [
            [e.seq - batch.first, moment(e), e.kind, e.lat_deg, e.lon_deg, dict(e.detail)] for e in batch.events
        ]
    if batch.lost:
        body["x"] = [[lost.first - batch.first, lost.last - batch.first, lost.reason, dict(lost.counts)]
                     for lost in batch.lost]  # fmt: skip
    squeezer = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    raw = squeezer.compress(dump(body)) + squeezer.flush()
    header = dump({
        "v": SCHEMA_VERSION, "s": batch.store, "f": batch.first, "l": batch.last, "w": batch.low,
        "a": batch.before, "b": batch.after, "c": f"{zlib.crc32(raw):08x}",
    })  # fmt: skip
    return header + b"\n" + raw


def decode_header(payload: bytes) -> tuple[Header, bytes]:
    """Header and packed body. A DecodeError here is answered `bad`: the device encodes again."""
    line, newline, raw = payload.partition(b"\n")
    if not newline:
        raise DecodeError("no-header-line", "header")
    data = load_object(line, max_bytes=MAX_HEADER_BYTES)
    integer(data, "v", 0, 255)
    header = Header(
        store=store_id(data, "s"),
        first=integer(data, "f", 1, MAX_SEQ),
        last=integer(data, "l", 1, MAX_SEQ),
        low=integer(data, "w", 1, MAX_SEQ),
        before=store_id(data, "a"),
        after=store_id(data, "b"),
        checksum=text(data, "c", longest=8),
    )
    if not header.first <= header.last < header.first + MAX_SPAN:
        raise DecodeError("wrong-range", "l")
    if header.checksum != f"{zlib.crc32(raw):08x}":
        raise DecodeError("checksum", "c")
    return header, raw


def _inflate(raw: bytes) -> bytes:
    if len(raw) > MAX_BODY_BYTES:
        raise DecodeError("too-long", "body")
    puffer = zlib.decompressobj(-15)
    try:
        data = puffer.decompress(raw, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise DecodeError("not-deflate", "body", str(error)) from None
    if not puffer.eof or puffer.unused_data:
        raise DecodeError("too-long" if puffer.unconsumed_tail else "cut", "body")
    return data


def _events(items: Any, header: Header) -> list[Event]:
    if not isinstance(items, list) or len(items) > MAX_ROWS:
        raise DecodeError("not-a-list", "e")
    events = []
    for item in items:
        if not isinstance(item, list) or len(item) != 6:
            raise DecodeError("not-an-event", "e")
        data = dict(zip(("n", "t", "k", "lat", "lon", "d"), item, strict=True))
        at_ms, boot, mono_ms = moment_of(data)
        events.append(
            Event(
                boot=boot,
                mono_ms=mono_ms,
                seq=header.first + integer(data, "n", 0, header.last - header.first),
                at_ms=at_ms,
                kind=text(data, "k", longest=32),
                lat_deg=None if data["lat"] is None else number(data, "lat", -90, 90),
                lon_deg=None if data["lon"] is None else number(data, "lon", -180, 180),
                detail=detail_of(data["d"]),
            )
        )
    return events


def _receipts(items: Any, header: Header) -> list[Lost]:
    if not isinstance(items, list) or len(items) > MAX_ROWS:
        raise DecodeError("not-a-list", "x")
    span, receipts = header.last - header.first, []
    for item in items:
        if not isinstance(item, list) or len(item) != 4:
            raise DecodeError("not-a-receipt", "x")
        data = dict(zip(("from", "to", "why", "n"), item, strict=True))
        first, last = integer(data, "from", 0, span), integer(data, "to", 0, span)
        counts = detail_of(data["n"])
        receipts.append(
            Lost(
                header.first + first,
                header.first + last,
                text(data, "why", longest=32),
                {key: integer(counts, key, 0, MAX_SEQ) for key in counts},
            )
        )
    return receipts


def _tile(header: Header, rows: list[Row], events: list[Event], lost: list[Lost]) -> tuple[tuple[int, Row], ...]:
    """Gives rows the seqs that events and receipts leave; together they must cover the range exactly once."""
    taken = {event.seq for event in events}
    spans = sorted((receipt.first, receipt.last) for receipt in lost)
    total = len(rows) + len(events) + sum(last - first + 1 for first, last in spans)
    if len(taken) != len(events) or total != header.last - header.first + 1:
        raise DecodeError("does-not-tile", "body")
    frees: list[range] = []
    seq = header.first
    for first, last in [*spans, (header.last + 1, header.last + 1)]:
        if first < seq or last < first or any(first <= event.seq <= last for event in events):
            raise DecodeError("does-not-tile", "x")
        frees.append(range(seq, first))
        seq = last + 1
    # only now, when nothing overlaps, there are as many free places as rows
    numbers = (seq for free in frees for seq in free if seq not in taken)
    return tuple(zip(numbers, rows, strict=True))


def decode_body(header: Header, raw: bytes) -> Batch:
    """The batch behind a header. A DecodeError here means quarantine: the payload is kept raw and the mark moves."""
    body = load_object(_inflate(raw), max_bytes=MAX_UNPACKED_BYTES)
    times = body.get("t") or []
    if not isinstance(times, list) or len(times) > MAX_ROWS:
        raise DecodeError("not-a-list", "t")
    columns = [_unpack_column(column, body.get(column.key), len(times)) for column in COLUMNS]
    if any(value is None for i in (AT_MS, LAT, LON) for value in columns[i]):
        raise DecodeError("missing", "t, la or lo")
    rows: list[Row] = list(zip(*columns, strict=True)) if times else []
    events = _events(body.get("e") or [], header)
    lost = _receipts(body.get("x") or [], header)
    return Batch(
        store=header.store, first=header.first, last=header.last, low=header.low,
        before=header.before, after=header.after,
        rows=_tile(header, rows, events, lost), events=tuple(events), lost=tuple(lost),
        waiting=integer({"q": 0} | body, "q", 0, MAX_SEQ),
    )  # fmt: skip


def decode_batch(payload: bytes) -> Batch:
    """Header and body in one go, for readers of stored chunks; refuses another schema version."""
    header, raw = decode_header(payload)
    version(load_object(payload.partition(b"\n")[0], max_bytes=MAX_HEADER_BYTES))
    return decode_body(header, raw)
