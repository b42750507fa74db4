"""What is known of an adapter and its vehicle beyond one opening of the port: what works, what was found, what went wrong."""

from collections import Counter, deque
from dataclasses import dataclass, field
from statistics import median

from agent.core.obd.commands import MOST_PIDS, PROTOCOL_NAMES
from agent.core.obd.dtc import Codes
from agent.core.obd.words import Readiness

PROOFS, FAILURES, RENEWALS = 2, 3, 3


@dataclass(slots=True)
class Trick:
    """Something that an adapter may or may not be able to do: believed after some proofs, given up after failures."""

    proofs: int = 0
    failures: int = 0
    refused: bool = False
    renewals: int = 0

    @property
    def proven(self) -> bool:
        return self.proofs >= PROOFS and not self.refused

    def worked(self) -> None:
        self.proofs += 1
        self.failures = 0

    def failed(self) -> None:
        self.failures += 1
        if self.failures >= (FAILURES if self.proven else PROOFS):
            self.refused = True

    def renewed(self) -> None:
        """The adapter starts afresh: what worked once may work again, a few times."""
        if self.refused and self.proofs >= PROOFS and self.renewals < RENEWALS:
            self.proofs, self.failures, self.refused, self.renewals = 0, 0, False, self.renewals + 1


@dataclass(slots=True)
class Group(Trick):
    """Several parameters in one request: six, and where that fails two, which fit one frame."""

    size: int = MOST_PIDS

    def failed(self) -> None:
        Trick.failed(self)
        if self.refused and self.size > 2:
            self.size, self.proofs, self.failures, self.refused = 2, 0, 0, False


@dataclass(slots=True)
class Memory:
    """Kept by the caller while the port is reopened. `protocol` is the digit that ATDPN told."""

    protocol: str = ""
    banner: str = ""
    description: str = ""
    refused: set[str] = field(default_factory=set)
    digit: Trick = field(default_factory=Trick)
    group: Group = field(default_factory=Group)
    lines: dict[str, int] = field(default_factory=dict)
    """How many lines the answer to a command had: what the digit behind it says."""
    round_trips_ms: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    first_byte_ms: deque[int] = field(default_factory=lambda: deque(maxlen=64))
    answers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    units: tuple[str, ...] = ()
    supported: frozenset[int] = frozenset()
    vin: str = ""
    facts: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """Kind of fact → unit → what it says."""
    codes: Codes | None = None
    freeze: dict[str, float | str | Readiness] = field(default_factory=dict)
    notes: dict[str, str | Readiness] = field(default_factory=dict)
    """Answers that are no numbers, by the names in `wire.signals`."""
    said: str = ""
    timed: bool = False
    """Whether the time-out of the adapter was looked at."""
    quiet: bool = False
    """Nothing but the voltage is asked, every `quiet_voltage_ms`."""
    quiet_voltage_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Report:
    """An adapter and its vehicle, for status and checks. `grade` is genuine, clone or poor, for the `reasons`."""

    adapter: str
    description: str
    grade: str
    reasons: tuple[str, ...]
    protocol: str
    round_trip_ms: float | None
    parameters_a_request: int
    counts_lines: bool
    units: tuple[str, ...]
    vin: str
    facts: dict[str, dict[str, tuple[str, ...]]]
    supported: tuple[str, ...]
    codes: Codes | None
    freeze: dict[str, float | str | Readiness]
    notes: dict[str, str | Readiness]
    faults: dict[str, int]


NEVER_MADE = ("v1.5",)
"""Versions that the maker of the ELM327 never sold."""
BETTER = ("STN", "OBDLINK", "OBDX", "VGATE")
POOR_SHARE, POOR_MS = 0.05, 400
TRIAL = "trial"
"""A request of a kind that was not proven yet came to nothing."""
HARMLESS = frozenset({TRIAL, "no-data", "no-vehicle", "unasked"})
"""Not the adapter's fault."""


def grade(memory: Memory) -> tuple[str, tuple[str, ...]]:
    """What to think of the adapter, and why."""
    name = f"{memory.banner} {memory.description}".upper()
    odd = [f"says {version}, which was never made" for version in NEVER_MADE if version.upper() in name]
    odd += [f"refuses {command}" for command in sorted(memory.refused)]
    odd += ["cannot count lines"] if memory.digit.refused else []
    bad = ["no headers: control units can't be told apart"] if "ATH1" in memory.refused else []
    faults = sum(n for reason, n in memory.faults.items() if reason not in HARMLESS)
    if memory.answers and faults / (memory.answers + faults) > POOR_SHARE:
        bad.append(f"{faults} faults in {memory.answers + faults} answers")
    if len(memory.round_trips_ms) and median(memory.round_trips_ms) > POOR_MS:
        bad.append(f"slow: {median(memory.round_trips_ms):.0f} ms an answer")
    if bad:
        return "poor", tuple(bad + odd)
    if any(word in name for word in BETTER):
        return "genuine", tuple(odd)
    return ("clone" if odd else "genuine"), tuple(odd)


def report(memory: Memory) -> Report:
    """Everything, as of now."""
    graded, reasons = grade(memory)
    trips = memory.round_trips_ms
    return Report(
        memory.banner, memory.description, graded, reasons, PROTOCOL_NAMES.get(memory.protocol, ""),
        float(median(trips)) if trips else None, memory.group.size if memory.group.proven else 1,
        memory.digit.proven, memory.units, memory.vin, memory.facts,
        tuple(f"{pid:02X}" for pid in sorted(memory.supported)), memory.codes, memory.freeze, memory.notes,
        dict(memory.faults),
    )  # fmt: skip
