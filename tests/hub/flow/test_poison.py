"""Poison on every topic of a device: a table of broken payloads, none of which stops the device or the vehicle beside it."""

import json
import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.core.ledger import balances
from tests.hub.flow.ingest_yard import LIVE, Yard, on_a_real_store
from tests.hub.makers import STORE, T0, a_batch, h_at
from tests.rigs import eventually
from wire.codec import encode_live
from wire.track import GENESIS, encode_batch

NOISE = random.Random(5)
BAD_JSON = (
    b"", b" ", b"{", b"[]", b"5", b"null", b'"x"', b"{'v':1}", b"\xff\xfe", b"\x00" * 40, b'{"v":1', b'{"v":NaN}',
    b'{"v":Infinity}', b'{"v":-Infinity}', b'{"v":1e999}', b"[" * 900, b'{"a":' * 180, b'{"v":' + b"9" * 900 + b"}",
    b'{"v":1,"s":"\\ud800"}', b'{"v":1}{"v":1}', b'{"v":true}', b'{"v":"1"}', b'{"v":-1}', b'{"v":2}', b'{"v":1.0}',
)  # fmt: skip


def text(value: object) -> bytes:
    return json.dumps(value).encode()


def each(good: dict[str, Any], faults: dict[str, tuple[object, ...]]) -> list[bytes]:
    """The message with one field wrong, each in turn, and with each missing."""
    wrong = [text(good | {key: value}) for key, values in faults.items() for value in values]
    return wrong + [text({k: v for k, v in good.items() if k != key}) for key in faults]


NUMBERS = (None, "1", True, [1], {"a": 1}, float("nan"), float("inf"), 1e300, -(1 << 70), 1 << 70)
LIVE_OF = json.loads(encode_live(LIVE))
EVENT_OF = {"v": 1, "s": STORE, "n": 5, "t": T0, "k": "sos"}
STATUS_OF = {"v": 1, "on": True, "conn": "c1", "ver": "0", "store": STORE, "seq": 9, "rec": 9, "up_s": 1}
WORDS = {
    "live": [
        *BAD_JSON, b"x" * 1025, encode_live(LIVE)[:-1], *each(LIVE_OF, dict.fromkeys(("t", "lat", "lon", "spd"), NUMBERS)),
        *each(LIVE_OF, {"lat": (90.1, -91), "lon": (181, -180.5), "spd": (-1, 1001), "crs": (361,), "q": (-1, 0.5)}),
    ],
    "event": [
        *BAD_JSON, b"x" * 4097, *each(EVENT_OF, {"n": (*NUMBERS, 0, -1, 1 << 54), "t": (*NUMBERS, [], [1], ["b", "x"])}),
        *each(EVENT_OF, {"s": (5, "", "../../etc", STORE + "x", "ä" * 11), "k": (5, "", "x" * 33), "d": (5, "x", [1])}),
    ],
    "status": [
        *BAD_JSON, b"x" * 2049, *each(STATUS_OF, {"on": ("yes", 1), "conn": (5, "", "x" * 33), "store": (5, "", "x")}),
        *each(STATUS_OF, {"seq": NUMBERS, "rec": NUMBERS, "up_s": (*NUMBERS, -1, 86_401)}),
    ],
    "cmd": [*BAD_JSON, b"x" * 4097, *each({"v": 1, "id": "a", "ok": True}, {"id": (5, "", "x" * 33), "ok": (1, "yes")})],
}  # fmt: skip
HARMLESS = {"d", "q", "crs"}
"""Left out, these are no fault."""


def deflated(body: bytes, level: int = 9) -> bytes:
    squeezer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return squeezer.compress(body) + squeezer.flush()


def track(raw: bytes, first: int, last: int, *, before: str, after: str, **head: object) -> bytes:
    header = {"v": 1, "s": STORE, "f": first, "l": last, "w": 1, "a": before, "b": after, "c": f"{zlib.crc32(raw):08x}"}
    return text(header | head) + b"\n" + raw


def rows(**columns: object) -> bytes:
    """One row with its columns changed."""
    return deflated(text({"q": 0, "t": [T0], "la": [412_875_786], "lo": [-960_888_748]} | columns))


