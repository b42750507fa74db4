"""One life and its cuts, in a folder in memory."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.power import agent_judge, agent_life, hub_judge, hub_life

CUTS_A_LIFE = 60
MEMORY = Path("/dev/shm")  # a file system in memory, where there is one


@dataclass(slots=True)
class Sum:
    """What was found."""

    cuts: int = 0
    lives: int = 0
    longest_ms: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Sum") -> None:
        """Take another one in."""
        self.cuts, self.lives = self.cuts + other.cuts, self.lives + other.lives
        self.longest_ms = max(self.longest_ms, other.longest_ms)
        self.counts += other.counts
        self.wrong += other.wrong


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        life, cut = Path(folder) / "life", Path(folder) / "cut"
        life.mkdir()
        cut.mkdir()
        yield life, cut


async def agent_cuts(seed: int, *, bug: str = "", count: int = CUTS_A_LIFE) -> Sum:
    """Of an outbox."""
    with _folders() as (folder, cut):
        life = await agent_life.live(seed, folder, bug=bug)
        wrong, longest = await agent_judge.cuts(life, cut, count)
    counts = Counter({"cuts of the outbox": count, "writes, syncs, names": len(life.log.entries)})
    counts["transactions"] = sum(kind == "begin" for _, kind, _ in life.log.marks)
    counts["lives with damage"] = int(life.damaged is not None)
    return Sum(count, 1, longest, counts, wrong)


async def hub_cuts(seed: int, *, bug: str = "", fresh: bool = False, count: int = CUTS_A_LIFE) -> Sum:
    """Of a hub's store; a fresh one is cut while it makes its tables, too."""
    with _folders() as (folder, cut):
        life = await hub_life.live(seed, folder, bug=bug, fresh=fresh)
        wrong = await hub_judge.cuts(life, cut, count)
    counts = Counter({"cuts of the hub's store": count, "writes, syncs, names": len(life.log.entries)})
    counts["transactions"] = sum(kind == "begin" for _, kind, _ in life.log.marks)
    counts["acks sent"] = sum(kind == "ack" for _, kind, _ in life.log.marks)
    return Sum(count, 1, 0, counts, wrong)
