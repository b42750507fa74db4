"""Which devices are asked to be more exact, and how often."""

from dataclasses import replace

from hub.core.registry import Vehicle
from hub.core.watching import AGAIN_MS, HOLD_MS, REST_MS, State, devices_of, refused, step
from tests.hub.makers import T0, a_registry
from wire.messages import Command


def test_only_devices_that_sit_in_vehicles_of_this_fleet() -> None:
    registry = a_registry()
    assert devices_of({"van-1", "van-2", "nobody"}, "main", registry, T0) == ["gw-a", "gw-b"]
    assert devices_of({"van-1"}, "other", registry, T0) == []
    assert devices_of(set(), "main", registry, T0) == []
    theirs = replace(registry, vehicles={**registry.vehicles, "van-1": Vehicle("van-1", "other", "Van")})
    assert devices_of({"van-1", "van-2"}, "main", theirs, T0) == ["gw-b"]
    gone = replace(registry, devices={"gw-a": replace(registry.devices["gw-a"], suspended=True)})
    assert devices_of({"van-1"}, "main", gone, T0) == []
    loose = replace(registry, devices={"gw-a": replace(registry.devices["gw-a"], bindings=())})
    assert devices_of({"van-1"}, "main", loose, T0) == []


def test_asked_again_while_somebody_looks() -> None:
    state, commands = step(State(), ["gw-a"], T0)
    assert commands == {"gw-a": Command(f"w{T0:x}", "watch", 5.0, T0 + HOLD_MS)}
    state, commands = step(state, ["gw-a", "gw-b"], T0 + 1000)
    assert set(commands) == {"gw-b"}
    state, commands = step(state, ["gw-a"], T0 + AGAIN_MS)
    assert set(commands) == {"gw-a"}
    state, commands = step(state, [], T0 + 3 * AGAIN_MS)
    assert (commands, state.next_ms) == ({}, {})


def test_who_says_no_is_left_alone_for_a_while() -> None:
    state, _ = step(State(), ["gw-a"], T0)
    state = refused(state, "gw-a", T0)
    state, commands = step(state, ["gw-a"], T0 + REST_MS - 1)
    assert commands == {}
    _, commands = step(state, ["gw-a"], T0 + REST_MS)
    assert set(commands) == {"gw-a"}