BODIES: dict[str, bytes] = {
    "nothing": b"", "noise": NOISE.randbytes(5000), "a flood of noise": NOISE.randbytes(65_000),
    "zlib, not raw deflate": zlib.compress(b'{"q":0}'), "cut": rows()[:-1], "more behind it": rows() + b"x",
    "a bomb of spaces": deflated(b" " * (64 << 20)), "a bomb in a bomb": deflated(deflated(b"0" * (64 << 20))),
    "a bomb of zeros": deflated(b'{"q":0,"t":[' + b"0," * (8 << 20) + b"0]}"),
    **{f"json {i}": deflated(one) for i, one in enumerate(BAD_JSON) if one not in {b'{"v":2}', b'{"v":1.0}'}},
    "deep": deflated(b'{"q":' * 100_000), "a long number": deflated(b'{"q":' + b"9" * 200_000 + b"}"),
    "covers nothing": deflated(b"{}"), "two rows for one seq": rows(t=[T0, 1], la=[1, 1], lo=[1, 1]),
    "no time": rows(t=None), "a time that is none": rows(t=[None]), "before 1970": rows(t=[-1]), "after 2248": rows(t=[1 << 44]),
    "time nan": deflated(b'{"t":[NaN],"la":[1],"lo":[1]}'), "time infinite": deflated(b'{"t":[1e999],"la":[1],"lo":[1]}'),
    "time as text": rows(t=["1"]), "time as truth": rows(t=[True]), "time in halves": rows(t=[0.5]), "time a list": rows(t=[[1]]),
    "no place": rows(la=None), "a place that is none": rows(lo=[None]), "beyond the pole": rows(la=[900_000_001]),
    "beyond the edge": rows(lo=[-1_800_000_001]), "a huge step": rows(la=[1 << 60]), "columns that are text": rows(la="1"),
    "columns of another length": rows(lo=[1, 2]), "600 rows and one": rows(**{c: [0] * 601 for c in ("t", "la", "lo")}),
    "a million rows": rows(**{c: [0] * 100_000 for c in ("t", "la", "lo")}),
    "waiting backwards": rows(q=-1), "waiting without end": rows(q=1 << 60), "waiting nan": deflated(b'{"q":NaN}'),
    "events that are none": rows(e=5), "an event of nothing": rows(e=[[]]), "an event outside": rows(e=[[9, T0, "x", None, None, {}]]),
    "an event over a row": rows(e=[[0, T0, "x", None, None, {}]]), "an event at the pole": rows(e=[[0, T0, "x", 91, 0, {}]]),
    "an event without a name": rows(e=[[0, T0, "", None, None, {}]]), "an event of no time": rows(e=[[0, None, "x", None, None, {}]]),
    "events without end": rows(e=[[0, T0, "x", None, None, {}]] * 700), "receipts that are none": rows(x={"a": 1}),
    "a receipt of nothing": rows(x=[[1, 0, "x", {}]]), "a receipt over a row": rows(x=[[0, 0, "x", {}]]),
    "a receipt outside": rows(x=[[0, 5, "x", {}]]), "a receipt with text": rows(x=[[0, 0, "x", {"n": "all"}]]),
    "a receipt backwards": rows(x=[[-1, 0, "x", {}]]), "a receipt of a long name": rows(x=[[0, 0, "x" * 33, {}]]),
}  # fmt: skip
HEADERS: dict[str, bytes] = {
    **{f"line {i}": one + b"\n" + rows() for i, one in enumerate(BAD_JSON)},
    "no line": rows().replace(b"\n", b" "), "a long line": b" " * 300 + b"\n" + rows(), "noise": NOISE.randbytes(60_000).replace(b"\n", b" "),
    "only a line": b"{}\n",
    **{
        f"{key} is {value!r}"[:40]: track(rows(), 1, 1, before=GENESIS, after=h_at(1), **{key: value})
        for key, values in {
            "v": (None, "1", -1, 256), "s": (None, "", 5, "x" * 12, "ä" * 11), "f": (*NUMBERS, 0, -1), "l": (*NUMBERS, 0),
            "w": (*NUMBERS, 0), "a": (None, "x", 5), "b": (None, "x", 5), "c": (None, "", "00000000", 5, "x" * 9),
        }.items()
        for value in values
    },
    "backwards": track(rows(), 5, 4, before=GENESIS, after=h_at(4)),
    "a span of millions": track(rows(), 1, 2_000_000, before=GENESIS, after=h_at(1)),
}  # fmt: skip


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with on_a_real_store(tmp_path) as made:
        await made.start("track", "word", "live")
        yield made


async def answer(yard: Yard, payload: bytes, device: str = "gw-a") -> Any:
    said = len(yard.acks(device))
    yard.send("track", payload, device)
    await eventually(lambda: len(yard.acks(device)) > said, every_s=0.001)
    return yard.acks(device)[-1]


async def test_a_table_of_at_least_a_hundred() -> None:
    assert len(BODIES) + len(HEADERS) + sum(len(some) for some in WORDS.values()) > 300
    assert all(len(some) >= 30 for some in (BODIES, HEADERS, *WORDS.values()))


