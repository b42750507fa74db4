"""Whether an outbox is whole: records and receipts tile it without a gap, bodies can be read, the hash chain fits, marks agree."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.core.salvage import Facts, Found, Link, number, sound
from wire.track import chain

CURES = {
    "gap": "records are missing, and no receipt tells why: the agent tells the hub so by itself; look at the storage",
    "overlap": "a receipt names records that are there: end the agent, move the file away, start it: the rest is salvaged",
    "unreadable": "the record can't be read; the agent tells the hub so in its place: look at the storage, it has failed",
    "chain": "the record, or the one before it, is not as it was written: look at the storage; export what you need by hand",
    "mark": "the marks do not fit the records: the hub's next word puts that right, or the agent goes on under a new store id",
    "file": "end the agent and start it again: it sets the file aside and salvages what can be read",
}
"""What may be wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, at which seqs."""

    what: str
    first: int
    last: int
    about: str = ""


def tiling(records: Iterable[Found], lost: Iterable[tuple[int, int]]) -> Iterator[Fault]:
    """Faults of records and receipts, both by rising seq. Behind a gap the chain can't be checked: it is stepped over."""
    receipts, before, at = iter(lost), Link(), 0
    waiting = next(receipts, None)
    for one in records:
        while waiting is not None and waiting[0] <= one.seq:
            yield from _place(at, *waiting)
            at, waiting = waiting[1], next(receipts, None)
        yield from _place(at, one.seq, one.seq)
        at = max(at, one.seq)
        yield from _record(one, before)
        before = Link(one.seq, one.h)
    while waiting is not None:
        yield from _place(at, *waiting)
        at, waiting = waiting[1], next(receipts, None)


def _place(at: int, first: int, last: int) -> Iterator[Fault]:
    if first > at + 1 and at:
        yield Fault("gap", at + 1, first - 1)
    elif first <= at:
        yield Fault("overlap", first, min(at, last))


def _record(one: Found, before: Link) -> Iterator[Fault]:
    if not sound(one.kind, one.at_ms, one.body):
        yield Fault("unreadable", one.seq, one.seq, "not what the agent writes")
    if before.seq == one.seq - 1 and chain(before.h, one.seq, one.body) != one.h:
        yield Fault("chain", one.seq, one.seq)


def marks(facts: Facts, newest: int, h_at: str | None) -> Iterator[Fault]:
    """Faults of what the outbox notes about itself; `h_at` is the hash of the record at the hub's mark, if it is there."""
    acked, acked_h = number(facts, "acked"), facts.meta.get("acked_h", "")
    if not facts.meta.get("store"):
        yield Fault("mark", 0, 0, "no store id")
    if acked > newest:
        yield Fault("mark", acked, acked, "the hub's mark is beyond the newest record")
    elif acked and h_at is not None and acked_h not in {"", h_at}:
        yield Fault("mark", acked, acked, "the hub's mark has another hash")
    for key in ("thinned_upto", "dropped_upto"):
        if number(facts, key) > newest:
            yield Fault("mark", number(facts, key), number(facts, key), f"{key} is beyond the newest record")
