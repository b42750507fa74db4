"""Mosquitto's files say what the role table says."""

from hub.core import mosquitto
from wire.roles import Action, allowed

IDENTITIES = {"gw-b": "HB", "gw-a": "HA", "hub-1": "HH", "zz": "none"}


def test_passwords() -> None:
    assert mosquitto.passwords(IDENTITIES) == "gw-a:HA\ngw-b:HB\nhub-1:HH\nzz:none\n"


def test_rights_are_lines_for_each_identity_and_no_patterns() -> None:
    text = mosquitto.rights(IDENTITIES)
    assert "pattern" not in text
    assert "user zz" not in text
    user, granted = "", 0
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["user"]:
            user = words[1]
        elif words:
            granted += 1
            topic = words[2]
            assert words[0] == "topic"
            if "+" not in topic:
                assert allowed(user, Action(words[1]), topic)
    assert granted > 20


def test_config_closes_the_doors() -> None:
    lines = mosquitto.config("/etc/x", "1884 127.0.0.1").splitlines()
    assert lines[0] == "listener 1884 127.0.0.1"
    assert "allow_anonymous false" in lines
    assert "password_file /etc/x/password_file" in lines
    assert int(next(line for line in lines if line.startswith("max_packet_size")).split()[1]) > 65_536
