"""Records made before the time was known: how they are kept, and how they get their time once it is.

An open event says its boot and the clock that never steps in place of a time; an open row of the track has no time at all.
A record becomes final once: `dated` when the time is known, or `undated` when it has waited too long. An undated event stays
as it is; an undated fix becomes an event of kind `undated-fix`, because a row of the track has a time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from wire.codec import dump
from wire.schema import AT_MS, LAT, LON, named

UNDATED_FIX = "undated-fix"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was: UTC, or None while nobody knows; always the boot and its clock that never steps."""

    at_ms: int | None
    boot: str = ""
    mono_ms: int = 0


def event_body(
    moment: Moment, kind: str, place: tuple[float | None, float | None], detail: Mapping[str, object]
) -> bytes:
    """An event as it is kept. While the moment has no UTC, its boot and clock stand in its place."""
    when = [moment.boot, moment.mono_ms] if moment.at_ms is None else moment.at_ms
    return dump([when, kind, *place, dict(detail)])


def dated(body: bytes, at_ms: int) -> bytes:
    """The record with its time, event or row: it stands first in both."""
    return dump([at_ms, *json.loads(body)[1:]])


def undated(body: bytes, moment: Moment) -> bytes:
    """The record as an event that says when it was by boot and monotonic clock. An open event says so already."""
    values = json.loads(body)
    if values[AT_MS] is not None:
        return body
    values[AT_MS] = 0
    told = {name: value for name, value in named(tuple(values)).items() if name not in {"at_ms", "lat_deg", "lon_deg"}}
    return dump([[moment.boot, moment.mono_ms], UNDATED_FIX, values[LAT] / 1e7, values[LON] / 1e7, told])
