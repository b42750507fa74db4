"""`python -m tests.fuzz --payloads 10000000 [--seed N]`: hostile payloads through every decoder, the ingest, and a real broker."""

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import os
import queue
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz.broker import through_the_broker
from tests.fuzz.ingest import IngestViolationError, ingesting
from tests.fuzz.mass import Result, run

SAY_EVERY_S = 30.0


def _decode(payloads: int, seed: int, out: Any) -> None:
    """A process: its share of the decoders' payloads."""
    result, told = Result(), time.monotonic()
    for result in run(payloads, seed):  # the last is used
        if time.monotonic() - told > SAY_EVERY_S:
            told = time.monotonic()
            out.put(("decoders", seed, result.sent, result.broken))
    out.put(("done", seed, result, None))


def _ingest(payloads: int, seed: int, out: Any) -> None:
    """A process: its share through the hub's ingest with a real store."""
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stderr(Path(os.devnull).open("w", encoding="utf-8")):  # as long as the process
        out.put(("done", seed, asyncio.run(_ingested(payloads, seed, out)), None))


async def _ingested(payloads: int, seed: int, out: Any) -> dict[str, object]:
    told = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with ingesting(Path(folder), seed) as work:
            fault = ""
            try:
                while work.sent < payloads:
                    await work.round()
                    if time.monotonic() - told > SAY_EVERY_S:
                        told = time.monotonic()
                        out.put(("ingest", seed, work.sent, 0))
                await work.ended()
            except IngestViolationError as error:
                fault = str(error)
            kept = len(await work.store.kept())
    return {
        "sent": work.sent, "batches": work.tracks, "bad": sum(p.bad for p in work.places.values()), "kept": kept,
        "slowest_s": round(work.slowest_s, 2), "fault": fault,
    }  # fmt: skip


def _shared(work: Any, payloads: int, seeds: list[int], began: float) -> list[Any]:
    """The same work in a process for each seed; progress is told as it comes."""
    out: Any = multiprocessing.Queue()
    share = -(-payloads // len(seeds))
    processes = [multiprocessing.Process(target=work, args=(share, seed, out), daemon=True) for seed in seeds]
    for process in processes:
        process.start()
    done: list[Any] = []
    while len(done) < len(processes):
        try:
            kind, seed, value, broken = out.get(timeout=5)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                break
            continue
        if kind == "done":
            done.append(value)
        else:
            print(f"{time.monotonic() - began:7.0f} s  seed {seed}: {kind} {value}, violations {broken}", flush=True)
    for process in processes:
        process.join(10)
    return done


def main() -> int:
    """The run and its table; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--payloads", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--broker", type=int, default=3000, help="how many go through Mosquitto and a hub process")
    args = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if args.seed is None else args.seed
    seeds, began = [seed + i for i in range(args.processes)], time.monotonic()
    print(f"{args.payloads} payloads, --seed {seed}", flush=True)
    flow = args.payloads // 100
    decoded = _shared(_decode, args.payloads - flow - args.broker, seeds, began)
    ingested = _shared(_ingest, flow, seeds, began)
    fault, brokered = "", dict[str, object]()
    if args.broker:
        with tempfile.TemporaryDirectory() as folder:
            try:
                brokered = asyncio.run(through_the_broker(Path(folder), args.broker, seed))
            except AssertionError as error:
                fault = f"through the broker: {error}"
    return _told(decoded, ingested, brokered, faults=[fault, *_missing(decoded, ingested, args.processes)], began=began)


def _missing(decoded: list[Any], ingested: list[Any], processes: int) -> list[str]:
    faults = [str(one["fault"]) for one in ingested]
    return faults if len(decoded) == len(ingested) == processes else [*faults, "a process has ended before its time"]


def _told(
    decoded: list[Any], ingested: list[Any], brokered: dict[str, object], *, faults: list[str], began: float
) -> int:
    whole = Result()
    for one in decoded:
        whole.add(one)
    print(f"{'decoder':<10} {'payloads':>9} {'taken':>8} {'slowest':>9} {'a payload':>10}")
    for name, one in whole.tallies.items():
        mean = one.busy_s / max(1, one.sent) * 1e6
        print(f"{name:<10} {one.sent:>9} {one.taken:>8} {one.slowest_s * 1000:>6.0f} ms {mean:>7.0f} µs")
    for some in ingested:
        print(f"ingest: {some}")
    print(f"broker: {brokered}")
    for violation in whole.violations:
        print(f"VIOLATION {violation.decoder}: {violation.how}\n  {violation.payload[:2000]!r}")
    for fault in filter(None, faults):
        print(f"VIOLATION {fault}")
    total = whole.sent + sum(one["sent"] for one in ingested) + int(str(brokered.get("sent", 0)))
    broken = whole.broken + sum(map(bool, faults))
    print(f"{total} payloads in {time.monotonic() - began:.0f} s, {broken} violations")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
