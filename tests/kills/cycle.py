"""A child process that runs one commit cycle of the product's own outbox or store, and says what it has promised after each step.

`python -m tests.kills.cycle outbox|store FOLDER [--plant NAME]`. It is killed at one of its writes or fsyncs; what it has said by
then is the promise that `judge` holds against what is found in the files.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.ports import Kind, Limits, Record
from wire.codec import dump
from wire.messages import Event

T0 = 1_760_000_000_000
BOOT = "b007"
ROWS, BATCHES, DEVICES = 30, 3, 3
PLANTS = {"ack-first": "the word is given before the commit", "twice": "what was written is written once more"}


def say(promise: dict[str, object]) -> None:
    """To the pipe in one write: what was said before a kill has been read by the parent, or is in its pipe."""
    os.write(sys.stdout.fileno(), json.dumps(promise).encode() + b"\n")


def fix(i: int) -> Record:
    """A record that can be told from all others."""
    return Record(Kind.FIX, Moment(T0 + i, BOOT, i), dump([T0 + i, 412_000_000 + i, -961_000_000 - i, i, i, i % 3600]))


def an_event(i: int) -> Record:
    """An event, likewise."""
    return Record(Kind.EVENT, Moment(T0 + i, BOOT, i), dump([T0 + i, "tow", 41.2, -96.1, {"n": i}]))


async def outbox_cycle(folder: Path, plant: str = "") -> None:
    """Open, commit some windows, take the hub's word, forget, make room, fork, and close."""
    box = await SqliteOutbox.open(folder / "outbox.db", now=Moment(T0, BOOT, 0), limits=Limits())
    say({"opened": box.store, "newest": box.newest, "acked": box.acked})
    at = box.newest
    for n in range(BATCHES):
        records = [fix(at + 1 + i) for i in range(ROWS)] + [an_event(at + 1 + ROWS)]
        if plant == "ack-first":
            say({"store": box.store, "newest": box.newest + len(records)})
        stored = await box.put(records)
        if plant == "twice":
            await box.put(records)
        at += len(records)
        say({"store": box.store, "newest": stored[-1].seq, "h": stored[-1].h})
        if n == 1:
            await box.settle(stored[9].seq, stored[9].h)
            say({"store": box.store, "settled": stored[9].seq})
    await box.make_room()
    await box.forget(T0 + 10 * 86_400_000)
    say({"store": box.store, "forgot": box.low})
    before = box.store
    say({"store": before, "forking": box.acked})
    await box.fork(Moment(T0, BOOT, 0), hub_seq=box.acked)
    say({"store": box.store, "forked": before, "newest": box.newest})
    await box.put([fix(3_000)])
    say({"store": box.store, "newest": box.newest})
    await box.close()
    say({"closed": box.store})


async def store_cycle(folder: Path, plant: str = "") -> None:
    """Open the hub's store and commit some groups of several devices, each as the ingest does."""
    from hub.adapters.store.sql import SqlStore
    from tests.hub.makers import a_batch, a_registry, a_watch, an_incoming, h_at

    registry = a_registry(gw_a="van-1", gw_b="van-2", gw_c="van-3")
    store = SqlStore(folder / "hub.db", None, watch=a_watch())
    await store.open()
    marks = {device: (await store.mark(device, STORE)).last for device in registry.devices}
    say({"opened": marks})
    for _ in range(BATCHES):
        group = [
            an_incoming(
                a_batch(last + 1, ROWS, events=[_event(last + ROWS + 1)], start_ms=T0), device=device, registry=registry
            )
            for device, last in marks.items()
        ]
        word = {device: last + ROWS + 1 for device, last in marks.items()}
        if plant == "ack-first":
            say({"acked": word})
        await store.append(group)
        if plant == "twice":
            with contextlib.closing(sqlite3.connect(folder / "hub.db")) as db, db:
                db.execute(
                    f"INSERT OR IGNORE INTO track_chunk (first, {CHUNK}) SELECT first - 1000, {CHUNK} FROM track_chunk LIMIT 1"
                )
        marks = word
        say({"acked": word, "h": {device: h_at(last) for device, last in word.items()}})
    await store.close()
    say({"closed": marks})


STORE = "AbCdEf01-_x"
CHUNK = "device, store, last, kind, rows, events, t_min_ms, t_max_ms, received_ms, payload"


def _event(seq: int) -> Event:
    return Event(seq, T0 + seq, "tow", 41.5, -96.5, {"n": seq})


def main() -> int:
    """The child."""
    parser = argparse.ArgumentParser(prog="tests.kills.cycle")
    parser.add_argument("what", choices=("outbox", "store"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plant", choices=tuple(PLANTS), default="")
    args = parser.parse_args()
    work: Callable[[Path, str], Coroutine[None, None, None]] = outbox_cycle if args.what == "outbox" else store_cycle
    asyncio.run(work(args.folder, args.plant))
    return 0


if __name__ == "__main__":
    sys.exit(main())
