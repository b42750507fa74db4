"""The hub's memory of vehicles: complete, and only what is new is told."""

import json
from dataclasses import replace

from hub.core.registry import Registry, Vehicle
from hub.core.views import Views, state_of
from tests.hub.makers import T0, a_registry
from wire.messages import Live, Status

LIVE = Live(T0, 41.0, -96.0)


def told(views: Views) -> dict[str, list[str]]:
    return {fleet: [state.vehicle for state in states] for fleet, states in views.take_dirty().items()}


def test_every_vehicle_has_a_view_from_the_start() -> None:
    views = Views()
    views.know(a_registry())
    assert told(views) == {"main": ["van-1", "van-2"]}
    assert told(views) == {}
    assert views.names_of("main") == ["van-1", "van-2"]
    assert [state.vehicle for state in views.some_of("main", ["van-2", "gone"])] == ["van-2"]
    assert views.names_of("other") == []
    assert views.some_of("other", ["van-1"]) == []
    assert views.get("nothing") is None


def test_changes_are_told_once() -> None:
    views = Views()
    views.know(a_registry())
    views.take_dirty()
    assert views.live("van-1", LIVE, T0)
    assert not views.live("van-1", replace(LIVE, at_ms=T0 - 1), T0)
    views.status("van-1", Status(True, "c"), online=True)
    views.commit("van-1", 3, T0)
    views.commit("van-2", 0, None)
    assert told(views) == {"main": ["van-1"]}


def test_renamed_added_and_gone() -> None:
    views = Views()
    views.know(a_registry())
    views.live("van-1", LIVE, T0)
    views.take_dirty()
    views.live("van-2", LIVE, T0)
    vehicles = {"van-1": Vehicle("van-1", "main", "New name"), "bus": Vehicle("bus", "north", "Bus")}
    views.know(Registry(2, ("main", "north"), vehicles))
    assert told(views) == {"main": ["van-1"], "north": ["bus"]}
    view = views.get("van-1")
    assert view is not None
    assert (view.name, view.live) == ("New name", LIVE)
    assert views.get("van-2") is None


def test_the_map_ends_near_the_poles() -> None:
    views = Views()
    views.know(a_registry())
    views.live("van-1", replace(LIVE, lat_deg=85.06), T0)
    views.live("van-2", LIVE, T0)
    polar, other = views.some_of("main", ["van-1", "van-2"])
    assert polar.place is None
    assert json.loads(polar.text)["live"]["lat"] == 85.06
    assert other.place == (41.0, -96.0)
    view = views.get("van-2")
    assert view is not None
    assert state_of(view).order_ms == T0
