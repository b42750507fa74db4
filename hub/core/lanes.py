"""What the hub shows of a vehicle: where it is, whether it is linked, and how far its track is behind.

`waiting` counts rows still to come: what the last committed batch said, raised by a live message that describes a fix
after the newest committed one. A vehicle catches up while more is waiting than its upload interval explains.
"""

from dataclasses import dataclass, replace

from wire.codec import dump, encode_live, load_object
from wire.messages import Live, Status

CLOCK_AHEAD_MS = 10_000
FEW_ROWS = 5
UPLOADS = 3


@dataclass(frozen=True, slots=True)
class View:
    """One vehicle as the stream and the API show it; `clock` marks a time that is ahead of the hub's."""

    vehicle: str
    name: str
    online: bool = False
    live: Live | None = None
    received_ms: int | None = None
    clock: bool = False
    waiting: int = 0
    through_ms: int | None = None
    catching_up: bool = False
    upload_s: float = 60.0

    @property
    def order_ms(self) -> int:
        """What newer states are judged by: the time of the live message, or of its arrival if its clock is wrong."""
        if self.live is None or self.received_ms is None:
            return 0
        return self.received_ms if self.clock else self.live.at_ms


def _judged(view: View) -> View:
    return replace(view, catching_up=view.waiting > max(FEW_ROWS, UPLOADS * view.upload_s))


def with_live(view: View, live: Live, received_ms: int) -> View | None:
    """The view after a live message; None if it is not newer than what is shown."""
    clock = live.at_ms > received_ms + CLOCK_AHEAD_MS
    fresh = replace(view, live=live, received_ms=received_ms, clock=clock)
    if fresh.order_ms < view.order_ms or live == view.live:  # a broker tells what it keeps again and again
        return None
    behind = view.through_ms is None or live.at_ms > view.through_ms
    if live.waiting is not None and behind and live.waiting > view.waiting:
        fresh = replace(fresh, waiting=live.waiting)
    return _judged(fresh)


def with_commit(view: View, waiting: int, through_ms: int | None) -> View:
    """The view after rows were committed."""
    newest = max((at for at in (view.through_ms, through_ms) if at is not None), default=None)
    return _judged(replace(view, waiting=waiting, through_ms=newest))


def with_status(view: View, status: Status, *, online: bool) -> View:
    """The view after a status."""
    return _judged(replace(view, online=online, upload_s=status.upload_s if status.online else view.upload_s))


def encode(view: View) -> str:
    """The view as JSON, as the stream protocol and the API have it."""
    live = None if view.live is None else load_object(encode_live(view.live), max_bytes=4096)
    shown: dict[str, object] = {
        "veh": view.vehicle,
        "name": view.name,
        "on": view.online,
        "live": live,
        "rx": view.received_ms,
        "q": view.waiting,
        "through": view.through_ms,
        "catching_up": view.catching_up,
    }
    if view.clock:
        shown["clock"] = True
    return dump(shown).decode()
