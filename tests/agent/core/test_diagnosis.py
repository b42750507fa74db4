"""The doctor's rules: each fault by its name, on facts that show it, and a gateway in order."""

from dataclasses import replace

import pytest

from agent.core.cures import FAULTS
from agent.core.diagnosis import Adapter, Clock, Line, Outcome, Receiver, Storage, Uplink, judge

RECEIVER = Receiver(
    "/dev/gnss", speed=9600, heard=90, sentences={"RMC": 15, "GGA": 15}, fixes=15, first_fix_s=2.0, watched_s=12.0, mode=3,
    hdop=0.9, accuracy_m=2.5, sats_used=11, sats_seen=16, cn0_dbhz=42.0,
)  # fmt: skip
BLIND = replace(RECEIVER, fixes=0, first_fix_s=None, watched_s=0.0, mode=1, hdop=None, accuracy_m=None, sats_used=0)
ADAPTER = Adapter(
    "/dev/obd", banner="ELM327 v1.4", grade="genuine", ready=True, protocol="ISO 15765-4 CAN 11/500",
    vin="WDB9066571S123456", parameters=24, round_trip_ms=60.0, voltage_v=14.1,
)  # fmt: skip
STORAGE = Storage("/var/lib/odograph/outbox.db", fsync_p99_ms=4.0, free_mb=9_000.0)
UPLINK = Uplink("hub.example:8883", connect_ms=20.0, ack_ms=55.0, tls=True)
CLOCK = Clock("gnss", 0.2)


def lines(
    *,
    receiver: Receiver = RECEIVER,
    adapter: Adapter | None = ADAPTER,
    storage: Storage = STORAGE,
    uplink: Uplink = UPLINK,
    clock: Clock = CLOCK,
) -> dict[str, Line]:
    told = judge(receiver=receiver, adapter=adapter, storage=storage, uplink=uplink, clock=clock)
    return {line.check: line for line in told}


def failed(**facts: Receiver | Adapter | Storage | Uplink | Clock | None) -> list[str]:
    return [line.fault for line in lines(**facts).values() if line.outcome is Outcome.FAILED]  # type: ignore[arg-type]  # by name


def test_a_gateway_in_order_passes_everywhere() -> None:
    told = lines()
    assert {line.outcome for line in told.values()} == {Outcome.PASSED}
    assert list(told) == [
        "receiver", "position", "adapter", "vehicle", "battery", "storage", "dns", "connect", "tls", "login", "hub", "clock",
    ]  # fmt: skip
    assert told["receiver"].text == "/dev/gnss at 9600 baud: 90 sentences (GGA 15, RMC 15)"
    assert told["position"].text == "3D after 2 s, 11 satellites used, 16 seen, 42 dB-Hz, HDOP 0.9, ± 2.5 m"
    assert told["vehicle"].text == "ISO 15765-4 CAN 11/500, VIN WDB9066571S123456, 24 parameters"
    assert all(not line.cure for line in told.values())


