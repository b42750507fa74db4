"""A disk that fails under the outbox: told by name, nothing lost, nothing doubled, and well again by itself."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from agent.adapters import sqlite_mend
from agent.adapters.sqlite import SqliteOutbox
from agent.app import _last_words
from agent.core.dating import Moment
from agent.events import HAPPENINGS
from agent.outbox import check
from agent.recorder import Recorder
from agent.tidy import keep_within
from tests.power import vfs
from tests.power.agent_life import T0, WINDOW_S, Clock, small_disk
from tests.power.disk import Disk, Failing, Fault
from tests.power.mounts import filled, memory_disk
from wire.errors import UnavailableError
from wire.messages import Fix, Reading
from wire.ops.watch import Watch

ALL = frozenset({"write", "sync", "truncate", "create", "delete", "rename"})
KINDS = {
    "EIO on write": (frozenset({"write"}), vfs.IOERR_WRITE),
    "EIO on fsync": (frozenset({"sync"}), vfs.IOERR_FSYNC),
    "full": (frozenset({"write"}), vfs.FULL),
    "read-only": (ALL, vfs.READONLY),
}
WINDOWS = 6
FOR_LONG = 1 << 30
TRIED = 7
"""So many calls, of all those that may fail, are the first to fail."""


class Drive:
    """An outbox and its recorder on the way. What is recorded never raises, whatever the disk does."""

    def __init__(self, box: SqliteOutbox) -> None:
        self.box, self.clock = box, Clock()
        self.watch = Watch("agent", HAPPENINGS)
        self.recorder = Recorder(box, self.clock, watch=self.watch, commit_ms=1000 * WINDOW_S)
        self.made: list[int] = []

    @classmethod
    async def begin(cls, path: Path) -> "Drive":
        return cls(await SqliteOutbox.open(path, now=Moment(T0, "b007", 0)))

    async def window(self, fixes: int = WINDOW_S) -> None:
        for _ in range(fixes):
            self.clock.mono += 1000
            at_ms = T0 + self.clock.mono
            self.recorder.add_fix(Fix(at_ms, 41.0 + self.clock.mono * 1e-8, -96.0), Reading())
            self.made.append(at_ms)
        await self.recorder.commit()
        await self.recorder.settle_times()
        with contextlib.suppress(UnavailableError):  # as the agent does once a minute
            await keep_within(self.box)

    async def windows(self, count: int) -> None:
        for _ in range(count):
            await self.window()

    async def times(self) -> list[int]:
        return [row.at_ms or 0 for row in await self.box.read(1, 1 << 20) if row.kind == "f"]

    async def whole(self, *, thinned: bool = False) -> None:
        """All is there once, in order; on a full disk some of it as receipts."""
        assert (self.recorder.unwritten, self.recorder.fault) == (0, "")
        assert check(self.box._path) == []
        there = await self.times()
        gone = sum(one.last - one.first + 1 for one in await self.box.lost(1, self.box.newest))
        assert [at_ms for at_ms in self.made if at_ms in set(there)] == there
        assert len(there) + gone == len(self.made)
        assert thinned or not gone


async def driven(folder: Path, fault: Fault) -> tuple[Drive, Failing]:
    """A drive with a fault in it that heals before its end."""
    log = Failing(fault)
    with small_disk(log):
        fault.healed = True
        drive = await Drive.begin(folder / "outbox.db")
        fault.healed = False
        try:
            for i in range(WINDOWS):
                fault.healed = i >= WINDOWS - 2
                await drive.window()
                if i == 3:
                    await drive.recorder.add_event("sos", None)
            await drive.whole(thinned=fault.code == vfs.FULL)
        finally:
            log.mark("end")
            await drive.box._db.close()
    return drive, log


@pytest.mark.parametrize("times", [1, FOR_LONG])
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_lost_nor_doubled(kind: str, times: int, tmp_path: Path) -> None:
    """The fault begins at one call after the other; at the end the power is cut, and nothing that was not synced is there."""
    kinds, code = KINDS[kind]
    (tmp_path / "none").mkdir()
    fault = Fault(kinds, FOR_LONG, 1, 0)
    await driven(tmp_path / "none", fault)
    struck = told = 0
    for first in range(1, fault.met, max(1, fault.met // TRIED)):
        folder = tmp_path / str(first)
        folder.mkdir()
        drive, log = await driven(folder, one := Fault(kinds, first, times, code))
        struck += bool(one.struck)
        told += drive.watch.count("outbox.failed") > 0
        assert drive.watch.count("outbox.back") >= (drive.watch.count("outbox.failed") > 0)
        again = await after_a_cut(log, folder)
        cut = Drive(again)
        cut.made = drive.made
        await cut.whole(thinned=code == vfs.FULL)
        assert again.store == drive.box.store
        await again.close()
    assert struck > 4
    assert told > 1 or code == vfs.FULL, "the reserve helps"


async def after_a_cut(log: Failing, folder: Path) -> SqliteOutbox:
    """What is safely on the disk at the end of the drive, opened again."""
    disk, cut = Disk(log), folder / "cut"
    cut.mkdir()
    disk.go(next(at for at, kind, _ in log.marks if kind == "end"))
    for path, data in disk.safe().items():
        (cut / Path(path).name).write_bytes(data)
    return await SqliteOutbox.open(cut / "outbox.db", now=Moment(T0, "b008", 0))


async def test_it_is_told_by_name_with_what_to_do(tmp_path: Path) -> None:
    fault = Fault(frozenset({"sync"}), FOR_LONG, FOR_LONG, vfs.IOERR_FSYNC)
    with small_disk(Failing(fault)):
        drive = await Drive.begin(tmp_path / "outbox.db")
        await drive.window()
        fault.first = 1
        for _ in range(3):
            await drive.window()
        assert "disk I/O error; the storage fails: see dmesg" in drive.recorder.fault
        assert str(tmp_path / "outbox.db") in drive.recorder.fault
        assert (drive.watch.count("outbox.failed"), drive.watch.count("outbox.again")) == (1, 2)
        assert drive.recorder.unwritten == 30
        assert len(await drive.times()) == 10, "what is there can be read meanwhile"
        fault.healed = True
        await drive.window()
        await drive.whole()
        assert drive.watch.count("outbox.back") == 1
        await drive.box.close()


async def test_what_memory_can_not_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.recorder.PENDING_MAX", 25)
    fault = Fault(frozenset({"sync"}), FOR_LONG, FOR_LONG, vfs.IOERR_FSYNC)
    with small_disk(Failing(fault)):
        drive = await Drive.begin(tmp_path / "outbox.db")
        fault.first = 1
        for _ in range(4):
            await drive.window()
        fault.healed = True
        await drive.window()
        await drive.recorder.commit()
        assert await drive.times() == drive.made[-25:]
        (event,) = await drive.box.unacked_events(9)
        assert b'"memory-full"' in event.body
        assert b'"fixes":25' in event.body
        await drive.box.close()


async def test_a_full_disk_thins_and_recovers(tmp_path: Path) -> None:
    """A real file system of 16 MB: somebody else fills it, and empties it again."""
    with memory_disk(tmp_path / "disk", "16m") as folder:
        drive = await Drive.begin(folder / "outbox.db")
        await drive.window()
        filler = filled(folder)
        for _ in range(12):
            await drive.window(600)
        assert drive.box.lost_so_far["thinned"] > 0
        assert (drive.recorder.fault, drive.recorder.unwritten) == ("", 0), "the reserve, and then thinning, make room"
        size = await drive.box.used_bytes()
        filler.unlink()
        await drive.window()
        await drive.window(3000)
        assert await drive.box.used_bytes() > size, "it may grow again"
        assert (folder / "outbox.reserve").exists()
        await drive.whole(thinned=True)
        await drive.box.close()


async def test_it_starts_on_a_full_disk(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", "16m") as folder:
        drive = await Drive.begin(folder / "outbox.db")
        (folder / "outbox.reserve").write_bytes(bytes(1 << 20))
        for _ in range(3):
            await drive.window()
        await drive.box.close()
        filler = filled(folder)
        again = await Drive.begin(folder / "outbox.db")
        assert len(await again.times()) == 30
        assert not (folder / "outbox.reserve").exists()
        await again.window()
        assert again.recorder.fault == ""
        filler.unlink()
        await again.box.close()


async def test_a_file_that_is_ruined_meanwhile_ends_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened anew and looked through; the next start sets it aside. Going on with it would never get well."""
    fault = Fault(frozenset({"sync"}), FOR_LONG, FOR_LONG, vfs.IOERR_FSYNC)
    with small_disk(Failing(fault)):
        drive = await Drive.begin(tmp_path / "outbox.db")
        fault.first = 1
        await drive.window()
        fault.healed = True
        monkeypatch.setattr(sqlite_mend, "quick_check", ruined)
        with pytest.raises(sqlite3.DatabaseError):
            await drive.window()
        assert drive.recorder.unwritten == 20, "what could not be written is still there"
        await drive.box._db.close()


async def test_what_waits_goes_into_a_new_file_when_this_one_is_ruined(tmp_path: Path) -> None:
    """Bytes of the table are overwritten beneath the agent: on its way out it sets the file aside, as a start would."""
    path = tmp_path / "outbox.db"
    drive = await Drive.begin(path)
    await drive.windows(20)
    await sqlite_mend.make_safe(drive.box._db)
    with path.open("r+b") as file:
        file.seek(512)
        file.write(b"\xa5" * (path.stat().st_size - 512))
    drive.box._stale = drive.box._doubtful = True
    with pytest.raises(sqlite3.DatabaseError):
        await drive.recorder.add_event("sos", None)
    outbox = await _last_words(drive.recorder, drive.box, drive.clock.now())
    assert outbox is not drive.box
    assert (tmp_path / "outbox.db.damaged-1").exists()
    assert drive.recorder.unwritten == 0
    assert [json.loads(row.body)[1] for row in await outbox.unacked_events(9)] == ["store-new", "outbox-damaged", "sos"]
    await outbox.close()


async def ruined(_db: object) -> None:
    raise sqlite3.DatabaseError("quick_check failed")
