"""`python -m tests.links --full`: every fault of a line with both brokers, and 72 h of backlog over 64 kbit/s."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.links import backlog
from tests.links.faults import FAULTS, Outcome, judge, suffer
from tests.links.tun import possible
from tests.links.yard import BROKERS, Yard, a_line, yard

SPREAD_S = 1.0
MOST_S = 600.0
HOURS = 72


def tell(outcome: Outcome, broker: str) -> None:
    """One row."""
    print(
        f"{broker:<10} {outcome.fault:<15} {outcome.lasted_s:6.0f} s  live p50 {outcome.live_p50_s:6.2f} p95 {outcome.live_p95_s:6.2f} s"
        f"  back after {outcome.back_s:5.2f} s  links lost {outcome.links_lost:3}  memory {outcome.grown / 1e6:+.1f} MB",
        flush=True,
    )


async def faults(broker: str, args: argparse.Namespace) -> list[str]:
    """All faults on one yard; then outbox against store."""
    wrong = []
    with tempfile.TemporaryDirectory(prefix="odograph-links-") as scratch:
        line = a_line(args.line, random.Random(args.seed))
        async with yard(Path(scratch), broker=broker, line=line, patience=f"spread_s = {SPREAD_S:g}\n") as one:
            for fault in FAULTS:
                if args.fault and fault.name not in args.fault:
                    continue
                for lasts_s in fault.lasts_s if args.full else fault.lasts_s[:1]:
                    outcome = await suffer(one, fault, lasts_s)
                    tell(outcome, broker)
                    wrong += judge(outcome, fault, spread_s=SPREAD_S)
            recorded, lost, doubled = await one.proven()
    print(f"{broker:<10} {recorded} fixes recorded, {lost} lost, {doubled} doubled", flush=True)
    return [f"{broker}: {one}" for one in wrong] + (
        [f"{broker}: {lost} lost, {doubled} doubled"] if lost + doubled else []
    )


async def weeks(args: argparse.Namespace) -> list[str]:
    """The backlog."""
    count = round(args.hours * 3600)

    async def prepared(one: Yard) -> None:
        await backlog.preload(one.gateway.outbox, count)

    most_s = MOST_S * count / (HOURS * 3600)
    with tempfile.TemporaryDirectory(prefix="odograph-links-") as scratch:
        line = a_line(args.line, random.Random(args.seed))
        async with yard(
            Path(scratch), broker=args.broker[0], line=line, sampling=backlog.SAMPLING, agent=False, prepared=prepared
        ) as one:
            drained = await backlog.drain(
                one, count, within_s=2 * most_s + 30, sos_every_s=min(20.0, most_s / 10), round_trip_ms=args.round_trip
            )
            recorded, lost, doubled = await one.proven()
    print(
        f"{args.hours:g} h of backlog, {count} fixes over 64 kbit/s with {args.round_trip:g} ms: {drained.took_s:.0f} s, "
        f"{count / drained.took_s:.0f} fixes/s, {drained.up_bytes / 1e6:.2f} MB up; {drained.live} live messages, age p50 "
        f"{drained.live_p50_s:.2f} p95 {drained.live_p95_s:.2f} s; {len(drained.sos)} SOS, "
        f"worst {max(drained.sos, default=float('nan')):.2f} s; {recorded} recorded, {lost} lost, {doubled} doubled",
        flush=True,
    )
    wrong = drained.wrong(most_s=most_s + 20 * (args.hours < HOURS), round_trip_ms=args.round_trip)
    return wrong + ([f"{lost} lost, {doubled} doubled"] if lost + doubled else [])


async def everything(args: argparse.Namespace) -> int:
    """Faults, then the backlog; 1 if anything was not as it must be."""
    print(f"a line of {args.line} ({'packets' if possible() else 'no root: bytes'}), seed {args.seed}", flush=True)
    wrong: list[str] = []
    for broker in args.broker if not args.only_backlog else ():
        wrong += await faults(broker, args)
    if args.hours:
        wrong += await weeks(args)
    for one in wrong:
        print(f"VIOLATION: {one}", flush=True)
    print(f"links: {len(wrong)} violations", flush=True)
    return int(bool(wrong))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.links", description=__doc__)
    parser.add_argument("--full", action="store_true", help="each fault for each of its times, and 72 h of backlog")
    parser.add_argument("--line", choices=("best", "tun", "proxy"), default="best")
    parser.add_argument("--broker", nargs="+", choices=BROKERS, default=list(BROKERS))
    parser.add_argument("--fault", nargs="+", choices=[fault.name for fault in FAULTS], help="only these")
    parser.add_argument("--only-backlog", action="store_true")
    parser.add_argument("--hours", type=float, help="of backlog (default: 72 with --full, else 1)")
    parser.add_argument(
        "--round-trip", type=float, default=backlog.ROUND_TRIP_MS, metavar="MS", help="of the slow line"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    args = parser.parse_args()
    if args.hours is None:
        args.hours = float(HOURS) if args.full else 1.0
    return asyncio.run(everything(args))


if __name__ == "__main__":
    sys.exit(main())
