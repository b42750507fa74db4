"""Room in both outboxes: what goes, what stays, and that every batch tiles; then what only the one on disk promises."""

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.adapters import sqlite_disk
from agent.adapters.memory import MemoryOutbox
from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import look_into
from agent.core import room
from agent.core.dating import Moment
from agent.core.room import DROP_PIECE, THIN_LEAST, Made, point_of
from agent.core.thinning import sed_m
from agent.cutting import cut
from agent.ports import Kind, Limits, Record, Settled
from agent.tidy import keep_within
from wire.codec import dump
from wire.errors import UnavailableError
from wire.messages import Batch
from wire.schema import COLUMNS
from wire.track import GENESIS, chain, decode_batch, encode_batch

T = 1_760_000_000_000
BOOT = "b007"
AT = Moment(T, BOOT, 0)
DAY_MS = 86_400_000
Either = MemoryOutbox | SqliteOutbox


def drive(n: int, *, start: int = 0, seed: int = 1) -> list[Record]:
    """Fixes of a drive that turns now and then, as they are kept."""
    chance = random.Random(seed)
    lat = lon = 0.0
    north, east, out = 1.0, 0.0, []
    for i in range(start, start + n):
        if chance.random() < 0.05:
            north, east = chance.uniform(-1, 1), chance.uniform(-1, 1)
        lat, lon = lat + 900 * north, lon + 900 * east
        values = [T + 1000 * i, 410_000_000 + round(lat), -960_000_000 + round(lon)]
        out.append(Record(Kind.FIX, Moment(values[0], BOOT, 1000 * i), dump(values + [None] * (len(COLUMNS) - 3))))
    return out


def sos(second: int) -> Record:
    at = Moment(T + 1000 * second, BOOT, 1000 * second)
    return Record(Kind.EVENT, at, dump([at.at_ms, "sos", None, None, {}]))


@pytest.fixture(params=["memory", "sqlite"])
async def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Either]:
    box: Either = MemoryOutbox()
    if request.param == "sqlite":
        box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    yield box
    await box.close()


async def drained(outbox: Either, *, limit: int = 600) -> list[Batch]:
    """Everything to the last record, as a hub would take it: each batch decoded, chained and acknowledged."""
    batches: list[Batch] = []
    while outbox.acked < outbox.ready:
        batch = decode_batch(encode_batch(await cut(outbox, limit)))
        assert len(batch.rows) + len(batch.events) + len(batch.lost) <= max(limit, 2)
        if batches:
            assert (batch.first, batch.before) == (batches[-1].last + 1, batches[-1].after)
        batches.append(batch)
        assert await outbox.settle(batch.last, batch.after) is Settled.TAKEN
    return batches


def account(batches: list[Batch]) -> dict[str, int]:
    """What came and what did not, by reason."""
    found = {"rows": 0, "events": 0}
    for batch in batches:
        found["rows"] += len(batch.rows)
        found["events"] += len(batch.events)
        for one in batch.lost:
            assert one.counts == {"fixes": one.last - one.first + 1}
            found[one.reason] = found.get(one.reason, 0) + one.counts["fixes"]
    return found


async def test_thinning_keeps_the_bound_and_every_batch_tiles(outbox: Either) -> None:
    records = [*drive(700), sos(700), *drive(700, start=701, seed=2)]
    stored = await outbox.put(records)
    thinned = 0
    while n := await outbox.thin():
        thinned += n
    assert thinned > 1000
    assert outbox.lost_so_far == {"thinned": thinned, "dropped": 0}
    left = await outbox.read(1, 9999)
    assert {row.seq: row.h for row in left}.items() <= {row.seq: row.h for row in stored}.items(), "as recorded"
    assert 701 in {row.seq for row in left}, "events stay"
    fixes = [row for row in left if row.kind is Kind.FIX]
    for a, b in pairwise(fixes):
        for gone in stored[a.seq : b.seq - 1]:
            if gone.kind is Kind.FIX:
                assert sed_m(*(point_of(one.body) for one in (a, b, gone))) <= 5.0
    batches = await drained(outbox, limit=60)
    assert account(batches) == {"rows": len(fixes), "events": 1, "thinned": thinned}
    assert (batches[0].before, batches[-1].after) == (GENESIS, stored[-1].h)


