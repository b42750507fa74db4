"""The board and its viewers: nothing between snapshot and moves, the newest once, leave once."""

import json
from typing import Any

import pytest

from hub.core.fanout import MOST_SUBSCRIPTIONS, VEHICLES_PER_FRAME, Board, Shown, Viewer, read_many, read_shown
from hub.core.frames import FrameError
from hub.core.windows import Window
from wire.errors import DecodeError


def shown(vehicle: str, lat: float | None = 41.0, rank: int = 1, note: str = "") -> Shown:
    live = None if lat is None else {"lat": lat, "lon": -96.0}
    return read_shown(json.dumps({"veh": vehicle, "live": live, "rx": rank, "note": note}))


def joined(*vehicles: Shown) -> tuple[Board, Viewer, list[int]]:
    board, woken = Board(), [0]

    def wake() -> None:
        woken[0] += 1

    board.apply(vehicles)
    return board, board.join(wake), woken


def drained(viewer: Viewer) -> list[Any]:
    return [json.loads(frame) for frame in viewer.drain(9)]


def names(frame: Any) -> list[str]:
    return [vehicle["veh"] for vehicle in frame["vehicles"]]


BOX = Window(box=(-97, 40, -95, 42))


def test_reading() -> None:
    assert read_shown(b'{"veh":"a","live":{"lat":1,"lon":2.5},"rx":7}').place == (1.0, 2.5)
    assert read_shown('{"veh":"a","live":{"lat":"x","lon":2},"rx":"x"}') == Shown(
        "a", '{"veh":"a","live":{"lat":"x","lon":2},"rx":"x"}', None, 0
    )
    for bad in (b"{}", b'{"veh":1}', b"x", b"\xff"):
        with pytest.raises(DecodeError):
            read_shown(bad)
    assert [one.vehicle for one in read_many(b'{"veh":"a"}\n{"veh":"b"}')] == ["a", "b"]


def test_snapshot_then_moves() -> None:
    board, viewer, woken = joined(shown("a"), shown("b", 50.0))
    assert names(json.loads(viewer.subscribe(1, BOX, 5))) == ["a"]
    assert drained(viewer) == []
    board.apply([shown("a", 41.5, 2), shown("b", 50.1, 2)])
    assert woken == [1]
    assert viewer.pending
    assert [(f["op"], f["id"], names(f)) for f in drained(viewer)] == [("moves", 1, ["a"])]
    assert drained(viewer) == []


def test_the_newest_state_is_told_once() -> None:
    board, viewer, _ = joined()
    viewer.subscribe(1, Window(), 5)
    for rank in range(1, 50):
        board.apply([shown("a", 41.0, rank, f"n{rank}")])
    (frame,) = drained(viewer)
    assert [vehicle["note"] for vehicle in frame["vehicles"]] == ["n49"]


def test_older_and_equal_states_are_dropped() -> None:
    board, viewer, _ = joined(shown("a", 41.0, 5, "new"))
    viewer.subscribe(1, Window(), 5)
    assert board.apply([shown("a", 41.0, 4, "old"), shown("a", 41.0, 5, "new")]) == 0
    assert board.apply([shown("a", 41.0, 5, "same time")]) == 1


def test_leaving_is_told_once_and_coming_back_is_a_move() -> None:
    board, viewer, _ = joined(shown("a"))
    viewer.subscribe(1, BOX, 5)
    board.apply([shown("a", 50.0, 2)])
    board.apply([shown("a", 51.0, 3)])
    assert drained(viewer) == [{"op": "leave", "id": 1, "veh": ["a"]}]
    board.apply([shown("a", 41.0, 4)])
    assert [f["op"] for f in drained(viewer)] == ["moves"]
    board.apply([shown("a", 50.0, 5)])
    board.apply([shown("a", 41.0, 6)])
    assert [f["op"] for f in drained(viewer)] == ["moves"]


def test_a_vehicle_that_is_gone_leaves() -> None:
    board, viewer, _ = joined(shown("a"), shown("b"))
    viewer.subscribe(1, Window(), 5)
    board.apply([shown("a", 41.0, 2, "dirty")])
    board.keep_only(["b"])
    assert drained(viewer) == [{"op": "leave", "id": 1, "veh": ["a"]}]
    assert list(board.vehicles) == ["b"]


def test_tags() -> None:
    board, viewer, _ = joined(shown("a"), shown("b"))
    board.tagged({"a": ("cooled",), "b": ()})
    assert names(json.loads(viewer.subscribe(1, Window(tags=frozenset({"cooled"})), 5))) == ["a"]
    board.tagged({"a": (), "b": ("cooled",)})
    assert [(f["op"], f.get("veh") or names(f)) for f in drained(viewer)] == [("leave", ["a"]), ("moves", ["b"])]
    board.tagged({"a": (), "b": ("cooled",)})
    assert not viewer.pending


def test_windows_move_and_end() -> None:
    board, viewer, _ = joined(shown("a"), shown("b", 50.0))
    viewer.subscribe(1, BOX, 5)
    assert names(json.loads(viewer.move(1, Window(ids=frozenset({"b"})), 6))) == ["b"]
    board.apply([shown("a", 41.1, 2), shown("b", 50.1, 2)])
    assert [names(f) for f in drained(viewer)] == [["b"]]
    viewer.unsubscribe(1)
    board.apply([shown("b", 50.2, 3)])
    assert not viewer.pending
    for call in (lambda: viewer.unsubscribe(1), lambda: viewer.move(1, BOX, 5)):
        with pytest.raises(FrameError, match="no subscription"):
            call()


def test_subscriptions_are_bounded() -> None:
    _, viewer, _ = joined()
    for sub in range(MOST_SUBSCRIPTIONS):
        viewer.subscribe(sub, BOX, 5)
    with pytest.raises(FrameError) as caught:
        viewer.subscribe(99, BOX, 5)
    assert caught.value.word == "too_many"
    with pytest.raises(FrameError, match="in use"):
        viewer.subscribe(3, BOX, 5)


def test_frames_are_bounded() -> None:
    board, viewer, _ = joined()
    viewer.subscribe(1, Window(), 5)
    board.apply([shown(f"v{i}") for i in range(VEHICLES_PER_FRAME + 7)])
    sizes = [len(names(frame)) for _ in range(3) for frame in drained(viewer)]
    assert sizes == [VEHICLES_PER_FRAME, 7]


def test_who_has_quit_is_not_told() -> None:
    board, viewer, woken = joined()
    viewer.subscribe(1, Window(), 5)
    board.rang(3)
    board.rang(2)
    assert (board.pos, woken) == (3, [1])
    board.quit(viewer)
    board.apply([shown("a")])
    board.rang(9)
    assert (viewer.pending, woken) == (False, [1])


def test_who_is_looked_at_closely() -> None:
    board, viewer, _ = joined(shown("a"), shown("b"))
    assert board.watched(2) == set()
    viewer.subscribe(1, BOX, 5)
    viewer.subscribe(2, Window(ids=frozenset({"a"})), 5)
    viewer.subscribe(3, Window(ids=frozenset({"b", "c", "d"})), 5)
    assert board.watched(2) == {"a"}
    viewer.unsubscribe(2)
    assert board.watched(2) == set()
    viewer.subscribe(2, Window(ids=frozenset({"a"})), 5)
    board.quit(viewer)
    assert board.watched(2) == set()
