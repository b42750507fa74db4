"""What the hub needs from outside: a store, a view of now, a link to devices. Each has a twin in `adapters.memory`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hub.core.fanout import Board
from hub.core.ledger import Line, Reach
from hub.core.marks import Incoming, Mark, Outcome, StoredEvent
from hub.core.registry import Registry, Token
from hub.core.views import State
from wire.ops.watch import WatchCall


@dataclass(frozen=True, slots=True)
class SavedLive:
    """The newest live message of a device, as it came."""

    device: str
    vehicle: str
    payload: bytes
    received_ms: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stored track payload of a device."""

    device: str
    store: str
    first: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """A device's word on how far its store goes, and which day each of the records is of that have not come."""

    device: str
    store: str
    newest: int
    at_ms: int
    days: tuple[tuple[int, int], ...] = ()


class Ingested(Protocol):
    """The part of the store that the ingest needs. Every call may raise UnavailableError."""

    async def epoch(self) -> int:
        """Grows when the store was restored from a backup."""

    async def registry_version(self) -> int:
        """Grows with each change of the registry."""

    async def registry(self) -> Registry:
        """Everybody as of now."""

    async def append(self, groups: Sequence[Incoming]) -> list[Outcome]:
        """Append batches in one transaction; a failing one is kept apart and does not hold the others."""

    async def mark(self, device: str, store: str) -> Mark:
        """The mark of a device's store."""

    async def heard(self, told: Sequence[Heard]) -> None:
        """Keep how far the stores of devices go, for the ledger."""

    async def out_there(self) -> int:
        """How many records the devices have told of that have not come."""

    async def trim_quarantine(self, most_bytes: int) -> int:
        """Drop the oldest raw payloads beyond a size, never their lines; gives how many."""

    async def add_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Store events exactly once by device, store and seq; gives those that the store can't take."""

    async def relay(self, fleet: str, most: int) -> list[StoredEvent]:
        """Give new events of a fleet their place in the log; gives those that are not published yet, in order."""

    async def published(self, fleet: str, upto_pos: int) -> None:
        """These events are out."""

    async def save_live(self, rows: Sequence[SavedLive]) -> None:
        """Keep the newest live messages."""

    async def load_live(self) -> list[SavedLive]:
        """The kept live messages."""

    async def through(self) -> Mapping[str, int]:
        """For each device the newest committed time."""


class Asked(Protocol):
    """The part of the store that the API needs. Every call may raise UnavailableError."""

    async def epoch(self) -> int:
        """Grows when the store was restored from a backup."""

    async def registry_version(self) -> int:
        """Grows with each change of the registry."""

    def chunks(self, device: str, from_ms: int, until_ms: int) -> AsyncIterator[Chunk]:
        """Stored payloads of known rows that touch a span of time, in order."""

    async def events_after(self, fleet: str, pos: int, most: int) -> list[StoredEvent]:
        """Events of a fleet behind a position, in order."""

    async def last_pos(self, fleet: str) -> int:
        """The position of a fleet's newest event."""

    async def ledger(self, device: str) -> list[Line]:
        """The ledger of a device."""

    async def ledgers(self, devices: Collection[str] | None, first: int, last: int) -> list[Line]:
        """The ledgers of these devices, or of all, from day to day."""

    async def totals(self, devices: Collection[str] | None) -> list[Line]:
        """The ledgers of these devices, or of all, summed over all days."""

    async def reaches(self, devices: Collection[str] | None) -> list[Reach]:
        """How far the stores of these devices, or of all, are held and go."""

    async def redeem(self, code_digest: str, token: Token, now_ms: int) -> Token | None:
        """Change a login code into this token (its fleet is the code's), once; None if the code does not hold."""


class Now(Protocol):
    """The view of now in Redis. Every call may raise UnavailableError."""

    async def put(self, fleet: str, states: Sequence[State], at_ms: int) -> int:
        """Take states over if they are not older than what is there, and publish them; gives how many were taken."""

    async def begin_fill(self, fleet: str, token: str) -> None:
        """The view is being filled by the one who holds this token."""

    async def end_fill(self, fleet: str, vehicles: Collection[str], *, token: str, mark: str) -> bool:
        """Drop vehicles that are not among these and mark the view as filled; not if it was lost or begun anew meanwhile."""

    async def filled(self, fleet: str) -> str | None:
        """The mark of a filled view; None if the view is empty."""

    async def everything(self, fleet: str) -> list[bytes]:
        """All states of a fleet."""

    async def near(self, fleet: str, lat: float, lon: float, *, radius_m: float, most: int) -> list[tuple[str, float]]:
        """Vehicles around a place with their distance in metres, nearest first."""

    async def add_event(self, fleet: str, pos: int, text: str) -> None:
        """Add an event to the fleet's stream at its position; a repeat changes nothing."""

    async def ring(self, fleet: str, pos: int) -> None:
        """Tell that there are new events."""


class Followed(Protocol):
    """What is published about now, for those that show it."""

    async def everything(self, fleet: str) -> list[bytes]:
        """All states of a fleet."""

    async def follow(self, opened: Callable[[], Awaitable[None]], heard: Callable[[str, bytes], None]) -> None:
        """Listen until UnavailableError; `opened` is awaited after the subscription."""


class Down(Protocol):
    """The way to devices."""

    @property
    def up(self) -> bool:
        """Whether there is a link now."""

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send, if there is a link; what is lost is asked for again by the device."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the web needs from the rest of the hub."""

    store: Asked
    now: Now
    registry: Callable[[], Registry]
    board: Callable[[str], Board]
    watch: WatchCall
    utc_ms: Callable[[], int]
    random_token: Callable[[], str]
    render_metrics: Callable[[], str]
    ready: Callable[[], Mapping[str, str | None]]
    registry_changed: Callable[[], Awaitable[None]]
    look_again: Callable[[], Awaitable[None]]
    tile_url: str | None
    attribution: str
    stream_clients: int
    client_rate: float
    client_silent_s: float
    near_vehicles: int
    pages: str
