"""The track lane's pace: batch sizes, pauses, halving, patience."""

from agent.core import queueing
from agent.core.queueing import FIRST_ROWS, Flight, Saving, Track, overdue, sent, unlinked
from wire.messages import Ack

S = "AbCdEf01-_x"


def answered(track: Track, ack: Ack, now_ms: int, *, chance: float = 0.5, live_slow: bool = False) -> Track:
    return queueing.answered(track, ack, now_ms, chance=chance, live_slow=live_slow)


def test_one_batch_and_its_answer() -> None:
    track = sent(Track(), 1, 60, 1000)
    assert track.flight == Flight(1, 60, 1000)
    track = answered(track, Ack(S, upto=60, h=S), 1100)
    assert track.flight is None
    assert track.limit == 120, "600 rows a second for 200 ms"
    assert track.not_before_ms == 1111, "at most 90 % of the time"


def test_slow_live_acks_halve_the_pace() -> None:
    track = answered(sent(Track(), 1, 60, 1000), Ack(S, upto=60, h=S), 1100, live_slow=True)
    assert track.not_before_ms == 1200


def test_a_long_line_is_not_a_slow_one() -> None:
    """600 rows a second, 100 ms there and back: 200 ms of it are 120 rows, and the wait for the answer is pause enough."""
    track = queueing.heard(Track(), 100)
    for _ in range(9):
        track = answered(sent(track, 1, track.limit, 0), Ack(S, upto=track.limit, h=S), 100 + round(track.limit / 0.6))
    assert (track.limit, track.not_before_ms) == (120, 300)
    unknown = answered(sent(Track(limit=120), 1, 120, 0), Ack(S, upto=120, h=S), 300)
    assert (unknown.limit, unknown.not_before_ms) == (80, 333)


def test_the_round_trip_is_the_shortest_of_late() -> None:
    track = queueing.heard(Track(), 80)
    assert track.round_trip_ms == 80
    assert queueing.heard(track, 40).round_trip_ms == 40
    assert queueing.heard(track, 300).round_trip_ms == 86, "one that waited behind a batch says little"
    for _ in range(40):
        track = queueing.heard(track, 600)
    assert track.round_trip_ms == 600, "and another network is known after a while"
    assert queueing.heard(Track(), 0).round_trip_ms == 1
    mistaken = answered(sent(queueing.heard(Track(), 900), 1, 60, 0), Ack(S, upto=60, h=S), 200)
    assert mistaken.limit == 120, "half of the time counts at least"


def test_limits_of_a_batch() -> None:
    slow = answered(sent(Track(), 1, 60, 0), Ack(S, upto=60, h=S), 60_000)
    fast = answered(sent(Track(), 1, 60, 0), Ack(S, upto=60, h=S), 0)
    assert (slow.limit, fast.limit) == (FIRST_ROWS, 600)


def test_a_refused_batch_is_halved_down_to_one_row() -> None:
    track, limits = Track(), []
    for _ in range(8):
        track = answered(sent(track, 1, track.limit, 0), Ack(S, bad="checksum"), 10)
        limits.append(track.limit)
    assert limits == [30, 15, 7, 3, 1, 1, 1, 1]


def test_answers_that_are_not_for_a_batch() -> None:
    assert answered(Track(), Ack(S, upto=1, h=S), 5) == Track()
    waiting = sent(Track(), 1, 2, 0)
    assert answered(waiting, Ack(S, events=(1,)), 5) == waiting
    assert answered(waiting, Ack(S, upto=0, h=S), 5) == waiting, "what the hub says when the device comes online"


def test_a_hub_without_room_gets_the_same_batch_later() -> None:
    track = queueing.later(sent(Track(), 1, 40, 0), 100, 12.5)
    assert (track.flight, track.not_before_ms, queueing.batch_rows(track, Saving())) == (None, 12_600, 40)
    assert queueing.later(Track(), 100, 1.0).not_before_ms == 1_100


def test_patience_ends() -> None:
    track = sent(Track(), 1, 2, 0)
    assert not overdue(Track(), 99_999)
    assert not overdue(track, 9_999)
    assert overdue(track, 10_000)
    assert unlinked(track).flight is None


def test_a_row_that_is_refused_again_and_again_waits_longer_each_time() -> None:
    track, pauses = Track(limit=1), []
    for _ in range(9):
        track = answered(sent(track, 7, 7, 0), Ack(S, bad="checksum"), 100, chance=0.999)
        pauses.append(round((track.not_before_ms - 100) / 1000))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert unlinked(track).not_before_ms == track.not_before_ms, "a new link is no reason to hurry"
    again = answered(sent(track, 7, 7, 0), Ack(S, bad="checksum"), 100, chance=0.0)
    assert again.not_before_ms == 100, "full jitter"
    other = answered(sent(track, 8, 8, 0), Ack(S, bad="checksum"), 100, chance=0.999)
    assert other.not_before_ms == 1099, "another row begins anew"
    taken = answered(sent(track, 7, 7, 0), Ack(S, upto=7, h=S), 100)
    assert (taken.refusals, unlinked(taken).not_before_ms) == (0, 111)


def test_a_small_budget_makes_batches_large_but_not_one_that_was_refused() -> None:
    assert queueing.batch_rows(Track(), Saving()) == 60
    assert queueing.batch_rows(Track(), Saving(rows=600)) == 600
    assert queueing.batch_rows(Track(limit=300), Saving(rows=60)) == 300
    assert queueing.batch_rows(Track(limit=30), Saving(rows=600)) == 30


def test_what_has_no_answer_goes_again_as_it_was() -> None:
    track = unlinked(sent(Track(limit=300), 1, 90, 0, items=80))
    assert (track.again, queueing.batch_rows(track, Saving(rows=600)), track.limit) == (80, 80, 300)
    assert unlinked(track).again == 80, "nothing was in flight"
    assert answered(sent(track, 1, 90, 0, items=80), Ack(S, upto=90, h=S), 100).again is None
    assert answered(sent(track, 1, 90, 0, items=80), Ack(S, bad="checksum"), 100).again is None
    assert answered(sent(track, 1, 1, 0, items=1), Ack(S, bad="checksum"), 100).again is None
