"""What goes when the outbox is full, and receipts that tile with what stays."""

import pytest

from agent.core.room import SPAN, drop, fitting, gaps, point_of, receipt, spans, thin, tiled
from agent.core.thinning import Point
from wire.codec import dump
from wire.messages import Lost

T = 1_760_000_000_000


def body(second: int, north_m: float = 0.0) -> bytes:
    return dump([T + 1000 * second, round((41.0 + north_m / 111_195) * 1e7), -960_000_000, None])


def test_a_record_as_a_point() -> None:
    assert point_of(body(3)) == Point(T + 3000, 41.0, -96.0)


def test_the_last_line_waits_for_more() -> None:
    """There and back: the turn stays, and what is behind it may still belong to a longer line."""
    fixes = [(10 + i, body(i, 10.0 * min(i, 60 - i))) for i in range(50)]
    assert thin(fixes, 5.0) == (list(range(11, 40)), 40)
    assert thin(fixes[:20], 5.0) == (list(range(11, 29)), 29), "the only line is final"
    assert thin(fixes[:1], 5.0) == ([], 10)


def test_of_dropped_fixes_one_stays_in_a_span() -> None:
    assert drop([5, 6, 9], 4) == [5, 6, 9]
    seqs = list(range(1, 2 * SPAN + 10))
    assert sorted(set(seqs) - set(drop(seqs, 0))) == [SPAN, 2 * SPAN]


def test_ranges_and_what_they_lack() -> None:
    assert spans([]) == []
    assert spans([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert gaps(1, 10, []) == [(1, 10)]
    assert gaps(1, 10, [1, 4, 5, 10]) == [(2, 3), (6, 9)]
    assert gaps(1, 2, [1, 2]) == []


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ([(3, 9, "thinned")], [(3, 9, "thinned")]),
        ([(1, 20, "thinned")], [(3, 9, "thinned")]),
        ([(3, 5, "thinned"), (6, 9, "dropped")], [(3, 5, "thinned"), (6, 9, "dropped")]),
        ([(4, 5, "thinned")], [(3, 3, "missing"), (4, 5, "thinned"), (6, 9, "missing")]),
        ([(1, 1, "thinned"), (8, 20, "dropped")], [(3, 7, "missing"), (8, 9, "dropped")]),
        ([(11, 12, "thinned")], [(3, 9, "missing")]),
        ([], [(3, 9, "missing")]),
    ],
)
def test_receipts_tile_with_what_is_there(known: list[tuple[int, int, str]], told: list[tuple[int, int, str]]) -> None:
    found = tiled(1, 10, [1, 2, 10], [receipt(*one) for one in known])
    assert found == [Lost(first, last, why, {"fixes": last - first + 1}) for first, last, why in told]


def test_a_receipt_over_several_gaps_is_told_in_pieces() -> None:
    assert [(one.first, one.last) for one in tiled(1, 9, [4, 7], [receipt(1, 9, "dropped")])] == [
        (1, 3),
        (5, 6),
        (8, 9),
    ]


def test_what_goes_into_a_batch() -> None:
    seqs, lost = [5, 9, 10, 11], [receipt(1, 4, "thinned"), receipt(6, 8, "thinned")]
    assert fitting(1, seqs, lost, 6, span=100) == 4
    assert fitting(1, seqs, lost, 5, span=100) == 3
    assert fitting(1, seqs, lost, 3, span=100) == 1
    assert fitting(1, seqs, lost, 1, span=100) == 1, "a record with its receipts can't be cut"
    assert fitting(1, seqs, lost, 600, span=10) == 3
