"""The boards of all fleets, fed by what Redis publishes; what stream and API show."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from hub.core import fanout, keys
from hub.core.registry import Registry
from hub.ports import Followed
from wire.errors import DecodeError, UnavailableError
from wire.ops.watch import WatchCall

LOOK_S = 1.0


class Boards:
    """The boards of all fleets, fed by what Redis publishes."""

    def __init__(self, now: Followed, last_pos: Callable[[str], Awaitable[int]], watch: WatchCall) -> None:
        self._now = now
        self._last_pos = last_pos
        self._watch = watch
        self._boards: dict[str, fanout.Board] = {}
        self._registry = Registry()
        self.follows = False

    def of(self, fleet: str) -> fanout.Board:
        """The board of a fleet."""
        return self._boards.setdefault(fleet, fanout.Board())

    def know(self, registry: Registry) -> None:
        """Take a registry over."""
        self._registry = registry
        for fleet in registry.fleets:
            vehicles = {vehicle.vehicle: vehicle.tags for vehicle in registry.fleet_vehicles(fleet)}
            self.of(fleet).keep_only(vehicles)
            self.of(fleet).tagged(vehicles)

    def _apply(self, fleet: str, states: list[fanout.Shown]) -> None:
        mine = (state for state in states if state.vehicle in self._registry.vehicles)
        self.of(fleet).apply(mine)

    async def _opened(self) -> None:
        for fleet in self._registry.fleets:
            self._apply(fleet, [fanout.read_shown(raw) for raw in await self._now.everything(fleet)])
        self.follows = True

    def _heard(self, channel: str, data: bytes) -> None:
        fleet = keys.fleet_of(channel)
        if fleet not in self._registry.fleets:
            return
        try:
            if channel == keys.of(fleet).bell:
                self.of(fleet).rang(int(data))
            else:
                self._apply(fleet, fanout.read_many(data))
        except (DecodeError, ValueError) as error:
            self._watch("ingest.refused", topic="redis", reason=type(error).__name__)

    async def look(self) -> None:
        """A bell may be lost: every second, see how far the logs of events go."""
        while True:
            for fleet in self._registry.fleets:
                with contextlib.suppress(UnavailableError):  # the ingest tells of it
                    self.of(fleet).rang(await self._last_pos(fleet))
            await asyncio.sleep(LOOK_S)

    async def run(self) -> None:
        """Listen, for ever; after each break read everything again."""
        while True:
            try:
                await self._now.follow(self._opened, self._heard)
            except (UnavailableError, DecodeError) as error:
                self._watch("redis.retry", error=error)
            self.follows = False
            await asyncio.sleep(0.2)
