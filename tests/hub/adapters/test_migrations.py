"""A store of each earlier version, with data in it: opened by this one it has all of it, and takes what comes next."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from hub.adapters.store import schema
from hub.adapters.store.sql import SqlStore
from hub.core.ledger import Line, Reach
from hub.core.marks import Mark, Verdict
from hub.ports import Heard
from tests.hub.conftest import emptied
from tests.hub.makers import DAY, STORE, T0, a_batch, a_watch, an_incoming, bent_body, h_at
from wire.track import encode_batch

POISON = bent_body(a_batch(11, 4))
ROWS = {
    "fleet": {"fleet": "main", "last_pos": 7, "made_ms": T0},
    "track_chunk": {
        "device": "gw-a", "store": STORE, "first": 1, "last": 10, "kind": "rows", "rows": 10, "events": 0,
        "t_min_ms": T0 + 1000, "t_max_ms": T0 + 10_000, "received_ms": T0 + 20_000, "payload": encode_batch(a_batch(1, 10)),
    },
    "quarantine": {
        "device": "gw-a", "store": STORE, "first": 11, "last": 14, "reason": "bent", "received_ms": T0 + 21_000,
        "payload": POISON,
    },
    "event": {
        "device": "gw-a", "store": STORE, "seq": 3, "fleet": "main", "vehicle": "van-1", "at_ms": T0, "kind": "sos",
        "detail": "{}", "received_ms": T0, "pos": 7, "published": True,
    },
    "ledger": {"device": "gw-a", "day": DAY, "what": "rows", "n": 10},
    "mark": {"device": "gw-a", "store": STORE, "last": 14, "h": h_at(14)},
}  # fmt: skip
SINCE = {"v0003": {"mark": {"newest": 20, "told_ms": T0 + 5}, "quarantine": {"size": len(POISON)}}}
"""What columns of later versions hold."""
VERSIONS = ("v0001", "v0002", "v0003")


def _made(connection: Connection, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", "hub:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, version)
    for table, row in ROWS.items():
        whole = row | SINCE.get(version, {}).get(table, {})
        names, places = ", ".join(f'"{name}"' for name in whole), ", ".join(f":{name}" for name in whole)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), whole)


@pytest.fixture(params=["sqlite", "postgres"])
async def sql(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    if url is not None:
        await emptied(url)
    made = SqlStore(tmp_path / "hub.db", url, watch=a_watch())
    yield made
    await made.close()


def test_every_earlier_version_is_tried() -> None:
    assert [*VERSIONS, schema.HEAD] == [f"v{i:04d}" for i in range(1, len(VERSIONS) + 2)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upgrade_keeps_everything(sql: SqlStore, version: str) -> None:
    sql._connect()
    async with sql.writing() as tx:
        await tx.run_sync(_made, version)
    await sql.close()
    assert not await sql.open(), "it is not new"
    told = version == "v0003"
    assert await sql.mark("gw-a", STORE) == Mark(14, h_at(14))
    assert await sql.reaches(None) == [Reach("gw-a", STORE, 14, 20 if told else 14, T0 + 5 if told else None)]
    assert await sql.ledger("gw-a") == [Line("gw-a", DAY, "rows", 10)]
    assert [chunk.payload async for chunk in sql.chunks("gw-a", 0, 1 << 50)] == [ROWS["track_chunk"]["payload"]]
    assert [(one.first, one.last, one.size, one.there) for one in await sql.kept()] == [(11, 14, len(POISON), True)]
    (event,) = await sql.events_after("main", 0, 10)
    assert (event.event.kind, event.event.seq, event.event.boot, event.pos) == ("sos", 3, None, 7)
    assert (await sql.append([an_incoming(a_batch(15, 3))]))[0].verdict is Verdict.APPEND
    await sql.heard([Heard("gw-a", STORE, 40, T0 + 9, days=((DAY, 40),))])
    assert (await sql.reaches(None))[0] == Reach("gw-a", STORE, 17, 40, T0 + 9, days=((DAY, 40),))
