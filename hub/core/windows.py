"""What a subscription looks at: a box, a circle, some vehicles, or all of a fleet; narrowed by tags."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from wire.codec import number
from wire.errors import DecodeError
from wire.geo import distance_m, in_box

MOST_IDS = 1000
MOST_TAGS = 32
MOST_RADIUS_M = 1_000_000.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Window:
    """At most one of `box`, `near` and `ids`; none of them means all. Each tag must be there."""

    box: Box | None = None
    near: tuple[float, float, float] | None = None
    ids: frozenset[str] | None = None
    tags: frozenset[str] = frozenset()


def _numbers(value: Any, names: tuple[str, ...], limits: tuple[tuple[float, float], ...]) -> list[float]:
    if not isinstance(value, list) or len(value) != len(names):
        raise DecodeError("wrong-length", f"wants [{', '.join(names)}]")
    data = dict(zip(names, value, strict=True))
    return [number(data, name, *limit) for name, limit in zip(names, limits, strict=True)]


def _texts(value: Any, where: str, most: int) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise DecodeError("not-a-list-of-texts", where, f"at most {most}")
    return frozenset(value)


def parse(where: Any, tags: Any = None) -> Window:
    """The window of a `where`; DecodeError says what is wrong with it."""
    if where is None:
        where = {}
    if not isinstance(where, dict):
        raise DecodeError("not-an-object", "where")
    unknown = set(where) - {"bbox", "near", "ids"}
    if unknown or len(where) > 1:
        raise DecodeError("unknown-key", "where", "wants one of bbox, near, ids")
    wanted = frozenset[str]() if tags is None else _texts(tags, "tags", MOST_TAGS)
    if "bbox" in where:
        west, south, east, north = _numbers(
            where["bbox"], ("west", "south", "east", "north"), ((-180, 180), (-90, 90), (-180, 180), (-90, 90))
        )
        if south > north:
            raise DecodeError("out-of-range", "bbox", "south is beyond north")
        return Window(box=(west, south, east, north), tags=wanted)
    if "near" in where:
        lat, lon, radius = _numbers(
            where["near"], ("lat", "lon", "radius_m"), ((-90, 90), (-180, 180), (0, MOST_RADIUS_M))
        )
        return Window(near=(lat, lon, radius), tags=wanted)
    if "ids" in where:
        return Window(ids=_texts(where["ids"], "ids", MOST_IDS), tags=wanted)
    return Window(tags=wanted)


def shows(window: Window, vehicle: str, place: tuple[float, float] | None, tags: Collection[str]) -> bool:
    """Whether a vehicle at a place is in the window. Without a place it is only in windows that ask for none."""
    if not window.tags.issubset(tags):
        return False
    if window.ids is not None:
        return vehicle in window.ids
    if window.box is not None:
        return place is not None and in_box(*place, window.box)
    if window.near is not None:
        lat, lon, radius_m = window.near
        return place is not None and distance_m(*place, lat, lon) <= radius_m
    return True
