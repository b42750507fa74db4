"""A disk that fails under the hub's store: told by name, no ack for what is not kept, nothing lost or doubled, well again by itself."""

from pathlib import Path

import pytest

from hub.adapters.store.sql import SqlStore
from hub.core.ledger import balances
from tests.hub.makers import STORE, a_batch, a_watch, an_incoming
from tests.power import vfs
from tests.power.disk import Disk, Failing, Fault
from tests.power.hub_life import people, template
from tests.power.mounts import filled, memory_disk
from tests.power.vfs import observed
from wire.errors import UnavailableError

ALL = frozenset({"write", "sync", "truncate", "create", "delete"})
KINDS = {
    "EIO on write": (frozenset({"write"}), vfs.IOERR_WRITE, "storage fails: see dmesg"),
    "EIO on fsync": (frozenset({"sync"}), vfs.IOERR_FSYNC, "storage fails: see dmesg"),
    "full": (frozenset({"write"}), vfs.FULL, "make room on this disk"),
    "read-only": (ALL, vfs.READONLY, "read-only: see dmesg"),
}
BATCHES, ROWS = 8, 5
FOR_LONG = 1 << 30


async def appended(store: SqlStore, fault: Fault) -> list[str]:
    """Batches one after the other, each again until it is taken, as a device does; gives what was told meanwhile."""
    told, done = list[str](), 0
    for attempt in range(40):
        fault.healed = attempt >= BATCHES
        if done == BATCHES:
            break
        try:
            (outcome,) = await store.append([an_incoming(a_batch(done * ROWS + 1, ROWS))])
        except UnavailableError as error:
            told.append(str(error))
            continue
        assert outcome.mark.last == (done + 1) * ROWS
        done += 1
    assert done == BATCHES
    return told


async def whole(store: SqlStore) -> None:
    """All is there, once, and the books close."""
    assert (await store.mark("gw-a", STORE)).last == BATCHES * ROWS
    chunks = [one async for one in store.chunks("gw-a", 0, 1 << 60)]
    assert [one.first for one in chunks] == [i * ROWS + 1 for i in range(BATCHES)]
    (balance,) = balances(await store.totals(None), await store.reaches(None), now_ms=0)
    assert (balance.off, balance.received) == (0, BATCHES * ROWS)


@pytest.mark.parametrize("times", [1, FOR_LONG])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_batch_is_lost_nor_doubled(kind: str, times: int, tmp_path: Path) -> None:
    """At the end the power is cut, and nothing that was not synced is there."""
    kinds, code, cure = KINDS[kind]
    said = 0
    for first in (1, 2, 3, 5, 9):
        folder, cut = tmp_path / str(first), tmp_path / f"{first}-cut"
        folder.mkdir()
        cut.mkdir()
        (folder / "hub.db").write_bytes(await template())
        log = Failing(fault := Fault(kinds, first, times, code, healed=True))
        log.met(folder / "hub.db")
        with observed(log):
            store = SqlStore(folder / "hub.db", None, watch=a_watch())
            await store.open()
            try:
                fault.healed = False
                told = await appended(store, fault)
                await whole(store)
                places = len(log.entries)
            finally:
                await store.close()
        said += any(cure in one and str(folder) in one for one in told)
        disk = Disk(log)
        disk.go(places)
        for path, data in disk.safe().items():
            (cut / Path(path).name).write_bytes(data)
        again = SqlStore(cut / "hub.db", None, watch=a_watch())
        await again.open()
        try:
            await whole(again)
        finally:
            await again.close()
    assert said > 2


async def test_a_full_disk_is_told_and_left_behind(tmp_path: Path) -> None:
    """A real file system of 16 MB: somebody else fills it, and empties it again."""
    with memory_disk(tmp_path / "disk", "16m") as folder:
        store = SqlStore(folder / "hub.db", None, watch=a_watch())
        await store.open()
        try:
            await people(store)
            filler = filled(folder)
            with pytest.raises(UnavailableError, match="make room on this disk"):
                await many(store)
            kept = (await store.mark("gw-a", STORE)).last
            filler.unlink()
            (outcome,) = await store.append([an_incoming(a_batch(kept + 1, 50))])
            assert outcome.mark.last == kept + 50
        finally:
            await store.close()


async def many(store: SqlStore) -> None:
    """Until the disk is full."""
    for i in range(400):
        await store.append([an_incoming(a_batch(i * 50 + 1, 50))])