async def test_no_body_stops_the_device(yard: Yard) -> None:
    """The mark moves past each; the next batch is taken at once, and the account closes."""
    seq, h = 0, GENESIS
    for name, raw in BODIES.items():
        after = h_at(seq + 1)
        told = await answer(yard, track(raw, seq + 1, seq + 1, before=h, after=after))
        assert (told.bad, told.upto, told.h) == (None, seq + 1, after), name
        seq, h = seq + 1, after
    told = await answer(yard, encode_batch(a_batch(seq + 1, 5)))
    assert told.upto == seq + 5
    assert yard.watch.count("track.quarantined", kind="poison") == len(BODIES)
    assert len(await yard.store.kept()) == len(BODIES)  # type: ignore[attr-defined]  # the real store
    (one,) = balances(await yard.store.totals(None), await yard.store.reaches(None), now_ms=yard.at_ms)
    assert (one.off, one.received, dict(one.lost)) == (0, 5, {"quarantine": len(BODIES)})


async def test_no_header_stops_the_device(yard: Yard) -> None:
    for name, payload in HEADERS.items():
        told = await answer(yard, payload)
        assert told.bad, name
        assert told.upto is None
    assert (await answer(yard, encode_batch(a_batch()))).upto == 10
    assert await yard.store.kept() == []  # type: ignore[attr-defined]  # the real store


@pytest.mark.parametrize(
    ("payload", "upto"),
    [
        (track(rows(), (1 << 53) - 1, (1 << 53) - 1, before=h_at(10), after=h_at(11)), 10),
        (track(rows(), 12, 12, before=h_at(11), after=h_at(12)), 10),
        (track(rows(), 11, 11, before=h_at(9), after=h_at(11)), 10),
        (track(rows(), 5, 5, before=h_at(4), after=h_at(5)), 10),
        (track(rows(), 11, 11, before=h_at(10), after=h_at(11), s="ZZZZZZZZZZZ"), 0),
    ],
)
async def test_seqs_and_stores_that_do_not_fit_are_answered_with_the_mark(
    yard: Yard, payload: bytes, upto: int
) -> None:
    assert (await answer(yard, encode_batch(a_batch()))).upto == 10
    told = await answer(yard, payload)
    assert (told.bad, told.upto) == (None, upto)
    assert (await answer(yard, encode_batch(a_batch(11, 5)))).upto == 15


@pytest.mark.parametrize("at_ms", [0, 1, 4_294_967_295_000, (1 << 43) - 1])
async def test_times_of_1970_and_2106_are_kept_and_bend_nothing(yard: Yard, at_ms: int) -> None:
    assert (await answer(yard, track(rows(t=[at_ms]), 1, 1, before=GENESIS, after=h_at(1)))).upto == 1
    assert (await answer(yard, encode_batch(a_batch(2, 5)))).upto == 6
    view = yard.ingest.views.get("van-1")
    assert view is not None
    yard.at_ms = T0 + 10_000
    assert (await answer(yard, encode_batch(a_batch(7, 2)))).upto == 8
    view = yard.ingest.views.get("van-1")
    assert view is not None
    assert view.through_ms == T0 + 8_000, "the newest commit that is shown is of now"
    (one,) = balances(await yard.store.totals(None), await yard.store.reaches(None), now_ms=yard.at_ms)
    assert (one.off, one.received) == (0, 8)


@pytest.mark.parametrize("name", WORDS)
async def test_no_word_stops_the_device(yard: Yard, name: str) -> None:
    """Each is counted; what comes behind it is taken, of this device and of the one beside it."""
    for i, payload in enumerate(WORDS[name]):
        yard.send(name, payload)
        if name in {"event", "status"} and i % 4 == 3:  # the inbox of this yard takes four
            await eventually(lambda: not yard.ingest._words, every_s=0.001)
        if name == "live":
            await eventually(lambda: not yard.ingest._lives, every_s=0.001)
    least = len(WORDS[name]) - 1 - len(HARMLESS)  # an empty one is the clearing of a topic
    await eventually(lambda: yard.watch.count("ingest.refused", topic=name) >= least, every_s=0.001)
    for device in ("gw-a", "gw-b"):
        yard.send("event", text(EVENT_OF | {"n": 77}), device)
        await eventually(lambda who=device: any(ack.events == (77,) for ack in yard.acks(who)), every_s=0.001)
        yard.send("status", text(STATUS_OF), device)
        yard.send("track", encode_batch(a_batch()), device)
        await eventually(lambda who=device: any(ack.upto == 10 for ack in yard.acks(who)), every_s=0.001)
    assert yard.ingest.store_fault is None
