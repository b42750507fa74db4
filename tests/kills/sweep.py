"""kill -9 at every write and fsync of one commit cycle, by strace, which ends the process as it enters the system call.

After each kill the files are opened again as the product does it, and held against what the process had said by then.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.core.packing import unpacked
from agent.outbox import check
from agent.ports import Kind
from hub.adapters.store.sql import SqlStore
from hub.core.ledger import balances
from hub.core.marks import Verdict
from tests.hub.makers import a_batch, a_registry, a_watch, an_incoming
from tests.kills.cycle import BOOT, ROWS, STORE, T0, an_event, fix
from wire.track import decode_batch

CALLS = ("pwrite64", "fdatasync", "fsync", "write", "ftruncate", "rename", "unlink")
TRACED = "trace=" + ",".join(CALLS)
OPEN_S = 2.0
CHILD_S = 60
Promises = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shot:
    """Where the process is killed: the N-th call of a name."""

    what: str
    call: str
    n: int


def why_not() -> str:
    """Why strace can't be used here; empty if it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    probe = subprocess.run([strace, "-f", "-e", "trace=fsync", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else f"strace may not trace here: {probe.stderr.decode()[-200:].strip()}"


def fired(folder: Path, shot: Shot, plant: str = "") -> tuple[bool, Promises]:
    """Run the child until the shot; whether it was killed, and what it had promised."""
    child = [sys.executable, "-m", "tests.kills.cycle", shot.what, str(folder), *(["--plant", plant] if plant else [])]
    inject = f"inject={shot.call}:signal=SIGKILL:when={shot.n}"
    command = ["strace", "-f", "-o", "/dev/null", "-e", TRACED, "-e", inject, *child]
    done = subprocess.run(command, capture_output=True, timeout=CHILD_S, check=False)
    killed = done.returncode in {-9, 137}
    assert killed or done.returncode == 0, done.stderr.decode()[-2000:]
    said = []
    for line in done.stdout.splitlines():
        with suppress(ValueError):
            said.append(json.loads(line))
    return killed, said


async def outbox_judged(folder: Path, said: Promises) -> list[str]:
    """What is wrong with an outbox after a kill."""
    path, faults = folder / "outbox.db", list[str]()
    began = time.monotonic()
    box = await SqliteOutbox.open(path, now=Moment(T0, BOOT, 0))
    took_s = time.monotonic() - began
    if took_s > OPEN_S:
        faults.append(f"took {took_s:.1f} s to open")
    try:
        found = Counter((one.kind, one.body) for one in await box.read(0, 100_000))
    finally:
        await box.close()
    settled = max((one["settled"] for one in said if "settled" in one), default=0)
    first = (
        said[0]["store"] if said and "store" in said[0] else next((one["store"] for one in said if "store" in one), "")
    )
    newest = max(
        (one["newest"] for one in said if one.get("store") == first and "newest" in one and "forked" not in one),
        default=0,
    )
    for i in range(settled + 1, newest + 1):
        record = an_event(i) if i % (ROWS + 1) == 0 else fix(i)
        if found[record.kind, record.body] != 1:
            faults.append(f"record {i} of {newest} is there {found[record.kind, record.body]} times")
    faults += [f"{kind} {body!r} is there {n} times" for (kind, body), n in found.items() if n > 1]
    for one in said:
        if one.get("store") == box.store and one.get("newest", 0) > box.newest:
            faults.append(f"{one['newest']} records were promised, {box.newest} are there")
        if one.get("store") == box.store and "h" in one and await _hash(path, one["newest"]) not in {one["h"], None}:
            faults.append(f"another chain at {one['newest']}")
    if any(one.body.find(b"outbox-damaged") > 0 for one in _events(found)):
        faults.append("it was set aside as damaged")
    faults += [f"check: {fault}" for fault in check(path)]
    return faults


@dataclass(frozen=True, slots=True)
class _Event:
    body: bytes


def _events(found: Counter[tuple[Kind, bytes]]) -> Iterator[_Event]:
    return (_Event(body) for kind, body in found if kind is Kind.EVENT)


async def _hash(path: Path, seq: int) -> str | None:
    import sqlite3

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        db.create_function("unpacked", 1, unpacked)
        row = db.execute("SELECT h FROM record WHERE seq = ?", (seq,)).fetchone()
    db.close()
    return None if row is None else str(row[0])


async def store_judged(folder: Path, said: Promises) -> list[str]:
    """What is wrong with the hub's store after a kill."""
    faults, registry = list[str](), a_registry(gw_a="van-1", gw_b="van-2", gw_c="van-3")
    began = time.monotonic()
    store = SqlStore(folder / "hub.db", None, watch=a_watch())
    await store.open()
    took_s = time.monotonic() - began
    if took_s > OPEN_S:
        faults.append(f"took {took_s:.1f} s to open")
    try:
        for device in registry.devices:
            mark = await store.mark(device, STORE)
            word = max((one["acked"].get(device, 0) for one in said if "acked" in one), default=0)
            if mark.last < word:
                faults.append(f"{device}: {word} was acknowledged, the mark is {mark.last}")
            seen = Counter[int]()
            async for chunk in store.chunks(device, 0, 1 << 60):
                batch = decode_batch(chunk.payload)
                seen.update([seq for seq, _ in batch.rows] + [event.seq for event in batch.events])
            if seen != Counter(range(1, mark.last + 1)):
                faults.append(
                    f"{device}: the mark is {mark.last}, and {seen.total()} records of {len(seen)} seqs are there"
                )
            (fresh,) = await store.append([an_incoming(a_batch(mark.last + 1, 5), device=device, registry=registry)])
            if (fresh.verdict, fresh.mark.last) != (Verdict.APPEND, mark.last + 5):
                faults.append(f"{device}: what follows was not taken: {fresh}")
        for one in balances(await store.totals(None), await store.reaches(None), now_ms=T0):
            if one.off or one.lost:
                faults.append(f"the ledger of {one.device} does not close: {one}")
        if await store.kept():
            faults.append("something is in quarantine")
    finally:
        await store.close()
    return faults


JUDGES: dict[str, Callable[[Path, Promises], Coroutine[None, None, list[str]]]] = {
    "outbox": outbox_judged, "store": store_judged,
}  # fmt: skip


def one_shot(shot: Shot, plant: str = "") -> tuple[bool, list[str]]:
    """A fresh folder, a kill, a judgement: whether it was killed, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        killed, said = fired(folder, shot, plant)
        return killed, asyncio.run(JUDGES[shot.what](folder, said))


def every(what: str, plant: str = "") -> Iterator[tuple[Shot, bool, list[str]]]:
    """A shot at every call of every name, until the process outlives them."""
    for call in CALLS:
        n, killed = 0, True
        while killed:
            n += 1
            shot = Shot(what, call, n)
            killed, faults = one_shot(shot, plant)
            yield shot, killed, faults
