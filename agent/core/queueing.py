"""How the track lane drains: how large a batch, when, and what an ack means for it.

Rules: one batch in flight. A batch holds at most `SHARE_S` of the measured throughput, and the pause behind it keeps the
lane at `DUTY` of it; the pause is as long as the batch itself when live acks have slowed down. What is measured is how
long the line was busy: the answer's time less the round trip of something small. Otherwise each batch on a long line would be
smaller than the one before it, down to the least. A batch that was refused is cut in half; one row that is refused again
and again waits like full jitter, 1 s doubling to 60 s. Without an answer in `answer_ms`, and after a link has gone, the same
batch goes again and no other: a late answer to the first is then the answer to the second.
"""

from dataclasses import dataclass, replace

from wire.backoff import full_jitter_s
from wire.messages import Ack
from wire.track import MAX_ROWS

SHARE_S = 0.2
DUTY = 0.9
FIRST_ROWS = 60


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch on its way. `items` are its records and receipts, where those are fewer than its seqs."""

    first: int
    last: int
    sent_at_ms: int
    items: int | None = None

    @property
    def rows(self) -> int:
        """How large it is, in the measure of the limit."""
        return self.last - self.first + 1 if self.items is None else self.items


@dataclass(frozen=True, slots=True)
class Track:
    """State of the lane: the batch in flight, how many rows the next may have, when it may go.

    `refused` is the seq of the one row that was refused last, `refusals` how often in a row. `round_trip_ms` is that of
    something small, 0 while nobody knows. `again` is how large the batch was that has no answer.
    """

    flight: Flight | None = None
    limit: int = FIRST_ROWS
    not_before_ms: int = 0
    answer_ms: int = 10_000
    refused: int = 0
    refusals: int = 0
    round_trip_ms: int = 0
    again: int | None = None


@dataclass(frozen=True, slots=True)
class Saving:
    """What a data budget asks of the lane: upload more seldom, one large batch at a time, or wait."""

    upload_s: float = 0.0
    rows: int | None = None
    held: bool = False


def batch_rows(track: Track, saving: Saving) -> int:
    """How large a batch may be: large ones cost less. One that was refused is cut smaller all the same."""
    if track.again is not None:
        return track.again
    return track.limit if saving.rows is None or track.limit < FIRST_ROWS else max(track.limit, saving.rows)


def sent(track: Track, first: int, last: int, now_ms: int, *, items: int | None = None) -> Track:
    """A batch has gone out. One that can't be cut smaller has one item."""
    return replace(track, flight=Flight(first, last, now_ms, items))


def heard(track: Track, took_ms: int) -> Track:
    """Something small was acknowledged after this time. Some wait behind a batch: the shortest counts, and ages slowly."""
    known = track.round_trip_ms
    return replace(track, round_trip_ms=min(took_ms, known + known // 16 + 1) if known else max(1, took_ms))


def answered(track: Track, ack: Ack, now_ms: int, *, chance: float, live_slow: bool = False) -> Track:
    """The hub has answered the batch in flight, with its mark or with a refusal.

    A mark right before the batch is not its answer: the hub says it when the device comes online.
    `chance` is uniform in [0, 1).
    """
    flight = track.flight
    if flight is None:
        return track
    if ack.bad is not None:
        return _refused(track, flight, now_ms, chance)
    if ack.upto is None or ack.upto == flight.first - 1:
        return track
    took_ms = max(1, now_ms - flight.sent_at_ms)
    rows = flight.rows
    busy_ms = max(took_ms / 2.0, took_ms - track.round_trip_ms)
    limit = max(FIRST_ROWS, min(MAX_ROWS, round(rows / busy_ms * 1000.0 * SHARE_S)))
    pause_ms = took_ms if live_slow else max(0, round(busy_ms / DUTY) - took_ms)
    return replace(track, flight=None, limit=limit, not_before_ms=now_ms + pause_ms, refused=0, refusals=0, again=None)


def _refused(track: Track, flight: Flight, now_ms: int, chance: float) -> Track:
    rows = flight.rows
    if rows > 1:
        return replace(track, flight=None, limit=rows // 2, not_before_ms=now_ms, again=None)
    again = track.refusals if track.refused == flight.first else 0
    pause_ms = round(full_jitter_s(again, chance) * 1000.0)
    return replace(
        track, flight=None, limit=1, not_before_ms=now_ms + pause_ms, refused=flight.first, refusals=again + 1,
        again=None,
    )  # fmt: skip


def overdue(track: Track, now_ms: int) -> bool:
    """Whether the batch in flight has waited too long for its answer."""
    return track.flight is not None and now_ms - track.flight.sent_at_ms >= track.answer_ms


def later(track: Track, now_ms: int, seconds: float) -> Track:
    """The hub has no room for the batch in flight now: the same again, but not before so many seconds are over."""
    return replace(unlinked(track), not_before_ms=now_ms + round(seconds * 1000.0))


def unlinked(track: Track) -> Track:
    """The link is gone, or the batch has no answer: nothing is in flight. A pause stays, whoever asked for it."""
    return replace(track, flight=None, again=track.again if track.flight is None else track.flight.rows)
