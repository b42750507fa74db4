"""One suite for both outboxes, and what only the one on disk promises: to be there after a crash or damage."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.adapters.memory import MemoryOutbox
from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import look_into
from agent.core.dating import Moment
from agent.ports import Kind, Record, Settled
from tests.rigs import eventually
from wire.codec import dump
from wire.errors import UnavailableError
from wire.track import GENESIS, chain

DAY_MS = 86_400_000
NOW = 1_760_000_000_000
BOOT = "b007"
AT = Moment(NOW, BOOT, 5_000)
Either = MemoryOutbox | SqliteOutbox


def fix(i: int) -> Record:
    return Record(Kind.FIX, Moment(NOW + i, BOOT, i), dump([NOW + i, i, i]))


EVENT = Record(Kind.EVENT, AT, dump([NOW, "sos", None, None, {}]))


@pytest.fixture(params=["memory", "sqlite"])
async def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Either]:
    box: Either = MemoryOutbox()
    if request.param == "sqlite":
        box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    yield box
    await box.close()


async def test_seqs_have_no_gap_and_the_chain_holds(outbox: Either) -> None:
    assert (outbox.newest, outbox.acked, outbox.low) == (0, 0, 1)
    first = await outbox.put([fix(1), fix(2)])
    second = await outbox.put([EVENT])
    assert [s.seq for s in first + second] == [1, 2, 3]
    h = GENESIS
    for stored in await outbox.read(1, 10):
        h = chain(h, stored.seq, stored.body)
        assert stored.h == h == await outbox.hash_at(stored.seq)
    assert await outbox.read(2, 1) == first[1:]
    assert await outbox.hash_at(9) is None
    assert await outbox.unacked_events(10) == second


async def test_an_ack_is_taken_once_and_may_go_back(outbox: Either) -> None:
    stored = await outbox.put([fix(i) for i in range(5)])
    assert await outbox.settle(3, stored[2].h) is Settled.TAKEN
    assert await outbox.settle(3, stored[2].h) is Settled.STALE
    assert outbox.acked == 3
    assert await outbox.settle(1, stored[0].h) is Settled.TAKEN
    assert outbox.acked == 1
    assert await outbox.settle(0, GENESIS) is Settled.TAKEN


async def test_an_ack_of_another_chain_forks(outbox: Either) -> None:
    stored = await outbox.put([fix(1), EVENT, fix(3)])
    await outbox.settle(1, stored[0].h)
    before = outbox.store
    assert await outbox.settle(2, GENESIS) is Settled.FORKED
    assert await outbox.settle(9, GENESIS) is Settled.FORKED
    await outbox.fork(AT, hub_seq=9)
    assert outbox.store != before
    assert (outbox.acked, outbox.newest, outbox.low) == (0, 3, 1)
    rows = await outbox.read(1, 9)
    assert [row.body for row in rows[1:]] == [EVENT.body, fix(3).body]
    assert b'"fork"' in rows[0].body
    assert before.encode() in rows[0].body
    assert rows[0].h == chain(GENESIS, 1, rows[0].body)


async def test_old_acknowledged_records_are_forgotten_and_the_chain_goes_on(outbox: Either) -> None:
    stored = await outbox.put([fix(i) for i in range(5)])
    await outbox.settle(3, stored[2].h)
    await outbox.forget(NOW + DAY_MS + 1000)
    assert (outbox.low, outbox.newest) == (3, 5)
    assert await outbox.hash_at(3) == stored[2].h
    await outbox.forget(NOW)
    assert outbox.low == 3


async def test_a_store_is_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    stored = await box.put([fix(1), fix(2)])
    await box.settle(1, stored[0].h)
    await box.put([fix(3)])
    store = box.store
    await box._db.close()  # no good-bye
    again = await SqliteOutbox.open(path, now=AT)
    assert (again.store, again.newest, again.acked, again.low) == (store, 3, 1, 1)
    assert (await again.put([fix(4)]))[0].h == chain(await again.hash_at(3) or "", 4, fix(4).body)
    assert look_into(path) == {"store": store, "recorded": 4, "committed_by_hub": 1, "waiting": 3}
    await again.close()


async def test_a_damaged_store_is_set_aside_and_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    await box.put([fix(i) for i in range(2000)])
    store = box.store
    await box.close()
    raw = bytearray(path.read_bytes())
    raw[:100] = bytes(100)
    path.write_bytes(bytes(raw))
    again = await SqliteOutbox.open(path, now=AT)
    bodies = [row.body for row in await again.read(1, 9)]
    assert again.store != store
    assert store.encode() in bodies[0]
    assert b'"prev_seq":2000' in bodies[0]
    assert b"outbox-damaged" in bodies[1]
    assert (tmp_path / "outbox.db.damaged-1").exists()
    await again.close()


async def test_a_disk_that_refuses_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    await box.put([fix(1)])
    blocker = sqlite3.connect(path, isolation_level=None)
    await box._db.execute("PRAGMA busy_timeout = 50")
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError, match="can't be written"):
        await box.put([fix(2)])
    blocker.execute("ROLLBACK")
    blocker.close()
    assert box.newest == 1
    assert [s.seq for s in await box.put([fix(2)])] == [2]
    await box.close()


async def test_a_place_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(UnavailableError, match="can't be opened"):
        await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    await asyncio.sleep(0.1)  # the thread of the library says good-bye to the loop


async def test_the_file_is_as_designed(tmp_path: Path) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    found = {}
    for pragma in ("page_size", "journal_mode", "synchronous"):
        async with box._db.execute(f"PRAGMA {pragma}") as cursor:
            row = await cursor.fetchone()
            assert row is not None
            found[pragma] = row[0]
    assert found == {"page_size": 512, "journal_mode": "wal", "synchronous": 2}
    await box.close()


async def test_a_folder_that_has_gone_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    box = await SqliteOutbox.open(folder / "outbox.db", now=AT)
    shutil.rmtree(folder)
    await box.close()
    await eventually(lambda: not [one for one in threading.enumerate() if "_connection_worker_thread" in one.name])
