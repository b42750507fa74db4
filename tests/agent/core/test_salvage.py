"""What is believed of a damaged outbox, and what is not."""

from dataclasses import asdict, replace

import pytest

from agent.core.packing import packed
from agent.core.pages import Value
from agent.core.room import SPAN
from agent.core.salvage import (
    OPEN,
    Facts,
    Found,
    Job,
    Receipts,
    begin_at,
    begun,
    believed,
    job_of,
    learn,
    number,
    record_of,
    sound,
    told_ruined,
)  # fmt: skip
from wire.codec import dump
from wire.track import GENESIS, chain

T = 1_760_000_000_000


def store(n: int) -> list[Found]:
    made, h = [], GENESIS
    for seq in range(1, n + 1):
        body = dump([T + seq, seq, seq])
        h = chain(h, seq, body)
        made.append(Found(seq, "f", T + seq, body, h))
    return made


def told(*versions: list[Found], facts: Facts | None = None, most: int = 99) -> list[Found]:
    return list(believed(versions, facts or Facts(), most=most))


def test_a_whole_store_counts() -> None:
    rows = store(5)
    assert told(*([one] for one in rows)) == rows
    assert told(*([one] for one in rows), most=3) == rows[:3]


def test_the_chain_chooses_and_refuses() -> None:
    one, two, three = store(3)
    stale = Found(2, "f", T, dump([T, 9, 9]), two.h)
    assert told([one], [stale, two], [three]) == [one, two, three]
    assert told([one], [stale], [three]) == [one, three], "behind a gap the shape must do"
    unsure = Found(2, "f", T, dump([T, 9, 9]), two.h, sure=False)
    assert told([unsure, two], [three]) == [two, three]


def test_the_mark_begins_a_chain() -> None:
    rows = store(4)
    facts = Facts(meta={"acked": "2", "acked_h": rows[1].h})
    bad = Found(3, "f", T, dump([T, 0, 0]), rows[2].h)
    assert told([bad], [rows[3]], facts=facts) == [rows[3]]
    assert told([bad], facts=Facts(meta={"acked": "2", "acked_h": "?"})) == [bad]


def test_what_was_thinned_stays_so() -> None:
    rows = store(4)
    assert [one.seq for one in told(*([one] for one in rows), facts=Facts(lost={2: (3, "thinned")}))] == [1, 4]


def test_gaps_have_their_reasons() -> None:
    receipts = Receipts(Facts(lost={5: (7, "thinned"), 10: (10, "dropped")}))
    assert receipts.gap(3, 12) == [(2, "damaged"), (3, "thinned"), (2, "damaged"), (1, "dropped"), (2, "damaged")]
    assert receipts.gap(6, 6) == [(1, "thinned")]
    assert receipts.gap(6, 5) == []
    assert Receipts(Facts()).gap(1, SPAN + 1) == [(SPAN, "damaged"), (1, "damaged")]


GOOD: list[Value] = [None, "f", T, dump([T, 1, 2]), GENESIS, 1, 5]


def test_rows_of_the_table() -> None:
    assert record_of(7, GOOD) == Found(7, "f", T, dump([T, 1, 2]), GENESIS, 1, 5)
    assert record_of(7, [*GOOD[:3], packed(dump([T, 1, 2])), *GOOD[4:]]) == record_of(7, GOOD)
    assert record_of(7, GOOD[:5]) == Found(7, "f", T, dump([T, 1, 2]), GENESIS)


@pytest.mark.parametrize(
    ("rowid", "at", "value"),
    [(None, 0, None), (0, 0, None), (7, 0, 1), (7, 1, 5), (7, 1, "x"), (7, 2, "t"), (7, 2, T + 1), (7, 3, "text"), (7, 4, b""),
     (7, 4, "short"), (7, 5, None), (7, 6, None), (7, 3, b"[1,2"), (7, 3, b"{}"), (7, 3, b"[" * 9999)],
)  # fmt: skip
def test_rows_that_are_none(rowid: int | None, at: int, value: Value) -> None:
    assert record_of(rowid, [value if i == at else one for i, one in enumerate(GOOD)]) is None
    assert record_of(7, GOOD[:6]) is None


