"""The way in, top to bottom as the data goes: topic and payload → lane → store → ack, and → views → Redis.

Live: the newest of each device waits, nothing else. Track: batches wait, bounded; one commit takes all that came while
the last one ran. Events and statuses: bounded. What is dropped is sent again by the device, because it got no ack.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hub.core import presence
from hub.core.lanes import CLOCK_AHEAD_MS
from hub.core.ledger import LOST, reason_label
from hub.core.marks import Incoming, Kind, Mark, Outcome, StoredEvent, Verdict, incoming, spoken_store, stored
from hub.core.registry import Device, Registry, Vehicle
from hub.core.views import Views
from hub.ports import Down, Heard, Ingested, Now, SavedLive
from wire.codec import decode_event, decode_live, decode_outcome, decode_status, encode_ack
from wire.errors import DecodeError, UnavailableError
from wire.kinds import ROLLBACK
from wire.messages import Ack, CommandOutcome, Status
from wire.ops.watch import WatchCall
from wire.topics import Way, build, parse
from wire.track import GENESIS, MAX_ROWS

MOST_GROUPS = 256
GROUP_ROWS, TURN_ROWS, ROW_BYTES = 6000, 300, 12
"""A commit takes about so many rows, and others have a turn whenever so many were decoded (2 ms): an SOS can't wait."""
PAUSE_S = 0.5
LINGER_S = 0.01
LATER_S, LATER_STEP_S = 15.0, 0.1
"""A batch without room comes again after one to two times so long; from one device to the next it is a step longer."""

BULK = ("live", "track")
WORDS = ("event", "status")
OUTCOMES = "cmd"


