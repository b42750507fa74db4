"""Who may do what on the broker, said a second time and independently: the oracle of the tests."""

from hub.core.access import mosquitto_hash
from hub.core.registry import Binding, Device, Registry, Vehicle
from wire.topics import TOPICS

DEVICES = ("gw-a", "gw-b")
PEOPLE = ("ph-x",)
HUBS = ("hub-1",)
EVERYBODY = (*DEVICES, *PEOPLE, *HUBS)
PHONE_UP, PHONE_DOWN = {"pair", "duty", "live", "event", "status"}, {"pair", "duty", "ack"}


def may_write(who: str, topic: str) -> bool:
    """The oracle, written from DESIGN 2 and not from the role table."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != ["odo", "1"] or set("+#") & set(topic):
        return False
    if who.startswith("hub-"):
        return parts[3] in {"up", "down"}
    if parts[2] != who or parts[3] != "up":
        return False
    names = {row.name for row in TOPICS if row.way == "up"}
    return parts[4] in (PHONE_UP if who.startswith("ph-") else names)


def may_read(who: str, topic: str) -> bool:
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != ["odo", "1"]:
        return False
    if who.startswith("hub-"):
        return parts[3] == "up"
    names = {row.name for row in TOPICS if row.way == "down"}
    return parts[2] == who and parts[3] == "down" and parts[4] in (PHONE_DOWN if who.startswith("ph-") else names)


def matched(topic: str, topic_filter: str) -> bool:
    """MQTT 3.1.1, section 4.7, the plain way."""
    if topic_filter.endswith("/#"):
        return topic.startswith(topic_filter[:-1]) or topic == topic_filter[:-2]
    have, want = topic.split("/"), topic_filter.split("/")
    return topic_filter == "#" or (
        len(have) == len(want) and all(w in {"+", h} for h, w in zip(have, want, strict=True))
    )


CONCRETE = sorted(
    {f"odo/1/{who}/{row.way}/{row.name}" for who in EVERYBODY for row in TOPICS}
    | {"odo/1/gw-a/up/nothing", "odo/1/gw-a/down/nothing", "odo/1/gw-a/up/live/more", "odo/1/gw-a/up", "odo/2/gw-a/up/live",
       "odo/1/gw-a/side/live", "owntracks/gw-a/phone", "odo", "other/topic/x", "odo/1//up/live"}
)  # fmt: skip
FILTERS = ["#", "+/#", "odo/#", "odo/1/#", "odo/1/+/up/#", "odo/1/+/down/#", "odo/1/+/up/+", "odo/1/+/down/+", "odo/1/+/+/+",
           "odo/1/+/up/live", "odo/1/+/down/ack", "odo/1/gw-a/#", "odo/1/gw-a/down/#", "odo/1/gw-a/down/+", "odo/1/gw-a/+/ack",
           "+/+/gw-a/down/ack", "$SYS/#", "$share/g/odo/1/+/up/live", "odo/1/gw-a/down/ack/#"]  # fmt: skip
SECRETS = {who: f"secret of {who}" for who in EVERYBODY}
CREDENTIALS = {who: mosquitto_hash(secret, b"salt-salt-12") for who, secret in SECRETS.items()}
REGISTRY = Registry(
    1, ("main",), {"van": Vehicle("van", "main", "Van")},
    {who: Device(who, "main", bindings=(Binding("van", 0),)) for who in DEVICES}, CREDENTIALS,
)  # fmt: skip
