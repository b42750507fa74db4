"""Live messages, bytes and CPU of the sampler on recorded drives, beside what other rules would have sent.

`python -m bench.live [--data DIR] [--obd FILE]`: DIR is a folder of nds drives (`nds-*.csv`, also gzipped); without it, those of
the tests. FILE is a log with the bus values of a car, which goes beside their positions for the bytes of a fix; without it the
values that the drives lack are made up.
"""

import argparse
import gzip
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agent.core import cost, dynamics, journey, motion, peers, report, sampler
from agent.core.gnss import plausible
from agent.core.tally import ACK, TRACK, Sums
from agent.core.traces import bus
from agent.core.traces.drives import reading_of
from agent.core.traces.reading import read
from agent.replay import Told, through
from wire.codec import decode_live, encode_ack, encode_live
from wire.messages import Ack, Batch, Fix, Reading, Rejected, Row
from wire.schema import row_of
from wire.track import GENESIS, decode_batch, encode_batch

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
UPLOADS_S = (60, 600)
Pairs = list[tuple[Fix, Reading]]


def drive(path: Path) -> Pairs:
    """The fixes of a file with their bus values."""
    drives = read(path.name, path.read_bytes()).drives
    return [(moment.fix, reading_of(moment.values)) for whole in drives for moment in whole.moments]


def compare(paths: list[Path]) -> Sums:
    """Every rule on the same drives; the lines of `odograph-agent replay --compare`, and the share that is not judged."""
    config, sums = journey.Config(), Sums()
    rivals: list[peers.Comparison] = []
    print(f"{'drive':<24}{'fixes':>7}{'live/h':>8}{'max error':>11}   refused or held: all, going")
    for path in paths:
        done = through(path.name, read(path.name, path.read_bytes()), config, Told(), compare=True)
        one, hours = done.sums, done.sums.driven_ms / 3.6e6
        doubted, going = one.refused + one.held, one.going_refused + one.going_held
        print(
            f"{path.name:<24}{one.fixes:>7}{one.messages / hours:>8.0f}{max(one.errors):>9.2f} m"
            f"{doubted / max(1, one.read):>15.1%}, {going / max(1, one.going):.1%}"
        )
        sums.add(one)
        rivals += [done.rivals] if done.rivals is not None else []
    table = peers.rules(config.sampling.eps_m, config.sampling.heartbeat_moving_ms)
    rows = {str(row["rule"]): row for row in peers.pooled(rivals, table).rows(sums.driven_ms)}
    ours = sums.figures(thinned_eps_m=5.0)
    mine = {"name": "this profile", "messages_per_hour": ours["live_per_hour"], "hold_m": None,
            "extrapolate_m": ours["live_error_m"], "bytes_per_hour": None}  # fmt: skip
    print("\n".join(report.comparison([mine, *rows.values()])))
    _ratios(sums, rows)
    return sums


def _ratios(sums: Sums, rows: dict[str, dict[str, object]]) -> None:
    def count(rule: str) -> int:
        return int(str(rows[rule]["messages"]))

    def p95(rule: str, how: str) -> float:
        errors = rows[rule][how]
        return float(errors["p95"]) if isinstance(errors, dict) else 0.0

    mine = sorted(sums.errors)[int(0.95 * len(sums.errors))]
    held, straight = p95("fixed_5s_30s", "hold_m"), p95("fixed_5s_30s", "extrapolate_m")
    print(
        f"messages: {sums.messages / count('linear'):.3f} of linear dead reckoning (must ≤ 0.92), "
        f"{sums.messages / count('fixed_5s_30s'):.3f} of 5 s/30 s (must ≤ 0.58)\n"
        f"error p95: 1/{held / mine:.1f} of 5 s/30 s held (must ≤ 1/10), {mine / straight:.2f} of it extrapolated (must ≤ 0.45)\n"
        f"largest error {max(sums.errors):.3f} m (must ≤ 10)"
    )


