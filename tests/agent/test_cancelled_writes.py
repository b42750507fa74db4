"""A link loss may cancel a write at any moment: disk and memory still agree afterwards, and nothing is kept twice."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.events import HAPPENINGS
from agent.recorder import Recorder, unbroken
from tests.agent.test_flow import Clock, fix
from wire.messages import Reading
from wire.ops.watch import Watch
from wire.track import GENESIS, chain

NOW = 1_760_000_000_000
BOOT = "b007"
AT = Moment(NOW, BOOT, 5_000)


async def cancelled_after(work: "asyncio.Task[object]", turns: int) -> None:
    """Cancel, twice, after so many turns of the loop, each long enough for one statement in the library's thread."""
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    work.cancel()
    await asyncio.sleep(0)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def rows_of(outbox: SqliteOutbox) -> list[int]:
    h, seqs = GENESIS, []
    for row in await outbox.read(1, 10_000):
        h = chain(h, row.seq, row.body)
        assert row.h == h
        seqs.append(row.seq)
    return seqs


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_commit(tmp_path: Path, turns: int) -> None:
    outbox = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    watch = Watch("agent", HAPPENINGS)
    recorder = Recorder(outbox, Clock(), watch=watch, commit_ms=1000)
    for second in range(50):
        recorder.add_fix(fix(second), Reading())
    await cancelled_after(asyncio.ensure_future(recorder.commit()), turns)
    recorder.add_fix(fix(50), Reading())
    assert await recorder.commit()
    assert watch.count("outbox.failed") == 0
    assert await rows_of(outbox) == list(range(1, 52))
    assert len({row.at_ms for row in await outbox.read(1, 99)}) == 51
    await outbox.close()


@pytest.mark.parametrize("turns", range(1, 12))
async def test_a_cancelled_fork_and_a_commit_beside_it(tmp_path: Path, turns: int) -> None:
    outbox = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    recorder = Recorder(outbox, Clock(), watch=Watch("agent", HAPPENINGS), commit_ms=1000)
    for second in range(1200):
        recorder.add_fix(fix(second), Reading())
    await recorder.commit()
    recorder.add_fix(fix(1200), Reading())
    beside = asyncio.ensure_future(recorder.commit())
    await cancelled_after(asyncio.ensure_future(unbroken(outbox.fork(AT, hub_seq=9999))), turns)
    assert await beside
    assert await rows_of(outbox) == list(range(1, 1203))
    again = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    assert (again.store, again.newest, again.acked) == (outbox.store, 1202, 0)
    await again.close()
    await outbox.close()


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_note_leaves_no_transaction_open(tmp_path: Path, turns: int) -> None:
    """The next commit may be a call for help."""
    outbox = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    watch = Watch("agent", HAPPENINGS)
    recorder = Recorder(outbox, Clock(), watch=watch, commit_ms=1000)
    for second in range(9):
        recorder.add_fix(fix(second), Reading())
        assert await recorder.commit()
        task = asyncio.ensure_future(outbox.going(second + 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert await recorder.commit()
    assert watch.count("outbox.failed") == 0
    assert await rows_of(outbox) == list(range(1, 10))
    await outbox.close()
