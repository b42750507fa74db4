"""The agent's settings: the defaults, and each rule of its own with the file that breaks it."""

from pathlib import Path
from typing import Any

import pytest

from agent.settings import AgentSettings
from wire.errors import SettingsError
from wire.ops.settings import check

LEAST: dict[str, Any] = {
    "device": {"id": "gw-1", "secret_file": "/s"},
    "hub": {"url": "mqtt://hub.example"},
    "gnss": {"path": "/dev/gnss0"},
}


def faults(**sections: dict[str, Any]) -> list[str]:
    """The places that are wrong when these keys are set."""
    data = {name: LEAST.get(name, {}) | sections.get(name, {}) for name in LEAST.keys() | sections.keys()}
    try:
        check(data, AgentSettings, source="x")
    except SettingsError as error:
        return [fault.split(": ", 2)[1] for fault in error.faults]
    return []


def test_the_least_that_a_file_needs() -> None:
    settings = check(LEAST, AgentSettings, source="x")
    assert settings.obd is None
    assert settings.outbox.path == Path("/var/lib/odograph/outbox.db")
    assert (settings.sampling.eps_m, settings.sampling.upload_s, settings.sampling.commit_s) == (10.0, 60.0, 5.0)
    assert (settings.gnss.source, settings.log.level) == ("serial", "info")


@pytest.mark.parametrize("url", ["mqtt://h", "mqtts://h:8883", "mqtt://[::1]:1883", "mqtt://10.0.0.1:65535/"])
def test_urls_of_a_broker(url: str) -> None:
    assert faults(hub={"url": url}) == []


@pytest.mark.parametrize(
    "url", ["", "hub", "http://h", "mqtt://", "mqtt://u:p@h", "mqtt://h:0", "mqtt://h:65536", "mqtt://h:99999",
            "mqtt://h:1/x", "mqtt://h?x", "mqtt://h h", "mqtt://h:٣"]
)  # fmt: skip
def test_what_is_no_url_of_a_broker(url: str) -> None:
    assert faults(hub={"url": url}) == ["hub.url"]


@pytest.mark.parametrize("identity", ["gw-", "", "ph-1", "hub-1", "gw-A", "gw-1/x", "gw-+", "gw-" + "x" * 30, "gw-1\n"])
def test_identities_that_are_no_gateway(identity: str) -> None:
    assert faults(device={"id": identity}) == (["device.id"] if identity != "gw-1\n" else [])


def test_a_serial_receiver_needs_a_port_and_gpsd_does_not() -> None:
    assert faults(gnss={"path": None}) == ["gnss"]
    assert faults(gnss={"path": None, "source": "gpsd"}) == []
    assert faults(gnss={"source": "usb"}) == ["gnss.source"]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("hub", "keepalive_s", 4), ("hub", "silent_s", 0), ("hub", "spread_s", -1), ("gnss", "baud", 0),
        ("gnss", "port", 65_536), ("obd", "rate_hz", 0), ("obd", "rate_hz", float("inf")), ("sampling", "eps_m", 0),
        ("sampling", "eps_m", float("nan")), ("sampling", "upload_s", float("inf")), ("sampling", "commit_s", "soon"),
        ("log", "level", "all"), ("outbox", "size", 1), ("device", "name", "x"),
    ],
)  # fmt: skip
def test_each_key_has_its_bounds(section: str, key: str, value: object) -> None:
    more = {"path": "/dev/obd"} if section == "obd" else {}
    assert faults(**{section: more | {key: value}}) == [f"{section}.{key}"]


def test_an_unknown_section_and_many_faults_at_once() -> None:
    assert faults(cloud={}, hub={"url": "x"}, log={"level": "x"}, obd={}) == [
        "hub.url",
        "obd.path",
        "log.level",
        "cloud",
    ]
