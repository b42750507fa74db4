"""Backup while the hub writes, restore, and what a fleet makes of it: nothing doubled, nothing missing without a line."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.cutting import cut
from agent.ports import Kind, Record, Settled
from hub import backup, cli
from hub.adapters.store import copies
from hub.adapters.store.sql import SqlStore
from hub.core.exports import points
from hub.core.ledger import balances
from hub.core.registry import Stay
from hub.ground import only_hub
from hub.settings import Hub
from tests.hub.conftest import emptied
from tests.hub.flow.ingest_yard import Yard
from tests.hub.makers import T0, a_batch, a_watch, an_incoming
from tests.rigs import eventually
from wire.codec import dump, encode_status
from wire.errors import RefusedError
from wire.messages import Fix, Status
from wire.ops.settings import check
from wire.schema import row_of
from wire.track import encode_batch

HOUR_MS = 3_600_000
SETTINGS = check({}, Hub, source="test")


def fixes(first: int, n: int) -> list[Record]:
    return [
        Record(Kind.FIX, Moment(T0 + 1000 * i, "b", i), dump([*row_of(Fix(T0 + 1000 * i, 41.0 + i * 1e-4, -96.0))]))
        for i in range(first, first + n)
    ]


class Fleet:
    """One vehicle with a real outbox, and a hub that can be ended, backed up and restored."""

    def __init__(self, data: Path, outbox: SqliteOutbox) -> None:
        self.data, self.outbox = data, outbox
        self.yard: Yard
        self.store: SqlStore

    async def start(self, *, people: bool = False) -> None:
        self.yard, self.store = Yard(), SqlStore(self.data / backup.STORE_NAME, None, watch=a_watch())
        await self.store.open()
        self.yard.at_ms = T0 + HOUR_MS
        self.yard.store = self.store  # type: ignore[assignment]  # the same port
        self.yard.ingest._store = self.store
        if people:
            await self.yard.people()
        await self.yard.start("track", "word")

    async def stop(self) -> None:
        await self.yard.stop()
        await self.store.close()

    async def drive(self, first: int, n: int) -> None:
        await self.outbox.put(fixes(first, n))
        await self.send()

    async def send(self) -> None:
        """Say hello, take the hub's mark, and send batch by batch until all is acknowledged."""
        status = Status(True, "c", "0", self.outbox.store, self.outbox.newest, self.outbox.newest, 1.0)
        assert await self.answer("status", encode_status(status)) is not Settled.FORKED
        while self.outbox.acked < self.outbox.newest:
            batch = await cut(self.outbox, 60)
            assert await self.answer("track", encode_batch(batch)) is Settled.TAKEN

    async def answer(self, name: str, payload: bytes) -> Settled:
        said = len(self.yard.acks())
        self.yard.send(name, payload)
        await eventually(lambda: len(self.yard.acks()) > said, every_s=0.002)
        ack = self.yard.acks()[-1]
        assert ack.bad is None
        return await self.outbox.settle(ack.upto or 0, ack.h or "")

    async def rows(self) -> Counter[int]:
        """How often each fix is in the track, by its time."""
        found: Counter[int] = Counter()
        async for chunk in self.store.chunks("gw-a", 0, 1 << 50):
            for point in points(chunk.payload, "gw-a", Stay("gw-a", 0, 1 << 50)):
                found[point.at_ms] += 1
        return found

    async def account(self) -> tuple[int, int, dict[str, int]]:
        (one,) = balances(await self.store.totals(None), await self.store.reaches(None), now_ms=T0 + HOUR_MS)
        assert (one.off, one.out_there, one.why) == (0, 0, ())
        return one.recorded, one.received, dict(one.lost)


@pytest.fixture
async def fleet(tmp_path: Path) -> "Fleet":
    (tmp_path / "hub").mkdir()
    return Fleet(tmp_path / "hub", await SqliteOutbox.open(tmp_path / "outbox.db", now=Moment(T0, "b", 0)))


@pytest.mark.parametrize("forgotten", [False, True])
async def test_yesterdays_backup_strands_no_vehicle(fleet: Fleet, tmp_path: Path, *, forgotten: bool) -> None:
    copy = tmp_path / "yesterday.backup"
    await fleet.start(people=True)
    await fleet.drive(0, 300)
    await asyncio.to_thread(backup.backup, SETTINGS, fleet.data, copy)  # the hub runs
    await fleet.drive(300, 300)
    epoch = await fleet.store.epoch()
    await fleet.stop()
    if forgotten:  # more than a day passes: the vehicle has deleted what was acknowledged
        await fleet.outbox.forget(T0 + 48 * HOUR_MS)
        assert fleet.outbox.low == 600
    await asyncio.to_thread(backup.restore, SETTINGS, fleet.data, copy)
    await fleet.start()
    assert (await fleet.store.epoch()) > epoch
    assert len(await fleet.rows()) == 300
    await fleet.drive(600, 100)
    found = await fleet.rows()
    assert set(found.values()) == {1}, "nothing is doubled"
    if forgotten:
        assert len(found) == 300 + 101
        assert await fleet.account() == (700, 401, {"hub-rollback": 299})
    else:
        assert len(found) == 700
        assert await fleet.account() == (700, 700, {})
    await fleet.stop()
    await fleet.outbox.close()


