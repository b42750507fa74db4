"""Very many payloads through every decoder, bounded in time and memory; what breaks a rule is kept as it was."""

import contextlib
import random
import resource
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.fuzz.decoders import DECODERS, Decoder
from tests.fuzz.mutate import Mutator

MOST_S = 1.0
"""A payload that takes more than this of the processor is a violation."""
ALARM_S = 20
ROOM_BYTES = 512 << 20
"""A decoder that asks for more memory than this beyond what the process has gets none, which is a violation."""
KEPT = 20


class TooSlowError(Exception):
    """A decoder did not come back."""


@dataclass(slots=True)
class Violation:
    """What broke a rule: the decoder, the payload, and how."""

    decoder: str
    payload: bytes
    how: str


@dataclass(slots=True)
class Tally:
    """One decoder's payloads: how many, how many of them were taken, and the slowest."""

    sent: int = 0
    taken: int = 0
    slowest_s: float = 0.0
    busy_s: float = 0.0


@dataclass(slots=True)
class Result:
    """A run."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    broken: int = 0

    @property
    def sent(self) -> int:
        """All payloads."""
        return sum(one.sent for one in self.tallies.values())

    def add(self, other: "Result") -> None:
        """Take in what another process found."""
        for name, one in other.tallies.items():
            mine = self.tallies.setdefault(name, Tally())
            mine.sent, mine.taken = mine.sent + one.sent, mine.taken + one.taken
            mine.slowest_s, mine.busy_s = max(mine.slowest_s, one.slowest_s), mine.busy_s + one.busy_s
        self.violations = (self.violations + other.violations)[:KEPT]
        self.broken += other.broken


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Little memory more than there is now, and an alarm for what never ends."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    now = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGVTALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, now[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, now)
        signal.signal(signal.SIGVTALRM, before)


def tried(decoder: Decoder, payload: bytes, tally: Tally) -> str:
    """One payload; gives how it broke a rule, or nothing."""
    signal.setitimer(signal.ITIMER_VIRTUAL, ALARM_S)
    began = time.thread_time()
    try:
        tally.taken += decoder.check(payload)
    except (Exception, TooSlowError) as error:  # noqa: BLE001  # whatever it is, it is what we look for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({place.filename.rpartition('/')[2]}:{place.lineno})"
    finally:
        took_s = time.thread_time() - began
        tally.sent += 1
        tally.busy_s += took_s
        tally.slowest_s = max(tally.slowest_s, took_s)
    return f"took {took_s:.1f} s" if took_s > MOST_S else ""


def run(payloads: int, seed: int, decoders: Sequence[Decoder] = DECODERS) -> Iterator[Result]:
    """So many payloads, shared out by weight; gives the result again and again, the last time when it is complete."""
    chance = random.Random(seed)  # no secret
    result = Result({one.name: Tally() for one in decoders})
    mutators = {one.name: Mutator(chance, one.corpus(), one.words) for one in decoders}
    seen: set[str] = set()
    for one in decoders:  # what is real is taken
        for payload in one.corpus():
            _note(result, seen, one, one.seal(payload, random.Random(1)))
    names = [one for one in decoders for _ in range(one.weight)]
    with bounded():
        while result.sent < payloads:
            decoder = chance.choice(names)
            _note(result, seen, decoder, decoder.seal(mutators[decoder.name].one(), chance))
            if result.tallies[decoder.name].sent % 20_000 == 0:
                yield result
    yield result


def _note(result: Result, seen: set[str], decoder: Decoder, payload: bytes) -> None:
    how = tried(decoder, payload, result.tallies[decoder.name])
    if how:
        result.broken += 1
        kind = f"{decoder.name} {how.partition(':')[0]} {how.rpartition('(')[2]}"
        if kind not in seen and len(result.violations) < KEPT:
            seen.add(kind)
            result.violations.append(Violation(decoder.name, payload, how))
