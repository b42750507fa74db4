"""A damaged outbox: whatever was done to the file, what can be read comes into the new store, each record once and as it was."""

import asyncio
import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.adapters import sqlite_salvage
from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_salvage import Salvage, aside, question
from agent.core import room
from agent.core.dating import Moment
from agent.core.pages import PAGE
from agent.core.salvage import Job
from agent.ports import Kind, Record, Stored
from agent.recorder import unbroken
from hub.core.marks import Mark, Verdict, decide
from tests.agent.adapters.test_outbox_room import AT, T, drive, sos
from tests.rigs import eventually
from wire.codec import dump
from wire.errors import UnavailableError
from wire.track import GENESIS, decode_batch, decode_header

EVERY, ACKED = 1_000_000, 80

SEEDS = 200


@dataclass(slots=True)
class Original:
    """An outbox as it stood on the disk when the power went, and all that was recorded in it."""

    folder: Path
    store: str
    records: dict[int, Stored]
    thinned: set[int]
    acked: int
    acked_h: str
    newest: int = 0
    places: dict[int, tuple[str, int]] = field(default_factory=dict)
    of: dict[bytes, int] = field(default_factory=dict)


def long_event(i: int) -> Record:
    return Record(Kind.EVENT, Moment(T + 1000 * i, "b007", i), dump([T + 1000 * i, "dtc", None, None, {"codes": ["P0420"] * 400, "i": i}]))  # fmt: skip


async def recorded(folder: Path) -> Original:
    """A drive of 700 seconds in small commits, some of it acknowledged, some thinned; the newest is only in the journal."""
    box = await SqliteOutbox.open(folder / "outbox.db", now=AT)
    everything: dict[int, Stored] = {}
    for at in range(0, 600, 20):
        for one in await box.put([*drive(18, start=at, seed=at), sos(at + 18), long_event(at + 19)]):
            everything[one.seq] = one
        if at == 100:
            await box.settle(ACKED, everything[ACKED].h)
    await box.thin()
    left = {row.seq for row in await box.read(1, EVERY)}
    for at in range(600, 700, 5):
        everything |= {one.seq: one for one in await box.put(drive(5, start=at, seed=at))}
    shutil.copytree(folder, folder / "cut")  # as a power cut leaves it
    store = box.store
    await box.close()
    gone = {seq for seq in everything if seq not in left and seq <= 600}
    made = Original(folder / "cut", store, everything, gone, ACKED, everything[ACKED].h, max(everything))
    file = await sqlite_salvage.surveyed(folder / "cut" / "outbox.db")
    wal = file._journal.pages
    for place in file._places:
        number = ("-wal", wal[place]) if place in wal else ("", (place - 1) * PAGE)
        made.places |= {rowid: number for rowid, _ in file._rows(place) if rowid is not None}
    file.close()
    made.of = {one.body: one.seq for one in everything.values()}
    assert len(made.of) == len(everything), "bodies tell records apart"
    return made


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    patch = pytest.MonkeyPatch()
    for name, value in {"THIN_PIECE": 200, "THIN_LEAST": 100}.items():
        patch.setattr(room, name, value)
    made = asyncio.run(recorded(tmp_path_factory.mktemp("original")))
    patch.undo()
    assert len(made.thinned) > 100
    assert (made.folder / "outbox.db-wal").stat().st_size > 20_000
    return made


