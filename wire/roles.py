"""Who may write and read what: one table that brokers, front door and ingest take their decisions from.

A role is named by the prefix of the identity. `%i` in a pattern stands for the identity itself.
An identity that matches no role may do nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from wire.topics import IDENTITY, ROOT, TOPICS, Way


class Action(StrEnum):
    """What a client wants of a topic: publish to it (a last will too), or get messages from it."""

    WRITE = "write"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of identity, with the topic patterns that it may write and read."""

    name: str
    prefix: str
    write: tuple[str, ...]
    read: tuple[str, ...]
    about: str


_DEVICE_UP = tuple(f"{ROOT}/%i/up/{topic.name}" for topic in TOPICS if topic.way is Way.UP)
_DEVICE_DOWN = tuple(f"{ROOT}/%i/down/{topic.name}" for topic in TOPICS if topic.way is Way.DOWN)
_PHONE = ("pair", "duty", "live", "event", "status")

ROLES: tuple[Role, ...] = (
    Role("gateway", "gw-", _DEVICE_UP, _DEVICE_DOWN, "the agent on a vehicle"),
    Role(
        "phone",
        "ph-",
        tuple(f"{ROOT}/%i/up/{name}" for name in _PHONE),
        tuple(f"{ROOT}/%i/down/{name}" for name in ("pair", "duty", "ack")),
        "a driver's page or phone",
    ),
    Role("hub", "hub-", (f"{ROOT}/+/down/+", f"{ROOT}/+/up/+"), (f"{ROOT}/+/up/+",), "a process of the hub"),
)


def role_of(identity: str) -> Role | None:
    """The role of an identity, by its prefix."""
    if not IDENTITY.fullmatch(identity):
        return None
    return next((role for role in ROLES if identity.startswith(role.prefix) and identity != role.prefix), None)


def covers(pattern: str, topic_filter: str) -> bool:
    """Whether every topic that `topic_filter` can match is matched by `pattern` (MQTT 3.1.1, section 4.7)."""
    wanted, granted = topic_filter.split("/"), pattern.split("/")
    for i, level in enumerate(granted):
        if level == "#":
            return True
        if i >= len(wanted) or wanted[i] == "#":
            return False
        if level != "+" and (wanted[i] == "+" or wanted[i] != level):
            return False
    return len(wanted) == len(granted)


def allowed(identity: str, action: Action, topic: str) -> bool:
    """Whether this identity may write to the topic, or read by this topic filter. Writing takes no wildcard."""
    role = role_of(identity)
    if role is None or not topic or (action is Action.WRITE and ("+" in topic or "#" in topic)):
        return False
    patterns = role.write if action is Action.WRITE else role.read
    return any(covers(pattern.replace("%i", identity), topic) for pattern in patterns)
