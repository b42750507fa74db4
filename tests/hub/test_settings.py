"""Settings: defaults run, every fault is named, no open door by accident."""

from pathlib import Path

import pytest

from hub.settings import Hub, is_loopback
from wire.errors import SettingsError
from wire.ops.settings import check, load


def test_the_defaults_are_for_this_machine_only() -> None:
    hub = check({}, Hub, source="defaults")
    assert (hub.http.host, hub.http.port, hub.mqtt.host, hub.mqtt.port) == ("127.0.0.1", 8080, "127.0.0.1", 1883)
    assert (hub.mqtt.url, hub.redis.url, hub.store.url, hub.fleet) == (None, None, None, "main")


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(
        'name = "Ä"\ncolour = 1\n[http]\nport = 99999\n[mqtt]\nurl = "http://x"\n[redis]\nurl = "x"\n[store]\nurl = "mysql://x"\n'
        '[page]\ntile_url = "ftp://x"\n[limits]\nclient_rate = 0\n'
    )
    with pytest.raises(SettingsError) as caught:
        load(path, Hub)
    text = "\n".join(caught.value.faults)
    for place in ("name", "colour", "http.port", "mqtt", "redis", "store", "page", "limits.client_rate"):
        assert f": {place}: " in text, place
    assert len(caught.value.faults) == 8


@pytest.mark.parametrize(
    ("data", "open_door"),
    [
        ({"http": {"host": "0.0.0.0"}}, "http.host 0.0.0.0"),
        ({"mqtt": {"host": "192.0.2.1"}}, "mqtt.host 192.0.2.1"),
        ({"mqtt": {"host": "hub.example"}}, "mqtt.host hub.example"),
    ],
)
def test_an_open_door_without_tls_is_refused(data: dict[str, object], open_door: str) -> None:
    with pytest.raises(SettingsError, match="without TLS") as caught:
        check(data, Hub, source="x")
    assert open_door in str(caught.value)
    assert "insecure = true" in str(caught.value)
    assert check({**data, "insecure": True}, Hub, source="x").insecure


def test_a_broker_with_tls_or_another_broker_may_listen_anywhere() -> None:
    tls = {"host": "0.0.0.0", "tls_cert": "c.pem", "tls_key": "k.pem"}
    assert check({"mqtt": tls}, Hub, source="x").mqtt.host == "0.0.0.0"
    assert check({"mqtt": {"host": "0.0.0.0", "url": "mqtts://broker"}}, Hub, source="x").mqtt.url
    with pytest.raises(SettingsError, match="go together"):
        check({"mqtt": {"tls_cert": "c.pem"}}, Hub, source="x")


@pytest.mark.parametrize(
    ("host", "is_near"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
                          ("::", False), ("hub.example", False), ("", False)]
)  # fmt: skip
def test_loopback(host: str, *, is_near: bool) -> None:
    assert is_loopback(host) is is_near
