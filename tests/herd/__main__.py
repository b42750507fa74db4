"""`python -m tests.herd --vehicles 10000`: all vehicles lose the broker, then the hub; when is each current again, and at what cost?"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.herd.herd import Plan, site


async def measure(args: argparse.Namespace) -> int:
    """A line for each return; 1 if anything was not as promised."""
    plan = Plan(
        vehicles=args.vehicles,
        spread_s=args.spread,
        ramp_s=max(5.0, args.vehicles / 150),
        every_s=args.every,
        down_s=args.every + 2,
        seed=args.seed,
    )
    print(f"the herd: {plan.vehicles} vehicles, spread {plan.spread_s:g} s, seed {plan.seed}", flush=True)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="odograph-herd-") as scratch:
        async with site(Path(scratch), plan) as yard:
            for what in args.lose:
                returned = await yard.loses(what)
                print(returned.line(), flush=True)
                wrong += returned.wrong(within_s=plan.within_s)
            told = await yard.crowd.order("tell")
            print(
                f"load processes: {sum(one['rss'] for one in told) / 1e6:.0f} MB; counts {returned.counts}", flush=True
            )
    for one in wrong:
        print(f"VIOLATION: {one}", flush=True)
    print(f"the herd: {len(wrong)} violations", flush=True)
    return int(bool(wrong))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.herd", description=__doc__)
    parser.add_argument("--vehicles", type=int, default=10_000)
    parser.add_argument("--spread", type=float, default=60.0, help="the agents' setting spread_s")
    parser.add_argument(
        "--every",
        type=float,
        default=30.0,
        help="seconds between two fixes of a vehicle; the part is away for a little longer",
    )
    parser.add_argument("--lose", nargs="+", choices=("broker", "hub"), default=["broker", "hub"])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