async def test_a_backup_while_the_hub_writes_is_of_one_moment(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    store = SqlStore(data / backup.STORE_NAME, None, watch=a_watch())
    await store.open()
    seq, going = 1, True

    async def writes() -> None:
        nonlocal seq
        while going:
            await store.append([an_incoming(a_batch(seq, 5))])
            seq += 5

    writing = asyncio.create_task(writes())
    for i in range(5):
        await eventually(lambda least=seq + 50: seq > least, every_s=0.005)
        await asyncio.to_thread(backup.backup, SETTINGS, data, tmp_path / f"{i}.backup")
    going = False
    await writing
    await store.close()
    lasts = []
    for i in range(5):
        with closing(sqlite3.connect(tmp_path / f"{i}.backup")) as db:
            ((last,),) = db.execute("SELECT last FROM mark")
            assert db.execute("SELECT sum(n) FROM ledger").fetchone() == (last,)
            assert db.execute("SELECT count(*), max(last) FROM track_chunk").fetchone() == (last // 5, last)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",), "one file, without a journal"
        lasts.append(last)
    assert lasts == sorted(set(lasts)), "each is newer than the one before"
    assert sorted(path.name for path in tmp_path.glob("*.part*")) == []


def a_store(data: Path) -> None:
    assert cli.main(["vehicle", "add", "van-1", "--data", str(data)]) == 0


def test_what_can_not_be_restored_says_so_and_leaves_all_as_it_was(tmp_path: Path) -> None:
    data, copy = tmp_path / "hub", tmp_path / "x.backup"
    with pytest.raises(RefusedError, match="there is no store"):
        backup.backup(SETTINGS, data, copy)
    a_store(data)
    backup.backup(SETTINGS, data, copy)
    with pytest.raises(RefusedError, match="is there already"):
        backup.backup(SETTINGS, data, copy)
    with pytest.raises(RefusedError, match=r"No such file|unable to open"):
        backup.backup(SETTINGS, data, tmp_path / "nowhere" / "x.backup")
    (tmp_path / "junk").write_bytes(b"no database" * 500)
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE x (y)")
    whole = copy.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bent").write_bytes(whole[:4096] + bytes(8192) + whole[12288:])
    before = (data / backup.STORE_NAME).read_bytes()
    for name in ("junk", "other", "cut", "bent", "missing"):
        with pytest.raises(RefusedError):
            backup.restore(SETTINGS, data, tmp_path / name)
    with only_hub(data), pytest.raises(RefusedError, match="another hub runs"):
        backup.restore(SETTINGS, data, copy)
    assert (data / backup.STORE_NAME).read_bytes() == before
    postgres = check({"store": {"url": "postgresql://odograph@127.0.0.1/odograph"}}, Hub, source="test")
    with pytest.raises(RefusedError, match="pg_dump"):
        backup.backup(postgres, data, copy)
    with pytest.raises(RefusedError, match="pg_restore"):
        backup.restore(postgres, data, copy)


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("cut", ["put_back", "unlink", "replace"])
def test_a_power_cut_in_a_restore_leaves_the_store_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str, *, damaged: bool
) -> None:
    """A hub that finds no store makes an empty one, and acknowledges into it."""
    data, copy = tmp_path / "hub", tmp_path / "x.backup"
    a_store(data)
    backup.backup(SETTINGS, data, copy)
    store, wal = data / backup.STORE_NAME, data / f"{backup.STORE_NAME}-wal"
    if damaged:
        store.write_bytes(b"damaged" * 5000)
        wal.write_bytes(b"journal")
    before = store.read_bytes()

    def dark(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if damaged:  # SQLite itself clears a journal away that is no journal
            patch.setattr(copies, "last_known", lambda _store: None)
        if cut == "put_back":
            patch.setattr(copies, "put_back", dark)
        else:
            patch.setattr(Path, cut, dark if cut == "replace" else _dark_at_journals(dark))
        with pytest.raises(KeyboardInterrupt):
            backup.restore(SETTINGS, data, copy)
    assert store.read_bytes() == before
    (aside,) = data.glob("odograph.db.before-*[0-9]")
    assert aside.read_bytes() == before
    if damaged:
        assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"journal"
    backup.restore(SETTINGS, data, copy)
    assert aside.read_bytes() == before, "what is kept aside is not what is written from now on"
    assert not wal.exists()
    assert copies.sound(store).epoch > copies.sound(copy).epoch


def _dark_at_journals(dark: Callable[..., None]) -> Callable[..., None]:
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002  # pathlib's signature
        dark() if path.name.endswith("-wal") else real(path, missing_ok=missing_ok)

    return unlink


def test_a_file_system_without_links_takes_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, copy = tmp_path / "hub", tmp_path / "x.backup"
    a_store(data)
    backup.backup(SETTINGS, data, copy)
    before = (data / backup.STORE_NAME).read_bytes()

    def no_links(_self: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    backup.restore(SETTINGS, data, copy)
    (aside,) = data.glob("odograph.db.before-*")
    assert aside.read_bytes() == before
    assert aside.stat().st_mode & 0o077 == 0


def test_nobody_reads_the_store_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only in its journal would be lost."""
    data, copy = tmp_path / "hub", tmp_path / "x.backup"
    a_store(data)
    backup.backup(SETTINGS, data, copy)
    monkeypatch.setattr(copies, "PATIENCE_S", 0.05)
    with closing(sqlite3.connect(data / backup.STORE_NAME, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchall()
        with closing(sqlite3.connect(data / backup.STORE_NAME, isolation_level=None)) as writer:
            writer.execute("UPDATE meta SET value = 99 WHERE key = 'registry'")
        with pytest.raises(RefusedError, match="is being read by another program"):
            backup.restore(SETTINGS, data, copy)
    backup.restore(SETTINGS, data, copy)
    assert copies.sound(data / backup.STORE_NAME).registry == 100


def test_numbers_go_on_from_the_highest_that_is_known(tmp_path: Path) -> None:
    data, copy, empty = tmp_path / "hub", tmp_path / "x.backup", tmp_path / "new"
    a_store(data)
    backup.backup(SETTINGS, data, copy)
    with closing(sqlite3.connect(data / backup.STORE_NAME, isolation_level=None)) as db:
        db.execute("UPDATE fleet SET last_pos = 70")
        db.execute("UPDATE meta SET value = 1 << 40 WHERE key = 'epoch'")
        db.execute("UPDATE meta SET value = 99 WHERE key = 'registry'")
    backup.restore(SETTINGS, data, copy)
    restored = copies.sound(data / backup.STORE_NAME)
    assert restored == copies.Numbers((1 << 40) + 1, 100, {"main": 70})
    backup.restore(SETTINGS, empty, copy)
    assert copies.sound(empty / backup.STORE_NAME).epoch > 29_000_000, "though nothing of the store before is left"
    (data / backup.STORE_NAME).write_bytes(b"damaged" * 5000)
    backup.restore(SETTINGS, data, copy)
    assert len(list(data.glob("odograph.db.before-*"))) == 2
    assert copies.sound(data / backup.STORE_NAME).last_pos == {"main": 0}
    assert (data / backup.STORE_NAME).stat().st_mode & 0o077 == 0


async def test_what_is_said_for_postgresql_works(tmp_path: Path, postgres_url: str) -> None:
    """The statement that raises the epoch, as it stands in the refusal and in the docs."""
    await emptied(postgres_url)
    settings = check({"store": {"url": postgres_url}}, Hub, source="test")
    with pytest.raises(RefusedError, match="pg_restore") as caught:
        backup.restore(settings, tmp_path, tmp_path / "x")
    statement = str(caught.value).partition('--command="')[2].partition('"')[0]
    assert statement in (Path(__file__).parent.parent.parent / "docs" / "fleet-ops.md").read_text(encoding="utf-8")
    store = SqlStore(tmp_path / "x.db", postgres_url, watch=a_watch())
    await store.open()
    for least in (29_000_000, 29_000_001):
        async with store.writing() as tx:
            await tx.execute(text(statement.replace("::", r"\:\:")))
        assert await store.epoch() >= least
    await store.close()


def test_both_are_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, copy = tmp_path / "hub", tmp_path / "x.backup"
    a_store(data)
    capsys.readouterr()
    assert cli.main(["backup", "--out", str(copy), "--data", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(copy), "bytes": copy.stat().st_size}
    assert cli.main(["restore", str(copy), "--data", str(data)]) == 0
    assert "each vehicle sends again what it still has" in capsys.readouterr().out
    assert cli.main(["restore", str(tmp_path / "none"), "--data", str(data)]) == 4
