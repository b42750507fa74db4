"""The track batch: bit-exact round trip, exact tiling, bounded decoding."""

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from wire.errors import DecodeError
from wire.messages import Batch, Event, Fix, Lost, Mode, Quality, Reading, Row
from wire.schema import COLUMNS, named, row_of
from wire.track import GENESIS, chain, decode_batch, decode_body, decode_header, encode_batch

STORE = "AbCdEf01-_x"


def row(i: int) -> Row:
    fix = Fix(1_760_000_000_000 + 1000 * i, 41.2875786 + i * 1e-5, -96.0888748 - i * 2e-5, 333.7 + i / 10, 13.37, 271.3,
              Mode.FIX_3D, Quality.DGPS, 1.32, 1.6, 6.6, 9)  # fmt: skip
    bus = Reading(1875.25, 48, 83, 18.8, 42.4, 60.4, 14.012, ignition=True) if i % 3 else Reading(rpm=800)
    return row_of(fix, bus)


def batch(rows: int = 60, **changes: Any) -> Batch:
    base = Batch(STORE, 11, 10 + rows, 5, GENESIS, STORE, tuple((11 + i, row(i)) for i in range(rows)), waiting=3)
    return replace(base, **changes)


MIXED = Batch(
    STORE, 1, 12, 1, GENESIS, STORE,
    rows=((1, row(0)), (3, row(1)), (4, row(2)), (11, row(3))),
    events=(Event(2, 5, "ignition-on", 41.2, -96.1, {"by": "rpm"}), Event(12, None, "sos", boot="b", mono_ms=6)),
    lost=(Lost(5, 9, "thinned", {"fix": 5}), Lost(10, 10, "dropped")),
)  # fmt: skip
CASES = [
    batch(),
    batch(1),
    batch(600),
    MIXED,
    Batch(STORE, 4, 4, 4, GENESIS, STORE, events=(Event(4, 1, "boot"),)),
    Batch(STORE, 4, 9, 4, GENESIS, STORE, lost=(Lost(4, 9, "dropped", {"fix": 6}),)),
]


@pytest.mark.parametrize("case", CASES)
def test_both_ways(case: Batch) -> None:
    assert decode_batch(encode_batch(case)) == case


def test_the_header_is_clear_text_and_short() -> None:
    line = encode_batch(batch(first=100_000_000, last=100_000_059, low=100_000_000)).partition(b"\n")[0]
    assert json.loads(line)["f"] == 100_000_000
    assert len(line) <= 120


def test_sixty_real_looking_rows_cost_few_bytes() -> None:
    assert len(encode_batch(batch())) / 60 < 15


def test_every_cut_is_refused() -> None:
    payload = encode_batch(MIXED)
    for end in range(len(payload)):
        with pytest.raises(DecodeError):
            decode_batch(payload[:end])
    with pytest.raises(DecodeError):
        decode_batch(payload + b"\0")


def test_every_flipped_bit_is_refused() -> None:
    payload = encode_batch(batch(3))
    body = payload.index(b"\n") + 1
    for i in range(body, len(payload)):
        broken = bytearray(payload)
        broken[i] ^= 1 << (i % 8)
        with pytest.raises(DecodeError) as told:
            decode_header(bytes(broken))
        assert told.value.reason == "checksum"


def packed(body: object, **header: object) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    raw = squeezer.compress(data) + squeezer.flush()
    head = {"v": 1, "s": STORE, "f": 1, "l": 2, "w": 1, "a": GENESIS, "b": STORE, "c": f"{zlib.crc32(raw):08x}"}
    return json.dumps(head | header).encode() + b"\n" + raw


GOOD = {"t": [1, 1], "la": [5, 0], "lo": [6, 0]}


