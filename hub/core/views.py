"""The hub's own memory of every vehicle: what Redis is filled from, and which states are new since it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hub.core import lanes
from hub.core.registry import Registry
from wire.messages import Live, Status

MOST_LAT_DEG = 85.05


@dataclass(frozen=True, slots=True)
class State:
    """A vehicle's state for Redis. `place` is latitude and longitude, if it can be on the map of Redis."""

    vehicle: str
    order_ms: int
    place: tuple[float, float] | None
    text: str


def state_of(view: lanes.View) -> State:
    """A view as it goes to Redis, whose map ends at ±85.05°."""
    place = None
    if view.live is not None and abs(view.live.lat_deg) <= MOST_LAT_DEG:
        place = (view.live.lat_deg, view.live.lon_deg)
    return State(view.vehicle, view.order_ms, place, lanes.encode(view))


class Views:
    """Every vehicle of the registry has a view, from the first moment on."""

    def __init__(self) -> None:
        self._views: dict[str, lanes.View] = {}
        self._fleets: dict[str, str] = {}
        self._dirty: dict[str, None] = {}

    def know(self, registry: Registry) -> None:
        """Take a registry over: new vehicles appear, gone ones go, names change."""
        for vehicle in registry.vehicles.values():
            known = self._views.get(vehicle.vehicle)
            fresh = lanes.View(vehicle.vehicle, vehicle.name) if known is None else replace(known, name=vehicle.name)
            self._fleets[vehicle.vehicle] = vehicle.fleet
            self._put(fresh)
        for gone in self._views.keys() - registry.vehicles.keys():
            del self._views[gone], self._fleets[gone]
            self._dirty.pop(gone, None)

    def get(self, vehicle: str) -> lanes.View | None:
        """The view of a vehicle."""
        return self._views.get(vehicle)

    def _put(self, view: lanes.View) -> None:
        if self._views.get(view.vehicle) != view:
            self._views[view.vehicle] = view
            self._dirty[view.vehicle] = None

    def live(self, vehicle: str, live: Live, received_ms: int) -> bool:
        """A live message of a vehicle; False if it is older than what is shown."""
        fresh = lanes.with_live(self._views[vehicle], live, received_ms)
        if fresh is None:
            return False
        self._put(fresh)
        return True

    def commit(self, vehicle: str, waiting: int, through_ms: int | None) -> None:
        """Rows of a vehicle were committed."""
        self._put(lanes.with_commit(self._views[vehicle], waiting, through_ms))

    def status(self, vehicle: str, status: Status, *, online: bool) -> None:
        """A status of a vehicle's device."""
        self._put(lanes.with_status(self._views[vehicle], status, online=online))

    def take_dirty(self) -> Mapping[str, list[State]]:
        """By fleet, the states that are new since the last call."""
        out: dict[str, list[State]] = {}
        for vehicle in self._dirty:
            out.setdefault(self._fleets[vehicle], []).append(state_of(self._views[vehicle]))
        self._dirty = {}
        return out

    def names_of(self, fleet: str) -> list[str]:
        """The vehicles of a fleet."""
        return [vehicle for vehicle, of in self._fleets.items() if of == fleet]

    def some_of(self, fleet: str, vehicles: Iterable[str]) -> list[State]:
        """The states of these vehicles, as they are now; not of those that have gone from the fleet."""
        return [state_of(self._views[one]) for one in vehicles if self._fleets.get(one) == fleet]
