"""Topics as a table, and who may use them; judged by a second matcher that shares no code with the first."""

import re

import pytest

from wire.errors import DecodeError
from wire.roles import ROLES, Action, allowed, covers, role_of
from wire.topics import TOPICS, Way, build, every, known, parse


@pytest.mark.parametrize("topic", TOPICS)
def test_build_and_parse(topic: object) -> None:
    row = topic
    assert any(row is known(t.way, t.name) for t in TOPICS)
    for known_topic in TOPICS:
        assert parse(build("gw-1", known_topic.way, known_topic.name)) == ("gw-1", known_topic)


@pytest.mark.parametrize("identity", ["", "GW-1", "gw/1", "gw-+", "#", "g" * 33, "-x", "gw-1\n"])
def test_no_topic_for_a_strange_identity(identity: str) -> None:
    with pytest.raises(ValueError, match="no topic"):
        build(identity, Way.UP, "live")


def test_no_topic_for_a_strange_name() -> None:
    with pytest.raises(ValueError, match="no topic"):
        build("gw-1", Way.UP, "ack")


@pytest.mark.parametrize(
    "topic",
    ["", "odo/1/gw-1/up", "odo/2/gw-1/up/live", "odo/1/gw-1/sideways/live", "odo/1/GW/up/live", "odo/1/gw-1/up/ack",
     "odo/1/gw-1/up/live/x"],
)  # fmt: skip
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(DecodeError):
        parse(topic)


def test_filter_of_all_devices() -> None:
    assert every(Way.UP, "track") == "odo/1/+/up/track"


def test_roles_by_prefix() -> None:
    assert [getattr(role_of(i), "name", None) for i in ("gw-1", "ph-1", "hub-a", "gw-", "op-1", "x y")] == [
        "gateway", "phone", "hub", None, None, None,
    ]  # fmt: skip
    assert len({role.prefix for role in ROLES}) == len(ROLES)


def oracle(pattern: str, topic: str) -> bool:
    """A topic against a pattern, by regular expression."""
    expression = re.escape(pattern).replace(r"\+", "[^/]*").replace("/\\#", "(/.*)?").replace("\\#", ".*")
    return re.fullmatch(expression, topic) is not None


LEVELS = ("a", "b", "+", "#")
FILTERS = [
    "/".join(levels)
    for levels in [(x,) for x in LEVELS]
    + [(x, y) for x in LEVELS[:3] for y in LEVELS]
    + [(x, y, z) for x in LEVELS[:3] for y in LEVELS[:3] for z in LEVELS]
]
WORLD = ["/".join(t) for t in [(x,) for x in "ab"] + [(x, y) for x in "ab" for y in "ab"]
         + [(x, y, z) for x in "ab" for y in "ab" for z in "ab"] + [tuple("abab")]]  # fmt: skip


@pytest.mark.parametrize("pattern", FILTERS)
def test_a_filter_is_covered_when_all_that_it_matches_is(pattern: str) -> None:
    granted = [t for t in WORLD if oracle(pattern, t)]
    for wanted in FILTERS:
        matched = [t for t in WORLD if oracle(wanted, t)]
        if covers(pattern, wanted):
            assert set(matched) <= set(granted), (pattern, wanted)
        elif "+" not in wanted and "#" not in wanted:
            assert not set(matched) <= set(granted), (pattern, wanted)


def test_devices_keep_to_their_own_topics() -> None:
    assert allowed("gw-1", Action.WRITE, "odo/1/gw-1/up/live")
    assert allowed("gw-1", Action.READ, "odo/1/gw-1/down/ack")
    assert allowed("hub-a", Action.READ, "odo/1/+/up/live")
    assert allowed("hub-a", Action.WRITE, "odo/1/gw-1/down/ack")
    for topic in ("odo/1/gw-2/up/live", "odo/1/gw-1/down/ack", "odo/1/+/up/live", "odo/1/gw-1/up/#", "", "#"):
        assert not allowed("gw-1", Action.WRITE, topic)
    for topic in ("odo/1/gw-2/down/ack", "odo/1/+/down/ack", "odo/1/gw-1/#", "#", "odo/1/gw-1/up/live"):
        assert not allowed("gw-1", Action.READ, topic)
    assert not allowed("nobody", Action.READ, "odo/1/nobody/down/ack")
