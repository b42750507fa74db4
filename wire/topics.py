"""Every MQTT topic with its QoS, retain flag and direction; build and parse."""

import re
from dataclasses import dataclass
from enum import StrEnum

from wire.errors import DecodeError

ROOT = "odo/1"
IDENTITY = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


class Way(StrEnum):
    """Direction, seen from the hub: `up` comes from devices, `down` goes to them."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of topic. `max_bytes` bounds a payload on it."""

    way: Way
    name: str
    qos: int
    retain: bool
    max_bytes: int
    about: str


TOPICS: tuple[Topic, ...] = (
    Topic(Way.UP, "live", 1, True, 1024, "where the vehicle is now; newest wins"),
    Topic(Way.UP, "track", 1, False, 65_536, "every fix with bus values; exactly once, in order, no gap"),
    Topic(Way.UP, "event", 1, False, 4096, "fast copy of an event record of the track"),
    Topic(Way.UP, "status", 1, True, 2048, "presence and account; also the last will"),
    Topic(Way.UP, "config", 1, True, 16_384, "configuration in force, or why one was refused"),
    Topic(Way.UP, "cmd", 1, False, 4096, "outcome of a command"),
    Topic(Way.UP, "pair", 1, False, 2048, "pairing"),
    Topic(Way.UP, "check", 1, False, 4096, "commissioning checklist"),
    Topic(Way.UP, "csr", 1, False, 8192, "certificate request"),
    Topic(Way.DOWN, "ack", 0, False, 1024, "what the hub has committed; one that is lost is asked for again"),
    Topic(Way.DOWN, "config", 1, True, 16_384, "signed desired configuration"),
    Topic(Way.DOWN, "cmd", 1, False, 4096, "a command"),
    Topic(Way.DOWN, "pair", 1, False, 2048, "pairing"),
    Topic(Way.DOWN, "duty", 1, True, 1024, "who drives, as desired state"),
    Topic(Way.DOWN, "cert", 1, False, 16_384, "a new certificate"),
)
_BY_KEY = {(topic.way, topic.name): topic for topic in TOPICS}


def known(way: Way, name: str) -> Topic:
    """The row of the table; KeyError for a name that is not in it."""
    return _BY_KEY[(way, name)]


def build(identity: str, way: Way, name: str) -> str:
    """The topic of one device. Raises ValueError for an identity or a name that can't be."""
    if not IDENTITY.fullmatch(identity) or (way, name) not in _BY_KEY:
        raise ValueError(f"no topic for identity {identity!r}, {way}/{name}")
    return f"{ROOT}/{identity}/{way}/{name}"


def every(way: Way, name: str) -> str:
    """The filter that covers this topic of all devices."""
    return f"{ROOT}/+/{known(way, name).way}/{name}"


def parse(topic: str) -> tuple[str, Topic]:
    """Identity and table row of a topic; DecodeError when it is none of ours."""
    parts = topic.split("/")
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or not IDENTITY.fullmatch(parts[2]):
        raise DecodeError("unknown-topic", "topic")
    way = Way.UP if parts[3] == "up" else Way.DOWN if parts[3] == "down" else None
    row = None if way is None else _BY_KEY.get((way, parts[4]))
    if row is None:
        raise DecodeError("unknown-topic", "topic")
    return parts[2], row
