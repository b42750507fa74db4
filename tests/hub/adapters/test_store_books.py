"""The books in every store: how far devices go, what has ended, the ledger; and, in the real ones, the quarantine."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.adapters.store.sql import SqlStore
from hub.books import after_upgrade, reread
from hub.core.ledger import FIRST_DAY, LAST_DAY, Line, Reach, balances
from hub.core.marks import DAY_MS, Incoming, Mark, StoredEvent, Verdict, incoming
from hub.ports import Heard
from tests.hub.conftest import AnyStore, emptied
from tests.hub.makers import DAY, STORE, T0, a_batch, a_registry, an_incoming, bent_body, h_at
from wire.messages import Batch, Event, Lost
from wire.ops.watch import Watch
from wire.track import GENESIS, encode_batch

AT = T0 + 100_000
NEW = "ZZZZZZZZZZZ"


def first_of(*events: Event, store: str = NEW) -> Incoming:
    """A new store that begins with these events."""
    return an_incoming(Batch(store, 1, len(events), 1, GENESIS, h_at(len(events), store), events=events))


async def closes(store: AnyStore, device: str = "gw-a") -> tuple[int, int]:
    """By how much the account of a device is off, and what is still out there."""
    (one,) = balances(await store.totals([device]), await store.reaches([device]), now_ms=AT)
    return one.off, one.out_there


async def test_how_far_a_store_goes_is_what_the_device_told_last(store: AnyStore) -> None:
    await store.append([an_incoming(a_batch(1, 10, waiting=5)), an_incoming(a_batch(1, 3), device="gw-b")])
    assert await store.reaches(None) == [Reach("gw-a", STORE, 10, 15, AT), Reach("gw-b", STORE, 3, 3, AT)]
    assert await store.out_there() == 5
    await store.heard([])
    await store.heard([Heard("gw-a", STORE, 40, AT + 1), Heard("gw-a", STORE, 42, AT + 2), Heard("gw-b", NEW, 7, AT)])
    assert await store.reaches(["gw-a"]) == [Reach("gw-a", STORE, 10, 42, AT + 2)]
    assert await store.out_there() == 39
    await store.heard([Heard("gw-a", STORE, 42, AT + 2, days=((DAY - 1, 20), (DAY, 42)))])
    assert (await store.reaches(["gw-a"]))[0].days == ((DAY - 1, 20), (DAY, 42))
    assert await store.mark("gw-b", NEW) == Mark()
    before = await store.reaches(["gw-a"])
    await store.heard([Heard("gw-a", STORE, 2, AT + 3, days=((DAY, 2),))])  # a word that came late: the broker kept it
    assert await store.reaches(["gw-a"]) == before, "it takes nothing back"
    await store.heard([Heard("gw-a", STORE, 43, AT + 4), Heard("gw-a", STORE, 41, AT + 5, days=((DAY, 41),))])
    assert await store.reaches(["gw-a"]) == [Reach("gw-a", STORE, 10, 43, AT + 4)]
    assert (await store.append([an_incoming(a_batch(1, 7, store=NEW), device="gw-b")]))[0].verdict is Verdict.APPEND
    assert await closes(store, "gw-b") == (0, 0)


async def test_a_word_that_the_broker_kept_takes_no_later_one_back(store: AnyStore) -> None:
    """A hub that starts again hears the status of each device's last start."""
    await store.heard([Heard("gw-a", STORE, 1000, AT)])
    await store.append([an_incoming(a_batch(1, 10, waiting=4990))])
    await store.heard([Heard("gw-a", STORE, 1000, AT + DAY_MS)])
    assert await store.reaches(["gw-a"]) == [Reach("gw-a", STORE, 10, 5000, AT)]
    assert await store.out_there() == 4990


async def test_poison_does_not_say_how_far_the_store_goes(store: AnyStore) -> None:
    await store.heard([Heard("gw-a", STORE, 30, AT)])
    await store.append([incoming("gw-a", bent_body(a_batch(1, 10)), registry=a_registry(), received_ms=AT)])
    assert await closes(store) == (0, 20)


async def test_ledgers_of_some_or_all_and_their_sums(store: AnyStore) -> None:
    await store.append([
        an_incoming(a_batch(1, 5, lost=[Lost(6, 9, "dropped")])), an_incoming(a_batch(1, 3), device="gw-b"),
        an_incoming(a_batch(10, 5, start_ms=T0 + 86_400_000, before=h_at(9))),
    ])  # fmt: skip
    assert await store.ledgers(["gw-a"], DAY + 1, LAST_DAY) == [Line("gw-a", DAY + 1, "rows", 5)]
    assert len(await store.ledgers(None, FIRST_DAY, LAST_DAY)) == 4
    sums = {(line.device, line.what): line.n for line in await store.totals(None)}
    assert sums == {("gw-a", "rows"): 10, ("gw-a", "lost:dropped"): 4, ("gw-b", "rows"): 3}
    assert {line.device for line in await store.totals({"gw-b", *(f"gw-{i}" for i in range(600))})} == {"gw-b"}
    assert await closes(store) == (0, 0)


