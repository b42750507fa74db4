"""Rot at the end of the journal: SQLite would cut it off silently; the outbox sets the file aside and salvages it."""

import shutil
from pathlib import Path

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_disk import Side
from tests.agent.adapters.test_outbox_room import AT, drive
from tests.agent.adapters.test_outbox_salvage import salvaged
from wire.track import GENESIS


async def left(folder: Path) -> Path:
    """An outbox as a power cut leaves it: ten commits in the journal."""
    box = await SqliteOutbox.open(folder / "outbox.db", now=AT)
    for at in range(0, 100, 10):
        await box.put(drive(10, start=at))
    shutil.copytree(folder, folder / "cut")
    await box.close()
    return folder / "cut" / "outbox.db"


async def test_a_torn_place_with_commits_behind_it_is_damage(tmp_path: Path) -> None:
    path = await left(tmp_path)
    wal = path.with_name("outbox.db-wal")
    raw = bytearray(wal.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    wal.write_bytes(bytes(raw))
    box = await SqliteOutbox.open(path, now=AT)
    assert path.with_name("outbox.db.damaged-1").exists()
    ((_, job),) = await salvaged(box, path, upto=0, h=GENESIS)
    assert job.salvaged >= 95
    (told,) = [row for row in await box.read(1, 999) if b'"salvaged"' in row.body]
    assert f'"prev":"{job.store}"'.encode() in told.body
    await box.close()


async def test_the_last_commit_torn_is_a_power_cut(tmp_path: Path) -> None:
    path = await left(tmp_path)
    wal = path.with_name("outbox.db-wal")
    raw = bytearray(wal.read_bytes())
    raw[-40] ^= 0x10
    wal.write_bytes(bytes(raw))
    box = await SqliteOutbox.open(path, now=AT)
    assert (box.newest, list(path.parent.glob("*.damaged-*"))) == (90, [])
    await box.close()


async def test_a_side_file_that_knows_of_more_tells_of_damage(tmp_path: Path) -> None:
    path = await left(tmp_path)
    box = await SqliteOutbox.open(path, now=AT)
    store = box.store
    await box.close()
    Side(path).write(store, 101)
    again = await SqliteOutbox.open(path, now=AT)
    assert again.store != store
    assert path.with_name("outbox.db.damaged-1").exists()
    await again.close()