def damaged(original: Original, folder: Path, seed: int) -> set[int]:
    """A copy that something has happened to; gives the records whose page is still as it was."""
    shutil.copytree(original.folder, folder)
    chance, file, wal = random.Random(seed), folder / "outbox.db", folder / "outbox.db-wal"
    raw, log = bytearray(file.read_bytes()), bytearray(wal.read_bytes())
    what = seed % 6
    if what in {0, 4, 5}:  # pages of garbage
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(len(raw) // PAGE) * PAGE
            raw[at : at + PAGE] = chance.randbytes(PAGE)
    if what in {1, 4}:  # a piece of garbage anywhere
        at = chance.randrange(len(raw))
        piece = chance.randbytes(chance.randrange(1, 3000))
        raw[at : at + len(piece)] = piece[: len(raw) - at]
    if what == 2:
        del raw[chance.randrange(PAGE, len(raw)) :]
    if what in {1, 3, 5}:
        raw[:100] = bytes(100)
    if what in {3, 4, 5}:
        at = chance.randrange(len(log))
        log[at : at + 700] = chance.randbytes(len(log[at : at + 700]))
        if chance.random() < 0.3:
            del log[chance.randrange(len(log)) :]
    file.write_bytes(bytes(raw))
    wal.write_bytes(bytes(log))
    (folder / "outbox.db-shm").unlink(missing_ok=True)
    now = {"": bytes(raw), "-wal": bytes(log)}
    was = {end: (original.folder / f"outbox.db{end}").read_bytes() for end in now}
    return {seq for seq, (end, at) in original.places.items() if now[end][at : at + PAGE] == was[end][at : at + PAGE]}


async def salvaged(box: SqliteOutbox, path: Path, *, upto: int, h: str) -> list[tuple[str, Job]]:
    told: list[tuple[str, Job]] = []
    work = Salvage(box, path, now=lambda: AT, told=lambda name, job: told.append((name, job)), unbroken=unbroken)
    running = asyncio.ensure_future(work.run())
    while not running.done():
        if work.asking:
            assert work.hear(work.asking, upto, h)
        await asyncio.sleep(0.001)
    running.result()
    return told


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_salvage, "PAUSE_S", 0.0)
    monkeypatch.setattr(sqlite_salvage, "AGAIN_S", 0.0)