async def test_what_is_new_open_on_its_way_or_too_little_is_left_alone(outbox: Either) -> None:
    await outbox.put(drive(THIN_LEAST))
    assert await outbox.thin() == 0, "one of them is the newest that may be sent"
    await outbox.put([*drive(200, start=600), Record(Kind.FIX, Moment(None, BOOT, 5), dump([None, 1, 1]))])
    await outbox.put(drive(900, start=801))
    assert outbox.ready == 800
    outbox.sent = 150
    assert await outbox.thin() > 0
    seqs = [row.seq for row in await outbox.read(1, 9999)]
    assert seqs[:150] == list(range(1, 151))
    assert seqs[-901:] == list(range(801, 1702))
    assert 800 in seqs
    assert await outbox.thin() == 0, "what was thinned is not thinned again"


async def test_what_the_hub_has_goes_first_then_lines_then_the_oldest(outbox: Either) -> None:
    stored = await outbox.put([sos(0), *drive(1000, start=1), sos(1001), *drive(1000, start=1002, seed=3)])
    await outbox.settle(100, stored[99].h)
    assert await outbox.make_room() == Made(forgotten=99)
    assert (outbox.low, await outbox.hash_at(100)) == (100, stored[99].h)
    first = await outbox.make_room()
    assert first.thinned > 0
    assert first.forgotten == first.dropped == 0
    while (made := await outbox.make_room()).thinned:
        pass
    assert made.dropped > 1000, "with what had been thinned between the dropped ones"
    assert outbox.lost_so_far["thinned"] + outbox.lost_so_far["dropped"] + len(await outbox.read(101, 9999)) == 1902
    while (made := await outbox.make_room()).more:
        assert made.dropped > 0
    left = await outbox.read(101, 9999)
    assert [row.seq for row in left] == [1002, 2002], "an SOS, and the newest that may be sent"
    (batch,) = await drained(outbox)
    assert [(one.first, one.last, one.reason) for one in batch.lost] == [
        (101, 1001, "dropped"),
        (1003, 2001, "dropped"),
    ]
    assert batch.before == stored[99].h


async def test_what_may_be_at_the_hub_is_not_thinned(outbox: Either) -> None:
    """The hub may have committed a batch whose ack was lost: its mark then falls on a record that is still here."""
    stored = await outbox.put(drive(1200))
    await outbox.going(200)
    await outbox.thin()
    rows = await outbox.read(1, 1200)
    assert [row.seq for row in rows[:200]] == list(range(1, 201))
    assert len(rows) < 900
    assert await outbox.settle(200, stored[199].h) is Settled.TAKEN
    assert await outbox.settle(200, stored[199].h) is Settled.STALE
    batch = decode_batch(encode_batch(await cut(outbox, 60)))
    assert (batch.first, batch.before) == (201, stored[199].h)


async def test_a_mark_on_what_went_unsent_is_of_another_card(outbox: Either) -> None:
    stored = await outbox.put(drive(1200))
    await outbox.thin()
    gap = next(a.seq for a, b in pairwise(await outbox.read(1, 99)) if b.seq - a.seq > 3) + 2
    assert await outbox.hash_at(gap) is None
    assert await outbox.settle(gap, stored[gap - 1].h) is Settled.FORKED
    assert outbox.acked == 0


