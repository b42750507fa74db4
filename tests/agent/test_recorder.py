"""Records on their way to the outbox: what waits, what a full disk does, and numbers that add up at every moment."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence

import pytest

from agent.adapters.memory import MemoryOutbox
from agent.events import HAPPENINGS
from agent.ports import Kind, Record, Stored
from agent.recorder import Recorder
from tests.agent.test_flow import Clock, box, fix, senses
from wire.messages import Reading
from wire.ops.watch import Watch


async def test_a_full_disk_keeps_records_in_memory_and_then_drops_fixes_not_events() -> None:
    s = senses()
    box(s).full = True
    await s.recorder.add_event("sos", None)
    for second in range(1, 7300):
        s.recorder.add_fix(fix(second), s.vehicle.reading(0))
    assert not await s.recorder.commit()
    assert s.recorder.waiting == 7200
    box(s).full = False
    assert await s.recorder.commit()
    rows = await box(s).read(1, 9999)
    assert len(rows) == 7200
    assert rows[0].kind is Kind.EVENT
    assert await s.recorder.commit(), "nothing to do"


async def test_the_commit_window_closes_by_itself() -> None:
    s = senses()
    s.recorder.add_fix(fix(1), s.vehicle.reading(0))
    task = asyncio.ensure_future(s.recorder.keep_committing())
    await asyncio.sleep(0.1)
    task.cancel()
    assert box(s).newest == 1


class SlowOutbox(MemoryOutbox):
    """A disk that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        await self.go_on.wait()
        return await super().put(records)


async def test_the_numbers_add_up_while_a_commit_runs() -> None:
    outbox = SlowOutbox()
    recorder = Recorder(outbox, Clock(), watch=Watch("agent", HAPPENINGS), commit_ms=10)

    def numbers() -> tuple[int, int, int, int]:
        assert recorder.recorded == outbox.acked + recorder.waiting
        return recorder.recorded, outbox.acked, recorder.waiting, recorder.unwritten

    for second in (1, 2):
        recorder.add_fix(fix(second), Reading())
    task = asyncio.ensure_future(recorder.commit())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recorder.add_fix(fix(3), Reading())
    assert numbers() == (3, 0, 3, 3)
    outbox.go_on.set()
    assert await task
    assert numbers() == (3, 0, 3, 1)
    await outbox.settle(1, await outbox.hash_at(1) or "")
    assert numbers() == (3, 1, 2, 1)
    outbox.full = True
    assert not await recorder.commit()
    assert numbers() == (3, 1, 2, 1)


async def test_an_sos_never_goes_and_other_events_only_when_there_is_no_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.recorder.PENDING_MAX", 3)
    s = senses()
    box(s).full = True
    for kind in ("sos", "dtc", "sos"):
        await s.recorder.add_event(kind, None, {"note": "sos"})
    s.recorder.add_fix(fix(1), Reading())
    await s.recorder.add_event("wrong-date", None)
    await s.recorder.add_event("sos", None)
    await s.recorder.add_event("sos", None)
    assert s.recorder.unwritten == 4, "more than there is room for, rather than one SOS less"
    box(s).full = False
    assert await s.recorder.commit()
    await s.recorder.commit()
    told = [json.loads(row.body) for row in await box(s).read(1, 99)]
    assert [event[1] for event in told] == ["sos"] * 4 + ["memory-full"]
    assert (told[-1][-1]["fixes"], told[-1][-1]["events"]) == (1, 2)


class RuinedOutbox(MemoryOutbox):
    """A file that is found ruined."""

    async def put(self, records: Sequence[Record]) -> list[Stored]:
        raise sqlite3.DatabaseError("database disk image is malformed")


async def test_what_could_not_be_written_stays_whatever_the_error() -> None:
    recorder = Recorder(RuinedOutbox(), Clock(), watch=Watch("agent", HAPPENINGS), commit_ms=10)
    recorder.add_fix(fix(1), Reading())
    with pytest.raises(sqlite3.DatabaseError):
        await recorder.add_event("sos", None)
    assert recorder.unwritten == 2
    sound = MemoryOutbox()
    assert await recorder.go_on_in(sound)
    assert [row.kind for row in await sound.read(1, 9)] == [Kind.FIX, Kind.EVENT]
