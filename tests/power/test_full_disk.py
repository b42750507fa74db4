"""A disk without any room under a real agent's outbox: no start dies of it, a sound file is not called damaged, and it can be read."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import FullDiskError, look_into, only_agent
from agent.adapters.sqlite_place import short_of_room
from agent.core.dating import Moment
from agent.outbox import check, show, tell_check
from tests.power.agent_life import T0
from tests.power.mounts import card, filled, memory_disk
from tests.power.test_disk_faults import Drive

DISKS: dict[str, Callable[[Path], AbstractContextManager[Path]]] = {
    "ext4 with blocks of 1 KiB": lambda place: card(place, 16),
    "tmpfs": lambda place: memory_disk(place, "16m"),
}
LIFE = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.power.test_disk_faults import Drive

async def live() -> None:
    drive = await Drive.begin(Path(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        await drive.window()
    print("fault:", drive.recorder.fault, "newest:", drive.box.newest, flush=True)
    if sys.argv[3] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    await drive.box.close()


asyncio.run(live())
"""
"""A process of its own, because SIGBUS ends one."""


def life(path: Path, windows: int, end: str = "closed") -> subprocess.CompletedProcess[str]:
    """Start an outbox, record, end."""
    return subprocess.run(
        [sys.executable, "-c", LIFE, str(path), str(windows), end],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    with DISKS[request.param](tmp_path / "disk") as folder:
        yield folder


def topped_up(folder: Path, left: int = 0) -> Path:
    """No room at all, whatever the size of a block, or only a little."""
    slack = folder / "slack"
    slack.write_bytes(b"x" * left)
    filler = filled(folder)
    with suppress(OSError), (folder / "crumbs").open("wb", buffering=0) as file:
        while True:
            file.write(b"x")
    slack.unlink()
    return filler


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_start_on_a_full_disk_gives_up_the_reserve(disk: Path, end: str) -> None:
    path = disk / "outbox.db"
    assert life(path, 3, end).returncode == (-signal.SIGKILL if end == "killed" else 0)
    topped_up(disk)
    done = life(path, 30)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fault:  newest: 330" in done.stdout
    assert not path.with_suffix(".reserve").exists()


@pytest.mark.parametrize("left", [0, 10_000, 30_000])
def test_a_start_with_too_little_room_is_no_death(disk: Path, left: int) -> None:
    """With some blocks, but not enough, SQLite's shared memory is made with holes: it was SIGBUS on the first of these disks."""
    path = disk / "outbox.db"
    life(path, 3)
    path.with_suffix(".reserve").unlink()
    topped_up(disk, left)
    done = life(path, 3)
    assert done.returncode == 1, "an exception, and no signal"
    assert "UnavailableError" in done.stderr.splitlines()[-1]
    assert "make room on" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_without_a_reserve_it_says_that_the_disk_is_full(
    disk: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = disk / "outbox.db"
    life(path, 3, end)
    path.with_suffix(".reserve").unlink()
    filler = topped_up(disk)
    if end == "closed":
        done = life(path, 3)
        assert done.returncode == 1, "an exception, and no signal"
        last = done.stderr.splitlines()[-1]
        assert "UnavailableError" in last
        assert "the disk is full (" in last
        assert f"make room on {disk}; systemd tries again" in last
    assert show(path)["newest"] == 30
    assert (look_into(path) or {})["recorded"] == 30
    assert tell_check(path, as_json=False) == 0
    assert "fine" in capsys.readouterr().out
    filler.unlink()
    assert life(path, 3).returncode == 0, "well again by itself"


def test_a_journal_without_shared_memory_waits_for_room(disk: Path) -> None:
    """SQLite can't read it without making a file; that is said, and not that it is damaged."""
    path = disk / "outbox.db"
    life(path, 3, "killed")
    path.with_suffix(".reserve").unlink()
    path.with_name("outbox.db-shm").unlink()
    topped_up(disk)
    for look in (show, look_into, check):
        with pytest.raises(FullDiskError, match=r"the disk is full .* then it can be read"):
            look(path)


def test_beside_a_running_agent_it_is_read_as_ever(disk: Path) -> None:
    path = disk / "outbox.db"
    life(path, 3, "killed")
    topped_up(disk)
    assert short_of_room(path)
    with only_agent(path):
        assert show(path)["newest"] == 30


async def test_the_shared_memory_has_all_its_blocks(disk: Path) -> None:
    """Else who touches a hole of it is killed when the disk is full."""
    box = await SqliteOutbox.open(disk / "outbox.db", now=Moment(T0, "b007", 0))
    shared = (disk / "outbox.db-shm").stat()
    assert shared.st_blocks * 512 >= shared.st_size >= 128 << 10
    await box.close()


async def test_a_file_system_that_goes_and_comes_back(tmp_path: Path) -> None:
    """Opened anew while the folder below the mount shows, nothing is made there, and all is kept until it is back."""
    home = tmp_path / "home"
    home.mkdir()
    drive = await Drive.begin(home / "outbox.db")
    await drive.window()
    away = home.rename(tmp_path / "away")
    home.mkdir()
    drive.box._stale = drive.box._doubtful = True
    await drive.window()
    assert "unable to open database file; see that the folder is there" in drive.recorder.fault
    assert not list(home.iterdir())
    (home / "outbox.db").touch()
    await drive.window()
    assert "the file there is not this outbox: is its file system mounted?" in drive.recorder.fault
    assert (home / "outbox.db").stat().st_size == 0
    other = await SqliteOutbox.open(home / "outbox.db", now=Moment(T0, "b007", 0))
    await drive.window()
    assert "is not this outbox" in drive.recorder.fault
    await other.close()
    home.rename(tmp_path / "below")
    away.rename(home)
    await drive.window()
    await drive.whole()
    assert len(drive.made) == 50
    await drive.box.close()


async def test_nobody_else_may_read_where_the_vehicle_was(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    drive = await Drive.begin(path)
    await drive.window()
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()} == {
        f"outbox{end}": "0o600" for end in (".db", ".db-wal", ".db-shm", ".store", ".reserve")
    }
    await drive.box.close()
    path.chmod(0o644)
    again = await Drive.begin(path)
    assert {oct(one.stat().st_mode & 0o777) for one in tmp_path.glob("outbox.db*")} == {"0o600"}
    assert len(await again.times()) == 10
    await again.box.close()
