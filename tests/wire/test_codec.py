"""One case table, both directions; every cut and every wrong field ends in a DecodeError with a reason."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from wire.codec import (
    decode_ack,
    decode_command,
    decode_event,
    decode_live,
    decode_outcome,
    decode_status,
    dump,
    encode_ack,
    encode_command,
    encode_event,
    encode_live,
    encode_outcome,
    encode_status,
    load_object,
)
from wire.errors import DecodeError
from wire.messages import Ack, Command, CommandOutcome, Event, Live, Status

STORE = "AbCdEf01-_x"
LIVE = Live(1_760_000_000_000, 30.444786, 114.471866, 13.4, 271.0, -0.4, 2.1, 21, 3, 10)
FULL = Live(1_760_000_000_000, -30.5, -114.25, 0, 0, 0.0, 0.0, None, None, 5.5, 1800, True, 3, "d-7")

LIVES = [
    (LIVE, b'{"v":1,"t":1760000000000,"lat":30.444786,"lon":114.471866,"alt":21,"spd":13.4,"crs":271,"acc":3,'
           b'"a":-0.4,"w":2.1,"eps":10}'),
    (FULL, b'{"v":1,"t":1760000000000,"lat":-30.5,"lon":-114.25,"spd":0,"crs":0,"eps":5.5,"rpm":1800,"ign":1,"q":3,'
           b'"drv":"d-7"}'),
    (Live(5, 1, 2, heartbeat_s=900), b'{"v":1,"t":5,"lat":1,"lon":2,"spd":0,"crs":0,"eps":10,"hb":900}'),
]  # fmt: skip
EVENTS = [
    Event(7, 1_760_000_000_000, "sos", 30.5, 114.5, {"by": "button"}),
    Event(1, 1_760_000_000_000, "boot"),
    Event(2, None, "boot", boot="90d8e0c22b854998", mono_ms=4_200),
]
ACKS = [
    Ack(STORE, upto=0, h=STORE),
    Ack(STORE, upto=812, h=STORE, live_ms=1_760_000_000_000),
    Ack(STORE, events=(3, 9)),
    Ack(STORE, bad="checksum"),
    Ack(STORE, retry_after_s=30),
]
STATUSES = [
    Status(online=True, connection="c1", version="0.1.0", store=STORE, newest_seq=9, recorded=9, upload_s=2.5),
    Status(online=False, connection="c1", reason="link"),
    Status(online=False, connection="c1"),
    Status(online=True, connection="c1", version="1", store=STORE, newest_seq=9, days=((20_000, 3), (20_001, 9))),
]


@pytest.mark.parametrize(("live", "payload"), LIVES)
def test_live_both_ways(live: Live, payload: bytes) -> None:
    assert encode_live(live) == payload
    assert decode_live(payload) == live


def test_what_rounds_to_nothing_is_not_told() -> None:
    once = encode_live(Live(5, 1, 2, accel_mps2=0.001, turn_dps=-0.01))
    assert encode_live(decode_live(once)) == once == encode_live(Live(5, 1, 2))


@pytest.mark.parametrize("value", [b"1e999", b'[1,{"y":-1e999}]'])
def test_endless_numbers_in_a_detail_are_refused(value: bytes) -> None:
    """They do not say that they are endless, and could not be written again."""
    payload = encode_event(STORE, Event(7, 5, "sos", detail={"x": "here"}))
    with pytest.raises(DecodeError, match="d: not-finite"):
        decode_event(payload.replace(b'"here"', value))


def test_a_course_that_rounds_up_to_north_is_north() -> None:
    live = decode_live(encode_live(Live(1, 0.0, 0.0, 1.0, 359.97)))
    assert live.course_deg == 0


@pytest.mark.parametrize("event", EVENTS)
def test_event_both_ways(event: Event) -> None:
    assert decode_event(encode_event(STORE, event)) == (STORE, event)


@pytest.mark.parametrize("ack", ACKS)
def test_ack_both_ways(ack: Ack) -> None:
    assert decode_ack(encode_ack(ack)) == ack


@pytest.mark.parametrize("status", STATUSES)
def test_status_both_ways(status: Status) -> None:
    assert decode_status(encode_status(status)) == status


@pytest.mark.parametrize(
    ("days", "where"),
    [
        (7, "days"), ([[1, 2]] * 63, "days"), ([7], "days"), ([[1]], "days"), ([[1, 2, 3]], "days"),
        ([[1, 5], [2, 5]], "days"), ([[-1, 5]], "day"), ([[1, "x"]], "days"),
    ],
)  # fmt: skip
def test_days_that_can_not_be(days: object, where: str) -> None:
    payload = load_object(encode_status(STATUSES[0]), max_bytes=2048) | {"days": days}
    with pytest.raises(DecodeError) as caught:
        decode_status(dump(payload))
    assert caught.value.where == where


def test_of_too_many_days_the_newest_are_told() -> None:
    days = tuple((n, n * 10 + 10) for n in range(99))
    assert decode_status(encode_status(replace(STATUSES[0], days=days))).days == days[-62:]


def test_a_will_with_a_strange_reason_still_says_offline() -> None:
    assert decode_status(b'{"v":1,"on":false,"conn":"c","why":7}') == Status(online=False, connection="c")


DOORS: list[tuple[Callable[[bytes], object], bytes]] = [
    (decode_live, encode_live(FULL)),
    (decode_event, encode_event(STORE, EVENTS[0])),
    (decode_ack, encode_ack(ACKS[1])),
    (decode_status, encode_status(STATUSES[0])),
]


@pytest.mark.parametrize(("decode", "payload"), DOORS)
def test_every_cut_is_refused(decode: Callable[[bytes], object], payload: bytes) -> None:
    for end in range(len(payload)):
        with pytest.raises(DecodeError):
            decode(payload[:end])
    with pytest.raises(DecodeError):
        decode(payload + b"}")


@pytest.mark.parametrize(("decode", "payload"), DOORS)
@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        (b"\xff\xfe", "not-json"),
        (b'{"v":"\\ud800"}', "not-json"),  # half of a surrogate pair
        (b'{"v":"\xed\xa0\x80"}', "not-json"),  # the same as bytes
        ('{"v":1}'.encode("utf-16-le"), "not-json"),
        (b'{"v":"\\ud83d\\ude00"}', "not-a-number"),  # a whole one
        (b"[1]", "not-an-object"),
        (b"[" * 5000, None),
        (b'{"v":NaN}', "not-finite"),
        (b'{"v":Infinity}', "not-finite"),
        (b'{"v":' + b"9" * 5000 + b"}", None),
        (b'{"v":2}', "unknown-version"),
        (b'{"v":"1"}', "not-a-number"),
        (b'{"v":true}', "not-a-number"),
        (b'{"v":1.0}', "not-an-integer"),
        (b"{}", "missing"),
        (b'{"v":1}', "missing"),
        (b" " * 9000, "too-long"),
    ],
)
def test_junk_is_refused_with_a_reason(
    decode: Callable[[bytes], object], payload: bytes, junk: bytes, reason: str | None
) -> None:
    with pytest.raises(DecodeError) as told:
        decode(junk)
    assert reason in {None, told.value.reason}
    assert decode(payload) is not None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("lat", 90.1, "out-of-range"), ("lon", -181, "out-of-range"), ("spd", -1, "out-of-range"),
        ("t", 1 << 44, "out-of-range"), ("t", 1.5, "not-an-integer"), ("q", -1, "out-of-range"),
        ("drv", "", "not-a-text"), ("drv", "x" * 33, "not-a-text"), ("drv", 7, "not-a-text"), ("ign", 2, "out-of-range"),
        ("eps", None, "missing"), ("crs", [1], "not-a-number"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_live_message_is_named(key: str, value: object, reason: str) -> None:
    data = json.loads(LIVES[1][1]) | {key: value}
    with pytest.raises(DecodeError) as told:
        decode_live(dump(data))
    assert (told.value.where, told.value.reason) == (key, reason)
    assert key in str(told.value)


@pytest.mark.parametrize(
    ("decode", "payload", "where"),
    [
        (decode_event, b'{"v":1,"s":"AbCdEf01-_x","n":1,"t":1,"k":"sos","d":[]}', "d"),
        (decode_event, b'{"v":1,"s":"AbCdEf01-_!","n":1,"t":1,"k":"sos"}', "s"),
        (decode_event, b'{"v":1,"s":"AbCdEf01-_x","n":1,"t":["b"],"k":"sos"}', "t"),
        (decode_event, b'{"v":1,"s":"AbCdEf01-_x","n":1,"t":["",1],"k":"sos"}', "boot"),
        (decode_event, b'{"v":1,"s":"AbCdEf01-_x","n":1,"t":["b",-1],"k":"sos"}', "t"),
        (decode_event, b'{"v":1,"s":"short","n":1,"t":1,"k":"sos"}', "s"),
        (decode_ack, b'{"v":1,"store":"AbCdEf01-_x","events":7}', "events"),
        (decode_ack, b'{"v":1,"store":"AbCdEf01-_x","events":[0]}', "events"),
        (decode_status, b'{"v":1,"on":1,"conn":"c"}', "on"),
        (decode_command, b'{"v":1,"op":"watch","eps":3,"until":1}', "id"),
        (decode_command, b'{"v":1,"id":"a"}', "op"),
        (decode_command, b'{"v":1,"id":"a","op":"watch","eps":0.5,"until":1}', "eps"),
        (decode_command, b'{"v":1,"id":"a","op":"watch","eps":3}', "until"),
        (decode_command, b'{"v":1,"id":"a","op":"watch","eps":3,"until":1.5}', "until"),
        (decode_outcome, b'{"v":1,"id":"a"}', "ok"),
        (decode_outcome, b'{"v":1,"id":"a","ok":1}', "ok"),
    ],
)
def test_a_wrong_field_is_named(decode: Callable[[bytes], object], payload: bytes, where: str) -> None:
    with pytest.raises(DecodeError) as told:
        decode(payload)
    assert told.value.where == where


def test_the_live_message_is_short_enough() -> None:
    longest = Live(1_760_000_000_000, -89.123456, -179.123456, 45.67, 359.9, -3.21, -12.3, 1234, 12.3, 10.0)
    assert len(encode_live(longest)) <= 145


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (
            Command("c1", "watch", 2.5, 1_760_000_060_000),
            b'{"v":1,"id":"c1","op":"watch","eps":2.5,"until":1760000060000}',
        ),
        (Command("c2", "reboot"), b'{"v":1,"id":"c2","op":"reboot"}'),
    ],
)
def test_commands_both_ways(command: Command, payload: bytes) -> None:
    assert encode_command(command) == payload
    assert decode_command(payload) == command


def test_outcomes_both_ways() -> None:
    for outcome, payload in (
        (CommandOutcome("c1", ok=True), b'{"v":1,"id":"c1","ok":true}'),
        (CommandOutcome("c1", ok=False, why="expired"), b'{"v":1,"id":"c1","ok":false,"why":"expired"}'),
    ):
        assert encode_outcome(outcome) == payload
        assert decode_outcome(payload) == outcome
