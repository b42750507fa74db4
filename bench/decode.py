"""Our decoder, bytes to fixes, beside pynmeagps and pyubx2, which only parse messages: one run, CPU time as ratio.

`python -m bench.decode --against FOLDER` holds it against gpsd's own output instead; `--against-322` our client of gpsd
against the reports of gpsd 3.22.
"""

import argparse
import gzip
import importlib.util
import io
import time
from collections.abc import Callable
from pathlib import Path

from pynmeagps.nmeareader import NMEAReader

from agent.core.gnss.receiver import Parser
from bench import gpsd322
from bench.agree import content, table
from wire.messages import Fix

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
NMEA = RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz"
UBX = RECORDINGS / "gpsd" / "ublox-glo.log"
ROUNDS = 3
RATE_HZ = 20


def _ours(raw: bytes) -> int:
    parser, fixes = Parser(), 0
    for start in range(0, len(raw), 512):
        fixes += sum(isinstance(item, Fix) for item in parser.feed(raw[start : start + 512]))
    return fixes


def _pynmeagps(raw: bytes) -> int:
    return sum(1 for _ in NMEAReader(io.BytesIO(raw), quitonerror=0))


def _pyubx2(raw: bytes) -> int:
    from pyubx2 import UBXReader  # type: ignore[import-not-found]  # installed only where the figure is measured

    return sum(1 for _ in UBXReader(io.BytesIO(raw), protfilter=2, quitonerror=0))


def _best_s(work: Callable[[bytes], int], raw: bytes) -> float:
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work(raw)
        times.append(time.process_time() - begin)
    return min(times)


def _beside(what: str, raw: bytes, peer: tuple[str, Callable[[bytes], int]] | None) -> None:
    fixes = _ours(raw)
    ours_s = _best_s(_ours, raw) / fixes
    line = (
        f"{what}, {fixes} epochs: ours {ours_s * 1e6:.0f} µs an epoch (bytes to fixes), "
        f"{RATE_HZ} Hz take {ours_s * RATE_HZ:.2%} of a core"
    )
    if peer is not None:
        peer_s = _best_s(peer[1], raw) / fixes
        line += f"; {peer[0]} {peer_s * 1e6:.0f} µs (messages only): {peer_s / ours_s:.1f} times"
    print(line)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="NAME.log with NAME.expected-gpsd-head.txt")
    parser.add_argument(
        "--against-322", type=Path, nargs="?", const=gpsd322.PACKED, metavar="FOLDER",
        help=f"NAME{gpsd322.EXPECTED}; those of the repository if absent",
    )  # fmt: skip
    args = parser.parse_args([] if arguments is None else arguments)
    if args.against_322 is not None:
        print(gpsd322.table([gpsd322.held(*each) for each in gpsd322.recordings(args.against_322)]), end="")
        return 0
    if args.against is not None:
        return min(1, table(args.against))
    _beside("NMEA, about 27 sentences an epoch", gzip.decompress(NMEA.read_bytes()), ("pynmeagps", _pynmeagps))
    installed = importlib.util.find_spec("pyubx2") is not None
    _beside("UBX, 10 frames an epoch", content(UBX), ("pyubx2", _pyubx2) if installed else None)
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
