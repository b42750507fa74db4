"""`python -m tests.sim --hours 10000`: worlds from fresh seeds until so many hours are driven; `--seed N` replays one."""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count

from tests.sim.faults import FAULTS
from tests.sim.invariants import INVARIANTS
from tests.sim.world import Result, simulate

AT_ONCE = 16


def replay(seed: int) -> int:
    """One world again, told in full."""
    result = simulate(seed)
    print(result.plan)
    tell(result.happened, result.checks)
    for one in result.broken:
        print(f"{one.at_s:10.3f} s  {one.invariant}: {one.about}")
    return int(bool(result.broken))


def tell(happened: Counter[str], checks: Counter[str]) -> None:
    """How often each fault came, and each invariant was looked at."""
    for name in [*FAULTS, *sorted(happened.keys() - FAULTS.keys())]:
        print(f"fault      {happened[name]:>12,}  {name}")
    for name, about in INVARIANTS.items():
        print(f"invariant  {checks[name]:>12,}  {name}: {about}")


def worlds(first: int, jobs: int) -> Iterator[Result]:
    """Without an end, a few ahead of who asks."""
    if jobs == 1:
        yield from (simulate(seed) for seed in count(first))
        return
    with ProcessPoolExecutor(jobs) as pool:
        seeds, waiting = count(first), list[Future[Result]]()
        try:
            while True:
                waiting += [pool.submit(simulate, next(seeds)) for _ in range(AT_ONCE - len(waiting))]
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def soak(hours: float, first: int, jobs: int) -> int:
    """Until so many hours have been driven; 1 if anything broke."""
    started_s, driven_h, lasted_h, records, broken, done = time.monotonic(), 0.0, 0.0, 0, 0, 0
    happened: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    for result in worlds(first, jobs):
        done, records = done + 1, records + result.records
        driven_h, lasted_h = driven_h + result.driven_s / 3600.0, lasted_h + result.lasted_s / 3600.0
        happened += result.happened
        checks += result.checks
        if result.broken:
            broken += 1
            one = result.broken[0]
            print(f"BROKEN: {one.invariant}: {one.about}; python -m tests.sim --seed {result.plan.seed}", flush=True)
        spent_s = time.monotonic() - started_s
        if done % 20 == 0 or driven_h >= hours:
            print(
                f"{driven_h:,.0f} h driven, {driven_h / spent_s:.2f} h/s, {done} worlds, {broken} broken",
                file=sys.stderr,
            )
        if driven_h >= hours:
            break
    tell(happened, checks)
    print(
        f"{driven_h:,.0f} hours driven in {lasted_h:,.0f} hours of {done:,} worlds (seeds from {first}), {records:,} records, "
        f"{checks.total():,} checks, {driven_h / spent_s:.2f} hours a second with {jobs} at a time: {broken} broken"
    )
    return int(broken > 0)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--hours", type=float, default=10_000.0, help="vehicle hours to drive")
    parser.add_argument("--seed", type=int, help="replay this one world")
    parser.add_argument("--from", type=int, dest="first", help="the first seed; without it a fresh one")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.seed is not None:
        return replay(args.seed)
    first = random.SystemRandom().randrange(1 << 40) if args.first is None else args.first
    return soak(args.hours, first, args.jobs)


if __name__ == "__main__":
    raise SystemExit(main())
