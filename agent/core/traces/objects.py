"""Positions in JSON: GeoJSON, enviroCar, matcher samples, OwnTracks messages and recordings, lines of objects."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent.core.traces.drives import Trace
from agent.core.traces.tables import objects
from wire.errors import DecodeError

CLEAR = {"properties", "phenomenons", "phenomena", "coords", "position", "location"}
"""What stands in these stands for itself."""
LISTS = ("features", "points", "locations", "positions", "records", "data", "track", "items")
OTHERS = {"_type": "location", "class": "TPV"}
"""Objects that say what they are, and what they must be to be a position."""
_WKT = re.compile(r"\s*POINT\s*Z?\s*\(\s*(\S+)\s+(\S+?)(?:\s+(\S+?))?\s*\)", re.IGNORECASE)
Flat = dict[str, Any]


def read_json(text: str, where: str) -> Trace:
    """One JSON value, or one a line. Raises DecodeError."""
    broken: Counter[str] = Counter()
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        found = list(_lines(text, broken))
        if not found:
            raise DecodeError("not-json", where, str(error)[:80]) from None
        return _positions("json-lines", found, broken, where)
    kind = "geojson" if isinstance(whole, dict) and str(whole.get("type", "")).startswith("Feature") else "json"
    return _positions(kind, _listed(whole), broken, where)


def read_recorder(text: str, where: str) -> Trace:
    """Lines of OwnTracks Recorder: when it came, a mark, and the message, parted by tabs."""
    broken: Counter[str] = Counter()
    messages = "\n".join(line.rpartition("\t")[2] for line in text.splitlines() if line.strip())
    return _positions("owntracks", list(_lines(messages, broken)), broken, where)


def _lines(text: str, broken: Counter[str]) -> Iterator[Any]:
    """An object a line. A file whose first lines are none is not of this kind."""
    good = 0
    for number, line in enumerate(text.splitlines()):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            broken["not-json"] += 1
            if number > 20 and not good:
                return
            continue
        good += isinstance(value, dict)
        yield value


def _listed(whole: Any) -> list[Any]:
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict):
        for key in LISTS:
            if isinstance(whole.get(key), list) and any(isinstance(item, dict) for item in whole[key]):
                return list(whole[key])
        return [whole]
    return []


def _positions(kind: str, found: Iterable[Any], broken: Counter[str], where: str) -> Trace:
    flat: list[Flat] = []
    for item in found:
        if not isinstance(item, dict) or any(key in item and item[key] != word for key, word in OTHERS.items()):
            broken["not-a-position"] += 1
        elif (line := _line_string(item)) is not None:
            flat += line
        else:
            flat.append(_flat(item))
    if not flat:
        others = ", ".join(sorted({_called(item) for item in found})[:5])
        raise DecodeError("no-position", where, f"JSON without a position{f': {others}' if others else ''}")
    called = "owntracks" if any(each.get("_type") == "location" for each in flat) else kind
    return objects(called, flat, broken, where)


def _called(item: Any) -> str:
    if isinstance(item, dict):
        return next((str(item[key])[:24] for key in (*OTHERS, "type") if key in item), "an object")
    return "a list" if isinstance(item, list) else "a value"


def _flat(item: Mapping[str, Any], lead: str = "", depth: int = 0) -> Flat:
    """Keys of inner objects with those before them; a value with a unit has the unit in its name."""
    out: Flat = {}
    for key, value in item.items():
        if isinstance(value, dict) and "value" in value:
            unit = value.get("unit")
            out[f"{lead}{_bus_name(key)}{f' ({unit})' if isinstance(unit, str) else ''}"] = value["value"]
        elif isinstance(value, dict) and value.get("type") == "Point":
            out |= _place(value.get("coordinates"))
        elif isinstance(value, dict) and depth < 8:
            out |= _flat(value, lead if key in CLEAR else f"{lead}{key}_", depth + 1)
        elif isinstance(value, str) and (point := _WKT.match(value)):
            out |= _place(list(point.groups()))
        else:
            out[lead + key] = value
    return out


def _bus_name(key: str) -> str:
    """The plain `Speed` of enviroCar is that of the vehicle's bus; that of the receiver is called `GPS Speed`."""
    return "Vehicle Speed" if key == "Speed" else key


def _place(coordinates: Any) -> Flat:
    """Longitude, latitude and perhaps the height, in the order of GeoJSON and WKT."""
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return {}
    out = {"lon": coordinates[0], "lat": coordinates[1]}
    return out if len(coordinates) < 3 or coordinates[2] is None else out | {"altitude": coordinates[2]}


def _line_string(item: Mapping[str, Any]) -> list[Flat] | None:
    """The points of a feature that is a line, with the times that stand beside it; each line is a track of its own."""
    geometry = item.get("geometry") if item.get("type") == "Feature" else item
    if not isinstance(geometry, dict) or geometry.get("type") not in ("LineString", "MultiLineString", "MultiPoint"):
        return None
    properties = item.get("properties")
    told = properties if isinstance(properties, dict) else {}
    inner = told.get("coordinateProperties")
    told |= inner if isinstance(inner, dict) else {}
    names = ("times", "coordTimes", "timestamps", "time")
    moments: list[Any] = next((told[name] for name in names if isinstance(told.get(name), list)), [])
    lines = geometry.get("coordinates")
    if geometry.get("type") != "MultiLineString":
        lines, moments = [lines], [moments]
    out: list[Flat] = []
    for number, (line, when) in enumerate(zip(lines or [], moments, strict=False)):
        if isinstance(line, list) and isinstance(when, list):
            out += [_place(place) | {"time": at, "track_id": number} for place, at in zip(line, when, strict=False)]
    return out