RECEIVERS: dict[str, Receiver] = {
    "receiver.unusable": replace(BLIND, error="/dev/gnss: No such file or directory"),
    "receiver.unreachable": replace(BLIND, place="udp 0.0.0.0:10110", error="the address is in use"),
    "receiver.silent": replace(BLIND, heard=0, error="/dev/gnss is silent for 8 s"),
    "receiver.wrong-speed": replace(BLIND, heard=0, noise=True),
    "receiver.garbage": replace(BLIND, heard=0, noise=True, hunting=True),
    "receiver.line-noise": replace(RECEIVER, rejected={"checksum": 4, "cut": 3}),
    "receiver.antenna-open": replace(BLIND, antenna="open"),
    "receiver.antenna-short": replace(BLIND, antenna="short"),
    "receiver.no-signal": replace(BLIND, cn0_dbhz=None, sats_seen=None),
    "receiver.no-fix": replace(BLIND, rejected={"no-fix": 20}),
    "receiver.no-date": replace(BLIND, rejected={"no-date": 20}),
    "receiver.wrong-date": replace(BLIND, redated={"wrong-date": 20}),
    "receiver.null-island": replace(BLIND, rejected={"null-island": 9}),
    "receiver.frozen": replace(RECEIVER, rejected={"frozen": 9}),
    "receiver.stale": replace(RECEIVER, fixes=1),
    "receiver.back-in-time": replace(RECEIVER, rejected={"back-in-time": 9}),
    "receiver.jumps": replace(RECEIVER, rejected={"jump": 1}),
    "receiver.weak": replace(RECEIVER, mode=2, cn0_dbhz=18.0, hdop=8.0, sats_used=4),
}
ADAPTERS: dict[str, Adapter] = {
    "adapter.unusable": replace(ADAPTER, error="/dev/obd: Permission denied"),
    "adapter.unreachable": replace(ADAPTER, place="192.168.0.10:35000", error="no route"),
    "adapter.wrong-speed": replace(ADAPTER, banner="", garbled=7, hunting=False),
    "adapter.mute": replace(ADAPTER, banner=""),
    "adapter.poor": replace(ADAPTER, grade="poor", reasons=("9 faults in 20 answers",)),
    "vehicle.asleep": replace(ADAPTER, ready=False),
    "vehicle.can-error": replace(ADAPTER, ready=False, faults={"can-error": 3}),
    "vehicle.bus-init": replace(ADAPTER, ready=False, faults={"bus-init": 3}),
    "vehicle.few-parameters": replace(ADAPTER, parameters=2),
    "battery.low": replace(ADAPTER, voltage_v=11.5),
}
STORAGES: dict[str, Storage] = {
    "storage.refused": replace(STORAGE, error="/var/lib/odograph: Read-only file system"),
    "storage.slow": replace(STORAGE, fsync_p99_ms=900.0),
    "storage.full": replace(STORAGE, free_mb=20.0),
}
UPLINKS: dict[str, Uplink] = {
    "uplink.dns": replace(UPLINK, stage="dns", error="hub.example: Name or service not known"),
    "uplink.connect": replace(UPLINK, stage="connect", error="refused"),
    "uplink.tls": replace(UPLINK, stage="tls", error="a certificate that is not trusted"),
    "uplink.wrong-port": replace(UPLINK, stage="login", error="closed: is this an mqtts:// port?"),
    "uplink.login": replace(UPLINK, stage="login", error="Not authorized"),
    "uplink.no-hub": replace(UPLINK, error="no hub answered", ack_ms=None),
    "uplink.slow": replace(UPLINK, ack_ms=9_000.0),
}
CLOCKS: dict[str, Clock] = {
    "clock.unknown": Clock("nobody"),
    "clock.off": Clock("gnss", -3_600.0),
    "receiver.wrong-time": Clock("gnss", -3_600.0, confirmed=True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_by_its_name_and_alone(fault: str) -> None:
    if fault in RECEIVERS:
        assert failed(receiver=RECEIVERS[fault]) == [fault]
    elif fault in ADAPTERS:
        assert failed(adapter=ADAPTERS[fault]) == [fault]
    elif fault in STORAGES:
        assert failed(storage=STORAGES[fault]) == [fault]
    elif fault in UPLINKS:
        assert failed(uplink=UPLINKS[fault]) == [fault]
    else:
        assert failed(clock=CLOCKS[fault]) == [fault]
    assert len(FAULTS[fault]) > 20


def test_what_can_not_be_looked_at_is_skipped() -> None:
    told = lines(adapter=None)
    assert [told[check].outcome for check in ("adapter", "vehicle", "battery")] == [Outcome.SKIPPED] * 3
    told = lines(adapter=replace(ADAPTER, banner=""))
    assert [told[check].outcome for check in ("vehicle", "battery")] == [Outcome.SKIPPED] * 2
    assert lines(receiver=replace(BLIND, heard=0))["position"].outcome is Outcome.SKIPPED
    assert lines(adapter=replace(ADAPTER, voltage_v=None))["battery"].outcome is Outcome.SKIPPED
    told = lines(uplink=replace(UPLINK, stage="connect", error="refused"))
    assert [told[check].outcome for check in ("dns", "tls", "login", "hub")] == [Outcome.PASSED] + [Outcome.SKIPPED] * 3
    assert lines(uplink=replace(UPLINK, tls=False))["tls"].outcome is Outcome.SKIPPED


def test_what_follows_from_another_fault_is_not_blamed_too() -> None:
    assert failed(receiver=BLIND, clock=Clock("nobody")) == ["receiver.no-fix"]
    assert failed(adapter=replace(ADAPTER, ready=False, grade="poor")) == ["adapter.poor"]
    parked = lines(adapter=replace(ADAPTER, resting=True, ready=False))["vehicle"]
    assert parked.outcome is Outcome.SKIPPED
    assert failed(receiver=replace(RECEIVER, fresh=False)) == ["receiver.stale"]
    assert failed(receiver=replace(RECEIVER, fresh=False, rejected={"no-fix": 9})) == ["receiver.no-fix"]
    noisy = lines(receiver=replace(RECEIVER, rejected={"checksum": 50}))
    assert (noisy["receiver"].fault, noisy["position"].outcome) == ("receiver.line-noise", Outcome.PASSED)
    assert failed(receiver=replace(RECEIVER, same_place=6)) == ["receiver.frozen"]
    assert lines(uplink=replace(UPLINK, ack_ms=None, linked_s=90.0))["hub"].text == "linked for 90 s"
    assert lines(receiver=replace(BLIND, heard=0))["receiver"].text == "/dev/gnss is silent"


def test_a_clone_and_a_repaired_rollover_pass_and_are_told() -> None:
    clone = lines(adapter=replace(ADAPTER, grade="clone", reasons=("refuses ATAT1",), round_trip_ms=None))["adapter"]
    assert (clone.outcome, clone.text) == (Outcome.PASSED, "ELM327 v1.4 at /dev/obd, clone (refuses ATAT1)")
    assert "week rollover" in lines(receiver=replace(RECEIVER, redated={"week-rollover": 15}))["position"].text


def test_what_is_not_known_is_left_out() -> None:
    bare = Receiver("gpsd", heard=5, fixes=5, mode=3)
    assert lines(receiver=bare)["receiver"].text == "gpsd: 5 sentences"
    assert lines(receiver=bare)["position"].text.startswith("3D, ")
    assert lines(receiver=Receiver("gpsd", heard=5))["position"].text == "no position"
    assert lines(clock=Clock("system"))["clock"].text == "told by system"
    passed = lines(uplink=replace(UPLINK, connect_ms=None, ack_ms=None))
    assert (passed["connect"].text, passed["hub"].text) == ("hub.example:8883", "hub.example:8883")


def test_trucks_are_judged_by_two_batteries() -> None:
    assert failed(adapter=replace(ADAPTER, voltage_v=24.9)) == []
    assert failed(adapter=replace(ADAPTER, voltage_v=22.9)) == ["battery.low"]
