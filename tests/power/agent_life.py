"""Short lives of the real outbox, from a seed: what it wrote, and what it believed by then.

A recorder with fixes at commit windows and events at once, acks of a hub that has what it acks, forgetting, thinning, dropping,
forking, late dating, restarts, a damaged file that is set aside and salvaged. Sizes are small, so that all of it happens in a few
hundred writes.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiosqlite

from agent.adapters import sqlite, sqlite_disk, sqlite_rows, sqlite_salvage
from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_room import SQL
from agent.adapters.sqlite_salvage import Salvage
from agent.core import room
from agent.core.dating import Moment
from agent.core.timing import Basis, Verdict
from agent.events import HAPPENINGS
from agent.ports import Stored
from agent.recorder import Recorder, unbroken
from tests.power.disk import Hands, Log
from tests.power.vfs import observed
from wire.messages import Fix, Reading
from wire.ops.watch import Watch
from wire.track import GENESIS

T0 = 1_760_000_000_000
WINDOW_S = 10
DAY_MS = 86_400_000
BUGS = ("", "normal", "off", "side-not-synced", "told-early", "settled-at-puback")
EVENTS = ("sos", "ignition-off", "low-voltage")


@dataclass(frozen=True, slots=True)
class State:
    """What an outbox holds."""

    store: str = ""
    rows: tuple[tuple[int, str, int, bytes, str], ...] = ()
    lost: tuple[tuple[int, int, str], ...] = ()
    acked: int = 0

    @property
    def newest(self) -> int:
        return self.rows[-1][0] if self.rows else 0


async def state_of(db: aiosqlite.Connection) -> State:
    """Read it."""
    rows, lost, meta = [], [], {}
    for row in await db.execute_fetchall(
        "SELECT seq, kind, at_ms, unpacked(body), h FROM record UNION ALL "
        "SELECT first, 'lost', last, reason, NULL FROM lost UNION ALL "
        "SELECT 0, 'meta', key, value, NULL FROM meta WHERE key IN ('store', 'acked') ORDER BY 1"
    ):
        if row[1] == "meta":
            meta[row[2]] = row[3]
        elif row[1] == "lost":
            lost.append((row[0], row[2], row[3]))
        else:
            rows.append(tuple(row))
    return State(meta.get("store", ""), tuple(rows), tuple(lost), int(meta.get("acked", 0)))


@dataclass(slots=True)
class Life:
    """A recorded life."""

    seed: int
    log: Log
    folder: str
    window_ms: int
    damaged: State | None = None
    hub: dict[str, tuple[int, str]] = field(default_factory=dict)


class Clock:
    """Time goes by when told so. `told` says whether anybody knows UTC."""

    basis = Basis.GNSS

    def __init__(self) -> None:
        self.mono = 0
        self.told = True

    def now(self) -> Moment:
        return Moment(T0 + self.mono if self.told else None, "b007", self.mono)

    def mono_ms(self) -> int:
        return self.mono

    def judge(self, at_ms: int) -> tuple[int | None, Verdict]:
        return at_ms, Verdict.RIGHT


@contextlib.contextmanager
def small(chance: random.Random, bug: str = "") -> Iterator[None]:
    """Everything comes sooner."""
    pragmas = SQL["pragmas"].replace("wal_autocheckpoint = 512", f"wal_autocheckpoint = {chance.choice((8, 16, 512))}")
    pragmas = pragmas.replace("cache_size = -512", f"cache_size = {chance.choice((8, -512))}")
    if bug in {"normal", "off"}:
        pragmas = pragmas.replace("synchronous = FULL", f"synchronous = {bug}")
    with contextlib.ExitStack() as stack:
        for name, value in {"THIN_PIECE": 40, "THIN_LEAST": 20, "DROP_PIECE": 15}.items():
            stack.enter_context(patch.object(room, name, value))
        stack.enter_context(patch.object(sqlite_rows, "PIECE", 20))
        stack.enter_context(patch.object(sqlite, "SIDE_EVERY", 25))
        stack.enter_context(patch.object(sqlite_disk, "RESERVE_BYTES", 4096))
        stack.enter_context(patch.object(sqlite_salvage, "PAUSE_S", 0.0))
        stack.enter_context(patch.object(sqlite_salvage, "RECORDS_AT_ONCE", 25))
        stack.enter_context(patch.dict(SQL, {"pragmas": pragmas}))
        yield


@contextlib.contextmanager
def small_disk(log: Log) -> Iterator[None]:
    """The real outbox, on a disk that is listened to."""
    with small(random.Random(1)), observed(log), patch.object(sqlite_disk, "os", Hands(log)):
        yield


@contextlib.contextmanager
def _listening(log: Log, bug: str) -> Iterator[None]:
    """The outbox's transactions tell the log what holds after each."""
    writing = SqliteOutbox._writing

    @contextlib.asynccontextmanager
    async def told(self: SqliteOutbox) -> AsyncIterator[None]:
        log.mark("begin")
        async with writing(self):
            yield
            if bug == "told-early":
                log.mark("state", await state_of(self._db))
        if bug != "told-early":
            log.mark("state", await state_of(self._db))

    with (
        observed(log),
        patch.object(sqlite_disk, "os", Hands(log)),
        patch.object(SqliteOutbox, "_writing", told),
    ):
        yield


