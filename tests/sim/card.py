"""The card of a vehicle: its outbox, whose commits take time and survive a crash, and what it truly held."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.adapters.memory import MemoryOutbox
from agent.core.dating import Moment
from agent.core.room import Made
from agent.ports import Kind, Limits, Record, Settled, Stored
from tests.sim.kit import copied
from wire.track import b64

if TYPE_CHECKING:
    from tests.sim.vehicle import Rig


class Card(MemoryOutbox):
    """The twin of the outbox, on a disk that takes its time. `truth` is every record that it ever held, under each of its
    names: store and seq → the number of the record and its body."""

    def __init__(self, rig: "Rig", limits: Limits, *, keep: int) -> None:
        super().__init__(limits)
        self.rig = rig
        self.store = self._name()
        self.keep = keep
        self.truth: dict[tuple[str, int], tuple[int, bytes]] = {}
        self.kinds: dict[int, Kind] = {}
        self.full_until_s = 0.0
        self._whole = False

    def _name(self) -> str:
        return b64(self.rig.rng.randbytes(8))

    def survivor(self) -> "Card":
        """What is left of it after a crash. `truth` goes on; what the zombies write into the old one is nothing."""
        left: Card = copied(self)
        left._whole = False
        left.truth, left.kinds = self.truth, self.kinds
        self.truth, self.kinds = dict(self.truth), dict(self.kinds)
        return left

    def clone(self) -> "Card":
        """Another card with the same content, and with a truth of its own from now on."""
        twin: Card = copied(self)
        twin._whole = False
        return twin

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        if self._whole:
            return await super().put(records)
        await self.rig.step("put")
        stored = await super().put(records)
        for one in stored:
            self._know(one, self.rig.world.next_record())
        await self.rig.step("put done")
        return stored

    def _know(self, one: Stored, number: int) -> None:
        self.truth[self.store, one.seq] = (number, one.body)
        self.kinds[number] = one.kind

    async def going(self, last: int) -> None:
        if last > self.sent:
            await self.rig.step("going")
        await super().going(last)

    async def settle(self, upto: int, h: str) -> Settled:
        await self.rig.step("settle")
        settled = await super().settle(upto, h)
        self.rig.world.oracle.answered(self.rig)
        if settled is Settled.TAKEN:
            self.rig.world.oracle.settled(self, upto)
            if upto - self.low > 2 * self.keep:
                self._forget(upto - self.keep)
                self._moments = {seq: moment for seq, moment in self._moments.items() if seq >= self.low}
        return settled

    async def settle_times(self, now: Moment, wait_ms: int) -> int:
        await self.rig.step("settle times")
        newest = self.newest
        opened = {row.seq for row in self._rows if row.at_ms is None}
        self._whole = True
        try:
            finals = await super().settle_times(now, wait_ms)
        finally:
            self._whole = False
        for row in self._rows:
            if row.seq in opened:
                self._know(row, self.truth[self.store, row.seq][0])
            elif row.seq > newest:
                self._know(row, self.rig.world.next_record())
        return finals

    async def make_room(self) -> Made:
        oracle = self.rig.world.oracle
        before = oracle.on_its_way(self)
        made = await super().make_room()
        oracle.check("in flight untouched", oracle.on_its_way(self) >= before, f"{self.rig.device}: {made}")
        return made

    async def fork(self, now: Moment, *, hub_seq: int) -> None:
        await self.rig.step("fork")
        old, by = self.store, max(self.acked, self.low - 1) - 1
        self._whole = True
        try:
            await super().fork(now, hub_seq=hub_seq)
        finally:
            self._whole = False
        self.store = self._name()
        self._know(self._rows[0], self.rig.world.next_record())
        for row in self._rows[1:]:
            self._move(old, row.seq + by, row.seq, row.body)
        for lost in self._lost:
            for seq in range(lost.first, lost.last + 1):
                self._move(old, seq + by, seq, b"")
        self.rig.world.oracle.forked(self)
        await self.rig.step("fork done")

    def _move(self, store: str, seq: int, fresh: int, body: bytes) -> None:
        number, _ = self.truth[store, seq]
        self.truth[self.store, fresh] = (number, body)
        self.rig.world.oracle.moved.add(number)

    async def read(self, first: int, limit: int) -> list[Stored]:
        await asyncio.sleep(0.001)
        return await super().read(first, limit)

    @property
    def refuses(self) -> bool:
        """Whether the disk is full, or was a moment ago."""
        return self.full or asyncio.get_running_loop().time() < self.full_until_s
