"""One suite for every store: the twin in memory, SQLite, PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from hub.adapters.memory import MemoryStore
from hub.adapters.store import schema
from hub.adapters.store.sql import SqlStore
from hub.core.access import digest
from hub.core.ledger import Line
from hub.core.marks import Incoming, Mark, Verdict, incoming
from hub.core.registry import Binding, Token
from hub.ports import SavedLive
from tests.hub.conftest import AnyStore, emptied
from tests.hub.makers import DAY, STORE, T0, a_batch, a_registry, a_watch, an_incoming, bent_body, h_at
from wire.errors import RefusedError, UnavailableError
from wire.messages import Event, Lost
from wire.ops.watch import Watch
from wire.track import encode_batch

OTHER = "ZZZZZZZZZZZ"
SOS = Event(11, T0 + 11_000, "sos", 41.5, -96.5, {"why": "button", "n": [1, {"x": None}]})


async def seqs(store: AnyStore, device: str = "gw-a") -> list[int]:
    return [chunk.first async for chunk in store.chunks(device, 0, 1 << 50)]


async def ledger(store: AnyStore, device: str = "gw-a") -> dict[str, int]:
    return {line.what: line.n for line in await store.ledger(device)}


async def append(store: AnyStore, *groups: Incoming) -> list[Verdict]:
    return [outcome.verdict for outcome in await store.append(groups)]


async def peopled(store: AnyStore) -> None:
    await store.add_fleet("main", T0)
    await store.add_vehicle("van-1", "main", name="Van 1", tags=["cooled", "big"], now_ms=T0)
    await store.add_device("gw-a", "van-1", password_hash="HA", valid_from_ms=T0, now_ms=T0)


# Track.


async def test_batches_are_appended_in_order_and_once(store: AnyStore) -> None:
    first, second = an_incoming(a_batch(1, 10)), an_incoming(a_batch(11, 10))
    assert await append(store) == []
    assert await store.mark("gw-a", STORE) == Mark()
    assert await append(store, second) == [Verdict.ANSWER]
    assert await append(store, first) == [Verdict.APPEND]
    assert await append(store, first) == [Verdict.DUPLICATE]
    assert await store.mark("gw-a", STORE) == Mark(10, h_at(10))
    assert await append(store, second, second) == [Verdict.APPEND, Verdict.DUPLICATE]
    assert await store.mark("gw-a", STORE) == Mark(20, h_at(20))
    assert await seqs(store) == [1, 11]
    assert await store.ledger("gw-a") == [Line("gw-a", DAY, "rows", 20)]


async def test_a_batch_of_another_chain_is_not_taken(store: AnyStore) -> None:
    await append(store, an_incoming(a_batch(1, 10)))
    fork = an_incoming(a_batch(11, 10, before=OTHER))
    (outcome,) = await store.append([fork])
    assert (outcome.verdict, outcome.mark) == (Verdict.ANSWER, Mark(10, h_at(10)))
    assert await seqs(store) == [1]


async def test_devices_and_stores_have_marks_of_their_own(store: AnyStore) -> None:
    groups = [
        an_incoming(a_batch(1, 10)), an_incoming(a_batch(1, 5), device="gw-b"),
        an_incoming(a_batch(1, 3, store=OTHER)), an_incoming(a_batch(11, 10)),
    ]  # fmt: skip
    assert await append(store, *groups) == [Verdict.APPEND] * 4
    assert await store.mark("gw-a", STORE) == Mark(20, h_at(20))
    assert await store.mark("gw-b", STORE) == Mark(5, h_at(5))
    assert await store.mark("gw-a", OTHER) == Mark(3, h_at(3, OTHER))


async def test_a_rolled_back_hub_books_what_is_lost_and_goes_on(store: AnyStore) -> None:
    await peopled(store)
    await append(store, an_incoming(a_batch(1, 10)))
    late = an_incoming(a_batch(16, 5, low=16))
    (outcome,) = await store.append([late])
    assert (outcome.verdict, outcome.mark, outcome.lost) == (Verdict.ROLLBACK, Mark(20, h_at(20)), 5)
    assert await ledger(store) == {"rows": 15, "lost:hub-rollback": 5}
    (alarm,) = await store.relay("main", 10)
    assert (alarm.event.kind, dict(alarm.event.detail)) == ("hub-rollback", {"from": 11, "to": 15})
    assert await append(store, an_incoming(a_batch(21, 5, low=16))) == [Verdict.APPEND]


async def test_a_new_hub_takes_a_device_where_it_is(store: AnyStore) -> None:
    assert await append(store, an_incoming(a_batch(5000, 10, low=5000))) == [Verdict.ROLLBACK]
    assert (await ledger(store))["lost:hub-rollback"] == 4999


async def test_a_poison_body_goes_to_quarantine_and_blocks_nobody(store: AnyStore) -> None:
    poison = incoming("gw-a", bent_body(a_batch(1, 10)), registry=a_registry(), received_ms=T0)
    groups = [poison, an_incoming(a_batch(11, 10)), an_incoming(a_batch(1, 2), device="gw-b")]
    assert await append(store, *groups) == [Verdict.APPEND] * 3
    assert await store.mark("gw-a", STORE) == Mark(20, h_at(20))
    assert await seqs(store) == [11]
    assert await ledger(store) == {"lost:quarantine": 10, "rows": 10}
    assert await kept_raw(store) == [poison.payload]


async def kept_raw(store: AnyStore) -> list[bytes]:
    if isinstance(store, MemoryStore):
        return [batch.payload for batch in store.quarantine]
    async with store.reading() as tx:
        return list(await tx.scalars(select(schema.quarantine.c.payload)))


async def test_an_unknown_schema_is_kept_raw(store: AnyStore) -> None:
    payload = encode_batch(a_batch()).replace(b'"v":1', b'"v":9', 1)
    unknown = incoming("gw-a", payload, registry=a_registry(), received_ms=T0)
    assert await append(store, unknown) == [Verdict.APPEND]
    assert await seqs(store) == []
    assert await ledger(store) == {"unknown": 10}
    assert await store.mark("gw-a", STORE) == Mark(10, h_at(10))


async def test_receipts_and_days_add_up(store: AnyStore) -> None:
    await append(store, an_incoming(a_batch(1, 5, lost=[Lost(6, 9, "budget")])))
    await append(store, an_incoming(a_batch(10, 5, lost=[Lost(15, 15, "budget")])))
    await append(store, an_incoming(a_batch(16, 5, start_ms=T0 + 86_400_000)))
    lines = {(line.day, line.what): line.n for line in await store.ledger("gw-a")}
    assert lines == {(DAY, "rows"): 10, (DAY, "lost:budget"): 5, (DAY + 1, "rows"): 5}
    assert await store.through() == {"gw-a": T0 + 86_400_000 + 20_000}


async def test_chunks_are_found_by_time(store: AnyStore) -> None:
    await append(store, an_incoming(a_batch(11, 10, low=11)), an_incoming(a_batch(1, 3, store=OTHER)))
    for span, found in {
        (0, T0): [], (T0 + 3000, T0 + 3001): [1], (T0 + 3001, T0 + 11_000): [], (T0 + 3000, T0 + 11_001): [1, 11],
        (T0 + 20_000, T0 + 99_999): [11], (T0 + 20_001, T0 + 99_999): [],
    }.items():  # fmt: skip
        assert [chunk.first async for chunk in store.chunks("gw-a", *span)] == found, span
    assert await seqs(store, "gw-b") == []


async def test_many_chunks_come_in_order(store: AnyStore) -> None:
    await store.append([an_incoming(a_batch(1 + i, 1)) for i in range(100)])
    assert await seqs(store) == list(range(1, 101))


async def test_groups_that_meet_are_done_one_after_the_other(store: AnyStore) -> None:
    async def one(first: int, devices: Sequence[str]) -> list[Verdict]:
        return await append(store, *(an_incoming(a_batch(first, 10), device=device) for device in devices))

    done = await asyncio.gather(*(one(1, order) for order in (["gw-a", "gw-b"], ["gw-b", "gw-a"], ["gw-a"], ["gw-b"])))
    verdicts = [verdict for group in done for verdict in group]
    assert sorted(verdicts) == [Verdict.APPEND] * 2 + [Verdict.DUPLICATE] * 4
    assert await ledger(store) == {"rows": 10}


# Live.


async def test_the_newest_live_message_is_kept(store: AnyStore) -> None:
    await store.save_live([])
    await store.save_live([SavedLive("gw-a", "van-1", b"1", 1), SavedLive("gw-b", "van-2", b"2", 2)])
    await store.save_live([SavedLive("gw-a", "van-9", b"3", 3)])
    assert sorted(await store.load_live(), key=lambda one: one.device) == [
        SavedLive("gw-a", "van-9", b"3", 3), SavedLive("gw-b", "van-2", b"2", 2),
    ]  # fmt: skip


# Registry.


async def test_the_registry_says_who_is_who(store: AnyStore) -> None:
    start = await store.registry_version()
    await peopled(store)
    await store.add_vehicle("bus", "main", name="Bus", tags=[], now_ms=T0)
    await store.bind("gw-a", "bus", valid_from_ms=T0 + 10, now_ms=T0)
    await store.bind("gw-a", "van-1", valid_from_ms=T0 + 5, now_ms=T0)
    await store.set_credential("hub-1", "HH", T0)
    token = Token(digest("t"), "t", "main", "read", None)
    await store.add_token(token, T0)
    registry = await store.registry()
    assert registry.fleets == ("main",)
    assert registry.vehicles["van-1"].tags == ("cooled", "big")
    bindings = (Binding("van-1", T0), Binding("van-1", T0 + 5), Binding("bus", T0 + 10))
    assert registry.devices["gw-a"].bindings == bindings
    assert registry.credentials == {"gw-a": "HA", "hub-1": "HH"}
    assert registry.tokens == {token.digest: token}
    assert registry.version == await store.registry_version() > start
    await store.bind("gw-a", "bus", valid_from_ms=T0 + 5, now_ms=T0)
    await store.set_suspended("gw-a", suspended=True, now_ms=T0)
    after = await store.registry()
    assert (after.devices["gw-a"].suspended, after.devices["gw-a"].bindings[1].vehicle) == (True, "bus")
    assert after.version > registry.version
    await store.remove_token("t", "main", T0)
    assert (await store.registry()).tokens == {}
    with pytest.raises(RefusedError, match="no token"):
        await store.remove_token("t", "main", T0)
    assert await store.epoch() == 1


async def test_what_is_wrong_with_a_change_is_said(store: AnyStore) -> None:
    await peopled(store)
    version = await store.registry_version()
    nobody = Token(digest("t"), "t", "nowhere", "read")
    calls = [
        store.add_fleet("main", T0),
        store.add_vehicle("v", "nowhere", name="V", tags=[], now_ms=T0),
        store.add_vehicle("van-1", "main", name="V", tags=[], now_ms=T0),
        store.add_device("gw-b", "nowhere", password_hash="H", valid_from_ms=0, now_ms=T0),
        store.add_device("gw-a", "van-1", password_hash="H", valid_from_ms=0, now_ms=T0),
        store.bind("gw-z", "van-1", valid_from_ms=0, now_ms=T0),
        store.bind("gw-a", "nowhere", valid_from_ms=0, now_ms=T0),
        store.set_suspended("gw-z", suspended=True, now_ms=T0),
        store.add_token(nobody, T0),
        store.add_login_code(digest("c"), "nowhere", expires_ms=T0, now_ms=T0),
    ]
    for call in calls:
        with pytest.raises(RefusedError, match="there is"):
            await call
    assert await store.registry_version() == version


async def test_a_login_code_works_once_and_in_time(store: AnyStore) -> None:
    await peopled(store)
    await store.add_login_code(digest("code"), "main", expires_ms=T0 + 10, now_ms=T0)
    await store.add_login_code(digest("old"), "main", expires_ms=T0, now_ms=T0)
    wanted = Token(digest("t"), "login", "", "read", T0 + 99)
    assert await store.redeem(digest("other"), wanted, T0) is None
    assert await store.redeem(digest("old"), wanted, T0) is None
    given = await store.redeem(digest("code"), wanted, T0)
    assert given == replace(wanted, fleet="main")
    assert await store.redeem(digest("code"), replace(wanted, digest=digest("u")), T0) is None
    assert list((await store.registry()).tokens.values()) == [given]


async def test_a_code_is_taken_by_one_of_many(store: AnyStore) -> None:
    await peopled(store)
    await store.add_login_code(digest("code"), "main", expires_ms=T0 + 10, now_ms=T0)
    tokens = [Token(digest(str(i)), "login", "", "read", T0 + 99) for i in range(8)]
    given = await asyncio.gather(*(store.redeem(digest("code"), token, T0) for token in tokens))
    assert sum(token is not None for token in given) == 1


# What only the real ones have.


@pytest.fixture(params=["sqlite", "postgres"])
async def sql(request: pytest.FixtureRequest, tmp_path: Path, watch: Watch) -> SqlStore:
    if request.param == "sqlite":
        return SqlStore(tmp_path / "hub.db", None, watch=watch)
    url = request.getfixturevalue("postgres_url")
    await emptied(url)
    return SqlStore(tmp_path / "x.db", url, watch=watch)


def test_the_schema_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "hub:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


async def test_the_migrations_make_the_schema(sql: SqlStore) -> None:
    await sql.open()
    async with sql.writing() as tx:
        context = await tx.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), schema.metadata))
    assert context == []
    await sql.close()
    await sql.open()
    await sql.close()
    with pytest.raises(UnavailableError):
        await sql.registry()
    with pytest.raises(UnavailableError):
        await sql.add_fleet("x", T0)


async def test_two_programs_may_open_a_new_store_at_once(sql: SqlStore, tmp_path: Path) -> None:
    other = SqlStore(sql._path, sql._url, watch=a_watch())
    await asyncio.gather(sql.open(), other.open())
    await asyncio.gather(peopled(sql), other.set_credential("hub-1", "H", T0))
    assert (await other.registry()).credentials.keys() == {"gw-a", "hub-1"}
    await sql.close()
    await other.close()


async def test_a_failing_group_is_done_device_by_device(sql: SqlStore, watch: Watch) -> None:
    """A row that the database refuses (a chunk that is there, though the mark is behind) holds nobody up."""
    await sql.open()
    await append(sql, an_incoming(a_batch(1, 10)))
    async with sql.writing() as tx:
        await tx.execute(text("DELETE FROM mark"))
    groups = [an_incoming(a_batch(1, 5), device="gw-b"), an_incoming(a_batch(1, 10))]
    assert await append(sql, *groups) == [Verdict.APPEND] * 2
    assert watch.count("store.retried") == 1
    assert await kept_raw(sql) == [groups[1].payload]
    assert await sql.mark("gw-a", STORE) == Mark(10, h_at(10))
    assert await sql.mark("gw-b", STORE) == Mark(5, h_at(5))
    await sql.close()


async def test_sqlite_is_set_to_keep_what_it_promised(tmp_path: Path, watch: Watch) -> None:
    store = SqlStore(tmp_path / "a b?.db", None, watch=watch)
    await store.open()
    async with store.writing() as tx:
        values = [
            (await tx.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert values == ["wal", 2, 1]
    async with store.reading() as tx:
        assert (await tx.execute(text("PRAGMA query_only"))).scalar() == 1
    await store.close()
    assert (tmp_path / "a b?.db").exists()


async def test_a_store_that_is_not_there_says_so(watch: Watch, tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "x.db", "postgresql://nobody:secret@127.0.0.1:1/none", watch=watch)
    with pytest.raises(UnavailableError) as caught:
        await store.open()
    assert "secret" not in str(caught.value)
    await store.close()


async def test_a_new_store_is_made_only_if_that_is_wanted(sql: SqlStore) -> None:
    with pytest.raises(RefusedError, match="there is no store in"):
        await sql.open(make=False)
    assert sql.is_postgres or not sql._path.exists()
    await sql.close()
    assert await sql.open()
    await sql.close()
    for make in (False, True):
        assert not await sql.open(make=make)
        await sql.close()


async def test_a_store_that_says_no_is_a_refusal(watch: Watch, tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    (tmp_path / "file").touch()
    bad = [SqlStore(tmp_path / "x.db", None, watch=watch), SqlStore(tmp_path / "file" / "x.db", None, watch=watch),
           SqlStore(tmp_path, postgres_url.replace("/postgres", "/nowhere"), watch=watch),
           SqlStore(tmp_path, postgres_url.replace("odograph@", "nobody:secret@"), watch=watch)]  # fmt: skip
    for store in bad:
        with pytest.raises(RefusedError, match=r"refuses|can't be") as caught:
            await store.open()
        assert "secret" not in str(caught.value)
        await store.close()


async def test_the_twin_can_be_down() -> None:
    store = MemoryStore()
    store.down = True
    with pytest.raises(UnavailableError):
        await store.append([an_incoming()])
