"""Open records in both outboxes: held back, dated once, or released without a time; the chain holds through all of it."""

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.adapters.memory import MemoryOutbox
from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import UNDATED_FIX, Moment, event_body
from agent.ports import Kind, Record
from wire.codec import dump
from wire.errors import UnavailableError
from wire.messages import TIME_KNOWN, Fix
from wire.schema import row_of
from wire.track import GENESIS, chain

T, BOOT, HELD_MS = 1_800_000_000_000, "b007", 600_000
Either = MemoryOutbox | SqliteOutbox


def an_event(mono_ms: int, at_ms: int | None = None, boot: str = BOOT) -> Record:
    moment = Moment(at_ms, boot, mono_ms)
    return Record(Kind.EVENT, moment, event_body(moment, "ignition-on", (None, None), {}))


def a_fix(mono_ms: int, at_ms: int | None = None) -> Record:
    row = [at_ms, *row_of(Fix(0, 41.0, -96.0))[1:]]
    return Record(Kind.FIX, Moment(at_ms, BOOT, mono_ms), dump([*row]))


@pytest.fixture(params=["memory", "sqlite"])
async def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Either]:
    box: Either = MemoryOutbox()
    if request.param == "sqlite":
        box = await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(None, BOOT, 0))
    yield box
    await box.close()


async def whole(box: Either) -> list[tuple[Kind, int | None]]:
    """Kinds and times, after a look at the chain."""
    rows, h = await box.read(1, 1_000_000), GENESIS
    for row in rows:
        h = chain(h, row.seq, row.body)
        assert row.h == h
    return [(row.kind, row.at_ms) for row in rows]


async def test_what_is_open_is_held_back_and_dated_once(outbox: Either) -> None:
    await outbox.put([a_fix(10, T)])
    assert (outbox.ready, outbox.unsettled) == (1, False)
    await outbox.put([an_event(20), a_fix(30), a_fix(40, T + 40)])
    assert (outbox.ready, outbox.newest, outbox.unsettled) == (1, 4, True)
    assert await outbox.settle_times(Moment(None, BOOT, 50), HELD_MS) == 0, "nobody knows the time yet"
    assert await outbox.settle_times(Moment(T + 1_000, BOOT, 1_000), HELD_MS) == 2
    assert (outbox.ready, outbox.unsettled) == (4, False)
    assert await whole(outbox) == [(Kind.FIX, T), (Kind.EVENT, T + 20), (Kind.FIX, T + 30), (Kind.FIX, T + 40)]
    assert await outbox.settle_times(Moment(T + 9_000, BOOT, 2_000), HELD_MS) == 0, "once"
    assert [json.loads(row.body)[0] for row in await outbox.read(1, 9)] == [T, T + 20, T + 30, T + 40]


async def test_who_has_waited_long_goes_without_and_the_hub_is_told_later(outbox: Either) -> None:
    await outbox.put([an_event(10), a_fix(20), an_event(300_000)])
    assert await outbox.settle_times(Moment(None, BOOT, HELD_MS + 20), HELD_MS) == 2
    assert outbox.ready == 2
    assert outbox.unsettled
    rows = await outbox.read(1, 2)
    assert [json.loads(row.body)[:2] for row in rows] == [[[BOOT, 10], "ignition-on"], [[BOOT, 20], UNDATED_FIX]]
    assert await outbox.settle_times(Moment(T + 700_000, BOOT, 700_000), HELD_MS) == 1
    assert await whole(outbox) == [
        (Kind.EVENT, 0), (Kind.EVENT, 0), (Kind.EVENT, T + 300_000), (Kind.EVENT, T + 700_000),
    ]  # fmt: skip
    told = json.loads((await outbox.read(4, 1))[0].body)
    assert told[1:] == [TIME_KNOWN, None, None, {"boot": BOOT, "offset_ms": T}]
    assert not outbox.unsettled


