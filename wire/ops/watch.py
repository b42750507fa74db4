"""One call for what happens: `watch("nmea.rejected", reason="checksum")` counts it, and logs it where the table says so.

A program declares its events once, in its `events.py`. Standard library only, so flow and adapters may import this.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

QUIET = 0


@dataclass(frozen=True, slots=True)
class Happening:
    """One kind of event: its name, what it means, at which level it is logged (0: only counted).

    `labels` are the keys that split the counter; every other key of a call goes into the log line only.
    """

    name: str
    about: str
    level: int = QUIET
    labels: tuple[str, ...] = ()


class WatchCall(Protocol):
    """How flow and adapters see a `Watch`."""

    def __call__(self, name: str, /, n: int = 1, **details: object) -> None:
        """Count `n` of an event and log it as declared."""


class Watch:
    """Counters and log lines of one program. An event that is not declared is a bug and raises KeyError."""

    def __init__(self, program: str, happenings: Iterable[Happening]) -> None:
        self._program = program
        self._known = {happening.name: happening for happening in happenings}
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._log = logging.getLogger(f"odograph.{program}")

    def __call__(self, name: str, /, n: int = 1, **details: object) -> None:
        """Count `n` of an event and log it as declared."""
        happening = self._known[name]
        self._counts[name, tuple(str(details.get(label, "")) for label in happening.labels)] += n
        if happening.level and self._log.isEnabledFor(happening.level):
            told = " ".join(f"{key}={value}" for key, value in details.items())
            self._log.log(happening.level, "%s: %s%s", name, happening.about, f" ({told})" if told else "")

    def count(self, name: str, **labels: str) -> int:
        """How often an event was counted; with labels, only those that match."""
        known = self._known[name].labels
        return sum(
            n
            for (event, values), n in self._counts.items()
            if event == name and all(values[known.index(key)] == value for key, value in labels.items())
        )

    def counts(self, name: str, label: str) -> dict[str, int]:
        """How often an event was counted, by the values of one of its labels, the most frequent first."""
        at = self._known[name].labels.index(label)
        found: Counter[str] = Counter()
        for (event, values), n in self._counts.items():
            if event == name:
                found[values[at]] += n
        return dict(found.most_common())

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Declare a value that is read when metrics are asked for."""
        self._gauges[name] = (about, read)

    def render(self) -> str:
        """Everything in the Prometheus text format, version 0.0.4."""
        lines: list[str] = []
        for happening in self._known.values():
            metric = f"odograph_{self._program}_{happening.name.replace('.', '_').replace('-', '_')}_total"
            lines += [f"# HELP {metric} {happening.about}", f"# TYPE {metric} counter"]
            rows = [(values, n) for (event, values), n in sorted(self._counts.items()) if event == happening.name]
            lines += [f"{metric}{_labels(happening.labels, values)} {n}" for values, n in rows] or [f"{metric} 0"]
        for name, (about, read) in self._gauges.items():
            metric = f"odograph_{self._program}_{name}"
            lines += [f"# HELP {metric} {about}", f"# TYPE {metric} gauge", f"{metric} {read():g}"]
        return "\n".join(lines) + "\n"


def _labels(keys: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not keys:
        return ""
    escaped = (value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for value in values)
    return "{" + ",".join(f'{key}="{value}"' for key, value in zip(keys, escaped, strict=True)) + "}"
