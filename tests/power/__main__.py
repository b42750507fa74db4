"""`python -m tests.power --cuts 100000 [--seed N]`: power cuts through fresh lives of the outbox and the hub's store. Status 1 on any fault."""

import argparse
import asyncio
import logging
import random
import sys
import time

from tests.power.run import CUTS_A_LIFE, Sum, agent_cuts, hub_cuts

SAY_EVERY_S = 30.0
HUB_EVERY, FRESH_EVERY = 4, 40


async def _all(cuts: int, first: int) -> Sum:
    done, began, said = Sum(), time.monotonic(), time.monotonic()
    seed = first
    while done.cuts < cuts:
        if seed % HUB_EVERY == 0:
            done.add(await hub_cuts(seed, fresh=seed % FRESH_EVERY == 0))
        else:
            done.add(await agent_cuts(seed))
        seed += 1
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            rate = done.cuts / (said - began)
            print(f"{done.cuts} cuts, {done.lives} lives, {len(done.wrong)} faults, {rate:.0f} cuts/s", flush=True)
    return done


def main() -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--cuts", type=int, default=2_000)
    parser.add_argument("--seed", type=int, help="the first life's seed; one life is replayed with --cuts 1")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    first = random.SystemRandom().randrange(1 << 40) if chosen.seed is None else chosen.seed
    began = time.monotonic()
    done = asyncio.run(_all(chosen.cuts, first))
    took = time.monotonic() - began
    print(f"power cuts: {done.cuts} in {done.lives} lives from seed {first}, {CUTS_A_LIFE} a life, {took:.0f} s")
    for name, n in sorted(done.counts.items()):
        print(f"  {name:<28} {n:10}")
    print(f"  {'longest loss, ms':<28} {done.longest_ms:10}")
    print(f"  {'faults':<28} {len(done.wrong):10}")
    for one in done.wrong[:40]:
        print(f"  {one}")
    return int(bool(done.wrong))


if __name__ == "__main__":
    sys.exit(main())
