"""Rules of other trackers, beside which a profile is judged: when each sends, and how far off a hub that hears it is.

What they cost is computed from the usual size of their messages; we have not run the devices. Positions alone, without
bus values, so that nobody pays for what the others leave out. Sizes and overheads are those of docs/performance.md.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.core import cost
from agent.core.tally import LIVE, per, percentiles
from wire.geo import distance_m, moved
from wire.messages import Fix

MQTT_TOPIC = 24
HTTP_OVERHEAD = 260
"""Bytes both ways around one HTTP request on a connection that is kept, with TLS: two segments, two records, the answer."""
CODEC8_RECORD, CODEC8_PACKET, CODEC8_EVERY_S = 30.2, 19 + 3 * 52, 120.0
"""A record without bus values; a packet's frame, the answer of 4 bytes, and three TCP segments, every two minutes."""
STEP_S = 0.25
"""So much earlier than its interval a fix may come and still count: receivers jitter."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a tracker sends: after so many seconds, by motion, or when it has gone so far, turned or changed speed so much.

    None means that it does not look at this. `eps_m` makes it a linear dead reckoning with that bound. `bytes_each` is
    the air traffic of a message, `bytes_per_s` what comes on top while the vehicle drives.
    """

    key: str
    name: str
    bytes_each: float
    moving_s: float | None = None
    standing_s: float | None = None
    metres: float | None = None
    degrees: float | None = None
    mps: float | None = None
    eps_m: float | None = None
    moves_mps: float = 1.4
    bytes_per_s: float = 0.0


def rules(eps_m: float, heartbeat_ms: int) -> tuple[Rule, ...]:
    """The table; the last row has the same ε and heartbeat as the profile."""
    json98, owntracks = (float(cost.publish_bytes(MQTT_TOPIC, size)) for size in (98, 239))
    return (
        Rule("fixed_1s", "every 1 s", json98, 1.0, 1.0),
        Rule("fixed_5s_30s", "every 5 s, standing 30 s", json98, 5.0, 30.0),
        Rule(
            "teltonika", "Teltonika FMB defaults: 300 s, 100 m, 10°, 10 km/h; standing 3600 s", CODEC8_RECORD,
            300.0, 3600.0, 100.0, 10.0, 10 / 3.6, bytes_per_s=CODEC8_PACKET / CODEC8_EVERY_S,
        ),
        Rule("traccar", "Traccar Client defaults: 300 s, 75 m", 250.0 + HTTP_OVERHEAD, 300.0, 300.0, 75.0),
        Rule("owntracks", "OwnTracks move mode: 10 s", owntracks, 10.0, 10.0),
        Rule(
            "linear", f"linear dead reckoning, ε = {eps_m:g} m", float(cost.publish_bytes(LIVE, 100)),
            heartbeat_ms / 1000.0, heartbeat_ms / 1000.0, eps_m=eps_m,
        ),
    )  # fmt: skip


@dataclass(slots=True)
class Heard:
    """What a hub hears of a rule, and how far off it is: if it holds the last place, and if it goes straight on."""

    rule: Rule
    last: Fix | None = None
    messages: int = 0
    hold: "array[float]" = field(default_factory=lambda: array("d"))
    extrapolate: "array[float]" = field(default_factory=lambda: array("d"))

    def feed(self, fix: Fix) -> None:
        """One accepted fix. All count: these rules hold no place."""
        if self.last is None or due(self.rule, self.last, fix):
            self.last = fix
            self.messages += 1
        self.hold.append(distance_m(self.last.lat_deg, self.last.lon_deg, fix.lat_deg, fix.lon_deg))
        self.extrapolate.append(off_m(self.last, fix))


def off_m(last: Fix, fix: Fix) -> float:
    """How far the place is from straight on at the last speed and course."""
    way_m = (last.speed_mps or 0.0) * max(0, fix.at_ms - last.at_ms) / 1000.0
    course = math.radians(last.course_deg or 0.0)
    if last.course_deg is None or way_m == 0.0:
        return distance_m(last.lat_deg, last.lon_deg, fix.lat_deg, fix.lon_deg)
    place = moved(last.lat_deg, last.lon_deg, way_m * math.cos(course), way_m * math.sin(course))
    return distance_m(*place, fix.lat_deg, fix.lon_deg)


def due(rule: Rule, last: Fix, fix: Fix) -> bool:
    """Whether the rule sends this fix."""
    moves = (fix.speed_mps or 0.0) > rule.moves_mps
    interval_s = rule.moving_s if moves else rule.standing_s
    if interval_s is not None and (fix.at_ms - last.at_ms) / 1000.0 >= interval_s - STEP_S:
        return True
    if rule.eps_m is not None:
        return off_m(last, fix) > rule.eps_m
    if not moves and rule.standing_s is not None and rule.standing_s != rule.moving_s:
        return False
    if rule.metres is not None and distance_m(last.lat_deg, last.lon_deg, fix.lat_deg, fix.lon_deg) >= rule.metres:
        return True
    if rule.degrees is not None and _turned_deg(last, fix) >= rule.degrees:
        return True
    return rule.mps is not None and abs((fix.speed_mps or 0.0) - (last.speed_mps or 0.0)) >= rule.mps


def _turned_deg(last: Fix, fix: Fix) -> float:
    return abs(((fix.course_deg or 0.0) - (last.course_deg or 0.0) + 180.0) % 360.0 - 180.0)


class Comparison:
    """All rules on the same fixes. A new drive begins anew for each of them."""

    def __init__(self, table: Sequence[Rule]) -> None:
        self.heard = [Heard(rule) for rule in table]

    def begin(self) -> None:
        """The next fix is of another drive."""
        for heard in self.heard:
            heard.last = None

    def feed(self, fix: Fix) -> None:
        """One accepted fix for all of them."""
        for heard in self.heard:
            heard.feed(fix)

    def rows(self, driven_ms: int) -> list[dict[str, object]]:
        """A row for each rule."""
        hours = driven_ms / 3.6e6
        return [
            {
                "rule": heard.rule.key,
                "name": heard.rule.name,
                "messages": heard.messages,
                "messages_per_hour": per(heard.messages, hours, 1),
                "hold_m": percentiles(heard.hold),
                "extrapolate_m": percentiles(heard.extrapolate),
                "bytes_per_hour": per(
                    heard.messages * heard.rule.bytes_each + heard.rule.bytes_per_s * driven_ms / 1000.0, hours, 0
                ),
            }
            for heard in self.heard
        ]


def pooled(parts: Iterable[Comparison], table: Sequence[Rule]) -> Comparison:
    """Several comparisons as one: all their seconds count."""
    whole = Comparison(table)
    for part in parts:
        for into, heard in zip(whole.heard, part.heard, strict=True):
            into.messages += heard.messages
            into.hold.extend(heard.hold)
            into.extrapolate.extend(heard.extrapolate)
    return whole
