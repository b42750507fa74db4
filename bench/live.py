"""Live messages and bytes on real drives: our sampler beside the fixed rule of 5 s, and what a track row costs."""

import csv
import gzip
import io
from pathlib import Path

from agent.core import sampler
from agent.core.motion import Motion
from wire.geo import distance_m
from wire.messages import Batch, Fix, Live, Reading
from wire.predict import predict
from wire.schema import row_of
from wire.track import GENESIS, encode_batch

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
DRIVES = ("nds-drive06.csv", "nds-drive10.csv.gz", "nds-drive33.csv.gz")
MPH = 0.44704


def drive(name: str) -> list[tuple[Fix, Reading]]:
    """A drive with its rpm and throttle."""
    raw = (RECORDINGS / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    out: list[tuple[Fix, Reading]] = []
    for row in csv.DictReader(io.StringIO(text)):
        fix = Fix(
            int(row["time_utc"]) * 1000, float(row["gps_lat"]), float(row["gps_long"]), float(row["gps_elevation"]),
            float(row["speed_mph"]) * MPH, float(row["gps_heading_raw"] or 0), hdop=float(row["gps_hdop"]),
            sats_used=int(row["gps_sats"]),
        )  # fmt: skip
        rpm, throttle = row["engine_rpm"], row["engine_throttle"]
        reading = Reading(rpm=float(rpm) if rpm else None, throttle_pct=float(throttle) if throttle else None)
        if not out or fix.at_ms > out[-1][0].at_ms:
            out.append((fix, reading))
    return out


def adaptive(fixes: list[tuple[Fix, Reading]]) -> tuple[int, list[float]]:
    """Messages, and the error each second, with every message acknowledged at once."""
    state, count, errors = sampler.State(), 0, []
    for fix, reading in fixes:
        state, live = sampler.step(state, fix, reading, Motion.MOVING, sampler.Config())
        if live is not None:
            state = sampler.acknowledged(sampler.sending(state, live), live)
            count += 1
        if state.acked is not None:
            errors.append(_error_m(state.acked, fix))
    return count, errors


def fixed(fixes: list[tuple[Fix, Reading]], *, every_s: int, extrapolate: bool) -> tuple[int, list[float]]:
    """A message every so many seconds; the hub holds the last point, or goes straight on."""
    last: Live | None = None
    count, errors = 0, []
    for fix, reading in fixes:
        if last is None or fix.at_ms - last.at_ms >= every_s * 1000:
            last, count = sampler.live_of(fix, reading, sampler.Config(), waiting=0), count + 1
        errors.append(
            _error_m(last, fix) if extrapolate else distance_m(last.lat_deg, last.lon_deg, fix.lat_deg, fix.lon_deg)
        )
    return count, errors


def _error_m(live: Live, fix: Fix) -> float:
    return distance_m(*predict(live, fix.at_ms), fix.lat_deg, fix.lon_deg)


def _bytes_per_fix(fixes: list[tuple[Fix, Reading]]) -> float:
    total, rows = 0, [row_of(fix, reading) for fix, reading in fixes]
    for start in range(0, len(rows) - 59, 60):
        numbered = tuple((start + i + 1, row) for i, row in enumerate(rows[start : start + 60]))
        total += len(encode_batch(Batch(GENESIS, start + 1, start + 60, 1, GENESIS, GENESIS, numbered)))
    return total / (len(rows) // 60 * 60)


def main() -> None:
    """Print the table."""
    drives = [drive(name) for name in DRIVES]
    hours = sum((fixes[-1][0].at_ms - fixes[0][0].at_ms) / 3.6e6 for fixes in drives)
    rows = {
        "dead reckoning, ε = 10 m (ours)": [adaptive(fixes) for fixes in drives],
        "every 5 s, hub extrapolates": [fixed(fixes, every_s=5, extrapolate=True) for fixes in drives],
        "every 5 s, hub holds": [fixed(fixes, every_s=5, extrapolate=False) for fixes in drives],
        "every 1 s": [fixed(fixes, every_s=1, extrapolate=False) for fixes in drives],
    }
    print(f"live messages on {len(drives)} recorded drives, {hours:.2f} h          an hour   error p95   max")
    for name, outcomes in rows.items():
        errors = sorted(error for _, some in outcomes for error in some)
        count = sum(n for n, _ in outcomes)
        print(f"  {name:<48} {count / hours:8.0f} {errors[int(0.95 * len(errors))]:8.1f} m {errors[-1]:6.1f} m")
    print(
        f"track, batches of 60 fixes with rpm and throttle: {_bytes_per_fix(drives[2]):.1f} bytes a fix, header included"
    )


if __name__ == "__main__":
    main()
