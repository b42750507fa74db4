"""What can be believed of a damaged outbox: the shape of a record, its place in the hash chain, and what is missing between.

A record counts if it looks like one: its body is what the agent writes, and says the same time as its row. Behind a record that
counts and has the seq before, its hash must fit, too. Of several versions of a record the one that fits the chain is taken.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.dating import Moment, event_body
from agent.core.packing import unpacked
from agent.core.pages import Value
from agent.core.room import SPAN
from wire.codec import MAX_TIME_MS, dump
from wire.kinds import DAMAGED
from wire.schema import AT_MS, COLUMNS, LAT, LON
from wire.track import GENESIS, chain

H = re.compile(r"[A-Za-z0-9_-]{11}")
OPEN, UNDATED = -1, 0
"""What stands in `at_ms` while a record waits for its time, and when it went without."""
FIX, EVENT = "f", "e"
SLACK = 20_000
"""So many records may have come since the side file was written."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record as it stood in the file. `sure` unless it stood where no checksum and no list of pages vouches for it."""

    seq: int
    kind: str
    at_ms: int
    body: bytes
    h: str
    boot: int = 0
    mono_ms: int = 0
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What else a damaged file tells. `lost` are receipts, by their first seq."""

    meta: dict[str, str] = field(default_factory=dict)
    boots: dict[int, str] = field(default_factory=dict)
    lost: dict[int, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """The last record that counted, and its hash."""

    seq: int = 0
    h: str = GENESIS


def record_of(rowid: int | None, columns: Sequence[Value], *, sure: bool = True) -> Found | None:
    """The record that a row of the table is; None if it is another row, or no sound one."""
    if rowid is None or rowid < 1 or len(columns) not in {5, 7} or columns[0] is not None:
        return None
    kind, at_ms, body, h, boot, mono_ms = (*columns[1:], 0, 0)[:6]
    if not isinstance(at_ms, int) or not isinstance(boot, int) or not isinstance(mono_ms, int):
        return None
    if not isinstance(kind, str) or not isinstance(body, bytes) or not isinstance(h, str) or not H.fullmatch(h):
        return None
    body = unpacked(body)
    return Found(rowid, kind, at_ms, body, h, boot, mono_ms, sure) if sound(kind, at_ms, body) else None


def sound(kind: str, at_ms: int, body: bytes) -> bool:
    """Whether a body is one that the agent writes, says the time that its row says, and can be sent as it is."""
    try:
        told = json.loads(body.decode())
        if not isinstance(told, list):
            return False
        return _sound_row(told, at_ms) if kind == FIX else kind == EVENT and _sound_event(told, at_ms)
    except (ValueError, RecursionError):
        return False


def _sound_row(told: list[Any], at_ms: int) -> bool:
    if not LON < len(told) <= len(COLUMNS) or told[LAT] is None or told[LON] is None:
        return False
    if any(
        value is not None and (type(value) is not int or not column.low <= value <= column.high)
        for value, column in zip(told, COLUMNS, strict=False)
    ):
        return False
    return bool(told[AT_MS] == at_ms or (told[AT_MS] is None and at_ms == OPEN))


def _sound_event(told: list[Any], at_ms: int) -> bool:
    """Written anew, because a flipped bit may make a number endless or half a pair of a sign, which nobody could send."""
    if len(told) != 5 or not isinstance(told[1], str) or not isinstance(told[4], dict):
        return False
    dump(told)
    when = told[0]
    if any(place is not None and type(place) not in {int, float} for place in told[2:4]):
        return False
    if type(when) is int:
        return when == at_ms
    if not isinstance(when, list) or len(when) != 2 or not isinstance(when[0], str) or type(when[1]) is not int:
        return False
    return at_ms in {OPEN, UNDATED}


def told_ruined(seq: int, at_ms: int) -> tuple[str, int, bytes, int]:
    """What takes the place of a record that can't be read: kind, time, body, seq."""
    moment = Moment(at_ms) if UNDATED < at_ms < MAX_TIME_MS else Moment(None, "unknown")
    body = event_body(moment, "outbox-damaged", (None, None), {"missing": 1})
    return EVENT, moment.at_ms or UNDATED, body, seq


