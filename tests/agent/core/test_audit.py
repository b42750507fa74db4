"""Whole outboxes have no faults; each fault is found at its place."""

from dataclasses import replace

from agent.core.audit import CURES, Fault, marks, tiling
from agent.core.salvage import Facts
from tests.agent.core.test_salvage import store
from wire.track import GENESIS


def test_a_whole_one() -> None:
    rows = store(9)
    assert list(tiling(rows, [])) == []
    assert list(tiling([rows[0], *rows[4:]], [(2, 4)])) == []
    assert list(tiling(rows[3:6], [(2, 3), (7, 8)])) == [], "what was forgotten is gone from the front"
    assert list(tiling([], [])) == []


def test_each_fault() -> None:
    rows = store(9)
    assert list(tiling([rows[0], *rows[4:]], [])) == [Fault("gap", 2, 4)]
    assert list(tiling([rows[0], *rows[4:]], [(2, 3)])) == [Fault("gap", 4, 4)]
    assert list(tiling(rows, [(3, 4)])) == [Fault("overlap", 3, 3), Fault("overlap", 4, 4)]
    assert list(tiling(rows[:2], [(2, 3)])) == [Fault("overlap", 2, 2)]
    assert list(tiling(rows[:2], [(5, 6)])) == [Fault("gap", 3, 4)]
    bent = replace(rows[3], body=b"[1")
    found = list(tiling([*rows[:3], bent, *rows[4:]], []))
    assert [(one.what, one.first) for one in found] == [("unreadable", 4), ("chain", 4)]


def test_marks() -> None:
    whole = Facts(meta={"store": "s", "acked": "5", "acked_h": GENESIS})
    assert list(marks(whole, 9, GENESIS)) == list(marks(whole, 9, None)) == []
    assert [one.about for one in marks(whole, 4, None)] == ["the hub's mark is beyond the newest record"]
    assert [one.about for one in marks(whole, 9, "x")] == ["the hub's mark has another hash"]
    odd = Facts(meta={"thinned_upto": "10"})
    assert [one.about for one in marks(odd, 9, None)] == ["no store id", "thinned_upto is beyond the newest record"]
    assert {"gap", "overlap", "unreadable", "chain", "mark", "file"} == set(CURES)
