"""`python -m tests.kills --kills 2000 [--seed N]`: kill -9 at every call of a commit cycle, then of whole processes at random instants."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.kills.sweep import every, why_not
from tests.kills.world import a_world, run

A_WORLD = 100
SAY_EVERY = 50


def _swept(began: float) -> tuple[Counter[str], list[str]]:
    """Every call of both cycles: kills by what, and what was wrong."""
    kills, faults = Counter[str](), list[str]()
    if reason := why_not():
        print(f"no kills at single calls: {reason}", flush=True)
        return kills, faults
    for what in ("outbox", "store"):
        for shot, killed, wrong in every(what):
            kills[f"{what} at a call"] += killed
            faults += [f"{shot}: {fault}" for fault in wrong]
            if kills.total() % SAY_EVERY == 0:
                print(
                    f"{time.monotonic() - began:7.0f} s  {shot}, {kills.total()} kills, {len(faults)} violations",
                    flush=True,
                )
    return kills, faults


async def _world(
    seed: int, kills: int, *, vehicles: int, program: str, whole: bool
) -> tuple[Counter[str], list[str], str, int]:
    """One world in a folder of its own, which is kept when something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    async with a_world(folder, seed, vehicles, program=program, whole=whole) as world:
        line = await run(world, kills)
    if world.faults:
        line += f"; see {folder}"
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return world.kills, world.faults, line, world.fixes


def main() -> int:
    """The run and its table; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--vehicles", type=int, default=4)
    parser.add_argument("--no-calls", action="store_true", help="only whole processes")
    parser.add_argument("--plant", action="store_true", help="an agent with a bug, that must be found")
    args = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if args.seed is None else args.seed
    print(f"{args.kills} kills, --seed {seed}", flush=True)
    began, fixes = time.monotonic(), 0
    kills, faults = (Counter[str](), list[str]()) if args.no_calls or args.plant else _swept(began)
    program, whole = "tests.kills.planted" if args.plant else "agent.cli", not why_not()
    while kills.total() < args.kills:
        wanted = min(A_WORLD, args.kills - kills.total())
        done, wrong, line, some = asyncio.run(
            _world(seed, wanted, vehicles=args.vehicles, program=program, whole=whole)
        )
        kills, faults, fixes = kills + done, faults + wrong, fixes + some
        print(f"{time.monotonic() - began:7.0f} s  seed {seed}: {line}", flush=True)
        seed += 1
    for part, n in sorted(kills.items()):
        print(f"{part:<18} {n:>6}")
    for fault in faults[:30]:
        print(f"VIOLATION {fault}"[:1500])
    print(f"{kills.total()} kills, {fixes} fixes in {time.monotonic() - began:.0f} s, {len(faults)} violations")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
