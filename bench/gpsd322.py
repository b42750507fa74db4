"""Our client of gpsd held against what gpsd 3.22 reports: each report by itself, and the fixes that come out for a vehicle."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.gnss import gpsd
from wire.iso import from_iso
from wire.messages import Fix

PACKED = Path(__file__).parent.parent / "tests" / "recordings" / "gpsd-3.22.jsonl.gz"
EXPECTED = ".expected-gpsd-3.22.txt"
NAME = b"# "
WHY = {
    "bt451": "it begins a day ahead, then steps back: refused as `back-in-time`",
    "garmin-10x": "until then each moment was told once, so the 2D of this one was given out before its 3D came",
    "humminbird-M37": "the recording begins anew 13 s earlier: refused as `back-in-time`, the first telling stands",
    "saab-r4": "between two reports of one moment it says that there is no fix; the first was given out",
    "sirfstarv": "two epochs step back by 1 ms, one is told again after them: refused",
    "telit-he910": "one epoch steps back by 0.3 s: refused as `back-in-time`",
}
"""What differs is what a vehicle is right not to use."""


@dataclass(frozen=True, slots=True)
class Held:
    """One recording: reports with a position and how many became the same fix; moments and how many came out alike."""

    name: str
    reports: int
    reports_same: int
    times: int
    times_same: int


def recordings(source: Path = PACKED) -> Iterator[tuple[str, bytes]]:
    """Names and reports, out of the packed file or a folder of gpsd's own files."""
    if source.is_dir():
        for path in sorted(source.glob("*" + EXPECTED)):
            yield path.name.removesuffix(EXPECTED), path.read_bytes()
        return
    name, lines = "", list[bytes]()
    for line in gzip.decompress(source.read_bytes()).splitlines(keepends=True):
        if line.startswith(NAME):
            if name:
                yield name, b"".join(lines)
            name, lines = line[len(NAME) :].decode().strip(), []
        else:
            lines.append(line)
    yield name, b"".join(lines)


def _same(fix: object, report: dict[str, Any]) -> bool:
    if not isinstance(fix, Fix):
        return False
    got = (fix.at_ms, fix.lat_deg, fix.lon_deg, fix.mode, fix.speed_mps, fix.course_deg)
    told = ("lat", "lon", "mode", "speed", "track")
    return got == (from_iso(report["time"]), *(report.get(key) for key in told))


def held(name: str, text: bytes) -> Held:
    """Compare one recording."""
    reports = [json.loads(line) for line in text.splitlines() if line.startswith(b'{"class":"TPV"')]
    placed = [each for each in reports if each["mode"] > 1 and {"time", "lat", "lon"} <= each.keys()]
    last = {each["time"]: each for each in placed}
    parser = gpsd.Parser()
    out = {item.at_ms: item for item in [*parser.feed(text), *parser.flush()] if isinstance(item, Fix)}
    return Held(
        name, len(placed), sum(_same(gpsd.position(each, {}), each) for each in placed),
        len(last), sum(_same(out.get(from_iso(time)), each) for time, each in last.items()),
    )  # fmt: skip


def table(found: list[Held]) -> str:
    """The recordings in which something differs, and all of them together, as Markdown."""
    rows = [f"| `{each.name}` | {each.reports_same} of {each.reports} | {each.times_same} of {each.times} | {WHY[each.name]} |"
            for each in found if (each.times_same, each.reports_same) != (each.times, each.reports)]  # fmt: skip
    alike = sum(each.times_same == each.times for each in found)
    rows.append(
        f"| all {len(found)} | {sum(e.reports_same for e in found)} of {sum(e.reports for e in found)} "
        f"| {sum(e.times_same for e in found)} of {sum(e.times for e in found)} | {alike} recordings without any difference |"
    )
    head = (
        "| recording | reports that became the same fix | moments given out alike | why not all |\n|---|---|---|---|\n"
    )
    return head + "".join(f"{row}\n" for row in rows)


def pack(folder: Path, target: Path = PACKED) -> None:
    """Make the packed file of a folder of gpsd's own files: only its reports, as they are."""
    out = bytearray()
    for name, text in recordings(folder):
        out += NAME + name.encode() + b"\n"
        out += b"".join(line for line in text.splitlines(keepends=True) if line.startswith(b'{"class":'))
    target.write_bytes(gzip.compress(bytes(out), 9, mtime=0))