async def test_what_is_on_its_way_is_known_after_a_power_cut(tmp_path: Path) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    box.ahead = 60
    await box.put(drive(50))
    assert box.sent == 50, "noted with the commit, at no cost of its own"
    await box.put(drive(50, start=50))
    assert box.sent == 60
    await box.going(90)
    await box._db.close()  # no good-bye
    again = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    assert again.sent == 90
    await again._db.execute("PRAGMA query_only = ON")  # a disk that takes nothing
    await again.going(95)
    await again._db.execute("PRAGMA query_only = OFF")
    assert again.sent == 95, "it goes all the same, and stays until the next start"
    await again.close()


async def test_a_fork_takes_the_gaps_along(outbox: Either) -> None:
    stored = await outbox.put([*drive(1200), sos(1200), *drive(10, start=1201)])
    await outbox.thin()
    gap = next(a.seq for a, b in pairwise(await outbox.read(1, 99)) if b.seq - a.seq > 3)
    await outbox.settle(gap, stored[gap - 1].h)
    before = await outbox.read(gap + 1, 9999)
    await outbox.fork(AT, hub_seq=9)
    assert (outbox.newest, outbox.acked, outbox.low) == (1211 - gap + 1, 0, 1)
    rows = await outbox.read(1, 9999)
    assert [row.body for row in rows[1:]] == [row.body for row in before]
    assert [row.seq for row in rows[1:]] == [row.seq - gap + 1 for row in before]
    h = GENESIS
    for row in rows:
        h = chain(h, row.seq, row.body)
        assert row.h == h
    assert (await outbox.put([sos(1300)]))[0].h == chain(h, outbox.newest, sos(1300).body)
    assert await outbox.thin() == 0, "what was thinned stays so"
    found = account(await drained(outbox))
    assert found["events"] == 3
    assert found["rows"] + found["events"] + found["thinned"] == outbox.newest


async def test_open_records_behind_a_gap_are_dated(outbox: Either) -> None:
    await outbox.put(drive(1200))
    await outbox.put([Record(Kind.EVENT, Moment(None, BOOT, 7), dump([[BOOT, 7], "sos", None, None, {}]))])
    await outbox.thin()
    assert await outbox.settle_times(Moment(T + 2_000_000, BOOT, 2_000_000), 600_000) == 1
    rows = await outbox.read(1199, 9)
    assert rows[-1].h == chain(rows[-2].h, rows[-1].seq, rows[-1].body)
    assert account(await drained(outbox))["events"] == 1


async def test_receipts_are_forgotten_with_their_records(outbox: Either) -> None:
    await outbox.put(drive(1300))
    await outbox.thin()
    batches = await drained(outbox, limit=100)
    await outbox.forget(T)
    assert await outbox.lost(1, 9999), "the hub may go back for a day"
    await outbox.settle(batches[0].last, batches[0].after)
    assert (await cut(outbox, 100)) == batches[1]
    await outbox.settle(batches[-1].last, batches[-1].after)
    await outbox.forget(T + 2 * DAY_MS)
    assert await outbox.lost(1, 9999) == []
    assert outbox.low == 1300


async def test_the_size_is_kept(outbox: Either) -> None:
    await outbox.put([*drive(3000), sos(3000), *drive(3000, start=3001, seed=9)])
    full = await outbox.used_bytes()
    outbox.limits = Limits(full)
    await keep_within(outbox)
    assert outbox.lost_so_far == {"thinned": 0, "dropped": 0}
    for share in (0.5, 0.05, 0.0):
        outbox.limits = Limits(round(full * share))
        await keep_within(outbox)
        assert share == 0.0 or await outbox.used_bytes() <= full * share
    assert account(await drained(outbox))["events"] == 1


# Only on disk.


async def test_a_long_loss_keeps_a_fix_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SPAN", 300)
    monkeypatch.setattr(room, "THIN_LEAST", 99_999)
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    await box.put(drive(1000))
    assert (await box.make_room()).dropped == DROP_PIECE - 1
    while (await box.make_room()).more:
        pass
    assert [row.seq for row in await box.read(1, 9)] == [300, 600, 900, 1000]
    assert account(await drained(box)) == {"rows": 4, "events": 0, "dropped": 996}
    await box.close()