@dataclass(frozen=True, slots=True)
class _Came:
    name: str
    device: str
    payload: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait for the store."""

    batches: int
    words: int


def _cost(came: _Came, batch: Incoming | None) -> int:
    """What decoding took, in rows. Rows of a parked vehicle take no bytes; of a bad body nobody knows what it had."""
    if batch is not None and batch.kind is Kind.POISON:
        return MAX_ROWS
    return max(0 if batch is None else batch.rows, len(came.payload) // ROW_BYTES, 1)


class Ingest:
    """Takes messages from the links, and runs one task for each lane. Set `bulk` and `fast` before they run."""

    bulk: Down
    fast: Down

    def __init__(
        self, store: Ingested, now: Now, *, watch: WatchCall, utc_ms: Callable[[], int], limits: Limits
    ) -> None:
        self._store, self._now, self._watch, self._utc_ms = store, now, watch, utc_ms
        self._limits = limits
        self.registry = Registry()
        self.on_outcome: Callable[[str, CommandOutcome], None] = lambda _device, _outcome: None
        self.views = Views()
        self._lives: dict[str, _Came] = {}
        self._batches: deque[_Came] = deque()
        self._words: deque[_Came] = deque()
        self._live_came, self._track_came, self._word_came = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._rings = asyncio.Event()
        self._stores: dict[str, str] = {}
        self._presence: dict[str, presence.Presence] = {}
        self._held_live_ms: dict[str, int] = {}
        self._unsaved: dict[str, SavedLive] = {}
        self._putting = asyncio.Lock()  # two puts at once could change places, and the older text of a state would stay
        self._poisoned = True
        self._stale = True
        self._turned_away = 0
        self.redis_tried = False
        self.redis_fault: str | None = None
        self.store_fault: str | None = None

    def _vehicle(self, device: str) -> Vehicle | None:
        """Where the device is now."""
        return self.registry.vehicle_at(device, self._utc_ms())

    # The door.

    def take(self, topic: str, payload: bytes) -> None:
        """A message from the broker. The topic says who it is from; the payload is not asked."""
        try:
            device, known = parse(topic)
        except DecodeError as error:
            self._watch("ingest.refused", topic="?", reason=error.reason)
            return
        if not payload or known.way is not Way.UP:  # a retained topic was cleared
            return
        if self.registry.active(device) is None:
            self._watch("ingest.stranger", topic=known.name, device=device)
        elif len(payload) > known.max_bytes:
            self._watch("ingest.refused", topic=known.name, reason="too-long", device=device)
        else:
            self._sort(_Came(known.name, device, payload, self._utc_ms()))

    def _sort(self, came: _Came) -> None:
        if came.name == "live":
            if self._lives.pop(came.device, None) is not None:
                self._watch("live.replaced")
            self._lives[came.device] = came
            self._live_came.set()
        elif came.name == "track":
            if not self._queue(self._batches, came, self._limits.batches):
                self._no_room(came)
            self._track_came.set()
        elif came.name == OUTCOMES:
            self._one_outcome(came)
        elif came.name in WORDS:
            self._queue(self._words, came, self._limits.words)
            self._word_came.set()

    def _queue(self, queue: deque[_Came], came: _Came, most: int) -> bool:
        if len(queue) < most:
            queue.append(came)
            return True
        self._watch("ingest.overflow", topic=came.name)
        return False

    def _no_room(self, came: _Came) -> None:
        """Say when the batch may come again, each device another time. What no device says has no answer."""
        store = spoken_store(came.payload)
        if store is not None:
            self._turned_away += 1
            later_s = LATER_S + self._turned_away * LATER_STEP_S % LATER_S
            self._ack(came.device, Ack(store, retry_after_s=round(later_s, 1)), self.bulk)

    def _ack(self, device: str, ack: Ack, down: Down) -> None:
        down.send(build(device, Way.DOWN, "ack"), encode_ack(ack))

    # Live: where the vehicle is now.

    async def live_lane(self) -> None:
        """Payload to view to Redis."""
        while True:
            await self._live_came.wait()
            self._live_came.clear()
            lives, self._lives = self._lives, {}
            for came in lives.values():
                self._one_live(came)
            await self._show()
            await asyncio.sleep(LINGER_S)

    def _one_live(self, came: _Came) -> None:
        try:
            live = decode_live(came.payload)
        except DecodeError as error:
            self._watch("ingest.refused", topic="live", reason=error.reason, device=came.device, fault=error)
            return
        self._watch("live.received")
        device = self.registry.devices.get(came.device, Device(came.device, ""))
        binding, vehicle = device.bound_at(came.at_ms), self._vehicle(came.device)
        if binding is None or vehicle is None:
            self._held_live_ms[came.device] = live.at_ms
        elif live.at_ms < binding.valid_from_ms or not self.views.live(vehicle.vehicle, live, came.at_ms):
            self._watch("live.old")
        else:
            self._held_live_ms[came.device] = live.at_ms
            self._unsaved[came.device] = SavedLive(came.device, vehicle.vehicle, came.payload, came.at_ms)

    async def _show(self) -> None:
        """What changed, to Redis. If it does not answer, `keep_redis` fills it again later."""
        async with self._putting:
            for fleet, states in self.views.take_dirty().items():
                try:
                    await self._now.put(fleet, states, self._utc_ms())
                except UnavailableError as error:
                    self._redis_down(error)

    # Track: every fix, exactly once.

    async def track_lane(self) -> None:
        """Batches to the store; the ack goes out after the commit."""
        while True:
            await self._track_came.wait()
            self._track_came.clear()
            while self._batches:
                batches = await self._group()
                try:
                    outcomes = await self._store.append(batches)
                except UnavailableError as error:
                    await self._store_down(error)
                    continue
                if batches:
                    self._store_up()
                for batch, outcome in zip(batches, outcomes, strict=True):
                    self._committed(batch, outcome)

    async def _group(self) -> list[Incoming]:
        """What goes into one commit, decoded; never for long without a turn of the others."""
        batches: list[Incoming] = []
        taken = since = 0
        for _ in range(min(MOST_GROUPS, len(self._batches))):
            came = self._batches.popleft()
            if (batch := self._one_batch(came)) is not None:
                batches.append(batch)
            cost = _cost(came, batch)
            taken, since = taken + cost, since + cost
            if taken >= GROUP_ROWS:
                break
            if since >= TURN_ROWS:
                since = 0
                await asyncio.sleep(0)
        return batches

    def _one_batch(self, came: _Came) -> Incoming | None:
        self._watch("track.received")
        try:
            return incoming(came.device, came.payload, registry=self.registry, received_ms=came.at_ms)
        except DecodeError as error:
            self._watch("track.bad", device=came.device, fault=error)
            store = spoken_store(came.payload) or self._stores.get(came.device, GENESIS)
            self._ack(came.device, Ack(store, bad=error.reason), self.bulk)
            return None

    def _committed(self, batch: Incoming, outcome: Outcome) -> None:
        device, store = batch.key
        self._stores[device] = store
        self._watch("track.verdict", verdict=outcome.verdict)
        if outcome.verdict is Verdict.REFUSED:  # no ack: the device sends it again, and the others go on
            return
        if outcome.verdict is Verdict.ROLLBACK:
            self._watch("track.lost", n=outcome.lost, reason=ROLLBACK)
            self._watch("track.rolled-back", device=device, store=store, lost=outcome.lost)
            self._rings.set()
        if outcome.verdict in {Verdict.APPEND, Verdict.ROLLBACK}:
            if batch.kind is not Kind.ROWS:
                self._watch("track.quarantined", kind=batch.kind, device=device, reason=batch.reason)
                self._poisoned = True
            elif (vehicle := self._vehicle(device)) is not None:
                wrong = batch.t_max_ms is not None and batch.t_max_ms > batch.received_ms + CLOCK_AHEAD_MS
                self.views.commit(vehicle.vehicle, batch.waiting, None if wrong else batch.t_max_ms)
                self._live_came.set()
            self._watch("track.rows", n=batch.rows)
            for (_, what), n in batch.counts.items():
                if what.startswith(LOST):
                    self._watch("track.lost", n=n, reason=reason_label(what))
            if batch.events:
                self._rings.set()
        self._ack_mark(device, store, outcome.mark, self.bulk)

    def _ack_mark(self, device: str, store: str, mark: Mark, down: Down) -> None:
        self._ack(device, Ack(store, mark.last, mark.h, live_ms=self._held_live_ms.get(device)), down)

    # Events and statuses: at once.

    async def word_lane(self) -> None:
        """Fast copies of events to the store, then acked; statuses to the views."""
        while True:
            await self._word_came.wait()
            self._word_came.clear()
            words, self._words = list(self._words), deque()
            events = [e for came in words if came.name == "event" and (e := self._one_event(came)) is not None]
            try:
                refused = await self._store.add_events(events)
                for event in events:
                    if event in refused:  # its record comes with the track, where it can be kept raw
                        continue
                    told = Ack(event.store, events=(event.event.seq,), live_ms=self._held_live_ms.get(event.device))
                    self._ack(event.device, told, self.fast)
                if events:
                    self._store_up()
                    self._rings.set()
            except UnavailableError as error:
                await self._store_down(error)
            await self._statuses([came for came in words if came.name == "status"])
            self._live_came.set()

    def _one_event(self, came: _Came) -> StoredEvent | None:
        try:
            store, event = decode_event(came.payload)
        except DecodeError as error:
            self._watch("ingest.refused", topic="event", reason=error.reason, device=came.device, fault=error)
            return None
        self._watch("event.received")
        return stored(came.device, store, event, registry=self.registry, received_ms=came.at_ms)

    def _one_outcome(self, came: _Came) -> None:
        try:
            self.on_outcome(came.device, decode_outcome(came.payload))
        except DecodeError as error:
            self._watch("ingest.refused", topic="cmd", reason=error.reason, device=came.device, fault=error)

    async def _statuses(self, words: Sequence[_Came]) -> None:
        """To the ledger, in one transaction, and then to the views."""
        told: list[tuple[_Came, Status]] = []
        for came in words:
            try:
                told.append((came, decode_status(came.payload)))
            except DecodeError as error:
                self._watch("ingest.refused", topic="status", reason=error.reason, device=came.device, fault=error)
        try:
            await self._store.heard(
                [Heard(c.device, s.store, s.newest_seq, c.at_ms, s.days) for c, s in told if s.online]
            )
        except UnavailableError as error:
            await self._store_down(error)
        for came, status in told:
            await self._one_status(came, status)

    async def _one_status(self, came: _Came, status: Status) -> None:
        state, change = presence.step(self._presence.get(came.device), status)
        self._presence[came.device] = state
        self._watch("status.changed", change=change, device=came.device)
        if (vehicle := self._vehicle(came.device)) is not None:
            self.views.status(vehicle.vehicle, status, online=state.online)
        if status.online:
            self._stores[came.device] = status.store
            try:
                mark = await self._store.mark(came.device, status.store)
            except UnavailableError as error:
                await self._store_down(error)
            else:
                self._ack_mark(came.device, status.store, mark, self.fast)

    # Parts that do not answer.

    def _redis_down(self, error: UnavailableError) -> None:
        self._watch("redis.down" if self.redis_fault is None else "redis.retry", error=error)
        self._stale, self.redis_tried, self.redis_fault = True, True, str(error)

    async def _store_down(self, error: UnavailableError) -> None:
        if self.store_fault is None:
            self._watch("store.down", error=error)
        self.store_fault = str(error)
        await asyncio.sleep(PAUSE_S)

    def _store_up(self) -> None:
        if self.store_fault is not None:
            self._watch("store.up")
        self.store_fault = None