async def live(seed: int, folder: Path, *, bug: str = "", steps: int = 45) -> Life:
    """Live it."""
    chance, log = random.Random(seed), Log()
    log.lying = frozenset({".store-new"}) if bug == "side-not-synced" else frozenset()
    made = Life(seed, log, str(folder), 1000 * WINDOW_S)
    with small(chance, bug), _listening(log, bug):
        one = _One(made, folder / "outbox.db", chance)
        one.all_at_once = bug == "settled-at-puback"
        await one.run(steps)
    return made


class _One:
    def __init__(self, made: Life, path: Path, chance: random.Random) -> None:
        self.made, self.log, self.path, self.chance = made, made.log, path, chance
        self.clock = Clock()
        self.box: SqliteOutbox
        self.recorder: Recorder
        self.lat = 41.0
        self.events = 0
        self.all_at_once = False

    async def run(self, steps: int) -> None:
        chance = self.chance
        self.clock.told = chance.random() < 0.75
        await self.open()
        acts: dict[str, int] = {
            "window": 30, "event": 8, "ack": 9, "forget": 3, "thin": 2, "make_room": 2, "fork": 1, "dating": 2, "restart": 2,
        }  # fmt: skip
        harmed = chance.random() < 0.15
        for i in range(steps):
            name = chance.choices([*acts], [*acts.values()])[0]
            if harmed and i == steps * 2 // 3:
                name, harmed = "harm", False
            await getattr(self, name)()
            if self.made.damaged is not None:
                break
        await self.recorder.commit()
        if chance.random() < 0.5:
            await self.box.close()
        else:
            await self.box._db.close()

    async def open(self) -> None:
        self.box = await SqliteOutbox.open(self.path, now=self.clock.now())
        self.log.mark("state", await state_of(self.box._db))
        self.log.mark("side")
        self.recorder = Recorder(self.box, self.clock, watch=Watch("agent", HAPPENINGS), commit_ms=1000 * WINDOW_S)
        self.recorder.on_event = self.on_event

    def on_event(self, stored: Stored) -> None:
        self.log.mark("event", (self.box.store, stored.seq, stored.body))

    async def window(self) -> None:
        """Fixes of a commit window, and its end."""
        for _ in range(self.chance.choice((1, 5, WINDOW_S, WINDOW_S))):
            self.clock.mono += 1000
            self.lat += 1e-4 if self.chance.random() < 0.9 else -2e-3
            fix = Fix(T0 + self.clock.mono, self.lat, -96.0, speed_mps=13.0)
            self.recorder.add_fix(fix, Reading(), dated=self.clock.told)
            self.log.mark("made", T0 + self.clock.mono)
        await self.commit()

    async def commit(self) -> None:
        if await self.recorder.commit():
            self.log.mark("told", (self.box.store, self.box.newest))

    async def event(self) -> None:
        self.clock.mono += 700
        self.events += 1
        await self.recorder.add_event(self.chance.choice(EVENTS), None, {"n": self.events})

    async def ack(self) -> None:
        """The hub has committed up to somewhere, and says so."""
        if self.box.ready <= self.box.acked:
            return
        upto = self.chance.randint(self.box.acked + 1, self.box.ready)
        h = await self.box.hash_at(upto)
        if h is None:
            return
        self.made.hub[self.box.store] = (upto, h)
        self.log.mark("hub", (self.box.store, upto))
        if self.all_at_once:  # planted: what is sent counts as what the hub has
            upto, h = self.box.newest, await self.box.hash_at(self.box.newest)
        await self.box.settle(upto, h or "")

    async def forget(self) -> None:
        await self.box.forget((self.clock.now().at_ms or T0) + self.chance.choice((0, DAY_MS)))

    async def thin(self) -> None:
        await self.box.thin()

    async def make_room(self) -> None:
        await self.box.make_room()

    async def fork(self) -> None:
        if self.box.unsettled:
            return
        await self.box.fork(self.clock.now(), hub_seq=self.box.newest + 5)

    async def dating(self) -> None:
        self.clock.told = True
        await self.recorder.settle_times()

    async def restart(self) -> None:
        await self.commit()
        if self.chance.random() < 0.5:
            await self.box.close()
        else:
            await self.box._db.close()
        await self.open()

    async def harm(self) -> None:
        """The file's head is gone; what is on its other pages is not. The salvage runs to its end."""
        self.clock.told = True
        await self.recorder.settle_times()
        await self.commit()
        await self.box.close()
        self.made.damaged = next(what for _, kind, what in reversed(self.log.marks) if kind == "state")
        self.log.mark("harm")
        self.log.write(str(self.path), 0, bytes(100))
        self.log.sync(str(self.path))
        with self.path.open("r+b") as file:
            file.write(bytes(100))
        await self.open()
        await self.window()
        await salvage(self.box, self.path, self.made.hub)
        await self.window()


async def salvage(box: SqliteOutbox, path: Path, hub: dict[str, tuple[int, str]]) -> None:
    """Let it run to its end, with a hub that answers."""
    told: list[Any] = []
    work = Salvage(box, path, now=lambda: Moment(T0, "b007", 1), told=lambda *one: told.append(one), unbroken=unbroken)
    running = asyncio.ensure_future(work.run())
    while not running.done():
        if work.asking:
            work.hear(work.asking, *hub.get(work.asking, (0, GENESIS)))
        await asyncio.sleep(0)
    running.result()
