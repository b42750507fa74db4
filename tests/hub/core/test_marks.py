"""What is done with a batch: every relation of a batch to a mark, and every kind of payload."""

from dataclasses import replace

import pytest

from hub.core import marks
from hub.core.marks import Closed, Incoming, Kind, Mark, Verdict, closed, decide, incoming, moved, poisoned
from tests.hub.makers import DAY, STORE, T0, a_batch, a_registry, an_incoming, bent_body, h_at
from wire.errors import DecodeError
from wire.messages import Batch, Event, Header, Lost
from wire.track import GENESIS, encode_batch

AT = T0 + 100_000


def head(first: int, last: int, *, low: int = 1, before: str | None = None) -> Header:
    return Header(STORE, first, last, low, h_at(first - 1) if before is None else before, h_at(last), "00000000")


@pytest.mark.parametrize(
    ("mark", "header", "verdict"),
    [
        (0, head(1, 10), Verdict.APPEND),
        (0, head(2, 10), Verdict.ANSWER),
        (0, head(1, 10, before=STORE), Verdict.ANSWER),
        (10, head(11, 20), Verdict.APPEND),
        (10, head(11, 11), Verdict.APPEND),
        (10, head(11, 20, before=STORE), Verdict.ANSWER),
        (10, head(1, 10), Verdict.DUPLICATE),
        (10, head(10, 10), Verdict.DUPLICATE),
        (10, head(5, 15), Verdict.ANSWER),
        (10, head(12, 20), Verdict.ANSWER),
        (10, head(12, 20, low=12), Verdict.ROLLBACK),
        (10, head(12, 20, low=12, before=STORE), Verdict.ROLLBACK),
        (10, head(13, 20, low=12), Verdict.ANSWER),
        (10, head(11, 20, low=11), Verdict.APPEND),
        (10, head(11, 20, low=11, before=STORE), Verdict.ANSWER),
        (0, head(5000, 5010, low=5000), Verdict.ROLLBACK),
    ],
)
def test_verdicts(mark: int, header: Header, verdict: Verdict) -> None:
    assert decide(Mark(mark, h_at(mark)), header) is verdict


def test_a_batch_that_starts_a_store_starts_the_chain() -> None:
    assert Mark() == Mark(0, GENESIS)


def test_rows_events_and_receipts_are_counted_by_day() -> None:
    event = Event(11, T0 + 86_400_000, "sos", 41.0, -96.0, {"why": "button"})
    batch = a_batch(1, 10, events=[event], lost=[Lost(12, 14, "budget\n", {"rows": 3})], waiting=7)
    came = an_incoming(batch, at_ms=T0 + 3 * 86_400_000)
    assert (came.kind, came.rows, came.waiting, came.span, came.key) == (Kind.ROWS, 10, 7, 14, ("gw-a", STORE))
    assert dict(came.counts) == {(DAY, "rows"): 10, (DAY + 1, "events"): 1, (DAY + 3, "lost:budget?"): 3}
    assert (came.t_min_ms, came.t_max_ms) == (T0 + 1000, event.at_ms)
    (stored,) = came.events
    assert (stored.fleet, stored.vehicle, stored.event.kind) == ("main", "van-1", "sos")


def test_what_a_word_about_the_time_says() -> None:
    assert marks.dating(Event(1, T0, "time-known", detail={"boot": "b", "offset_ms": 5})) == ("b", 5)
    for kind, detail in (
        ("sos", {"boot": "b", "offset_ms": 5}),
        ("time-known", {"boot": 7, "offset_ms": 5}),
        ("time-known", {"boot": "b", "offset_ms": "x"}),
        ("time-known", {"boot": "b", "offset_ms": -1}),
    ):
        assert marks.dating(Event(1, T0, kind, detail=detail)) is None


def test_an_event_without_a_time_is_counted_where_it_came() -> None:
    event = Event(11, None, "ignition-on", boot="b", mono_ms=5)
    came = an_incoming(a_batch(1, 10, events=[event]), at_ms=T0 + 3 * 86_400_000)
    assert dict(came.counts) == {(DAY, "rows"): 10, (DAY + 3, "events"): 1}
    (stored,) = came.events
    assert (stored.event.at_ms, stored.event.boot) == (T0 + 3 * 86_400_000, "b")


def test_an_event_of_an_unbound_device_belongs_to_the_devices_fleet() -> None:
    registry = a_registry()
    bare = replace(registry, devices={"gw-a": replace(registry.devices["gw-a"], bindings=())})
    event = Event(1, T0, "sos")
    assert marks.stored("gw-a", STORE, event, registry=bare, received_ms=AT).fleet == "main"
    stranger = marks.stored("gw-z", STORE, event, registry=bare, received_ms=AT)
    assert (stranger.fleet, stranger.vehicle) == ("", None)
    assert an_incoming(registry=bare, device="gw-z").fleet == ""