async def test_a_restart_knows_what_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    stored = await box.put([*drive(2000), sos(2000), *drive(10, start=2001)])
    while (await box.make_room()).thinned:
        pass
    gap = (await box.read(1, 1))[0].seq
    await box.settle(gap, stored[gap - 1].h)
    await box.put([sos(2100)])
    so_far, wanted = box.lost_so_far, await cut(box, 600)
    assert so_far["dropped"] > 0
    await box._db.close()  # no good-bye
    again = await SqliteOutbox.open(path, now=AT)
    assert (look_into(path) or {}).items() >= {k: n for k, n in so_far.items() if n}.items()
    assert (again.lost_so_far, again.acked, again.low, again.newest) == (so_far, gap, 1, 2012)
    assert await cut(again, 600) == wanted
    assert wanted.before == stored[gap - 1].h
    await again.close()


async def test_a_full_disk_makes_room_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_disk, "RESERVE_BYTES", 0)
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    await box.put([sos(0), *drive(2000, start=1)])
    async with box._db.execute("PRAGMA page_count") as cursor:
        ((pages,),) = await cursor.fetchall()
    await box._db.execute(f"PRAGMA max_page_count = {pages}")
    at = 2001
    for _ in range(40):
        await box.put(drive(500, start=at))
        at += 500
    assert box.lost_so_far["thinned"] > 0
    assert box.lost_so_far["dropped"] > 0
    found = account(await drained(box))
    assert found["events"] == 1
    assert sum(found.values()) == box.newest == at
    await box.close()


async def test_a_full_disk_gets_the_reserve_and_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    reserve = tmp_path / "outbox.reserve"
    assert reserve.stat().st_size == 1 << 20
    await box.put(drive(2000))
    async with box._db.execute("PRAGMA page_count") as cursor:
        ((pages,),) = await cursor.fetchall()
    await box._db.execute(f"PRAGMA max_page_count = {pages}")
    await box.put(drive(500, start=2000))
    assert not reserve.exists()
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 1000))
    await keep_within(box)
    assert not reserve.exists(), "the disk is still full"
    monkeypatch.undo()
    await keep_within(box)
    assert reserve.exists()
    for at in range(2500, 12_500, 500):
        await box.put(drive(500, start=at))
    assert box.lost_so_far["dropped"] == 0, "the database may grow again"
    assert sum(account(await drained(box)).values()) == 12_500
    await box.close()


async def test_a_full_disk_with_nothing_to_give_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_disk, "RESERVE_BYTES", 0)
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    await box.put([sos(0)])
    async with box._db.execute("PRAGMA page_count") as cursor:
        ((pages,),) = await cursor.fetchall()
    await box._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UnavailableError, match="full"):
        await box.put(drive(500, start=1))
    assert (box.newest, len(await box.read(1, 9))) == (1, 1)
    await box.close()


async def test_thinning_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    await box.put(drive(1300))
    blocker = sqlite3.connect(path, isolation_level=None)
    await box._db.execute("PRAGMA busy_timeout = 50")
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError):
        await box.thin()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert box.lost_so_far == {"thinned": 0, "dropped": 0}
    assert len(await box.read(1, 9999)) == 1300
    await box.close()


async def test_an_outbox_of_before_has_no_receipts(tmp_path: Path) -> None:
    """A gap that nobody can explain does not block the track."""
    path = tmp_path / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    await box.put(drive(20))
    await box.close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM record WHERE seq BETWEEN 5 AND 9")
        db.execute("DROP TABLE lost")
    db.close()
    again = await SqliteOutbox.open(path, now=AT)
    assert account(await drained(again)) == {"rows": 15, "events": 0, "missing": 5}
    await again.close()
