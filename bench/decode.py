"""Our NMEA parser, bytes to fixes, beside pynmeagps, which only parses sentences: one run, one recording, CPU time as ratio."""

import gzip
import io
import time
from pathlib import Path

from pynmeagps.nmeareader import NMEAReader

from agent.core import nmea
from wire.messages import Fix

RECORDING = Path(__file__).parent.parent / "tests" / "recordings" / "drive-ublox-f9k-mtv-part1.nmea.gz"
ROUNDS = 3


def _ours(raw: bytes) -> int:
    parser, fixes = nmea.Parser(), 0
    for start in range(0, len(raw), 512):
        fixes += sum(isinstance(item, Fix) for item in parser.feed(raw[start : start + 512]))
    return fixes


def _theirs(raw: bytes) -> int:
    return sum(1 for _ in NMEAReader(io.BytesIO(raw), quitonerror=0))


def main() -> None:
    """Print the table."""
    raw = gzip.decompress(RECORDING.read_bytes())
    best = {}
    fixes = _ours(raw)
    for name, work in (("ours", _ours), ("pynmeagps", _theirs)):
        times = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            work(raw)
            times.append(time.process_time() - begin)
        best[name] = min(times)
    per_epoch = {name: seconds / fixes * 1e6 for name, seconds in best.items()}
    print(f"NMEA, {fixes} epochs of about 27 sentences: ours {per_epoch['ours']:.0f} µs an epoch (bytes to fixes), "
          f"pynmeagps {per_epoch['pynmeagps']:.0f} µs (sentences only): {best['pynmeagps'] / best['ours']:.1f} times")  # fmt: skip


if __name__ == "__main__":
    main()