def test_an_event_is_made_fit_for_columns_and_streams() -> None:
    deep: object = "x"
    for _ in range(20):
        deep = [deep, {"y": 1}]
    event = Event(1, T0, "so\x00s", detail={"deep": deep})
    stored = marks.stored("gw-a", STORE, event, registry=a_registry(), received_ms=AT).event
    assert stored.kind == "so?s"
    assert stored.detail == {"unreadable": "nested too deeply"}
    flat = Event(1, T0, "x", detail={"a": {"b": [1, {"c": 2}]}})
    assert marks.stored("gw-a", STORE, flat, registry=a_registry(), received_ms=AT).event.detail == flat.detail


def test_a_body_that_does_not_decode_is_poison() -> None:
    came = incoming("gw-a", bent_body(a_batch()), registry=a_registry(), received_ms=AT)
    assert came.kind is Kind.POISON
    assert came.reason
    assert dict(came.counts) == {(DAY, "lost:quarantine"): 10}
    assert (came.rows, came.events, came.t_max_ms) == (0, (), None)


def test_an_unknown_schema_is_kept() -> None:
    payload = encode_batch(a_batch()).replace(b'"v":1', b'"v":9', 1)
    came = incoming("gw-a", payload, registry=a_registry(), received_ms=AT)
    assert (came.kind, came.reason) == (Kind.UNKNOWN, "version 9")
    assert dict(came.counts) == {(DAY, "unknown"): 10}


@pytest.mark.parametrize("bend", [lambda p: b"junk", lambda p: p[:-1], lambda p: p.replace(b'"f":1', b'"f":0')])
def test_a_bad_header_is_refused(bend: "object") -> None:
    assert callable(bend)
    with pytest.raises(DecodeError):
        incoming("gw-a", bend(encode_batch(a_batch())), registry=a_registry(), received_ms=AT)


def test_the_store_of_a_damaged_header_is_read_if_it_can_be() -> None:
    payload = encode_batch(a_batch())
    assert marks.spoken_store(payload[:-1]) == STORE
    assert marks.spoken_store(b"junk") is None
    assert marks.spoken_store(b'{"s":5}\n') is None


def test_the_alarm_names_what_is_lost() -> None:
    came: Incoming = an_incoming(a_batch(12, 5, low=12))
    told = marks.alarm(came, Mark(10, h_at(10)))
    assert (told.event.seq, told.event.kind, dict(told.event.detail)) == (-11, "hub-rollback", {"from": 11, "to": 11})
    assert told.fleet == "main"


def test_poisoned_keeps_the_payload() -> None:
    came = an_incoming()
    bad = marks.poisoned(came, "no\nword" + "x" * 300)
    assert (bad.payload, bad.header, bad.kind) == (came.payload, came.header, Kind.POISON)
    assert len(bad.reason) == 200
    assert bad.reason.startswith("no?word")


def test_what_a_batch_tells_of_what_is_behind_it() -> None:
    rows = an_incoming(a_batch(11, 10, waiting=7))
    assert moved(rows, Mark(10, "x", 99, 1)) == Mark(20, h_at(20))
    assert (moved(rows, Mark()).newest, moved(rows, Mark()).told_ms) == (27, rows.received_ms)
    raw = poisoned(rows, "x")
    assert [moved(raw, Mark(10, "x", newest)).newest for newest in (15, 40)] == [20, 40]


def test_stores_that_have_come_to_their_end() -> None:
    told = [
        Event(1, T0, "fork", detail={"prev": "ZZZZZZZZZZZ", "prev_seq": 40, "hub_seq": 30}),
        Event(2, T0, "store-new", detail={"prev": "YYYYYYYYYYY", "prev_seq": 40}),
        Event(3, T0, "outbox-damaged", detail={"file": "x"}),
        Event(4, T0, "outbox-damaged", detail={"file": "x", "salvaged": 3, "missing": 0}),
        Event(5, T0, "store-new", detail={"prev": "../..", "prev_seq": 40}),
        Event(6, T0, "store-new", detail={"prev": "YYYYYYYYYYY", "prev_seq": -1}),
        Event(7, T0, "sos"),
        Event(8, T0, "outbox-damaged", detail={"file": "x", "salvaged": 3, "missing": 0, "prev": "YYYYYYYYYYY"}),
    ]
    assert closed(an_incoming(Batch(STORE, 1, 8, 1, GENESIS, h_at(8), events=tuple(told)))) == [
        Closed("ZZZZZZZZZZZ", "fork"), Closed("YYYYYYYYYYY", "store-new", 40),
        Closed(None, "outbox-damaged", salvaged=True), Closed("YYYYYYYYYYY", "outbox-damaged", salvaged=True),
    ]  # fmt: skip