async def test_a_fork_takes_its_rows_along(store: AnyStore) -> None:
    await store.append([an_incoming(a_batch(1, 10, waiting=8))])
    fork = Event(1, T0, "fork", detail={"prev": STORE, "prev_seq": 18, "hub_seq": 10})
    await store.append([first_of(fork)])
    await store.heard([Heard("gw-a", STORE, 99, AT), Heard("gw-a", NEW, 9, AT)])
    assert await closes(store) == (0, 8), "the eight wait in the new store, once"
    await store.append([an_incoming(a_batch(11, 4, waiting=2))])  # the other card goes on under the old id
    assert await closes(store) == (0, 10)


async def test_a_store_that_was_lost_is_off_until_it_is_salvaged(store: AnyStore) -> None:
    await store.append([an_incoming(a_batch(1, 10, waiting=8))])
    await store.append([first_of(Event(1, T0, "store-new", detail={"prev": STORE, "prev_seq": 12}))])
    assert await closes(store) == (8, 0), "the device had told of eight that have not come"
    assert await store.out_there() == 0
    done = Event(2, T0, "outbox-damaged", detail={"file": "x", "salvaged": 8, "missing": 0})
    await store.append([an_incoming(Batch(NEW, 2, 2, 1, h_at(1, NEW), h_at(2, NEW), events=(done,)))])
    assert await closes(store) == (0, 0)


async def test_of_several_lost_stores_each_is_closed_by_its_own_word(store: AnyStore) -> None:
    await store.append([an_incoming(a_batch(1, 10, waiting=8))])
    await store.append([first_of(Event(1, T0, "store-new", detail={"prev": STORE, "prev_seq": 12}))])
    done = Event(2, T0, "outbox-damaged", detail={"file": "y", "salvaged": 1, "missing": 0, "prev": "ZZZZZZZZZZZ"})
    await store.append([an_incoming(Batch(NEW, 2, 2, 1, h_at(1, NEW), h_at(2, NEW), events=(done,)))])
    assert await closes(store) == (8, 0), "that was another one"
    done = Event(3, T0, "outbox-damaged", detail={"file": "x", "salvaged": 8, "missing": 0, "prev": STORE})
    await store.append([an_incoming(Batch(NEW, 3, 3, 1, h_at(2, NEW), h_at(3, NEW), events=(done,)))])
    assert await closes(store) == (0, 0)


# What only the real ones have.


@pytest.fixture(params=["sqlite", "postgres"])
async def sql(request: pytest.FixtureRequest, tmp_path: Path, watch: Watch) -> AsyncIterator[SqlStore]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    if url is not None:
        await emptied(url)
    made = SqlStore(tmp_path / "hub.db", url, watch=watch)
    await made.open()
    yield made
    await made.close()


def poison(first: int, n: int = 10, device: str = "gw-a") -> Incoming:
    return incoming(device, bent_body(a_batch(first, n)), registry=a_registry(), received_ms=AT)


def of_version(batch: Batch, version: int) -> bytes:
    return encode_batch(batch).replace(b'"v":1', b'"v":%d' % version, 1)


async def test_quarantine_lists_what_could_not_be_read(sql: SqlStore) -> None:
    unknown = incoming("gw-b", of_version(a_batch(), 9), registry=a_registry(), received_ms=AT + 1)
    await sql.append([poison(1), unknown])
    bad, strange = await sql.kept()
    assert (bad.name, bad.device, bad.first, bad.last, bad.there, bad.raw) == ("p1", "gw-a", 1, 10, True, None)
    assert (strange.name, strange.reason, strange.size) == ("u1", "unknown version", len(unknown.payload))
    assert [one.name for one in await sql.kept("gw-b")] == ["u1"]
    for name, raw in (("p1", poison(1).payload), ("u1", unknown.payload)):
        (one,) = await sql.kept(name=name)
        assert (one.raw, one.size) == (raw, len(raw))
    for name in ("p9", "x1", "p", "p-1", "p" + "9" * 50):
        assert await sql.kept(name=name) == []


async def test_the_oldest_raw_payloads_go_first_and_never_their_lines(sql: SqlStore) -> None:
    await sql.append([poison(1 + 10 * i) for i in range(5)])
    size = (await sql.kept())[0].size
    assert await sql.trim_quarantine(5 * size + 10) == 0
    assert await sql.trim_quarantine(2 * size + 10) == 3
    assert await sql.trim_quarantine(2 * size + 10) == 0
    kept = await sql.kept()
    assert [one.there for one in kept] == [False] * 3 + [True] * 2
    assert min(one.size for one in kept) >= size - 2, "their size is still told"
    assert await closes(sql) == (0, 0)


