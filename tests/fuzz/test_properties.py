"""Properties of the decoders by hypothesis: valid messages come back as they were, and no change of a field breaks a rule."""

import copy
import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.core.salvage import EVENT, FIX, sound
from tests.fuzz import corpus
from tests.fuzz.decoders import BY_NAME
from tests.fuzz.mutate import VALUES
from tests.hub.makers import STORE, T0, h_at
from wire import codec
from wire.codec import MAX_SEQ, MAX_TIME_MS, dump
from wire.messages import Ack, Batch, Command, CommandOutcome, Event, Live, Lost, Row, Status
from wire.schema import AT_MS, COLUMNS, LAT, LON
from wire.track import b64, decode_batch, encode_batch

FAST = settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# Values that a sender may send.

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=32)
STORES = st.binary(min_size=8, max_size=8).map(b64)
TIMES = st.integers(0, MAX_TIME_MS) | st.sampled_from((0, 1, 4_294_967_295_000, MAX_TIME_MS))
SEQS = st.integers(1, MAX_SEQ)
DETAILS: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
DETAIL_OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), DETAILS, max_size=4)


def within(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False) | st.sampled_from((low, high))


LIVES = st.builds(
    Live, TIMES, within(-90, 90), within(-180, 180), within(0, 1000), within(0, 360), within(-100, 100), within(-360, 360),
    st.none() | within(-10_000, 100_000), st.none() | within(0, 1e6), within(0, 1e5), st.none() | within(0, 20_000),
    st.none() | st.booleans(), st.none() | st.integers(0, MAX_SEQ), st.none() | WORDS, st.none() | st.integers(1, 86_400),
)  # fmt: skip
DATED = st.builds(Event, SEQS, TIMES, WORDS, st.none(), st.none(), DETAIL_OBJECTS)
PLACED = st.builds(Event, SEQS, TIMES, WORDS, within(-90, 90), within(-180, 180), DETAIL_OBJECTS)
UNDATED = st.builds(
    Event,
    SEQS,
    st.none(),
    WORDS,
    st.none(),
    st.none(),
    DETAIL_OBJECTS,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=16),
    TIMES,
)
ACKS = st.builds(
    Ack, STORES, st.none() | st.integers(0, MAX_SEQ), st.none() | STORES, st.lists(SEQS, max_size=5).map(tuple), st.none() | TIMES,
    st.none() | WORDS, st.none() | within(0, 86_400),
)  # fmt: skip
STATUSES = st.builds(
    Status,
    st.just(value=True),
    WORDS,
    WORDS,
    STORES,
    st.integers(0, MAX_SEQ),
    st.integers(0, MAX_SEQ),
    within(0, 86_400),
) | st.builds(Status, st.just(value=False), WORDS, reason=WORDS)
COMMANDS = st.builds(Command, WORDS, st.just("watch"), within(1, 1000), TIMES) | st.builds(
    Command, WORDS, WORDS.filter(lambda op: op != "watch")
)
OUTCOMES = st.builds(CommandOutcome, WORDS, st.booleans(), WORDS)


@FAST
@given(LIVES)
def test_live(live: Live) -> None:
    """What is told is rounded once: what was read is written the same, and is near what was meant."""
    once = codec.encode_live(live)
    told = codec.decode_live(once)
    assert codec.encode_live(told) == once
    assert told.at_ms == live.at_ms
    assert abs(told.lat_deg - live.lat_deg) <= 1e-6
    assert abs(told.speed_mps - live.speed_mps) <= 0.01
    assert (told.driver, told.waiting, told.ignition) == (live.driver, live.waiting, live.ignition)


@FAST
@given(STORES, DATED | PLACED | UNDATED)
def test_events(store: str, event: Event) -> None:
    once = codec.encode_event(store, event)
    if len(once) <= 4096:
        assert codec.decode_event(once)[0] == store
        assert codec.encode_event(*codec.decode_event(once)) == once
        assert BY_NAME["event"].check(once)


