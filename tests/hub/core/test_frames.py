"""Frames of the stream: read strictly, made exactly."""

import json
from dataclasses import replace

import pytest

from hub.core import frames
from hub.core.frames import FrameError, read
from hub.core.marks import StoredEvent
from hub.core.windows import Window
from tests.hub.makers import STORE, T0
from wire.messages import Event


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        ('{"op":"ping"}', frames.Ping()),
        ('{"op":"auth","token":"t"}', frames.Auth("t")),
        ('{"op":"sub","id":1,"topic":"vehicles"}', frames.Sub(1, Window())),
        ('{"op":"sub","id":1,"topic":"vehicles","where":{"ids":["a"]},"tags":["x"]}',
         frames.Sub(1, Window(ids=frozenset({"a"}), tags=frozenset({"x"})))),
        ('{"op":"window","id":1,"where":{}}', frames.Move(1, Window())),
        ('{"op":"unsub","id":0}', frames.Unsub(0)),
        ('{"op":"sub","id":2,"topic":"events"}', frames.SubEvents(2, None, frozenset())),
        ('{"op":"sub","id":2,"topic":"events","after":"1:5","kinds":["sos"]}',
         frames.SubEvents(2, "1:5", frozenset({"sos"}))),
    ],
)  # fmt: skip
def test_good(raw: str, frame: frames.Frame) -> None:
    assert read(raw) == frame


@pytest.mark.parametrize(
    ("raw", "word", "sub"),
    [
        ("", "bad_frame", None), ("[]", "bad_frame", None), ("{", "bad_frame", None), ("nul", "bad_frame", None),
        ('{"op":5}', "bad_frame", None), ('{"id":1}', "bad_frame", None), ('{"op":"auth"}', "bad_frame", None),
        ('{"op":"fly"}', "unsupported", None), ('{"op":"sub"}', "bad_frame", None),
        ('{"op":"sub","id":-1,"topic":"vehicles"}', "bad_frame", None), ('{"op":"sub","id":true}', "bad_frame", None),
        ('{"op":"sub","id":3}', "unsupported", 3), ('{"op":"sub","id":3,"topic":"weather"}', "unsupported", 3),
        ('{"op":"sub","id":3,"topic":"vehicles","where":{"x":1}}', "bad_where", 3),
        ('{"op":"window","id":3,"where":{"bbox":[1]}}', "bad_where", 3),
        ('{"op":"sub","id":3,"topic":"events","after":5}', "bad_where", 3),
        ('{"op":"sub","id":3,"topic":"events","kinds":"sos"}', "bad_where", 3),
        ('{"op":"' + "x" * 20_000 + '"}', "bad_frame", None), ("[" * 10_000, "bad_frame", None),
        ('{"op":"ping","x":NaN}', "bad_frame", None), ("\ud800", "bad_frame", None), ('{"op":"ping\\ud800"}', "bad_frame", None),
    ],
)  # fmt: skip
def test_bad(raw: str, word: str, sub: int | None) -> None:
    with pytest.raises(FrameError) as caught:
        read(raw)
    assert (caught.value.word, caught.value.sub) == (word, sub)
    assert caught.value.message


def test_a_token_is_not_told() -> None:
    assert "secret" not in repr(frames.Auth("secret"))


def test_made() -> None:
    made = {
        frames.hello(5): {"op": "hello", "v": 1, "at": 5},
        frames.snapshot(1, 5, ['{"veh":"a"}', '{"veh":"b"}']): {"op": "snapshot", "id": 1, "at": 5, "vehicles": [{"veh": "a"}, {"veh": "b"}]},
        frames.snapshot(1, 5, []): {"op": "snapshot", "id": 1, "at": 5, "vehicles": []},
        frames.moves(1, 5, ['{"veh":"a"}']): {"op": "moves", "id": 1, "at": 5, "vehicles": [{"veh": "a"}]},
        frames.leave(1, ["a"]): {"op": "leave", "id": 1, "veh": ["a"]},
        frames.pong(5): {"op": "pong", "at": 5},
        frames.bye(1000): {"op": "bye", "retry_ms": 1000},
        frames.error("auth", "no"): {"op": "error", "id": None, "code": "auth", "message": "no"},
        frames.error("bad_where", "no", sub=2): {"op": "error", "id": 2, "code": "bad_where", "message": "no"},
        frames.recovered(2, ok=False, at="1:7"): {"op": "recovered", "id": 2, "ok": False, "cursor": "1:7"},
    }  # fmt: skip
    for text, value in made.items():
        assert json.loads(text) == value


def test_an_event_carries_its_cursor() -> None:
    stored = StoredEvent("gw-a", STORE, Event(3, T0, "sos", 1.5, 2.5, {"why": "button"}), "main", "van-1", T0 + 9, 7)
    assert json.loads(frames.event(2, 1, stored)) == {
        "op": "event", "id": 2, "cursor": "1:7", "veh": "van-1", "device": "gw-a", "t": T0, "kind": "sos",
        "lat": 1.5, "lon": 2.5, "detail": {"why": "button"}, "rx": T0 + 9,
    }  # fmt: skip
    unsure = replace(stored, event=replace(stored.event, boot="b", mono_ms=5))
    assert json.loads(frames.event(2, 1, unsure))["provisional"] is True


@pytest.mark.parametrize(
    ("after", "pos"),
    [("1:7", 7), ("1:0", 0), ("2:7", None), ("7", None), ("1:", None), ("1:-3", None), ("1:x", None), ("1:²", None),
     ("1:" + "9" * 19, None)],
)  # fmt: skip
def test_cursor(after: str, pos: int | None) -> None:
    assert frames.cursor_pos(after, 1) == pos
