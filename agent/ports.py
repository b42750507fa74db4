"""What the flow needs of the world, as Protocols. Each has an adapter, and a twin in memory where a test wants one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agent.core.dating import Moment
from agent.core.room import Made
from agent.core.timing import Basis, Verdict
from wire.errors import UnavailableError
from wire.messages import Lost, Status


class Bytes(Protocol):
    """A door that bytes come in by. Iterating raises UnavailableError when it can't be opened or goes away."""

    @property
    def place(self) -> str:
        """What a person calls it: the path of a port, or a host and port."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Open, and give what arrives, until the door goes away."""


class Line(Bytes, Protocol):
    """A door that can be written to as well."""

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises UnavailableError."""


class Clock(Protocol):
    """Time, from one place."""

    def now(self) -> Moment:
        """This moment: by UTC once somebody has told it, and always by boot and monotonic clock."""

    @property
    def basis(self) -> Basis:
        """Who has told the time."""

    def mono_ms(self) -> int:
        """A clock that never steps."""

    def judge(self, at_ms: int) -> tuple[int | None, Verdict]:
        """The receiver has told the time of a fix that has just come: its true time, or None, and what it was worth."""


class Kind(StrEnum):
    """What a record of the outbox is."""

    FIX = "f"
    EVENT = "e"


@dataclass(frozen=True, slots=True)
class Record:
    """A record before it has a seq: its kind, its moment and its body as kept. Without UTC it is open: see `core.dating`."""

    kind: Kind
    moment: Moment
    body: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A record in the outbox, with its seq and the chain hash up to it. `at_ms` is None as long as it is open."""

    seq: int
    kind: Kind
    at_ms: int | None
    body: bytes
    h: str


class Settled(StrEnum):
    """What became of an ack: taken, nothing new, or it does not fit this store's own hash chain."""

    TAKEN = "taken"
    STALE = "stale"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the outbox may grow, and with which error fixes are thinned when it has."""

    max_bytes: int = 256_000_000
    thin_m: float = 5.0


class Outbox(Protocol):
    """The durable queue of records. `newest` and `acked` are seqs; everything in between is still out there.

    A seq whose record was thinned or dropped has a receipt. Up to `sent`, records may be on their way or at the hub, and
    none of them goes: a mark of the hub always falls on a record of ours. `ahead` is set by who sends: how many records
    behind the mark may go out next, so that a commit can note it by the way.
    """

    sent: int
    ahead: int
    limits: Limits

    @property
    def store(self) -> str:
        """Id of the store: 64 random bits."""

    @property
    def newest(self) -> int:
        """The newest seq, 0 before the first."""

    @property
    def acked(self) -> int:
        """The newest seq that the hub has committed."""

    @property
    def ready(self) -> int:
        """The newest seq that may be sent: nothing from the first open record on, whose body may still change."""

    @property
    def low(self) -> int:
        """The lowest seq that is still there, as a record or in a receipt."""

    @property
    def lost_so_far(self) -> Mapping[str, int]:
        """How many records of this store have gone, by reason: `thinned` and `dropped`."""

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        """Give seqs and keep; durable when it returns. Raises UnavailableError and keeps nothing."""

    async def read(self, first: int, limit: int) -> list[Stored]:
        """At most `limit` records from seq `first` on, in order."""

    async def lost(self, first: int, last: int) -> list[Lost]:
        """The receipts that touch a range of seqs, in order; the outermost may reach beyond it."""

    async def unacked_events(self, limit: int) -> list[Stored]:
        """Events that the hub has not committed yet, oldest first."""

    async def hash_at(self, seq: int) -> str | None:
        """The chain hash at a seq, or None when the record is no longer there. At the hub's mark it is what the hub said."""

    @property
    def unsettled(self) -> bool:
        """Whether `settle_times` has something to do: open records, or a boot that the hub has no time of yet."""

    async def settle_times(self, now: Moment, wait_ms: int) -> int:
        """Make open records final; gives how many were. Raises UnavailableError and changes nothing.

        Those of this boot are dated when `now` has UTC. Those that have waited for `wait_ms`, and those of another boot,
        which nobody can date here any more, become undated. The chain is made anew from the first of them on.
        When `now` has UTC and records of this boot went out undated, a `time-known` event is added.
        """

    async def going(self, last: int) -> None:
        """Records up to `last` go out next. Noted for the next start too, if the disk lets us."""

    async def settle(self, upto: int, h: str) -> Settled:
        """Take the hub's mark. A mark that goes back is taken too, also behind all that is still here.

        One that does not fit the chain, or falls on a record that has gone unsent, forks the store: another card sent it.
        """

    async def used_bytes(self) -> int:
        """How much of the disk it takes."""

    async def see_to_disk(self) -> None:
        """Now and then: get ready for the day when the disk is full, and leave it behind when it has room again."""

    async def thin(self) -> int:
        """Thin the oldest fixes that may go, a piece of them, and leave receipts; gives how many went, 0 when none is left.

        Only what is final goes, behind `acked` and `sent`; the newest fixes stay as they are until there are more of them.
        Raises UnavailableError and changes nothing, as the next one does.
        """

    async def make_room(self) -> Made:
        """One step: forget what the hub has; when there is none, thin; when all is thinned, drop the oldest fixes."""

    async def close(self) -> None:
        """Close; nothing is lost."""


class Session(Protocol):
    """One connection to the broker, logged in and subscribed."""

    @property
    def lost(self) -> "asyncio.Future[UnavailableError]":
        """Done when the connection is gone."""

    @property
    def inbox(self) -> "asyncio.Queue[tuple[str, bytes]]":
        """Messages for this device: topic name (as `ack`) and payload."""

    def publish(self, name: str, payload: bytes) -> "asyncio.Future[None]":
        """Send on one of the device's own topics, with the QoS and retain flag of the table; done at PUBACK."""

    def drop(self, error: UnavailableError) -> None:
        """Give it up at once; the broker publishes the last will."""

    async def close(self) -> None:
        """Say good-bye."""


class Link(Protocol):
    """The way to the broker."""

    async def open(self, will: Status) -> Session:
        """Connect. Raises LinkDownError, ServerDownError or RefusedError."""