def test_the_hand_made_body_is_good() -> None:
    assert [seq for seq, _ in decode_batch(packed(GOOD)).rows] == [1, 2]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"la": None}, "t, la or lo"),
        ({"la": [5]}, "la"),
        ({"la": [5, None]}, "t, la or lo"),
        ({"la": 7}, "la"),
        ({"la": [5, 1.5]}, "la"),
        ({"la": [5, True]}, "la"),
        ({"la": [900_000_001, 0]}, "la"),
        ({"la": [1 << 50, 0]}, "la"),
        ({"sp": [-1, 0]}, "sp"),
        ({"t": 7}, "t"),
        ({"t": [1] * 601}, "t"),
        ({"t": [1]}, "la"),
        ({"q": -1}, "q"),
        ({"e": 1}, "e"),
        ({"e": [[]]}, "e"),
        ({"e": [[0, 1, "x", None, None, {}]]}, "body"),
        ({"e": [[0, 1, "x", 91, None, {}]]}, "lat"),
        ({"e": [[0, 1, "x", 1, 1, []]]}, "d"),
        ({"x": 1}, "x"),
        ({"x": [[0, 1]]}, "x"),
        ({"x": [[0, 5, "y", {}]]}, "to"),
        ({"x": [[0, 0, "y", {"fix": "n"}]]}, "fix"),
        ({"x": [[0, 0, "y", {}]]}, "body"),
    ],
)
def test_a_wrong_body_is_named(change: dict[str, object], where: str) -> None:
    with pytest.raises(DecodeError) as told:
        decode_batch(packed(GOOD | change))
    assert told.value.where == where


ONE = {"t": [1], "la": [5], "lo": [6]}


@pytest.mark.parametrize(
    "body",
    [
        {"x": [[1, 0, "y", {}], [0, 1, "z", {}]]},
        {"x": [[0, 1, "y", {}], [1, 1, "z", {}]]},
        ONE | {"e": [[0, 1, "x", None, None, {}]], "x": [[0, 0, "y", {}]], "t": [], "la": [], "lo": []},
        {"e": [[0, 1, "x", None, None, {}], [0, 1, "x", None, None, {}]]},
        {"x": [[0, 0, "y", {}], [0, 0, "z", {}]]},
        {"x": [[1, 1, "y", {}], [1, 1, "z", {}]]},  # the range is covered by number, and its first seq by nothing
    ],
)
def test_what_does_not_tile_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(DecodeError, match="does-not-tile"):
        decode_batch(packed(body))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (packed(b"\0" * (1 << 20) + b"{}"), "too-long"),
        (packed(b"x" * 5), "not-json"),
        (packed(GOOD, l=0), "out-of-range"),
        (packed(GOOD, f=3), "wrong-range"),
        (packed(GOOD, v=2), "unknown-version"),
        (packed(GOOD, c="short"), "checksum"),
        (b"no line", "no-header-line"),
        (b"x" * 300 + b"\n", "too-long"),
    ],
)
def test_bombs_and_bad_headers_are_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as told:
        decode_batch(payload)
    assert told.value.reason == reason


def test_raw_bodies_that_are_not_deflate() -> None:
    header, raw = decode_header(packed(GOOD))
    for bad, reason in (
        (b"\xff" * 9, "not-deflate"),
        (raw[:-2], "cut"),
        (raw + b"x", "cut"),
        (bytes(70_000), "too-long"),
    ):
        with pytest.raises(DecodeError) as told:
            decode_body(header, bad)
        assert told.value.reason == reason


def test_a_header_of_a_newer_version_can_still_be_answered() -> None:
    header, _ = decode_header(packed(GOOD, v=2))
    assert header.last == 2


def test_the_chain_depends_on_everything() -> None:
    h = chain(GENESIS, 1, b"a")
    assert len({h, chain(GENESIS, 2, b"a"), chain(GENESIS, 1, b"b"), chain(h, 1, b"a")}) == 4
    assert len(h) == 11


def test_rows_hold_what_the_fix_said() -> None:
    kept = row(1)
    values = named(kept)
    assert values["lat_deg"] == 41.2875886
    assert values["rpm"] == 1875.25
    assert values["voltage_v"] == 14.012
    assert values["mode"] == 32
    assert values["sats_used"] == 9


def test_values_beyond_a_column_are_held_at_its_edge() -> None:
    kept = dict(zip((c.key for c in COLUMNS), row_of(Fix(1, 0.0, 0.0, hdop=1e9, course_deg=-10.0)), strict=True))
    assert kept["hd"] == 9999
    assert kept["co"] == 3500
    assert kept["rp"] is None
    assert "rpm" not in named(row_of(Fix(1, 0.0, 0.0)))