@FAST
@given(ACKS, STATUSES, COMMANDS, OUTCOMES)
def test_words(ack: Ack, status: Status, command: Command, outcome: CommandOutcome) -> None:
    assert codec.encode_ack(codec.decode_ack(codec.encode_ack(ack))) == codec.encode_ack(ack)
    assert codec.encode_status(codec.decode_status(codec.encode_status(status))) == codec.encode_status(status)
    assert codec.encode_command(codec.decode_command(codec.encode_command(command))) == codec.encode_command(command)
    assert codec.decode_outcome(codec.encode_outcome(outcome)) == outcome


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Rows, events and receipts that tile a range, in any order."""
    kinds = draw(st.lists(st.sampled_from("rrrre") | st.integers(1, 2000), min_size=1, max_size=30))
    seq = first = draw(st.integers(1, MAX_SEQ - 100_000))
    rows: list[tuple[int, Row]] = []
    events: list[Event] = []
    lost: list[Lost] = []
    values = [st.none() | st.integers(c.low, c.high) for c in COLUMNS]
    for i in (AT_MS, LAT, LON):
        values[i] = st.integers(COLUMNS[i].low, COLUMNS[i].high)
    for kind in kinds:
        if kind == "r":
            rows.append((seq, tuple(draw(value) for value in values)))
        elif kind == "e":
            told = draw(DATED | PLACED | UNDATED)
            events.append(
                Event(seq, told.at_ms, told.kind, told.lat_deg, told.lon_deg, told.detail, told.boot, told.mono_ms)
            )
        else:
            lost.append(
                Lost(
                    seq, seq + int(kind) - 1, draw(WORDS), draw(st.dictionaries(WORDS, st.integers(0, 99), max_size=2))
                )
            )
            seq += int(kind) - 1
        seq += 1
    low = draw(st.integers(1, first))
    return Batch(
        draw(STORES), first, seq - 1, low, h_at(first - 1), h_at(seq - 1), tuple(rows), tuple(events), tuple(lost),
        draw(st.integers(0, MAX_SEQ)),
    )  # fmt: skip


@settings(FAST, max_examples=60)
@given(batches())
def test_batches(batch: Batch) -> None:
    payload = encode_batch(batch)
    assert decode_batch(payload) == batch
    assert BY_NAME["track"].check(payload)


# The same with something wrong in it.

JUNK: st.SearchStrategy[Any] = (
    st.sampled_from(VALUES).map(copy.deepcopy)
    | DETAILS
    | st.integers()
    | st.floats()
    | st.text()
    | st.integers(1, 60).map(lambda n: json.loads("[" * n + "]" * n))
)
FLAT = ("live", "event", "status", "cmd", "ack", "command", "frame", "note", "gpsd", "login", "shown")


@pytest.mark.parametrize("name", FLAT)
@settings(FAST, max_examples=80)
@given(data=st.data())
def test_no_field_breaks_a_rule(name: str, data: st.DataObject) -> None:
    """One to three fields of a real message, whatever they are changed to, left out, or come from another message."""
    bases = [json.loads(next(line for line in one.splitlines() if line[:1] == b"{")) for one in BY_NAME[name].corpus()]
    whole = dict(data.draw(st.sampled_from(bases)))
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted({key for one in bases for key in one})))
        if data.draw(st.booleans()):
            whole[key] = data.draw(JUNK)
        else:
            whole.pop(key, None)
    payload = json.dumps(whole, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    BY_NAME[name].check(payload + (b"\n" if name == "gpsd" else b""))


def packed(head: dict[str, Any], body: Any) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = squeezer.compress(json.dumps(body).encode("utf-8", "surrogatepass")) + squeezer.flush()
    return json.dumps(head | {"c": f"{zlib.crc32(raw):08x}"}).encode() + b"\n" + raw


OFFSETS = st.integers(-2, 14)
RECEIPTS = st.lists(st.tuples(OFFSETS, OFFSETS).map(lambda pair: [*pair, "thinned", {}]), max_size=4)
HAPPENED: st.SearchStrategy[list[Any]] = st.lists(OFFSETS.map(lambda n: [n, T0, "tow", None, None, {}]), max_size=3)


@settings(FAST, max_examples=400)
@given(st.integers(0, 4), HAPPENED, RECEIPTS, st.integers(1, 1 << 40), st.integers(-1, 1))
@example(0, [], [[4, 8, "y", {}], [4, 8, "z", {}]], 1, 0)
def test_what_lies_over_each_other(rows: int, happened: list[Any], receipts: list[Any], first: int, off: int) -> None:
    """Offsets that add up to the range of the header, or nearly."""
    body: dict[str, Any] = {"e": happened, "x": receipts}
    if rows:
        body |= {"t": [T0, *[0] * (rows - 1)], "la": [1] * rows, "lo": [1] * rows}
    total = rows + len(happened) + sum(last - one + 1 for one, last, *_ in receipts) + off
    BY_NAME["track"].check(
        packed({"v": 1, "s": STORE, "f": first, "l": first + total - 1, "w": 1, "a": h_at(0), "b": h_at(9)}, body)
    )


@settings(FAST, max_examples=200)
@given(st.data())
def test_no_field_of_a_batch_breaks_a_rule(data: st.DataObject) -> None:
    line, _, plain = data.draw(st.sampled_from(corpus.tracks())).partition(b"\n")
    head, body = json.loads(line), json.loads(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        spoiled = head if data.draw(st.integers(0, 3)) == 0 else body
        key = data.draw(st.sampled_from(sorted({*spoiled, "e", "x", "q", "t", "la", "rp"})))
        column = spoiled.get(key)
        if isinstance(column, list) and column and data.draw(st.booleans()):
            column[data.draw(st.integers(0, len(column) - 1))] = data.draw(JUNK)
        else:
            spoiled[key] = data.draw(JUNK)
    BY_NAME["track"].check(packed(head, body))


@settings(FAST, max_examples=200)
@given(st.lists(JUNK | st.integers(-100, T0), max_size=20))
def test_no_record_of_the_outbox_breaks_a_rule(values: list[Any]) -> None:
    body = json.dumps(values).encode("utf-8", "surrogatepass")
    BY_NAME["record"].check(body)
    for kind in (FIX, EVENT):
        if sound(kind, T0, body):
            dump(json.loads(body))


@pytest.mark.parametrize(
    "name", ["receiver", "gpsd", "adapter", "answer", "page", "trace", "toml", "topic", "query", "track", "tiles"]
)
@settings(FAST, max_examples=60)
@given(data=st.data())
def test_no_bytes_break_a_rule(name: str, data: st.DataObject) -> None:
    """Plain noise, and noise in the midst of something real."""
    real = data.draw(st.sampled_from(BY_NAME[name].corpus()))
    at = data.draw(st.integers(0, len(real)))
    BY_NAME[name].check(real[:at] + data.draw(st.binary(max_size=200)) + real[at + data.draw(st.integers(0, 9)) :])
