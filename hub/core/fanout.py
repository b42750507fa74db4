"""Who sees what: the newest state of a fleet's vehicles, and the viewers that watch it.

A viewer is never owed a queue: it is owed a set of vehicles, and gets their newest state when its socket drains.
Snapshot and subscription happen in one step on the same board, so that no move falls between them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hub.core import frames
from hub.core.windows import Window, shows
from wire.codec import load_object
from wire.errors import DecodeError

MOST_SUBSCRIPTIONS = 16
VEHICLES_PER_FRAME = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """A vehicle on the board: its JSON, and what windows are judged by. `rank` grows with each state."""

    vehicle: str
    text: str
    place: tuple[float, float] | None
    rank: int


def read_shown(raw: str | bytes) -> Shown:
    """A vehicle's state as it stands in Redis. Raises DecodeError."""
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    data = load_object(text.encode(), max_bytes=16_384)
    vehicle, live, received = data.get("veh"), data.get("live"), data.get("rx")
    if not isinstance(vehicle, str):
        raise DecodeError("missing", "veh")
    place = None
    if isinstance(live, dict):
        lat, lon = live.get("lat"), live.get("lon")
        if isinstance(lat, int | float) and isinstance(lon, int | float):
            place = (float(lat), float(lon))
    return Shown(vehicle, text, place, received if isinstance(received, int) else 0)


def read_many(raw: bytes) -> list[Shown]:
    """States as they are published: a line each. Raises DecodeError."""
    return [read_shown(line) for line in raw.split(b"\n")]


@dataclass(slots=True)
class _Subscription:
    window: Window
    inside: set[str] = field(default_factory=set)
    dirty: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)


class Viewer:
    """What one client is owed. Make it by `Board.join`."""

    def __init__(self, board: "Board", wake: Callable[[], None]) -> None:
        self._board = board
        self.wake = wake
        self._subscriptions: dict[int, _Subscription] = {}

    @property
    def pending(self) -> bool:
        """Whether `drain` has something to tell."""
        return any(sub.dirty or sub.left for sub in self._subscriptions.values())

    def watched(self, most: int) -> set[str]:
        """Vehicles that this client asks for by name, a few at a time."""
        windows = [sub.window.ids for sub in self._subscriptions.values()]
        return {vehicle for ids in windows if ids is not None and len(ids) <= most for vehicle in ids}

    def subscribe(self, sub: int, window: Window, now_ms: int) -> str:
        """Start a subscription; gives its snapshot. Raises FrameError."""
        self.free(sub)
        return self._look(sub, window, now_ms)

    def free(self, sub: int, others: int = 0) -> None:
        """Whether this id may be taken, with `others` subscriptions elsewhere. Raises FrameError."""
        if sub in self._subscriptions:
            raise frames.FrameError("bad_frame", "this id is in use; use window to move it", sub=sub)
        if len(self._subscriptions) + others >= MOST_SUBSCRIPTIONS:
            raise frames.FrameError("too_many", f"at most {MOST_SUBSCRIPTIONS} subscriptions", sub=sub)

    def move(self, sub: int, window: Window, now_ms: int) -> str:
        """Let a subscription look at something else; gives a new snapshot. Raises FrameError."""
        if sub not in self._subscriptions:
            raise frames.FrameError("bad_frame", "there is no subscription with this id", sub=sub)
        return self._look(sub, window, now_ms)

    def unsubscribe(self, sub: int) -> None:
        """End a subscription. Raises FrameError."""
        if self._subscriptions.pop(sub, None) is None:
            raise frames.FrameError("bad_frame", "there is no subscription with this id", sub=sub)

    def _look(self, sub: int, window: Window, now_ms: int) -> str:
        seen = [shown for shown in self._board.vehicles.values() if self._board.in_window(window, shown)]
        self._subscriptions[sub] = _Subscription(window, {shown.vehicle for shown in seen})
        return frames.snapshot(sub, now_ms, (shown.text for shown in seen))

    def note(self, vehicle: str) -> None:
        """A vehicle changed or is gone: remember it where it matters."""
        shown = self._board.vehicles.get(vehicle)
        for sub in self._subscriptions.values():
            if shown is not None and self._board.in_window(sub.window, shown):
                sub.inside.add(vehicle)
                sub.left.pop(vehicle, None)
                sub.dirty[vehicle] = None
            elif vehicle in sub.inside:
                sub.inside.discard(vehicle)
                sub.dirty.pop(vehicle, None)
                sub.left[vehicle] = None

    def drain(self, now_ms: int) -> list[str]:
        """The frames that bring the client up to now."""
        out = []
        for number, sub in self._subscriptions.items():
            if sub.left:
                out.append(frames.leave(number, sub.left))
                sub.left = {}
            if sub.dirty:
                taken = list(sub.dirty)[:VEHICLES_PER_FRAME]
                for vehicle in taken:
                    del sub.dirty[vehicle]
                out.append(frames.moves(number, now_ms, (self._board.vehicles[vehicle].text for vehicle in taken)))
        return out


class Board:
    """The newest state of each vehicle of one fleet."""

    def __init__(self) -> None:
        self.vehicles: dict[str, Shown] = {}
        self.pos = 0
        self._tags: Mapping[str, Collection[str]] = {}
        self._viewers: set[Viewer] = set()

    def join(self, wake: Callable[[], None]) -> Viewer:
        """A new viewer; `wake` is called when there may be something to drain."""
        viewer = Viewer(self, wake)
        self._viewers.add(viewer)
        return viewer

    def quit(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._viewers.discard(viewer)

    def in_window(self, window: Window, shown: Shown) -> bool:
        """Whether a vehicle is in a window, by its place and the fleet's tags."""
        return shows(window, shown.vehicle, shown.place, self._tags.get(shown.vehicle, ()))

    def tagged(self, tags: Mapping[str, Collection[str]]) -> None:
        """Take the fleet's tags over; vehicles whose tags changed are judged anew."""
        changed = [name for name in self.vehicles if tuple(tags.get(name, ())) != tuple(self._tags.get(name, ()))]
        self._tags = dict(tags)
        self._tell(changed)

    def apply(self, states: Iterable[Shown]) -> int:
        """Take newer states over; gives how many were."""
        changed = []
        for shown in states:
            known = self.vehicles.get(shown.vehicle)
            if known is None or (shown.rank >= known.rank and shown.text != known.text):
                self.vehicles[shown.vehicle] = shown
                changed.append(shown.vehicle)
        self._tell(changed)
        return len(changed)

    def watched(self, most: int) -> set[str]:
        """Vehicles that some client looks at closely: by name, at most `most` a subscription."""
        return {vehicle for viewer in self._viewers for vehicle in viewer.watched(most)}

    def rang(self, pos: int) -> None:
        """The fleet's log of events goes up to this position."""
        if pos > self.pos:
            self.pos = pos
            for viewer in self._viewers:
                viewer.wake()

    def keep_only(self, vehicles: Collection[str]) -> None:
        """Drop vehicles that are no longer of the fleet."""
        gone = [vehicle for vehicle in self.vehicles if vehicle not in vehicles]
        for vehicle in gone:
            del self.vehicles[vehicle]
        self._tell(gone)

    def _tell(self, vehicles: Iterable[str]) -> None:
        told = list(vehicles)
        for viewer in self._viewers if told else ():
            for vehicle in told:
                viewer.note(vehicle)
            viewer.wake()