async def test_the_open_records_of_another_boot_are_released_at_once(outbox: Either) -> None:
    await outbox.put([an_event(10, boot="before"), an_event(20)])
    assert await outbox.settle_times(Moment(None, BOOT, 30), HELD_MS) == 1
    assert outbox.ready == 1
    assert await outbox.settle_times(Moment(T, BOOT, 40), HELD_MS) == 1
    assert [json.loads(row.body)[0] for row in await outbox.read(1, 9)] == [["before", 10], T - 20]
    assert await whole(outbox) == [(Kind.EVENT, 0), (Kind.EVENT, T - 20)], "no word about a boot that nobody knows"


async def test_a_fork_keeps_what_is_open(outbox: Either) -> None:
    await outbox.put([a_fix(10, T), an_event(20)])
    await outbox.fork(Moment(None, BOOT, 30), hub_seq=5)
    assert (outbox.newest, outbox.ready) == (3, 0), "the fork's own event is open too"
    assert await outbox.settle_times(Moment(T + 50, BOOT, 50), HELD_MS) == 2
    assert await whole(outbox) == [(Kind.EVENT, T + 30), (Kind.FIX, T), (Kind.EVENT, T + 20)]


async def test_a_full_disk_changes_nothing() -> None:
    box = MemoryOutbox()
    await box.put([an_event(20)])
    box.full = True
    with pytest.raises(UnavailableError):
        await box.settle_times(Moment(T, BOOT, 50), HELD_MS)
    assert box.ready == 0


async def test_open_records_outlive_the_agent_and_its_debts_too(tmp_path: Path) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(None, BOOT, 0))
    await box.put([an_event(10), an_event(500_000)])
    await box.settle_times(Moment(None, BOOT, HELD_MS + 20), HELD_MS)
    await box.close()
    again = await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(None, BOOT, HELD_MS + 30))
    assert (again.ready, again.unsettled) == (1, True)
    assert await again.settle_times(Moment(T + 700_000, BOOT, 700_000), HELD_MS) == 1
    assert await whole(again) == [(Kind.EVENT, 0), (Kind.EVENT, T + 500_000), (Kind.EVENT, T + 700_000)]
    await again.close()


async def test_a_long_chain_is_made_anew_in_pieces(tmp_path: Path) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(None, BOOT, 0))
    await box.put([an_event(10)] + [a_fix(20 + i, T + i) for i in range(1_100)])
    assert await box.settle_times(Moment(T + 5_000, BOOT, 5_000), HELD_MS) == 1
    assert len(await whole(box)) == 1_101
    await box.put([a_fix(6_000, T + 6_000)])
    assert len(await whole(box)) == 1_102, "and it goes on from its new end"
    await box.close()


async def test_an_outbox_of_before_gets_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE record (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL,"
        " h TEXT NOT NULL); CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "INSERT INTO meta VALUES ('store', 'AAAAAAAAAAA');"
    )
    body = a_fix(1, T).body
    old.execute("INSERT INTO record VALUES (1, 'f', ?, ?, ?)", (T, body, chain(GENESIS, 1, body)))
    old.commit()
    old.close()
    box = await SqliteOutbox.open(path, now=Moment(T, BOOT, 5))
    await box.put([an_event(20, T + 20)])
    assert await whole(box) == [(Kind.FIX, T), (Kind.EVENT, T + 20)]
    await box.close()


async def test_a_session_that_was_not_closed_is_known_as_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    first = await SqliteOutbox.open(path, now=Moment(T, "first-boot", 0))
    assert first.cut_off is None
    await first._db.close()  # as after a power cut: nothing of ours runs
    second = await SqliteOutbox.open(path, now=Moment(T, BOOT, 0))
    assert second.cut_off == "first-boot"
    await second.close()
    third = await SqliteOutbox.open(path, now=Moment(T, BOOT, 0))
    assert third.cut_off is None
    await third.close()