async def test_any_damage(original: Original, tmp_path: Path) -> None:
    """The share that is salvaged, over all: printed, and held."""
    set_aside = wanted = found = 0
    for seed in range(SEEDS):
        folder = tmp_path / str(seed)
        untouched = damaged(original, folder, seed)
        box = await SqliteOutbox.open(folder / "outbox.db", now=AT)
        if box.store != original.store:
            set_aside += 1
            await box.put([sos(9_000)])
            told = await salvaged(box, folder / "outbox.db", upto=original.acked, h=original.acked_h)
            rows = await box.read(1, EVERY)
            came = [original.of[row.body] for row in rows if row.body in original.of]
            assert came == sorted(set(came)), f"seed {seed}: in order, none doubled"
            assert min(came, default=EVERY) > original.acked, f"seed {seed}: what the hub has is not sent again"
            others = [json.loads(row.body)[1] for row in rows if row.body not in original.of]
            assert set(others) <= {"store-new", "outbox-damaged", "sos"}, f"seed {seed}: bit for bit"
            assert all(row == Stored(row.seq, original.records[seq].kind, original.records[seq].at_ms, row.body, row.h)
                       for row in rows if (seq := original.of.get(row.body)) is not None)  # fmt: skip
            ((_, job),) = told
            assert job.salvaged == len(came)
            lost = await box.lost(1, box.newest)
            assert len(rows) + sum(one.last - one.first + 1 for one in lost) == box.newest, f"seed {seed}: it tiles"
            whole = {seq for seq in untouched if seq > original.acked and len(original.records[seq].body) < PAGE // 2}
            wanted, found = wanted + len(whole), found + len(whole & set(came))
        await box.close()
        shutil.rmtree(folder)
    print(f"{SEEDS} damages, {set_aside} set aside, {found / wanted:.2%} of the records salvaged")
    assert set_aside > SEEDS * 0.6
    assert found / wanted > 0.999


async def test_a_crash_in_the_middle_doubles_nothing(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_salvage, "RECORDS_AT_ONCE", 20)
    damaged(original, tmp_path / "x", 6)
    path, chance = tmp_path / "x" / "outbox.db", random.Random(7)
    box = await SqliteOutbox.open(path, now=AT)
    for _ in range(12):
        work = Salvage(box, path, now=lambda: AT, told=lambda _name, _job: None, unbroken=unbroken)
        running = asyncio.ensure_future(work.run())
        goal = box.newest + chance.randrange(1, 60)
        while not running.done() and box.newest < goal:
            if work.asking:
                work.hear(work.asking, original.acked, original.acked_h)
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await box._db.close()  # no good-bye
        box = await SqliteOutbox.open(path, now=AT)
    await salvaged(box, path, upto=original.acked, h=original.acked_h)
    came = [original.of[row.body] for row in await box.read(1, EVERY) if row.body in original.of]
    assert came == sorted(set(came))
    assert len(came) > 400
    assert aside(path) == []
    await box.close()


async def test_without_the_hub_nothing_moves(original: Original, tmp_path: Path) -> None:
    damaged(original, tmp_path / "x", 6)
    path = tmp_path / "x" / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    work = Salvage(box, path, now=lambda: AT, told=lambda _name, _job: None, unbroken=unbroken)
    running = asyncio.ensure_future(work.run())
    await eventually(lambda: work.asking == original.store, every_s=0.001)
    assert not work.hear("AbCdEf01-_x", 5, GENESIS)
    assert box.newest == 2
    assert [file.name for file in aside(path)] == ["outbox.db.damaged-1"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await box.close()


async def test_a_disk_that_refuses_is_tried_again(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(original, tmp_path / "x", 6)
    path = tmp_path / "x" / "outbox.db"
    box = await SqliteOutbox.open(path, now=AT)
    take_in, refused = box.take_in, 0

    async def refusing(*args: object, **kwargs: object) -> None:
        nonlocal refused
        refused += 1
        if refused == 2:
            raise UnavailableError("full")
        await take_in(*args, **kwargs)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(box, "take_in", refusing)
    ((_, job),) = await salvaged(box, path, upto=original.acked, h=original.acked_h)
    assert refused > 2
    assert job.salvaged == len({row.body for row in await box.read(1, EVERY)} & original.of.keys())
    await box.close()


async def test_the_mark_of_another_device_is_not_ours(original: Original, tmp_path: Path) -> None:
    damaged(original, tmp_path / "x", 6)
    box = await SqliteOutbox.open(tmp_path / "x" / "outbox.db", now=AT)
    ((_, job),) = await salvaged(box, tmp_path / "x" / "outbox.db", upto=300, h=GENESIS)
    assert job.start == original.acked, "a cloned card has written there"
    await box.close()


async def test_a_file_that_says_nothing_is_kept_for_a_person(original: Original, tmp_path: Path) -> None:
    damaged(original, tmp_path / "x", 6)
    path = tmp_path / "x" / "outbox.db"
    path.write_bytes(random.Random(1).randbytes(50_000))
    for end in ("outbox.store", "outbox.db-wal"):
        (path.parent / end).unlink()
    box = await SqliteOutbox.open(path, now=AT)
    ((_, job),) = await salvaged(box, path, upto=0, h=GENESIS)
    assert (job.start, job.salvaged) == (None, 0)
    assert (path.parent / "outbox.db.salvaged-1").exists()
    await box.close()


async def test_a_ruined_record_is_told_in_its_place(tmp_path: Path) -> None:
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    stored = await box.put(drive(5))
    await box._db.execute("UPDATE record SET body = x'c1ff', at_ms = at_ms WHERE seq = 3")
    rows = await box.read(1, 9)
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert [row.body for row in rows if row.seq != 3] == [row.body for row in stored if row.seq != 3]
    assert json.loads(rows[2].body) == [stored[2].at_ms, "outbox-damaged", None, None, {"missing": 1}]
    assert rows[2].h == stored[2].h, "the chain goes on"
    assert [row.seq for row in await box.unacked_events(9)] == [3]
    await box.close()


def test_the_question_is_one_that_keeps_nothing() -> None:
    header, _ = decode_header(question("AbCdEf01-_x"))
    assert {decide(Mark(last), header) for last in (0, 5, 1_000_000)} == {Verdict.ANSWER}
    assert decode_batch(question("AbCdEf01-_x")).rows == ()