async def test_an_upgrade_books_what_it_can_read_now_once_and_in_place(sql: SqlStore, watch: Watch) -> None:
    """The hub knew version 1 when version 9 came: after it, what is kept as unknown turns out to be readable."""
    sos = Event(11, T0 + 11_000, "sos")
    await sql.append([an_incoming(a_batch(1, 5))])
    strange = incoming("gw-a", of_version(a_batch(6, 5, events=[sos]), 9), registry=a_registry(), received_ms=AT)
    await sql.append([strange, an_incoming(a_batch(12, 5))])
    await after_upgrade(sql, watch)
    assert [one.name for one in await sql.kept()] == ["u2"]
    (one,) = await sql.kept(name="u2")
    assert reread(one, one.raw or b"", a_registry()) == "version 9"
    async with sql.writing() as tx:  # as if 9 had become the version that we know
        await tx.execute(
            text("UPDATE track_chunk SET payload = :raw WHERE id = 2"),
            {"raw": encode_batch(a_batch(6, 5, events=[sos]))},
        )
    await after_upgrade(sql, watch)
    await after_upgrade(sql, watch)
    assert watch.count("track.booked-late") == 1
    assert await sql.kept() == []
    assert [chunk.first async for chunk in sql.chunks("gw-a", 0, 1 << 50)] == [1, 6, 12]
    assert {line.what: line.n for line in await sql.ledger("gw-a")} == {"rows": 15, "events": 1}
    assert await closes(sql) == (0, 0)
    assert await sql.mark("gw-a", STORE) == Mark(16, h_at(16)), "the mark stays where it was"
    async with sql.reading() as tx:
        assert list(await tx.scalars(text("SELECT seq FROM event"))) == [11]


async def test_poison_that_can_be_read_now_takes_its_place_once(sql: SqlStore) -> None:
    await sql.append([poison(1), an_incoming(a_batch(11, 5))])
    (one,) = await sql.kept(name="p1")
    assert isinstance(reread(one, one.raw or b"", a_registry()), str)
    read = reread(one, encode_batch(a_batch(1, 10)), a_registry())
    assert isinstance(read, Incoming)
    assert reread(one, encode_batch(a_batch(1, 9)), a_registry()) == "its header is of another range"
    assert isinstance(reread(one, b"junk", a_registry()), str)
    assert await sql.retry(one, read) == ""
    assert await sql.retry(one, read) == "the track has rows of this range already"
    assert await sql.retry(replace(one, first=100, last=109), read) == "it is not there any more"
    assert {line.what: line.n for line in await sql.ledger("gw-a")} == {"rows": 15}
    assert await closes(sql) == (0, 0)


FAULTS = {
    "sqlite": "CREATE TRIGGER planted BEFORE INSERT ON {table} WHEN NEW.device = 'gw-a' "
    "BEGIN SELECT RAISE(ABORT, 'planted'); END",
    "postgres": "ALTER TABLE {table} ADD CONSTRAINT planted CHECK (device <> 'gw-a')",
}


async def planted(sql: SqlStore, table: str) -> None:
    async with sql.writing() as tx:
        await tx.execute(text(FAULTS["postgres" if sql.is_postgres else "sqlite"].format(table=table)))


@pytest.mark.parametrize(
    ("table", "verdict", "mark"), [("track_chunk", Verdict.APPEND, 10), ("mark", Verdict.REFUSED, 0)]
)
async def test_a_fault_in_one_devices_row_stops_no_other(
    sql: SqlStore, watch: Watch, table: str, verdict: Verdict, mark: int
) -> None:
    await planted(sql, table)
    groups = [an_incoming(a_batch(1, 5), device="gw-b"), an_incoming(), an_incoming(a_batch(1, 5), device="gw-c")]
    assert [one.verdict for one in await sql.append(groups)] == [Verdict.APPEND, verdict, Verdict.APPEND]
    assert [(await sql.mark(device, STORE)).last for device in ("gw-b", "gw-a", "gw-c")] == [5, mark, 5]
    assert len(await sql.kept()) == (1 if mark else 0), "kept raw where that can be done"
    assert watch.count("store.refused") == (0 if mark else 1)
    assert [chunk.first async for chunk in sql.chunks("gw-a", 0, 1 << 50)] == []


async def test_a_fault_in_one_event_stops_no_other(sql: SqlStore, watch: Watch) -> None:
    await planted(sql, "event")
    events = [StoredEvent(device, STORE, Event(7, T0, "sos"), "main", None, AT) for device in ("gw-b", "gw-a", "gw-c")]
    assert await sql.add_events(events) == [events[1]]
    assert watch.count("store.refused") == 1
    async with sql.reading() as tx:
        assert list(await tx.scalars(text("SELECT device FROM event ORDER BY device"))) == ["gw-b", "gw-c"]


async def test_the_mark_moves_with_the_chunk_or_not_at_all(sql: SqlStore) -> None:
    """One transaction: a fault behind the chunk takes it back too."""
    await planted(sql, "ledger")
    assert (await sql.append([an_incoming()]))[0].verdict is Verdict.REFUSED
    async with sql.reading() as tx:
        counts = [
            (await tx.scalar(text(f"SELECT count(*) FROM {table}"))) for table in ("track_chunk", "quarantine", "event")
        ]
    assert counts == [0, 0, 0]
    assert await sql.mark("gw-a", STORE) == Mark()