def learn(facts: Facts, rowid: int | None, columns: Sequence[Value]) -> None:
    """Take in a row of the small tables: `meta`, `boot`, `lost`. Of two that differ the first counts."""
    match columns:
        case [str(key), str(value)] if rowid is None:
            facts.meta.setdefault(key, value)
        case [None, str(name)] if rowid is not None:
            facts.boots.setdefault(rowid, name)
        case [None, int(last), str(reason)] if rowid is not None and 1 <= rowid <= last:
            facts.lost.setdefault(rowid, (last, reason))
        case _:
            pass


def chosen(link: Link, versions: Sequence[Found]) -> Found | None:
    """The version of a record that counts behind `link`, if any does."""
    if link.seq == versions[0].seq - 1:
        return next((one for one in versions if chain(link.h, one.seq, one.body) == one.h), None)
    return max(versions, key=lambda one: one.sure)


def believed(versions: Iterable[Sequence[Found]], facts: Facts, *, most: int) -> Iterator[Found]:
    """The records that count, in order, out of the versions of each by rising seq. None is beyond `most`, none was thinned.

    None comes twice: a journal that is torn behind a fork tells the same records under their old seqs and under the new ones.
    """
    acked, acked_h = number(facts, "acked"), facts.meta.get("acked_h", "")
    link, told, seen = Link(), Receipts(facts), set[int]()
    for some in versions:
        seq = some[0].seq
        if seq > most:
            return
        if told.reason(seq):
            continue
        if seq == acked + 1 and link.seq != acked and H.fullmatch(acked_h):
            link = Link(acked, acked_h)
        one = chosen(link, some)
        if one is not None:
            link = Link(one.seq, one.h)
            if one.at_ms <= 0 or hash(one.body) not in seen:  # without a time two may be alike
                seen.add(hash(one.body))
                yield one


def number(facts: Facts, key: str) -> int:
    """A number of the table `meta`; 0 if it is not there."""
    text = facts.meta.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class Receipts:
    """The receipts of a damaged store, looked up by seq."""

    def __init__(self, facts: Facts) -> None:
        self._firsts = sorted(facts.lost)
        self._lost = facts.lost

    def reason(self, seq: int) -> str:
        """Why a record went; empty if no receipt tells."""
        at = bisect_right(self._firsts, seq) - 1
        if at < 0:
            return ""
        last, reason = self._lost[self._firsts[at]]
        return reason if seq <= last else ""

    def until(self, seq: int) -> int:
        """The last seq of the same word as this one."""
        at = bisect_right(self._firsts, seq)
        after = self._firsts[at] - 1 if at < len(self._firsts) else 1 << 62
        return min(after, self._lost[self._firsts[at - 1]][0]) if self.reason(seq) else after

    def gap(self, first: int, last: int) -> list[tuple[int, str]]:
        """A gap as its parts: how many, and why. No part is so long that a batch could not span it."""
        parts = list[tuple[int, str]]()
        while first <= last:
            end = min(last, self.until(first), first + SPAN - 1)
            parts.append((end - first + 1, self.reason(first) or DAMAGED))
            first = end + 1
        return parts


@dataclass(frozen=True, slots=True)
class Job:
    """How far the salvage of a file has come. `start` is up to where the hub has it; None until that is known."""

    store: str = ""
    newest: int = 0
    start: int | None = None
    at: int = 0
    salvaged: int = 0
    missing: int = 0
    done: bool = False


def begun(job: Job, start: int) -> Job:
    """Everything up to `start` is at the hub."""
    return replace(job, start=start, at=max(job.at, start))


def job_of(data: object) -> Job:
    """A job as it was noted; a new one if that is no note."""
    if not isinstance(data, dict) or data.keys() != {"store", "newest", "start", "at", "salvaged", "missing", "done"}:
        return Job()
    return Job(**data)


def begin_at(job: Job, facts: Facts, upto: int, *, fits: bool) -> int:
    """Up to where the hub has the damaged store: its own word, unless another device has written there under the same id."""
    acked = number(facts, "acked")
    return upto if fits and upto <= max(job.newest, acked) else acked