def test_bodies() -> None:
    assert sound("f", OPEN, b"[null,1,2]")
    assert not sound("f", T, b"[null,1,2]")
    assert not sound("f", 1, b"[true,1,2]")
    assert sound("e", T, dump([T, "sos", None, None, {}]))
    assert sound("e", 0, dump([["b", 5], "sos", None, None, {}]))
    assert not sound("e", T, dump([["b", 5], "sos", None, None, {}]))
    assert not sound("e", T, dump([T, 5, None, None, {}]))
    assert not sound("x", T, dump([T, "sos", None, None, {}]))
    assert sound("f", T, dump([T, 1, 2, *[None] * 15]))
    assert sound("e", T, dump([T, "sos", 41.5, -96, {}]))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("f", b"[5,1]"), ("f", b"[5,null,2]"), ("f", b"[5,1,null]"), ("f", b"[5,900000001,2]"), ("f", dump([5] * 19)),
        ("f", b"{}"), ("f", b"[" * 5000), ("f", b"\xff"), ("f", "[5,1,2]".encode("utf-16-le")),
        ("e", b'[5,"x",null,null]'), ("e", b'[5,"x",NaN,null,{}]'), ("e", b'[5,"x",null,[],{}]'), ("e", b'[5,"x",null,null,{"a":1e999}]'),
        ("e", b'[5,"\\ud800",null,null,{}]'), ("e", b'["b","x",null,null,{}]'), ("e", b'[["b"],"x",null,null,{}]'),
        ("e", b'[["b",1,2],"x",null,null,{}]'), ("e", b'[[1,"b"],"x",null,null,{}]'), ("e", b'[["b",true],"x",null,null,{}]'),
    ],
)  # fmt: skip
def test_bodies_that_could_not_be_sent(kind: str, body: bytes) -> None:
    assert not sound(kind, 5, body)
    assert not sound(kind, OPEN, body)


def test_what_was_ruined_is_told() -> None:
    for at_ms in (T, OPEN, 1 << 60):
        kind, told_ms, body, seq = told_ruined(3, at_ms)
        assert sound(kind, told_ms, body)
        assert seq == 3


def test_the_small_tables() -> None:
    facts = Facts()
    for rowid, columns in ((None, ["acked", "12"]), (None, ["acked", "13"]), (4, [None, "b007"]), (9, [None, 12, "thinned"]),
                           (9, [None, 3, "x"]), (5, ["k", "v"]), (None, [None, "b"]), (1, [1])):  # fmt: skip
        learn(facts, rowid, list[Value](columns))
    assert facts == Facts({"acked": "12"}, {4: "b007"}, {9: (12, "thinned")})
    assert number(facts, "acked") == 12
    assert number(Facts(meta={"a": "x"}), "a") == number(Facts(), "a") == 0


def test_jobs() -> None:
    job = begun(Job("s", 50), 7)
    assert (job.start, job.at) == (7, 7)
    assert job_of(asdict(job)) == job
    assert job_of(None) == job_of({"store": "s"}) == Job()
    facts = Facts(meta={"acked": "3"})
    assert begin_at(job, facts, 20, fits=True) == 20
    assert begin_at(job, facts, 1, fits=True) == 1, "the hub has gone back"
    assert begin_at(job, facts, 20, fits=False) == begin_at(job, facts, 51, fits=True) == 3


def test_what_a_fork_has_moved_comes_once() -> None:
    """A torn journal may tell it under both seqs."""
    rows = store(9)
    again = [replace(one, seq=one.seq + 20, sure=False) for one in rows[3:]]
    undated = [Found(seq, "f", OPEN, b"[null,1,2]", GENESIS) for seq in (50, 52)]
    assert told(*[[one] for one in (*rows, *again, *undated)]) == [*rows, *undated]
