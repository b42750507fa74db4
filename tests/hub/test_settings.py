"""Settings: defaults run, every fault is named, no open door by accident."""

import subprocess
from pathlib import Path

import pytest

from hub.settings import WITH_FILES, Hub
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
    for place in (
        "name",
        "colour",
        "http.port",
        "mqtt.url",
        "redis.url",
        "store.url",
        "page.tile_url",
        "limits.client_rate",
    ):
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


def a_certificate(folder: Path, name: str) -> tuple[str, str]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(cert), str(key)


def test_files_are_read_only_when_asked_and_every_fault_of_them_is_named(tmp_path: Path) -> None:
    (cert, key), (_other, other_key) = a_certificate(tmp_path, "one"), a_certificate(tmp_path, "two")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", key, "-out", locked], check=True, capture_output=True
    )
    none = str(tmp_path / "none.pem")
    (tmp_path / "junk.pem").write_text("junk")
    junk = str(tmp_path / "junk.pem")
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({"tls_cert": cert, "tls_key": key, "ca_file": cert}, []),
        ({"tls_cert": none, "tls_key": none, "ca_file": none}, ["mqtt.ca_file", "mqtt.tls_cert", "mqtt.tls_key"]),
        ({"tls_cert": junk, "tls_key": junk, "ca_file": junk}, ["mqtt.ca_file", "mqtt.tls_key"]),
        ({"tls_cert": cert, "tls_key": other_key}, ["mqtt.tls_key"]),
        ({"tls_cert": cert, "tls_key": str(locked)}, ["mqtt.tls_key"]),
        ({"tls_cert": str(tmp_path), "tls_key": "a\0b"}, ["mqtt.tls_cert", "mqtt.tls_key"]),
    ]
    for mqtt, places in cases:
        assert check({"mqtt": mqtt}, Hub, source="x").mqtt.tls_cert == mqtt["tls_cert"]
        faults: list[str] = []
        try:
            check({"mqtt": mqtt}, Hub, source="x", context=WITH_FILES)
        except SettingsError as error:
            faults = error.faults
        assert [fault.split(": ")[1] for fault in faults] == places, faults


@pytest.mark.parametrize("host", ["", "a..b", "a b", "::x"])
def test_a_host_that_is_none(host: str) -> None:
    for part in ("http", "mqtt"):
        with pytest.raises(SettingsError, match=f"{part}.host: "):
            check({part: {"host": host}}, Hub, source="x")
