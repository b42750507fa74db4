"""Every decoder of what comes from outside, with what must hold for any bytes: a value that can be written again, or the named error."""

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from hub.adapters.store.events import event_rows
from hub.core import exports, frames
from hub.core.fanout import read_shown
from hub.core.marks import Incoming, Kind, alarm, closed, dating, incoming, moved, spoken_store, stored
from hub.core.marks import Mark as HubMark
from hub.core.registry import Stay
from hub.core.views import Views
from hub.urls import broker_url, redis_url, store_url, tiles_url
from hub.web.bodies import Login
from tests.fuzz import agent_decoders as agent
from tests.fuzz import corpus
from tests.fuzz.agent_decoders import refused
from tests.hub.makers import STORE, T0, a_registry, h_at
from wire import codec
from wire.errors import DecodeError
from wire.predict import predict
from wire.topics import parse
from wire.track import decode_batch, encode_batch

Check = Callable[[bytes], bool]
"""True if the payload was taken, False if it was refused as it ought to be; anything raised is a violation."""
Value = TypeVar("Value")
REGISTRY = a_registry()
NOW_MS = T0 + 100_000


@dataclass(frozen=True, slots=True)
class Decoder:
    """One decoder. `weight` is its share of the payloads; `seal` mends checksums after a mishap."""

    name: str
    weight: int
    corpus: Callable[[], Sequence[bytes]]
    check: Check
    seal: Callable[[bytes, random.Random], bytes] = lambda data, _chance: data
    words: tuple[bytes, ...] = ()


def settled(decode: Callable[[bytes], Value], encode: Callable[[Value], bytes], payload: bytes) -> bool:
    """What was read can be written, read again, and is then written byte for byte the same."""
    try:
        value = decode(payload)
    except DecodeError as error:
        return refused(error)
    once = encode(value)
    again = decode(once)
    assert encode(again) == once, (once, encode(again))
    return True


def live(payload: bytes) -> bool:
    if not settled(codec.decode_live, codec.encode_live, payload):
        return False
    told = codec.decode_live(payload)
    views = Views()
    views.know(REGISTRY)
    views.live("van-1", told, NOW_MS)
    for states in views.take_dirty().values():
        for state in states:
            read_shown(state.text)
    lat, lon = predict(told, NOW_MS)
    assert -90 <= lat <= 90, lat
    assert -180 <= lon <= 180, lon
    return True


def event(payload: bytes) -> bool:
    if not settled(codec.decode_event, lambda pair: codec.encode_event(*pair), payload):
        return False
    store, told = codec.decode_event(payload)
    one = stored("gw-a", store, told, registry=REGISTRY, received_ms=NOW_MS)
    event_rows([one])
    frames.event(1, 1, one).encode()
    dating(told)
    return True


def track(payload: bytes) -> bool:
    """As the hub takes it in: rows or poison, kept and exported; a bad header is refused."""
    try:
        batch = incoming("gw-a", payload, registry=REGISTRY, received_ms=NOW_MS)
    except DecodeError as error:
        spoken_store(payload)
        return refused(error)
    _booked(batch)
    if batch.kind is not Kind.ROWS:
        assert 0 < len(batch.reason) <= 200
        assert batch.reason.isprintable()
        return False
    value = decode_batch(payload)
    again = decode_batch(encode_batch(value))
    assert again == value
    stay = Stay("gw-a", 0, 1 << 62)
    for form, kind in exports.FORMATS.items():
        export = kind("van-1")
        text = export.head() + export.part(list(exports.points(payload, "gw-a", stay))) + export.tail()
        text.encode()
        if form == "geojson":
            json.loads(text)
    return True


def _booked(batch: Incoming) -> None:
    assert sum(batch.counts.values()) == batch.span, "the ledger's lines cover the range"
    assert all(n >= 0 for n in batch.counts.values())
    mark = moved(batch, HubMark())
    assert mark.newest >= mark.last == batch.header.last
    closed(batch)
    event_rows([*batch.events, alarm(batch, HubMark())])
    for one in batch.events:
        frames.event(1, 1, one).encode()


