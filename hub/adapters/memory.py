"""Twins in memory of the store, of Redis and of the way down; the same test suite holds for them and the real ones."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

from hub.adapters.memory_events import MemoryEvents
from hub.core import keys
from hub.core.ledger import FIRST_DAY, LAST_DAY, Line, Reach
from hub.core.marks import (
    DAY_MS,
    Closed,
    Incoming,
    Kind,
    Mark,
    Outcome,
    Verdict,
    alarm,
    closed,
    decide,
    moved,
)
from hub.core.registry import Binding, Device, Registry, Token, Vehicle
from hub.core.views import State
from hub.ports import Chunk, Heard, SavedLive
from wire.errors import RefusedError, UnavailableError
from wire.geo import distance_m
from wire.kinds import ROLLBACK


class MemoryStore(MemoryEvents):
    """A store that forgets. `down` makes every call fail, as a store that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[str, tuple[str, int]] = {}
        self._marks: dict[tuple[str, str], Mark] = {}
        self._batches: list[Incoming] = []
        self.quarantine: list[Incoming] = []
        self._lives: dict[str, SavedLive] = {}
        self._ledger: Counter[tuple[str, int, str]] = Counter()
        self._closed: dict[tuple[str, str], str] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def epoch(self) -> int:
        self._answer()
        return 1

    async def registry_version(self) -> int:
        self._answer()
        return self._registry.version

    async def registry(self) -> Registry:
        self._answer()
        return self._registry

    # Administration.

    def _change(self, **changes: object) -> None:
        self._registry = replace(self._registry, version=self._registry.version + 1, **changes)  # type: ignore[arg-type]  # fields by name

    def _wanted(self, there: bool, what: str, name: str) -> None:  # noqa: FBT001  # private
        self._answer()
        if not there:
            raise RefusedError(f"there is no {what} {name}")

    def _unused(self, there: bool, what: str, name: str) -> None:  # noqa: FBT001  # private
        self._answer()
        if there:
            raise RefusedError(f"there is a {what} {name} already")

    async def add_fleet(self, fleet: str, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._unused(fleet in self._registry.fleets, "fleet", fleet)
        self._change(fleets=tuple(sorted([*self._registry.fleets, fleet])))

    async def add_vehicle(self, vehicle: str, fleet: str, *, name: str, tags: Sequence[str], now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._wanted(fleet in self._registry.fleets, "fleet", fleet)
        self._unused(vehicle in self._registry.vehicles, "vehicle", vehicle)
        self._change(vehicles={**self._registry.vehicles, vehicle: Vehicle(vehicle, fleet, name, tuple(tags))})

    async def add_device(
        self, device: str, vehicle: str, *, password_hash: str, valid_from_ms: int, now_ms: int
    ) -> None:
        self._wanted(vehicle in self._registry.vehicles, "vehicle", vehicle)
        self._unused(device in self._registry.devices, "device", device)
        made = Device(device, self._registry.vehicles[vehicle].fleet, bindings=(Binding(vehicle, valid_from_ms),))
        self._change(devices={**self._registry.devices, device: made})
        await self.set_credential(device, password_hash, now_ms)

    async def bind(self, device: str, vehicle: str, *, valid_from_ms: int, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._wanted(device in self._registry.devices, "device", device)
        self._wanted(vehicle in self._registry.vehicles, "vehicle", vehicle)
        known = self._registry.devices[device]
        kept = [binding for binding in known.bindings if binding.valid_from_ms != valid_from_ms]
        bindings = sorted([*kept, Binding(vehicle, valid_from_ms)], key=lambda binding: binding.valid_from_ms)
        self._change(devices={**self._registry.devices, device: replace(known, bindings=tuple(bindings))})

    async def set_suspended(self, device: str, *, suspended: bool, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._wanted(device in self._registry.devices, "device", device)
        changed = replace(self._registry.devices[device], suspended=suspended)
        self._change(devices={**self._registry.devices, device: changed})

    async def set_credential(self, identity: str, password_hash: str, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._answer()
        self._change(credentials={**self._registry.credentials, identity: password_hash})

    async def add_token(self, token: Token, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._wanted(token.fleet in self._registry.fleets, "fleet", token.fleet)
        self._change(tokens={**self._registry.tokens, token.digest: token})

    async def remove_token(self, name: str, fleet: str, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._answer()
        kept = {d: t for d, t in self._registry.tokens.items() if (t.name, t.fleet) != (name, fleet)}
        if len(kept) == len(self._registry.tokens):
            raise RefusedError(f"fleet {fleet} has no token {name}")
        self._change(tokens=kept)

    async def add_login_code(self, code_digest: str, fleet: str, *, expires_ms: int, now_ms: int) -> None:  # noqa: ARG002  # as the port says
        self._wanted(fleet in self._registry.fleets, "fleet", fleet)
        self._codes[code_digest] = (fleet, expires_ms)

    async def redeem(self, code_digest: str, token: Token, now_ms: int) -> Token | None:
        self._answer()
        fleet, expires_ms = self._codes.get(code_digest, ("", 0))
        if expires_ms <= now_ms:
            return None
        del self._codes[code_digest]
        given = replace(token, fleet=fleet)
        await self.add_token(given, now_ms)
        return given

    # Track.

    async def append(self, groups: Sequence[Incoming]) -> list[Outcome]:
        self._answer()
        return [self._one(batch) for batch in groups]

    def _one(self, batch: Incoming) -> Outcome:
        mark = self._marks.get(batch.key, Mark())
        verdict, lost = decide(mark, batch.header), 0
        if verdict in {Verdict.DUPLICATE, Verdict.ANSWER}:
            return Outcome(verdict, mark)
        if verdict is Verdict.ROLLBACK:
            lost = batch.header.low - 1 - mark.last
            self._ledger[batch.device, batch.received_ms // DAY_MS, f"lost:{ROLLBACK}"] += lost
            self._put_events([alarm(batch, mark)])
        for (day, what), n in batch.counts.items():
            self._ledger[batch.device, day, what] += n
        (self.quarantine if batch.kind is Kind.POISON else self._batches).append(batch)
        self._put_events(batch.events, make_way=True)
        self._marks[batch.key] = moved(batch, mark)
        self._closed.pop(batch.key, None)
        for told in closed(batch):
            self._close(batch.device, told)
        return Outcome(verdict, self._marks[batch.key], lost)

    def _close(self, device: str, told: Closed) -> None:
        if told.salvaged:
            for key in self._closed:
                if key[0] == device and told.store in {None, key[1]}:
                    self._marks[key] = replace(self._marks[key], newest=self._marks[key].last)
            return
        key = device, told.store or ""
        mark = self._marks.get(key, Mark())
        newest = mark.last if told.newest is None else max(mark.newest, told.newest)
        self._marks[key], self._closed[key] = replace(mark, newest=newest), told.why

    async def heard(self, told: Sequence[Heard]) -> None:
        self._answer()
        for one in told:
            key = one.device, one.store
            mark = self._marks.get(key, Mark())
            known = max(mark.newest, mark.last)
            if key not in self._closed and one.newest >= known:
                self._marks[key] = replace(mark, newest=one.newest, told_ms=one.at_ms, days=one.days)
            elif key not in self._closed:
                self._marks[key] = replace(mark, newest=known)

    async def out_there(self) -> int:
        return sum(reach.out_there for reach in await self.reaches(None) if reach.closed is None)

    async def trim_quarantine(self, most_bytes: int) -> int:
        self._answer()
        left, gone = sum(len(one.payload) for one in self.quarantine), 0
        for i, one in enumerate(self.quarantine):
            if left > most_bytes and one.payload:
                left, gone = left - len(one.payload), gone + 1
                self.quarantine[i] = replace(one, payload=b"")
        return gone

    async def mark(self, device: str, store: str) -> Mark:
        self._answer()
        return self._marks.get((device, store), Mark())

    async def chunks(self, device: str, from_ms: int, until_ms: int) -> AsyncIterator[Chunk]:
        self._answer()
        for batch in sorted(self._batches, key=lambda one: one.t_min_ms or 0):
            first, last = batch.t_min_ms, batch.t_max_ms
            if batch.device == device and batch.kind is Kind.ROWS and first is not None and last is not None:  # noqa: SIM102  # two questions
                if last >= from_ms and first < until_ms:
                    yield Chunk(batch.device, batch.header.store, batch.header.first, batch.payload)

    async def through(self) -> Mapping[str, int]:
        self._answer()
        newest: dict[str, int] = {}
        for batch in self._batches:
            if batch.t_max_ms is not None:
                newest[batch.device] = max(batch.t_max_ms, newest.get(batch.device, 0))
        return newest

    async def ledger(self, device: str) -> list[Line]:
        return await self.ledgers([device], FIRST_DAY, LAST_DAY)

    async def ledgers(self, devices: Collection[str] | None, first: int, last: int) -> list[Line]:
        self._answer()
        lines = [Line(of, day, what, n) for (of, day, what), n in self._ledger.items()]
        mine = [line for line in lines if (devices is None or line.device in devices) and first <= line.day <= last]
        return sorted(mine, key=lambda line: (line.device, line.day, line.what))

    async def totals(self, devices: Collection[str] | None) -> list[Line]:
        sums: Counter[tuple[str, str]] = Counter()
        for line in await self.ledgers(devices, FIRST_DAY, LAST_DAY):
            sums[line.device, line.what] += line.n
        return [Line(of, 0, what, n) for (of, what), n in sums.items()]

    async def reaches(self, devices: Collection[str] | None) -> list[Reach]:
        self._answer()
        return [
            Reach(*key, mark.last, mark.newest, mark.told_ms, self._closed.get(key), mark.days)
            for key, mark in sorted(self._marks.items())
            if devices is None or key[0] in devices
        ]

    async def save_live(self, rows: Sequence[SavedLive]) -> None:
        self._answer()
        self._lives |= {row.device: row for row in rows}

    async def load_live(self) -> list[SavedLive]:
        self._answer()
        return list(self._lives.values())


class MemoryNow:
    """A Redis that is a dictionary. `down` makes every call fail; `lose` is a FLUSHALL."""

    def __init__(self) -> None:
        self.down = False
        self._states: dict[str, dict[str, State]] = {}
        self._marks: dict[str, str] = {}
        self.stream: dict[str, dict[int, str]] = {}
        self._ears: list[asyncio.Queue[tuple[str, bytes]]] = []

    def _answer(self) -> None:
        if self.down:
            raise UnavailableError("Redis does not answer")

    def lose(self) -> None:
        """Forget everything."""
        self._states, self._marks, self.stream = {}, {}, {}

    def _tell(self, channel: str, data: bytes) -> None:
        for ear in self._ears:
            ear.put_nowait((channel, data))

    async def put(self, fleet: str, states: Sequence[State], at_ms: int) -> int:  # noqa: ARG002  # as the port says
        self._answer()
        there = self._states.setdefault(fleet, {})
        taken = []
        for state in states:
            if state.vehicle not in there or state.order_ms >= there[state.vehicle].order_ms:
                there[state.vehicle] = state
                taken.append(state.text)
        if taken:
            self._tell(keys.of(fleet).moves, "\n".join(taken).encode())
        return len(taken)

    async def begin_fill(self, fleet: str, token: str) -> None:
        self._answer()
        self._marks[fleet] = token

    async def end_fill(self, fleet: str, vehicles: Collection[str], *, token: str, mark: str) -> bool:
        self._answer()
        if self._marks.get(fleet) != token:
            return False
        there = self._states.setdefault(fleet, {})
        self._states[fleet] = {name: state for name, state in there.items() if name in vehicles}
        self._marks[fleet] = mark
        return True

    async def filled(self, fleet: str) -> str | None:
        self._answer()
        return self._marks.get(fleet)

    async def everything(self, fleet: str) -> list[bytes]:
        self._answer()
        return [state.text.encode() for state in self._states.get(fleet, {}).values()]

    async def near(self, fleet: str, lat: float, lon: float, *, radius_m: float, most: int) -> list[tuple[str, float]]:
        self._answer()
        placed = [state for state in self._states.get(fleet, {}).values() if state.place is not None]
        far = [(state.vehicle, distance_m(lat, lon, *(state.place or (0.0, 0.0)))) for state in placed]
        return sorted((one for one in far if one[1] <= radius_m), key=lambda one: one[1])[:most]

    async def add_event(self, fleet: str, pos: int, text: str) -> None:
        self._answer()
        log = self.stream.setdefault(fleet, {})
        if pos > max(log, default=0):
            log[pos] = text

    async def ring(self, fleet: str, pos: int) -> None:
        self._answer()
        self._tell(keys.of(fleet).bell, str(pos).encode())

    async def follow(self, opened: Callable[[], Awaitable[None]], heard: Callable[[str, bytes], None]) -> None:
        self._answer()
        ear: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._ears.append(ear)
        try:
            await opened()
            while True:
                heard(*await ear.get())
        finally:
            self._ears.remove(ear)


class MemoryDown:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.up = True
        self.sent: list[tuple[str, bytes, bool]] = []

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.sent.append((topic, payload, retain))
