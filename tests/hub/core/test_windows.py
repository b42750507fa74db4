"""Windows: parsed strictly, judged by place, id and tag."""

from typing import Any

import pytest

from hub.core.windows import MOST_IDS, MOST_TAGS, Window, parse, shows
from wire.errors import DecodeError


@pytest.mark.parametrize(
    ("where", "tags", "window"),
    [
        (None, None, Window()),
        ({}, [], Window()),
        ({"bbox": [170, -10, -170, 10]}, None, Window(box=(170, -10, -170, 10))),
        ({"near": [41.2, -96, 500]}, ["cooled"], Window(near=(41.2, -96, 500), tags=frozenset({"cooled"}))),
        ({"ids": ["a", "b"]}, None, Window(ids=frozenset({"a", "b"}))),
    ],
)
def test_good(where: Any, tags: Any, window: Window) -> None:
    assert parse(where, tags) == window


@pytest.mark.parametrize(
    ("where", "tags"),
    [
        ([], None), ("all", None), ({"circle": []}, None), ({"ids": [], "near": []}, None),
        ({"bbox": [1, 2, 3]}, None), ({"bbox": [0, 10, 1, 5]}, None), ({"bbox": [0, -91, 1, 5]}, None),
        ({"bbox": ["0", 0, 1, 1]}, None), ({"bbox": None}, None), ({"near": [0, 0, -1]}, None),
        ({"near": [0, 0, 2_000_000]}, None), ({"near": [0, 0]}, None), ({"ids": "a"}, None), ({"ids": [1]}, None),
        ({"ids": ["x"] * (MOST_IDS + 1)}, None), (None, "cooled"), (None, ["x"] * (MOST_TAGS + 1)), (None, [None]),
    ],
)  # fmt: skip
def test_bad(where: Any, tags: Any) -> None:
    with pytest.raises(DecodeError):
        parse(where, tags)


HERE, FAR = (41.2, -96.0), (50.0, 8.0)


@pytest.mark.parametrize(
    ("window", "place", "seen"),
    [
        (Window(), HERE, True),
        (Window(), None, True),
        (Window(ids=frozenset({"van"})), None, True),
        (Window(ids=frozenset({"bus"})), HERE, False),
        (Window(box=(-97, 41, -95, 42)), HERE, True),
        (Window(box=(-97, 41, -95, 42)), FAR, False),
        (Window(box=(-97, 41, -95, 42)), None, False),
        (Window(near=(41.2, -96.0, 10)), HERE, True),
        (Window(near=(41.2, -96.0, 10)), FAR, False),
        (Window(near=(41.2, -96.0, 10)), None, False),
        (Window(tags=frozenset({"cooled"})), HERE, True),
        (Window(tags=frozenset({"cooled", "big"})), HERE, False),
    ],
)
def test_shows(window: Window, place: tuple[float, float] | None, *, seen: bool) -> None:
    assert shows(window, "van", place, ["cooled"]) is seen
