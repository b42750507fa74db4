"""Both outboxes beside a hub that loses acks and goes back, while the disk fills: the track never gets stuck, and adds up."""

import random
from pathlib import Path

import pytest

from agent.adapters.memory import MemoryOutbox
from agent.adapters.sqlite import SqliteOutbox
from agent.core import room
from agent.core.dating import Moment
from agent.cutting import cut
from agent.ports import Settled
from hub.core.marks import Mark, Verdict, decide
from tests.agent.adapters.test_outbox_room import AT, DAY_MS, Either, T, drive, sos
from wire.track import decode_batch, decode_header, encode_batch


class Hub:
    """What a hub keeps of one store: the mark, the marks before, and what came for each seq."""

    def __init__(self) -> None:
        self.marks, self.came = [Mark()], dict[int, str]()

    def take(self, payload: bytes) -> Verdict:
        header, _ = decode_header(payload)
        verdict = decide(self.marks[-1], header)
        if verdict in {Verdict.APPEND, Verdict.ROLLBACK}:
            batch = decode_batch(payload)
            self.came |= dict.fromkeys(range(self.marks[-1].last + 1, header.first), "hub-rollback")
            self.came |= {seq: "row" for seq, _ in batch.rows} | {event.seq: "event" for event in batch.events}
            for one in batch.lost:
                self.came |= dict.fromkeys(range(one.first, one.last + 1), one.reason)
            self.marks.append(Mark(header.last, header.after))
        return verdict


class Yard:
    """One run, by chance."""

    def __init__(self, box: Either, path: Path, seed: int) -> None:
        self.box, self.path, self.chance, self.hub, self.at = box, path, random.Random(seed), Hub(), 0
        self.events: set[int] = set()

    async def record(self) -> None:
        n = self.chance.randrange(1, 120)
        stored = await self.box.put([*drive(n, start=self.at, seed=self.at), sos(self.at + n)])
        self.events.add(stored[-1].seq)
        self.at += n + 1

    async def send(self) -> None:
        """A batch, whose ack may be lost."""
        if self.box.acked >= self.box.ready:
            return
        payload = encode_batch(await cut(self.box, self.chance.choice([1, 7, 60, 600])))
        if self.chance.random() < 0.7:
            self.box.sent = max(self.box.sent, decode_header(payload)[0].last)
        self.hub.take(payload)
        if self.chance.random() < 0.7:
            await self.ack()

    async def ack(self) -> None:
        mark = self.hub.marks[-1]
        assert await self.box.settle(mark.last, mark.h) is not Settled.FORKED

    async def go_back(self) -> None:
        """A backup of the hub is restored."""
        del self.hub.marks[self.chance.randrange(1, len(self.hub.marks) + 1) :]

    async def thin(self) -> None:
        await self.box.thin()

    async def make_room(self) -> None:
        await self.box.make_room()

    async def forget(self) -> None:
        await self.box.forget(T + 1000 * self.chance.randrange(self.at + 1) + DAY_MS)

    async def restart(self) -> None:
        if isinstance(self.box, SqliteOutbox):
            await self.box._db.close()  # no good-bye
            self.box = await SqliteOutbox.open(self.path, now=AT)
            await self.ack()

    async def fork(self) -> None:
        self.box.sent = 0
        await self.box.fork(Moment(T + 1000 * self.at, "b007", 0), hub_seq=1)
        self.hub, self.events = Hub(), {row.seq for row in await self.box.unacked_events(9999)}

    async def run(self, steps: int) -> None:
        doings = [self.record] * 6 + [self.send] * 6 + [self.thin] * 3 + [self.make_room] * 3
        doings += [self.go_back, self.ack, self.forget, self.restart]
        for _ in range(steps):
            await self.chance.choice([*doings, self.fork] if self.chance.random() < 0.1 else doings)()
        for _ in range(9999):
            if self.hub.marks[-1].last == self.box.newest == self.box.acked:
                break
            await self.send()
            await self.ack()
        assert self.hub.marks[-1].last == self.box.newest, "it got stuck"
        assert self.hub.came.keys() == set(range(1, self.box.newest + 1))
        assert set(self.hub.came.values()) <= {"row", "event", "thinned", "dropped", "hub-rollback"}
        assert all(self.hub.came[seq] in {"event", "hub-rollback"} for seq in self.events)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_it_adds_up(kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"THIN_PIECE": 60, "THIN_LEAST": 30, "DROP_PIECE": 25, "SPAN": 90}.items():
        monkeypatch.setattr(room, name, value)
    path = tmp_path / "outbox.db"
    yard = Yard(MemoryOutbox() if kind == "memory" else await SqliteOutbox.open(path, now=AT), path, seed)
    try:
        await yard.run(120)
    finally:
        await yard.box.close()
