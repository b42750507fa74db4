"""Whether the hub's store is as it must be after the power was cut: opened by the product's own code, in the ordinary way."""

import contextlib
import random
import sqlite3
import time
from itertools import pairwise
from pathlib import Path

from hub.adapters.store.sql import SqlStore
from hub.core.ledger import balances
from tests.hub.makers import STORE, a_watch
from tests.power.disk import Disk
from tests.power.hub_life import DEVICES, Life, Tables, tables_of
from wire.errors import RefusedError, UnavailableError

OPEN_MOST_S = 2.0


async def cuts(life: Life, folder: Path, count: int) -> list[str]:
    """Cut a life at so many places; gives what was wrong."""
    chance, disk, wrong = random.Random(life.seed ^ 0xC0FFEE), Disk(life.log), list[str]()
    first = 1 if life.fresh else 2
    places = sorted(chance.randrange(first, len(life.log.entries) + 1) for _ in range(count))
    for number, at in enumerate(places):
        disk.lay(folder, at, chance, shared="hub.db-shm")
        wrong += [f"seed {life.seed}, cut {number} at {at}: {one}" for one in await _look(life, at, folder / "hub.db")]
    return wrong


async def _look(life: Life, at: int, path: Path) -> list[str]:
    marks = [one for one in life.log.marks if one[0] <= at]
    states = [what for _, kind, what in marks if kind == "state"]
    later = next((what for _, kind, what in life.log.marks[len(marks) :] if kind == "state"), None)
    store, began = SqlStore(path, None, watch=a_watch()), time.perf_counter()
    try:
        await store.open()
    except (UnavailableError, RefusedError, sqlite3.Error) as error:
        return [f"can't be opened: {error}"]
    wrong = [] if time.perf_counter() - began < OPEN_MOST_S else ["opening took long"]
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            told = db.execute("PRAGMA integrity_check").fetchall()
            wrong += [] if told == [("ok",)] else [f"integrity: {told[:2]}"]
            if wrong:
                return wrong
            now = tables_of(db)
        if states and now not in (states[-1], later):
            wrong.append(f"committed: {_difference(states[-1], now)}")
        if not states and later is not None and now != later and any(now.values()):
            wrong.append("not new")
        wrong += _promised(now, [what for _, kind, what in marks if kind == "ack"])
        reaches, totals = await store.reaches(None), await store.totals(None)
        for one in balances(totals, reaches, now_ms=0):
            wrong += [why for why in one.why if "differ" in why]
    finally:
        await store.close()
    return wrong


def _difference(before: Tables, after: Tables) -> str:
    return ", ".join(
        f"{name} lacks {len(set(rows) - set(after[name]))} and has {len(set(after[name]) - set(rows))} more"
        for name, rows in before.items()
        if rows != after[name]
    )


def _promised(now: Tables, acks: list[tuple[str, object]]) -> list[str]:
    """No acked chunk is missing, the mark is the sum of the chunks, no chunk is doubled."""
    wrong = []
    marks = {(row[0], row[1]): row[2] for row in now["mark"]}
    for device, ack in acks:
        upto, events, store = (getattr(ack, name) for name in ("upto", "events", "store"))
        if upto is not None and upto > marks.get((device, store), 0):
            wrong.append(f"acked up to {upto}, and the mark is {marks.get((device, store), 0)}")
        kept = {row[3] for row in now["event"] if row[1:3] == (device, store)}
        wrong += [f"event {seq} was acked and is gone" for seq in events if seq not in kept]
    for device in DEVICES:
        spans = sorted(
            row[3:5] for name in ("track_chunk", "quarantine") for row in now[name] if row[1:3] == (device, STORE)
        )
        if any(a[1] >= b[0] for a, b in pairwise(spans)):
            wrong.append("chunks overlap")
        booked = sum(row[3] for row in now["ledger"] if row[0] == device and row[2] == "lost:hub-rollback")
        have, mark = sum(last - first + 1 for first, last in spans) + booked, marks.get((device, STORE), 0)
        if have != mark:
            wrong.append(f"the mark of {device} is {mark}, its chunks have {have}")
    return wrong
