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


def test_each_source_of_fixes_has_settings_of_its_own() -> None:
    assert faults(gnss={"path": None}) == ["gnss.path"]
    assert faults(gnss={"path": None, "source": "gpsd"}) == []
    assert faults(gnss={"source": "gpsd"}) == [], "a path that gpsd reads may stay"
    assert faults(gnss={"source": "usb"}) == ["gnss.source"]
    assert faults(gnss={"source": "tcp"}) == ["gnss.host", "gnss.port"]
    assert faults(gnss={"source": "tcp", "host": "router.lan", "port": 8500}) == []
    assert faults(gnss={"source": "udp"}) == ["gnss.port"]
    assert faults(gnss={"source": "udp", "port": 10110, "sender": "192.168.1.1"}) == []
    assert faults(gnss={"host": "h", "port": 1, "sender": "a"}) == ["gnss.host", "gnss.port", "gnss.sender"]
    assert faults(gnss={"source": "tcp", "baud": 7, "sender": "x"}) == [
        "gnss.baud", "gnss.host", "gnss.port", "gnss.sender",
    ], "all at once"  # fmt: skip


def test_where_a_source_is_found_by_default() -> None:
    def address(**gnss: object) -> tuple[str, int]:
        return check({**LEAST, "gnss": gnss}, AgentSettings, source="x").gnss.address

    assert address(source="gpsd") == ("127.0.0.1", 2947)
    assert address(source="gpsd", host="gw.lan", port=3000) == ("gw.lan", 3000)
    assert address(source="udp", port=10110) == ("0.0.0.0", 10110)
    assert address(source="tcp", host="fe80::1%eth0", port=1) == ("fe80::1%eth0", 1)


@pytest.mark.parametrize("host", ["", "tcp://h", "h:1", "h h", "-h", "h/x", "[::1]"])
def test_what_is_no_host(host: str) -> None:
    assert faults(gnss={"source": "gpsd", "host": host}) == ["gnss.host"]
    assert faults(obd={"host": host}) == ["obd.host"]


@pytest.mark.parametrize("baud", ["auto", 4800, 921_600, 1200])
def test_speeds(baud: object) -> None:
    assert faults(gnss={"baud": baud}, obd={"path": "/dev/x", "baud": baud}) == []


@pytest.mark.parametrize("baud", ["fast", "9600", 9600.5, True, 300, None, [9600]])
def test_what_is_no_speed(baud: object) -> None:
    assert faults(gnss={"baud": baud}) == ["gnss.baud"]


def test_an_adapter_is_in_one_place() -> None:
    assert faults(obd={}) == ["obd.path"]
    for way in ({"path": "/dev/obd"}, {"host": "192.168.0.10"}, {"bluetooth": "00:1d:A5:68:98:8B"}):
        assert faults(obd=way) == []
    assert faults(obd={"path": "/dev/obd", "host": "h"}) == ["obd.path"]
    assert faults(obd={"bluetooth": "00:1D:A5:68:98:8B", "host": "h"}) == ["obd.path"]
    assert faults(obd={"bluetooth": "1234"}) == ["obd.bluetooth"]


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


def told(**sections: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        check({**LEAST, **sections}, AgentSettings, source="x")
    return str(caught.value)


def test_faults_are_told_in_our_words() -> None:
    assert told(device={"id": "x", "secret_file": "/s"}).startswith("x: device.id: wants gw- and then")
    assert told(obd={"path": "/dev/x", "rate_hz": 0}) == "x: obd.rate_hz: must be greater than 0"
    assert told(hub={}) == "x: hub.url: must be set"
    assert told(log=7).startswith("x: log: must be a section")  # type: ignore[arg-type]  # that is the fault
    assert told(obd={"path": "/dev/x", "wanted": ("speed", "zzz")}) == (
        "x: obd.wanted: unknown: speed (near: rp is EngineSpeed, vs is Speed), zzz; the names are in the table of docs/obd.md"
    )


def test_an_unknown_section_and_many_faults_at_once() -> None:
    assert faults(cloud={}, hub={"url": "x"}, log={"level": "x"}, obd={}) == [
        "hub.url",
        "obd.path",
        "log.level",
        "cloud",
    ]


def test_a_profile_gives_defaults_and_explicit_keys_win() -> None:
    chosen = {"sampling": {"profile": "low-data", "eps_m": 15}, "obd": {"path": "/dev/obd"}, "outbox": {"max_mb": 9}}
    settings = check({**LEAST, **chosen}, AgentSettings, source="x")
    assert (settings.sampling.eps_m, settings.sampling.upload_s) == (15.0, 600.0)
    assert settings.obd is not None
    assert settings.obd.rate_hz == 1.0
    assert (settings.outbox.max_mb, settings.outbox.thin_m, settings.budget.month_mb) == (9.0, 10.0, 25.0)
    without = check({**LEAST, "sampling": {"profile": "low-data"}}, AgentSettings, source="x")
    assert without.obd is None, "no adapter comes from a profile"
    own = {"sampling": {"profile": "courier"}, "obd": {"path": "/dev/obd", "rate_hz": 2}}
    settings = check({**LEAST, **own}, AgentSettings, source="x")
    assert settings.obd is not None
    assert (settings.obd.rate_hz, settings.sampling.eps_m) == (2.0, 5.0)


@pytest.mark.parametrize("wrong", ["citty", "", 3])
def test_a_profile_that_is_none(wrong: object) -> None:
    assert faults(sampling={"profile": wrong}) == ["sampling.profile"]
    assert faults(sampling={"profile": "city"}, outbox={"path": "/o"}) == []


def test_a_section_that_is_none_is_told_besides_a_profile() -> None:
    with pytest.raises(SettingsError, match="obd: must be a section"):
        check({**LEAST, "sampling": {"profile": "city"}, "obd": 3}, AgentSettings, source="x")


@pytest.mark.parametrize(("mb", "fine"), [(0, True), (3, True), (2.9, False)])
def test_a_budget_that_heartbeats_alone_would_use_up_is_refused(mb: float, fine: bool) -> None:  # noqa: FBT001  # a column
    chosen = {**LEAST, "budget": {"month_mb": mb}}
    if fine:
        assert check(chosen, AgentSettings, source="x").budget.month_mb == mb
        return
    with pytest.raises(SettingsError, match="wants 3 MB at least"):
        check(chosen, AgentSettings, source="x")
