"""Room in the outbox: which records go when it is full, and the receipts that they leave.

Order: what the hub has, first; then fixes are thinned, oldest first; when all is thinned, the oldest fixes are dropped. Events
stay, whatever happens, and so does what may be on its way to the hub.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.thinning import Point, kept
from wire.kinds import MISSING
from wire.messages import Lost
from wire.schema import AT_MS, LAT, LON

THIN_PIECE, THIN_LEAST = 1_200, 600
"""Fixes that are thinned in one transaction, small enough for the journal of a full disk; fewer than the least wait for more."""
DROP_PIECE = 500
SPAN = 100_000
"""A receipt of dropped fixes is no longer: then one fix stays, because a batch ends at a record and has a longest span."""
TO_SHARE = 0.95
"""When the outbox has grown beyond its limit, room is made down to this share of it."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """What one step has made room by; `more` says that another step may do something."""

    forgotten: int = 0
    thinned: int = 0
    dropped: int = 0
    more: bool = True


def point_of(body: bytes) -> Point:
    """A fix as thinning sees it, from the record as kept."""
    row = json.loads(body)
    return Point(row[AT_MS], row[LAT] / 1e7, row[LON] / 1e7)


def thin(fixes: Sequence[tuple[int, bytes]], eps_m: float) -> tuple[list[int], int]:
    """The seqs that go, and the one up to which this is final: the last line may still grow, unless it is the only one."""
    ends = kept([point_of(body) for _, body in fixes], eps_m)
    done = ends[-2] if len(ends) > 2 else ends[-1]
    staying = set(ends)
    return [fixes[i][0] for i in range(done) if i not in staying], fixes[done][0]


def drop(seqs: Sequence[int], before: int) -> list[int]:
    """The seqs that go, of fixes behind the record at `before`: all of them but one in `SPAN`."""
    gone = []
    for seq in seqs:
        if seq - before >= SPAN:
            before = seq
        else:
            gone.append(seq)
    return gone


def spans(seqs: Iterable[int]) -> list[Span]:
    """Rising seqs as ranges without a gap, both ends included."""
    found: list[Span] = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found


def gaps(first: int, last: int, present: Iterable[int]) -> list[Span]:
    """What a range lacks."""
    found = []
    for seq in [*present, last + 1]:
        if seq > first:
            found.append((first, seq - 1))
        first = seq + 1
    return found


def receipt(first: int, last: int, reason: str) -> Lost:
    """All that ever goes are fixes."""
    return Lost(first, last, reason, {"fixes": last - first + 1})


def tiled(first: int, last: int, present: Sequence[int], known: Sequence[Lost]) -> list[Lost]:
    """The receipts that tile a range together with the records present. A hole that none explains is told as `missing`."""
    found: list[Lost] = []
    i = 0
    for start, end in gaps(first, last, present):
        at = start
        while i < len(known) and known[i].first <= end:
            one = known[i]
            if one.first > at:
                found.append(receipt(at, one.first - 1, MISSING))
            if one.last >= at:
                found.append(receipt(max(at, one.first), min(one.last, end), one.reason))
                at = found[-1].last + 1
            if one.last > end:
                break
            i += 1
        if at <= end:
            found.append(receipt(at, end, MISSING))
    return found


def fitting(first: int, present: Sequence[int], lost: Sequence[Lost], limit: int, *, span: int) -> int:
    """How many of the records go into a batch of `limit` records and receipts over at most `span` seqs; one always does."""
    ends = [one.last for one in lost]
    for n in range(len(present), 1, -1):
        last = present[n - 1]
        if n + bisect_left(ends, last) <= limit and last - first < span:
            return n
    return 1
