"""Records on their way to the outbox: what waits, what a full disk does, and numbers that add up at every moment."""

import asyncio
from collections.abc import Sequence

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
