"""Bindings by time, stays, credentials."""

from hub.core.registry import Binding, Device, Registry, Stay, Vehicle

VAN, BUS = Vehicle("van", "main", "Van"), Vehicle("bus", "main", "Bus")
DEVICE = Device("gw-a", "main", bindings=(Binding("van", 100), Binding("bus", 200), Binding("van", 300)))
OTHER = Device("gw-b", "main", suspended=True, bindings=(Binding("van", 150),))
REGISTRY = Registry(
    3, ("main",), {"van": VAN, "bus": BUS}, {"gw-a": DEVICE, "gw-b": OTHER, "gw-c": Device("gw-c", "main")},
    {"gw-a": "A", "gw-b": "B", "hub-1": "H"},
)  # fmt: skip


def test_the_vehicle_is_found_by_time() -> None:
    assert [DEVICE.bound_at(at) for at in (99, 100, 199)] == [None, DEVICE.bindings[0], DEVICE.bindings[0]]
    assert REGISTRY.vehicle_at("gw-a", 250) is BUS
    assert REGISTRY.vehicle_at("gw-a", 1) is None
    assert REGISTRY.vehicle_at("gw-x", 250) is None
    gone = Registry(devices={"gw-a": DEVICE})
    assert gone.vehicle_at("gw-a", 250) is None


def test_stays_are_cut_to_the_span_and_sorted() -> None:
    assert REGISTRY.stays("van", 120, 320) == [
        Stay("gw-a", 120, 200), Stay("gw-b", 150, 320), Stay("gw-a", 300, 320),
    ]  # fmt: skip
    assert REGISTRY.stays("bus", 0, 150) == []
    assert REGISTRY.stays("nothing", 0, 1000) == []


def test_the_suspended_and_the_unknown_have_no_credential() -> None:
    assert REGISTRY.credential("gw-a") == "A"
    assert REGISTRY.credential("gw-b") is None
    assert REGISTRY.credential("hub-1") == "H"
    assert REGISTRY.credential("gw-x") is None
    assert REGISTRY.active("gw-a") is DEVICE
    assert REGISTRY.active("gw-b") is None
    assert REGISTRY.active("gw-x") is None


def test_a_fleet_has_its_vehicles_by_name() -> None:
    assert REGISTRY.fleet_vehicles("main") == [BUS, VAN]
    assert REGISTRY.fleet_vehicles("other") == []
