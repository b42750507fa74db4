"""What the lanes stand on: the registry, the views and Redis kept in step, events relayed, live messages saved."""

import asyncio
import contextlib
from collections.abc import Callable

from hub.core import frames
from hub.core.registry import Device, Registry
from hub.flow import Ingest, Limits
from hub.ports import Ingested, Now
from wire.codec import decode_live, dump, load_object
from wire.errors import DecodeError, UnavailableError
from wire.messages import Status
from wire.ops.watch import WatchCall
from wire.topics import Way, build

RELAY_AT_ONCE = 200
TICK_S = 0.5
LOOK_PAUSE_S = 0.1
PATIENCE_S = 1.0
SAVE_LIVE_MS = 10_000
FILL_AT_ONCE = 200
FILLING = "filling:"
BOOKS_S = 10.0


class Upkeep(Ingest):
    """The ingest with everything that keeps it going. Set `bulk`, `fast` and `on_registry` before anything runs."""

    on_registry: Callable[[Registry], None]

    def __init__(
        self, store: Ingested, now: Now, *, watch: WatchCall, utc_ms: Callable[[], int], limits: Limits
    ) -> None:
        super().__init__(store, now, watch=watch, utc_ms=utc_ms, limits=limits)
        self._reading = asyncio.Lock()
        self._asked, self._looked = asyncio.Event(), asyncio.Event()
        self._saved_ms: dict[str, int] = {}
        self._filled, self._fills = False, 0
        self.out_there = 0

    async def start(self) -> None:
        """Know what the store knows. Raises UnavailableError."""
        self.registry = await self._store.registry()
        self.views.know(self.registry)
        for saved in await self._store.load_live():
            vehicle = self._vehicle(saved.device)
            if vehicle is not None and vehicle.vehicle == saved.vehicle:
                with contextlib.suppress(DecodeError):  # of an older version: the next message brings it
                    live = decode_live(saved.payload)
                    self.views.live(vehicle.vehicle, live, saved.received_ms)
                    self._held_live_ms[saved.device] = live.at_ms
        for device, newest_ms in (await self._store.through()).items():
            if (vehicle := self._vehicle(device)) is not None:
                self.views.commit(vehicle.vehicle, 0, newest_ms)

    # The relay: committed events get their place and go out.

    async def relay(self) -> None:
        """At each ring, at the start and every second."""
        while True:
            try:
                for fleet in self.registry.fleets:
                    while await self._relay(fleet):
                        pass
            except UnavailableError as error:
                self._watch("redis.retry", error=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._rings.wait()
            self._rings.clear()

    async def _relay(self, fleet: str) -> bool:
        events = await self._store.relay(fleet, RELAY_AT_ONCE)
        for event in events:
            await self._now.add_event(fleet, event.pos or 0, dump(frames.event_fields(event)).decode())
        if events:
            newest = events[-1].pos or 0
            await self._store.published(fleet, newest)
            await self._now.ring(fleet, newest)
            self._watch("event.relayed", n=len(events))
        return len(events) == RELAY_AT_ONCE

    # Upkeep.

    async def refresh(self) -> None:
        """Read the registry again if it changed."""
        async with self._reading:
            if await self._store.registry_version() != self.registry.version:
                self._know(await self._store.registry())
                self.on_registry(self.registry)

    async def look_again(self) -> None:
        """Somebody is not known, perhaps because they were made a moment ago: wait until the registry was read anew.

        Gives up when the store does not answer; the caller judges by what is known then.
        """
        self._asked.set()
        looked = self._looked
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await looked.wait()

    async def keep_registry(self) -> None:
        """The registry is at most half a second old, and read sooner for those that it does not know.

        All who ask share the next reading, and there is a pause after each: guessing costs the store nothing much.
        """
        self.on_registry(self.registry)
        while True:
            await asyncio.sleep(LOOK_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S - LOOK_PAUSE_S):
                    await self._asked.wait()
            self._asked.clear()
            looked, self._looked = self._looked, asyncio.Event()  # who asks from here on waits for the next reading
            try:
                await self.refresh()
                self._store_up()
            except UnavailableError as error:
                await self._store_down(error)
            finally:
                looked.set()

    def _know(self, registry: Registry) -> None:
        old, self.registry = self.registry, registry
        self.views.know(registry)
        self._watch("registry.loaded", version=registry.version)
        self._live_came.set()
        for device in registry.devices.values():
            before = old.devices.get(device.device, device)
            if device.suspended and not before.suspended:
                self._forget(device, before, ("live", "status"))
            elif device.bindings != before.bindings:
                self._forget(device, before, ("live",))

    def _forget(self, device: Device, before: Device, names: tuple[str, ...]) -> None:
        """A device is shut out, or sits in another vehicle: what the broker keeps of it is no longer true."""
        for name in names:
            self.fast.send(build(device.device, Way.UP, name), b"", retain=True)
        now_ms, known = self._utc_ms(), self._presence.get(device.device)
        if device.suspended:
            self._presence.pop(device.device, None)
        there = {binding.vehicle: False for binding in (before.bound_at(now_ms),) if binding is not None}
        if (binding := device.bound_at(now_ms)) is not None:
            there[binding.vehicle] = known is not None and known.online and not device.suspended
        for vehicle, online in there.items():
            if self.views.get(vehicle) is not None:
                self.views.status(vehicle, Status(online=False, connection=""), online=online)

    async def keep_redis(self, mark: str) -> None:
        """Fill Redis at the start, and whenever it lost what it had or missed something."""
        while True:
            stale, self._stale = self._stale, False
            try:
                for fleet in self.registry.fleets:
                    if stale or await self._now.filled(fleet) != mark:
                        await self._fill(fleet, mark)
                if self.redis_fault is not None:
                    self._watch("redis.up")
                self.redis_tried, self.redis_fault, self._filled = True, None, True
            except UnavailableError as error:
                self._redis_down(error)
            await asyncio.sleep(TICK_S)

    async def _fill(self, fleet: str, mark: str) -> None:
        """Piece by piece, each as it is when its turn comes, so that moves go on between and nothing stale goes over them."""
        if not self._filled:
            self._adopt(await self._now.everything(fleet))
        self._fills += 1
        token = f"{FILLING}{mark}:{self._utc_ms()}:{self._fills}"
        await self._now.begin_fill(fleet, token)
        vehicles = self.views.names_of(fleet)
        for start in range(0, len(vehicles), FILL_AT_ONCE):
            async with self._putting:
                states = self.views.some_of(fleet, vehicles[start : start + FILL_AT_ONCE])
                await self._now.put(fleet, states, self._utc_ms())
            await asyncio.sleep(0)
        async with self._putting:
            whole = await self._now.end_fill(fleet, self.views.names_of(fleet), token=token, mark=mark)
        if whole:
            self._watch("redis.rebuilt", fleet=fleet, vehicles=len(vehicles))
        else:
            self._watch("redis.refill", fleet=fleet)

    def _adopt(self, states: list[bytes]) -> None:
        """What an outside Redis kept while the hub was away may be newer than what the store kept."""
        for raw in states:
            try:
                shown = load_object(raw, max_bytes=16_384)
                if shown["live"] is None:
                    continue
                live, received_ms = decode_live(dump(shown["live"])), int(shown["rx"])
                if self.views.get(shown["veh"]) is not None:
                    self.views.live(shown["veh"], live, received_ms)
            except (DecodeError, KeyError, TypeError, ValueError) as error:
                self._watch("ingest.refused", topic="redis", reason=type(error).__name__)

    async def keep_live(self) -> None:
        """Save the newest live messages, each vehicle at most once in 10 s."""
        while True:
            await asyncio.sleep(1.0)
            await self.save_live(self._utc_ms())

    async def save_live(self, now_ms: int | None = None) -> None:
        """Save those that are due; all of them without a time."""
        due = [s for s in self._unsaved.values()
               if now_ms is None or now_ms - self._saved_ms.get(s.device, 0) >= SAVE_LIVE_MS]  # fmt: skip
        try:
            await self._store.save_live(due)
        except UnavailableError as error:
            await self._store_down(error)
            return
        for saved in due:
            self._saved_ms[saved.device] = saved.received_ms
            if self._unsaved.get(saved.device) is saved:
                del self._unsaved[saved.device]

    async def keep_books(self, quarantine_bytes: int) -> None:
        """Know how much is still out there, and hold the quarantine within its size."""
        while True:
            try:
                self.out_there = await self._store.out_there()
                if self._poisoned:
                    self._poisoned = False
                    dropped = await self._store.trim_quarantine(quarantine_bytes)
                    if dropped:
                        self._watch("track.dropped-raw", n=dropped)
            except UnavailableError as error:
                await self._store_down(error)
            await asyncio.sleep(BOOKS_S)
