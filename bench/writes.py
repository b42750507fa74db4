"""What the outbox writes at 1 Hz: bytes and fsyncs a fix and an hour, for commit windows of 1, 5 and 10 s, beside naive ways.

`python -m bench.writes [--hours N] [--recording FILE]`: the recorder's own records of a recorded drive, committed as often as the
window says, acked once a minute and, in a second run, deleted once the hub has had them for a day, as fast as the disk lets it. Bytes are those given to write(2), as the kernel counts them
(`wchar` of /proc/self/io: every write of this process, the side file's included); fsyncs are counted by strace where it is installed.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.adapters.sqlite import SqliteOutbox
from agent.core.dating import Moment
from agent.ports import Kind, Record
from bench import live
from wire.codec import dump
from wire.messages import Reading
from wire.schema import AT_MS, row_of

DRIVE = Path(__file__).parent.parent / "tests" / "recordings" / "nds-drive33.csv.gz"
WINDOWS_S = (1, 5, 10)
ACK_EVERY_S = 60
FORGET_EVERY_S = 3600
BYTES_MOST, FSYNCS_MOST = 600.0, 0.12
BUS = Reading(rpm=1800.0, speed_kph=48.0, coolant_c=88.0, throttle_pct=17.0, load_pct=41.0, fuel_pct=63.0, voltage_v=14.1, ignition=True)  # fmt: skip


def fixes(path: Path, count: int) -> list[Record]:
    """So many fixes of a drive with bus values, one a second; the drive is repeated."""
    rows = [row_of(fix, BUS) for fix, _ in live.drive(path)]
    start_ms = rows[0][AT_MS] or 0
    return [
        Record(
            Kind.FIX,
            Moment(start_ms + 1000 * i, "b007", 1000 * i),
            dump([start_ms + 1000 * i, *rows[i % len(rows)][1:]]),
        )
        for i in range(count)
    ]


def written() -> int:
    """Bytes that this process has given to write(2) so far."""
    found = re.search(r"^wchar: (\d+)$", Path("/proc/self/io").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) if found else 0


async def drive(folder: Path, window_s: int, seconds: int, path: Path, *, forgetting: bool) -> float:
    """Bytes a fix of one window."""
    records = fixes(path, seconds)
    outbox = await SqliteOutbox.open(folder / "outbox.db", now=records[0].moment)
    before = written()
    for at in range(0, seconds, window_s):
        stored = await outbox.put(records[at : at + window_s])
        if (at // window_s + 1) * window_s % ACK_EVERY_S == 0:
            await outbox.settle(stored[-1].seq, stored[-1].h)
        if forgetting and at and at % FORGET_EVERY_S < window_s:
            await outbox.forget(
                (records[at].moment.at_ms or 0) + 24 * 3_600_000
            )  # a day later than it is: the steady state
    total = written() - before
    await outbox.close()
    return total / seconds


def fsyncs(window_s: int, seconds: int, path: Path) -> float | None:
    """Fsyncs a fix, as strace counts them in a process of its own; None without it."""
    if shutil.which("strace") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        inner = [
            sys.executable,
            "-m",
            "bench.writes",
            "--one",
            str(window_s),
            "--seconds",
            str(seconds),
            "--recording",
            str(path),
        ]
        told = subprocess.run(
            ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(log), *inner],
            check=False, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        if told.returncode:
            return None
        counts = re.findall(
            r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*?(?:fsync|fdatasync)\s*$", log.read_text(), re.MULTILINE
        )
    return sum(map(int, counts)) / seconds


def measured(window_s: int, seconds: int, path: Path, *, forgetting: bool = False) -> float:
    """Bytes a fix, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(drive(Path(folder), window_s, seconds, path, forgetting=forgetting))


def main(hours: float = 4.0, path: Path = DRIVE) -> None:
    """Print the table."""
    seconds = round(hours * 3600)
    print(
        f"outbox at 1 Hz, {seconds} fixes with bus values     bytes/fix  MB/hour  with forgetting  fsyncs/fix  fsyncs/hour"
    )
    for window_s in WINDOWS_S:
        size, syncs = measured(window_s, seconds, path), fsyncs(window_s, min(seconds, 7200), path)
        whole = measured(window_s, seconds, path, forgetting=True)
        told = " (no strace)" if syncs is None else f"{syncs:12.3f} {syncs * 3600:12.0f}"
        print(f"  commit window {window_s:2} s {'':<30} {size:8.0f} {size * 3600 / 1e6:8.2f} {whole:16.0f}{told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--recording", type=Path, default=DRIVE)
    parser.add_argument("--one", type=int, help="only one window, quietly: for strace")
    parser.add_argument("--seconds", type=int, default=600)
    chosen = parser.parse_args()
    if chosen.one:
        measured(chosen.one, chosen.seconds, chosen.recording)
    else:
        main(chosen.hours, chosen.recording)