def tiles(payload: bytes) -> bool:
    """Small batches whose rows, events and receipts add up to their range, but may lie over each other: bytes are their numbers."""
    numbers = iter(payload + bytes(40))
    rows, events, receipts = next(numbers) % 4, next(numbers) % 3, next(numbers) % 5
    body: dict[str, object] = {"q": next(numbers)}
    if rows:
        body |= {"t": [T0, *[0] * (rows - 1)], "la": [1] * rows, "lo": [1] * rows}
    body["e"] = [[next(numbers) % 12, T0, "tow", None, None, {}] for _ in range(events)]
    spans = [(first, first + next(numbers) % 5 - 1) for first in (next(numbers) % 12 for _ in range(receipts))]
    body["x"] = [[first, last, "thinned", {}] for first, last in spans]
    total = rows + events + sum(last - first + 1 for first, last in spans)
    first = 1 + next(numbers)
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = squeezer.compress(codec.dump(body)) + squeezer.flush()
    head = {"v": 1, "s": STORE, "f": first, "l": first + total - 1, "w": 1, "a": h_at(0), "b": h_at(9)}
    return track(codec.dump(head | {"c": f"{zlib.crc32(raw):08x}"}) + b"\n" + raw)


def plain(decode: Callable[[bytes], object]) -> Check:
    """A decoder whose value is not written again."""

    def check(payload: bytes) -> bool:
        try:
            decode(payload)
        except DecodeError as error:
            return refused(error)
        return True

    return check


def frame(payload: bytes) -> bool:
    try:
        frames.read(payload.decode("utf-8", "surrogatepass" if len(payload) % 3 else "replace"))
    except UnicodeDecodeError:
        return False
    except frames.FrameError as error:
        frames.error(error.word, error.message, sub=error.sub).encode()
        return False
    return True


def login(payload: bytes) -> bool:
    try:
        Login.model_validate_json(payload)
    except ValidationError:
        return False
    return True


def query(payload: bytes) -> bool:
    text, taken = payload.decode("utf-8", "replace"), False
    try:
        exports.when(text, "from")
        taken = True
    except DecodeError as error:
        refused(error)
    frames.cursor_pos(text, 1)
    for url in (broker_url, redis_url, store_url, tiles_url):
        try:
            url(text)
            taken = True
        except ValueError:
            pass
    return taken


KEYS = tuple(
    b'"%s":' % key
    for key in (b"t", b"la", b"lo", b"e", b"x", b"q", b"n", b"k", b"s", b"d", b"f", b"l", b"w", b"a", b"b")
)
DECODERS: tuple[Decoder, ...] = (
    Decoder("live", 16, corpus.lives, live, words=KEYS),
    Decoder("track", 16, corpus.tracks, track, corpus.sealed, words=KEYS),
    Decoder("tiles", 4, lambda: (bytes((2, 0, 0, 7, 3)), bytes((1, 1, 1, 0, 1, 2, 1, 4)), bytes(range(40, 0, -1))), tiles),
    Decoder("event", 10, corpus.events, event, words=KEYS),
    Decoder("status", 8, corpus.statuses, lambda p: settled(codec.decode_status, codec.encode_status, p)),
    Decoder("cmd", 6, corpus.outcomes, lambda p: settled(codec.decode_outcome, codec.encode_outcome, p)),
    Decoder("topic", 2, lambda: corpus.TOPICS, plain(lambda data: parse(data.decode("utf-8", "replace")))),
    Decoder("frame", 6, lambda: corpus.FRAMES, frame),
    Decoder("login", 1, lambda: (b'{"code":"abcdef"}',), login),
    Decoder("query", 2, lambda: corpus.QUERIES, query),
    Decoder("shown", 1, corpus.shown, plain(read_shown)),
    Decoder("ack", 8, corpus.acks, lambda p: settled(codec.decode_ack, codec.encode_ack, p)),
    Decoder("command", 6, corpus.commands, agent.command),
    Decoder("receiver", 5, corpus.receivers, agent.receiver_bytes, corpus.summed),
    Decoder("gpsd", 3, corpus.gpsd, agent.gpsd_lines),
    Decoder("adapter", 1, corpus.dialogues, agent.adapter),
    Decoder("answer", 6, corpus.answers, agent.answer),
    Decoder("record", 6, corpus.stored, agent.record),
    Decoder("page", 2, lambda: (corpus.page(), corpus.page(9)), agent.page),
    Decoder("note", 3, lambda: corpus.NOTES, agent.note),
    Decoder("toml", 1, lambda: corpus.TOMLS, agent.settings),
    Decoder("trace", 1, lambda: corpus.TRACES, agent.trace),
)  # fmt: skip
BY_NAME = {one.name: one for one in DECODERS}
