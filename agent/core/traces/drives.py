"""What a trace holds: drives of moments. How a file's points become drives: cut at long gaps, put in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

from wire.geo import bearing_deg, distance_m
from wire.messages import Fix, Reading
from wire.signals import SIGNALS

NO_VALUES: Mapping[str, float] = MappingProxyType({})
ANEW_MS = 3_600_000
"""A vehicle that was silent for an hour begins a new drive."""
AGREEING = 3
"""So many moments behind a leap must stand by it: one wrong date makes no new drive."""
LEAST_WAY_M = 0.5
MOST_MPS = 150.0
"""A place that would need more has jumped: it says nothing about speed and course."""
FIELDS = {signal.key: signal.field for signal in SIGNALS}


@dataclass(frozen=True, slots=True)
class Moment:
    """A fix, and the bus values of its second by wire key; `ig` is the ignition, 0 or 1."""

    fix: Fix
    values: Mapping[str, float] = field(default_factory=lambda: NO_VALUES)


@dataclass(frozen=True, slots=True)
class Drive:
    """Moments of one vehicle in the order of the file. `name` is what the file calls it."""

    name: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole file: its format, its drives, and how many lines could not be used, by reason."""

    kind: str
    drives: tuple[Drive, ...]
    broken: Mapping[str, int] = field(default_factory=dict)


def reading_of(values: Mapping[str, float]) -> Reading:
    """The bus values as the agent has them."""
    if not values:
        return Reading()
    known = {FIELDS[key]: value for key, value in values.items() if key in FIELDS}
    ignition = values.get("ig")
    return Reading(**known, ignition=None if ignition is None else ignition > 0.0)


def drives_of(name: str, moments: Sequence[Moment]) -> Iterator[Drive]:
    """The drives of one vehicle, as told: what a receiver left out, the agent's own cores derive."""
    if _runs_backwards(moments):
        moments = sorted(moments, key=lambda moment: moment.fix.at_ms)
    parts = list(_cut(moments))
    for number, part in enumerate(parts, 1):
        called = f"{name} {number}".strip() if len(parts) > 1 else name
        yield Drive(called, tuple(part))


def _runs_backwards(moments: Sequence[Moment]) -> bool:
    """Whether the file has its newest moment first."""
    steps = [late.fix.at_ms - early.fix.at_ms for early, late in pairwise(moments)]
    return sum(step < 0 for step in steps) > len(steps) / 2


def _cut(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    part: list[Moment] = []
    settled_ms = 0
    for i, moment in enumerate(moments):
        leaps = bool(part) and abs(moment.fix.at_ms - settled_ms) >= ANEW_MS
        if leaps and _stand_by(moments, i):
            yield part
            part, leaps = [], False
        if not leaps:
            settled_ms = moment.fix.at_ms
        part.append(moment)
    if part:
        yield part


def _stand_by(moments: Sequence[Moment], i: int) -> bool:
    """Whether those behind a leap are near it in time."""
    behind = moments[i + 1 : i + 1 + AGREEING]
    return bool(behind) and all(abs(other.fix.at_ms - moments[i].fix.at_ms) < ANEW_MS for other in behind)


def with_speeds(moments: Sequence[Moment]) -> Iterator[Moment]:
    """The moments with the speeds and courses that are missing: a receiver that is played tells both."""
    before: Fix | None = None
    for moment in moments:
        fix = derived(before, moment.fix)
        if before is None or fix.at_ms > before.at_ms:
            before = fix
        yield Moment(fix, moment.values)


def derived(before: Fix | None, fix: Fix) -> Fix:
    """The fix with the speed and the course that it lacks, from the way since the one before."""
    if fix.speed_mps is not None and fix.course_deg is not None:
        return fix
    if before is None or fix.at_ms <= before.at_ms:
        return fix if fix.speed_mps is not None else replace(fix, speed_mps=0.0)
    way_m = distance_m(before.lat_deg, before.lon_deg, fix.lat_deg, fix.lon_deg)
    if way_m * 1000.0 > MOST_MPS * (fix.at_ms - before.at_ms):
        return replace(
            fix,
            speed_mps=before.speed_mps if fix.speed_mps is None else fix.speed_mps,
            course_deg=before.course_deg if fix.course_deg is None else fix.course_deg,
        )
    course = before.course_deg
    if fix.course_deg is not None:
        course = fix.course_deg
    elif way_m > LEAST_WAY_M:
        course = bearing_deg(before.lat_deg, before.lon_deg, fix.lat_deg, fix.lon_deg)
    speed = way_m * 1000.0 / (fix.at_ms - before.at_ms) if fix.speed_mps is None else fix.speed_mps
    return replace(fix, speed_mps=speed, course_deg=course)
