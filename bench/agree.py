"""Our decoder held against gpsd's own output: a folder of NAME.log and NAME.expected-gpsd-head.txt, each also as .gz."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.receiver import Reader
from wire.iso import from_iso
from wire.messages import Rejected

EXPECTED = ".expected-gpsd-head.txt"
POSITION_DEG, SPEED_MPS, COURSE_DEG, SHARE = 2e-7, 0.1, 0.1, 0.98
CHUNK = 4096
Said = dict[str, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One recording: how many moments gpsd tells, how many of them we do, and what differs in those."""

    name: str
    readable: bool
    theirs: int
    common: int
    differences: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Nearly all of gpsd's times are there, and nothing differs at any of them."""
        return self.common >= SHARE * self.theirs and not self.differences


def content(path: Path) -> bytes:
    """The file, or its packed twin."""
    packed = path.with_name(path.name + ".gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def names(folder: Path) -> list[str]:
    """The recordings of a folder that have gpsd's output beside them."""
    found = {path.name.removesuffix(".gz") for path in folder.iterdir()}
    return sorted(
        name.removesuffix(".log") for name in found
        if name.endswith(".log") and name.removesuffix(".log") + EXPECTED in found
    )  # fmt: skip


def theirs(text: bytes) -> dict[int, Said]:
    """The last TPV of each time."""
    out: dict[int, Said] = {}
    for line in text.splitlines():
        if line.startswith(b'{"class":"TPV"'):
            report = json.loads(line)
            if "time" in report:
                out[from_iso(report["time"])] = {
                    key: report[key] for key in ("mode", "lat", "lon", "speed", "track") if key in report
                }
    return out


def ours(data: bytes) -> tuple[dict[int, Said], bool]:
    """Our last epoch of each time, in gpsd's words, and whether the stream was one that we read: not only another binary."""
    reader = Reader()
    told = [item for at in range(0, len(data), CHUNK) for item in reader.feed(data[at : at + CHUNK])] + reader.end()
    out: dict[int, Said] = {}
    for epoch in told:
        if isinstance(epoch, Epoch) and epoch.at_ms is not None:
            said = {
                "mode": epoch.mode, "lat": epoch.lat_deg, "lon": epoch.lon_deg, "speed": epoch.speed_mps,
                "track": epoch.course_deg,
            }  # fmt: skip
            out[epoch.at_ms] = {key: value for key, value in said.items() if value is not None}
    foreign = any(isinstance(item, Rejected) and item.reason == "foreign" for item in told)
    return out, reader.heard > 0 and bool(out or not foreign)


def _differs(expected: Said, got: Said) -> Iterator[str]:
    if expected["mode"] != got["mode"]:
        yield f"mode {expected['mode']} ours {got['mode']}"
    for key, tolerance in (("lat", POSITION_DEG), ("lon", POSITION_DEG), ("speed", SPEED_MPS), ("track", COURSE_DEG)):
        a, b = expected.get(key), got.get(key)
        if a is None or b is None:
            if a is not b:
                yield f"{key} {a} ours {b}"
            continue
        gap = abs(a - b)
        if (min(gap, 360 - gap) if key == "track" else gap) > tolerance:
            yield f"{key} {a} ours {b}"


def agreement(folder: Path, name: str) -> Agreement:
    """Compare one recording."""
    expected = theirs(content(folder / (name + EXPECTED)))
    got, readable = ours(content(folder / f"{name}.log"))
    common = sorted(expected.keys() & got.keys())
    differences = [f"{at_ms}: {text}" for at_ms in common for text in _differs(expected[at_ms], got[at_ms])]
    return Agreement(name, readable, len(expected), len(common), tuple(differences))


def table(folder: Path) -> int:
    """Print how each recording compares; gives how many of those that we can read do not agree."""
    found = [agreement(folder, name) for name in names(folder)]
    read = [each for each in found if each.readable]
    print(f"{'recording':<40} {'times':>6} {'found':>6} {'differ':>6}")
    for each in found:
        word = (
            ""
            if each.agrees and each.readable
            else "does not agree"
            if each.readable
            else "neither NMEA nor UBX: for gpsd"
        )
        print(f"{each.name:<40} {each.theirs:>6} {each.common:>6} {len(each.differences):>6} {word}")
        for line in each.differences[:3] if each.readable else ():
            print(f"    {line}")
    good = sum(each.agrees for each in read)
    print(f"{good} of {len(read)} recordings agree: {100 * good / max(1, len(read)):.1f} %")
    return len(read) - good
