"""The events of the store's twin in memory: once, in order, with a place in the fleet's log."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hub.core.marks import StoredEvent, dating
from hub.core.registry import Registry
from wire.errors import UnavailableError
from wire.messages import Event


class MemoryEvents:
    """What `EventPart` is to the real ones."""

    def __init__(self) -> None:
        self.down = False
        self._registry = Registry(version=1)
        self._events: dict[tuple[str, str, int], StoredEvent] = {}
        self._order: list[tuple[str, str, int]] = []
        self._last_pos: Counter[str] = Counter()
        self._out: Counter[str] = Counter()

    def _answer(self) -> None:
        if self.down:
            raise UnavailableError("the store does not answer")

    def _put_events(self, events: Sequence[StoredEvent], *, make_way: bool = False) -> Sequence[StoredEvent]:
        """Gives those in whose place another event stands; with `make_way`, that one goes aside."""
        others = []
        for stored in events:
            key = (stored.device, stored.store, stored.event.seq)
            fresh = replace(
                stored, event=replace(stored.event, detail=json.loads(json.dumps(dict(stored.event.detail))))
            )
            known = self._events.get(key)
            if known is not None and not _is_same(known.event, fresh.event):
                if not make_way:
                    others.append(stored)
                    continue
                aside = (*key[:2], -len(self._order) - (1 << 52))
                self._events[aside] = replace(known, event=replace(known.event, seq=aside[2]))
                self._order[self._order.index(key)] = aside
                known = None
            if known is None:
                self._events[key] = fresh
                self._order.append(key)
            elif known.event.boot is not None and fresh.event.boot is None:
                event = replace(known.event, at_ms=fresh.event.at_ms, boot=None, mono_ms=None)
                self._events[key] = replace(known, vehicle=fresh.vehicle, event=event)
        for known in list(self._events.values()):
            if (told := dating(known.event)) is not None:
                self._date(known.device, *told)
        return others

    def _date(self, device: str, boot: str, offset_ms: int) -> None:
        for key, known in self._events.items():
            if known.device == device and known.event.boot == boot:
                at_ms = (known.event.mono_ms or 0) + offset_ms
                self._events[key] = replace(known, event=replace(known.event, at_ms=at_ms, boot=None, mono_ms=None))

    async def add_events(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        self._answer()
        return self._put_events(events)

    async def relay(self, fleet: str, most: int) -> list[StoredEvent]:
        self._answer()
        if fleet not in self._registry.fleets:
            return []
        fresh = [key for key in self._order if self._events[key].fleet == fleet and self._events[key].pos is None]
        for key in fresh[:most]:
            self._last_pos[fleet] += 1
            self._events[key] = replace(self._events[key], pos=self._last_pos[fleet])
        return await self.events_after(fleet, self._out[fleet], most)

    async def published(self, fleet: str, upto_pos: int) -> None:
        self._answer()
        self._out[fleet] = max(upto_pos, self._out[fleet])

    async def events_after(self, fleet: str, pos: int, most: int) -> list[StoredEvent]:
        self._answer()
        mine = [one for one in self._events.values() if one.fleet == fleet and one.pos is not None and one.pos > pos]
        return sorted(mine, key=lambda one: one.pos or 0)[:most]

    async def last_pos(self, fleet: str) -> int:
        self._answer()
        return self._last_pos[fleet]


def _is_same(one: Event, other: Event) -> bool:
    return (one.kind, one.detail) == (other.kind, other.detail)