def made_up(fix: Fix, reading: Reading, i: int, chance: random.Random) -> Reading:
    """The six bus values, those that the drive lacks made up: slow ones wander as they do in cars."""
    speed_mps = fix.speed_mps or 0.0
    return replace(
        reading, speed_kph=round(speed_mps * 3.6), load_pct=None,
        rpm=reading.rpm if reading.rpm is not None else 4 * round(200 + 12 * speed_mps + chance.gauss(0, 8)),
        coolant_c=min(90, 20 + i // 8), throttle_pct=reading.throttle_pct or 15.0 + chance.randrange(0, 12),
        fuel_pct=round(60 - i / 600 + chance.choice((0.0, 0.0, 0.4, -0.4)), 1),
        voltage_v=14.1 + chance.choice((0.0, 0.0, 0.025, -0.025)),
    )  # fmt: skip


def _logged(path: Path) -> Iterator[Reading]:
    """The bus values of a log, one a second, again from the start when it ends."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    seconds = {at_ms // 1000: reading_of(values) for at_ms, values in bus.read_bus(text)}
    return itertools.cycle(seconds.values())


def rows_of(pairs: Pairs, log: Path | None) -> list[Row]:
    """The track rows of a drive: position of the drive, six bus values."""
    chance = random.Random(1)  # noqa: S311  # values for a bench
    logged = None if log is None else _logged(log)
    readings = (
        made_up(fix, reading, i, chance) if logged is None else replace(next(logged), load_pct=None)
        for i, (fix, reading) in enumerate(pairs)
    )
    return [row_of(fix, reading) for (fix, _), reading in zip(pairs, readings, strict=True)]


def batches(rows: list[Row], size: int) -> list[tuple[Batch, bytes]]:
    """The rows in batches, and each as sent."""
    out = []
    for start in range(0, len(rows) - size + 1, size):
        numbered = tuple((start + i + 1, row) for i, row in enumerate(rows[start : start + size]))
        batch = Batch(GENESIS, start + 1, start + size, 1, GENESIS, GENESIS, numbered)
        payload = encode_batch(batch)
        if decode_batch(payload) != batch:
            raise RuntimeError("the track did not come back as it went")
        out.append((batch, payload))
    return out


def bytes_of_a_fix(drives: list[Pairs], log: Path | None) -> dict[int, float]:
    """Air bytes a second of the track by upload interval; prints what a fix costs."""
    air = {}
    told = "six bus values of a log" if log else "six bus values, those that the drives lack made up"
    print(f"track, GNSS and {told}; every batch comes back bit by bit:")
    for every_s in UPLOADS_S:
        sent = [payload for pairs in drives for _, payload in batches(rows_of(pairs, log), every_s)]
        heads = [payload.index(b"\n") + 1 for payload in sent]
        body = (sum(map(len, sent)) - sum(heads)) / (len(sent) * every_s)
        ack = len(encode_ack(Ack(GENESIS, 999_999, GENESIS, live_ms=1_760_000_000_000)))
        air[every_s] = sum(
            cost.publish_bytes(TRACK, len(payload)) + cost.publish_bytes(ACK, ack, qos=0) for payload in sent
        ) / (len(sent) * every_s)
        most = {60: "13.5", 600: "10.5"}[every_s]
        print(
            f"  batches of {every_s:3}: body {body:5.2f} B a fix (must ≤ {most}), header at most {max(heads)} B (must ≤ 120)"
        )
    return air


def live_bytes(drives: list[Pairs]) -> None:
    """The size of live messages with an accuracy and without optional keys."""
    sizes = []
    for pairs in drives:
        state = journey.State()
        for fix, _ in pairs:
            state, passed = journey.step(state, replace(fix, accuracy_m=2.7), Reading(), journey.Config())
            if not isinstance(passed, Rejected) and passed.live is not None:
                sizes.append(len(encode_live(replace(decode_live(passed.live), waiting=None))))
    sizes.sort()
    print(
        f"live payload without optional keys: p50 {sizes[len(sizes) // 2]} B, p99 {sizes[int(0.99 * len(sizes))]} B (must ≤ 145)"
    )


def _us_a_fix(work: Callable[[], object], fixes: int) -> float:
    took = []
    for _ in range(5):
        before = time.process_time()
        work()
        took.append(time.process_time() - before)
    return min(took) / fixes * 1e6


def cpu(drives: list[Pairs], log: Path | None) -> None:
    """What sampler and codec take, the least of five runs."""
    pairs = max(drives, key=len)
    rows = rows_of(pairs, log)

    def sample() -> None:
        judging, state, trend, moves, config = (
            plausible.State(),
            sampler.State(),
            dynamics.State(),
            motion.State(),
            sampler.Config(),
        )
        for fix, reading in pairs:
            judging, _ = plausible.step(judging, fix)
            trend, moves = dynamics.step(trend, fix, reading), motion.step(moves, fix, reading)
            state, live = sampler.step(state, fix, reading, moves.motion, config, trend=trend.trend)
            if live is not None:
                state = sampler.acknowledged(sampler.sending(state, live), live)

    print(f"sampler with filter, trend and motion {_us_a_fix(sample, len(pairs)):.1f} µs a fix (must ≤ 20)", end="; ")
    for size in UPLOADS_S:
        ready = batches(rows, size)
        count = size * len(ready)
        if ready:
            packs = _us_a_fix(lambda ready=ready: [encode_batch(batch) for batch, _ in ready], count)  # type: ignore[misc]  # bound here
            opens = _us_a_fix(lambda ready=ready: [decode_batch(payload) for _, payload in ready], count)  # type: ignore[misc]  # bound here
            print(f"codec at {size}: {packs:.1f} + {opens:.1f} µs", end="; ")
    print("(must ≤ 20)")


def main(folder: Path = RECORDINGS, log: Path | None = None) -> None:
    """Print all of it."""
    paths = sorted(folder.glob("nds-*.csv*"))
    sums = compare(paths)
    drives = [drive(path) for path in paths]
    air = bytes_of_a_fix(drives, log)
    live_bytes(drives)
    hours = sums.driven_ms / 3.6e6
    for every_s, most in zip(UPLOADS_S, (195, 165), strict=True):
        live = sums.live_air_bytes / hours / 1000
        print(
            f"an hour of driving over TLS, acks included, upload every {every_s} s: live {live:.0f} kB + track "
            f"{air[every_s] * 3.6:.0f} kB = {live + air[every_s] * 3.6:.0f} kB (must ≤ {most})"
        )
    cpu(drives, log)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=RECORDINGS, help="folder of nds drives")
    options.add_argument("--obd", type=Path, help="log of bus values")
    chosen = options.parse_args()
    main(chosen.data, chosen.obd)
