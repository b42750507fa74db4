"""Bugs that are planted: each is a small patch of the real program or of a part's promise. The simulation must find all."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from agent import lanes, recorder, uplink
from agent.adapters.memory import MemoryOutbox
from agent.core import queueing, room, sampler
from agent.core.dating import event_body
from agent.cutting import cut
from agent.flow import LiveLane, Senses
from agent.ports import Kind, Record, Session, Settled, Stored
from hub.adapters import memory
from hub.core.marks import Incoming, Mark, Outcome, Verdict, decide
from tests.sim.broker import Broker, SimSession
from tests.sim.card import Card
from tests.sim.center import SimStore
from wire.messages import Header, Live, Lost
from wire.track import decode_header, encode_batch

Planted = Callable[[], AbstractContextManager[Any]]


def ack_before_commit() -> AbstractContextManager[Any]:
    """The hub answers with the mark that it will have, and commits a moment later."""
    real = SimStore.append

    async def later(store: SimStore, groups: Sequence[Incoming]) -> None:
        await asyncio.sleep(0.5)
        await real(store, groups)

    async def append(self: SimStore, groups: Sequence[Incoming]) -> list[Outcome]:
        marks = {one.key: self._marks.get(one.key, Mark()) for one in groups}
        told = [(decide(marks[one.key], one.header), one) for one in groups]
        asyncio.ensure_future(later(self, groups))  # noqa: RUF006  # the loop ends it
        return [
            Outcome(verdict, Mark(one.header.last, one.header.after) if verdict is Verdict.APPEND else marks[one.key])
            for verdict, one in told
        ]

    return patch.object(SimStore, "append", append)


def delete_on_puback() -> AbstractContextManager[Any]:
    """The broker's word is taken for the hub's."""
    real = Broker._puback

    def puback(session: SimSession, name: str, payload: bytes, future: "asyncio.Future[None]") -> None:
        real(session, name, payload, future)
        if name == "track" and session.attached:
            header, _ = decode_header(payload)
            asyncio.ensure_future(session.rig.card.settle(header.last, header.after))  # noqa: RUF006  # the loop ends it

    return patch.object(Broker, "_puback", staticmethod(puback))


def mark_by_maximum() -> AbstractContextManager[Any]:
    """Whatever goes beyond the mark is taken."""
    return patch.object(
        memory, "decide", lambda mark, header: Verdict.APPEND if header.last > mark.last else Verdict.DUPLICATE
    )


def no_hash_at_the_hub() -> AbstractContextManager[Any]:
    """The hub does not look at the chain; the agent does not either."""

    def without(mark: Mark, header: Header) -> Verdict:
        return decide(mark, replace(header, before=mark.h))

    async def settle(self: MemoryOutbox, upto: int, h: str) -> Settled:
        self.acked, self._acked_h = min(upto, self.newest), h
        return Settled.TAKEN

    return _both(patch.object(memory, "decide", without), patch.object(MemoryOutbox, "settle", settle))


class _both:  # noqa: N801  # reads as a function
    def __init__(self, *patches: Any) -> None:
        self._patches = patches

    def __enter__(self) -> None:
        for one in self._patches:
            one.start()

    def __exit__(self, *_: object) -> None:
        for one in self._patches:
            one.stop()


def two_in_flight() -> AbstractContextManager[Any]:
    """The next batch does not wait for the answer to this one."""

    async def send_batch(session: Session, up: lanes.Uplink) -> None:
        batch = await cut(up.outbox, queueing.batch_rows(up.track, up.saving))
        await up.outbox.going(batch.last)
        await lanes.patiently(session.publish("track", encode_batch(batch)), session, up)
        up.track = queueing.sent(up.track, batch.first, batch.last, up.clock.mono_ms())

    return patch.object(uplink, "_send_batch", send_batch)


def fresh_seq_for_each_try() -> AbstractContextManager[Any]:
    """What was not answered is put into the outbox once more."""
    real = queueing.overdue

    def overdue(track: queueing.Track, now_ms: int) -> bool:
        return real(track, now_ms)

    async def again(self: Card) -> None:
        rows = [row for row in self._rows if row.seq > self.acked and row.kind is Kind.FIX][:20]
        numbers = [self.truth[self.store, row.seq][0] for row in rows]
        stored = await MemoryOutbox.put(self, [Record(row.kind, self._moments[row.seq], row.body) for row in rows])
        for one, number in zip(stored, numbers, strict=True):
            self.truth[self.store, one.seq] = (number, one.body)

    async def send_batch(session: Session, up: lanes.Uplink) -> None:
        await send(session, up)
        if up.track.flight is None and up.outbox.acked < up.outbox.ready and isinstance(up.outbox, Card):
            await again(up.outbox)

    send = uplink._send_batch
    return _both(patch.object(uplink, "_send_batch", send_batch), patch.object(queueing, "overdue", overdue))


def thinned_in_flight() -> AbstractContextManager[Any]:
    """Room is made among records that may be on their way."""
    real = Card.make_room

    async def make_room(self: Card) -> room.Made:
        sent, self.sent = self.sent, 0
        made = await real(self)
        self.sent = sent
        return made

    async def at_once(up: lanes.Uplink) -> None:
        while True:
            await asyncio.sleep(0.5)
            if await up.outbox.used_bytes() > 2_000:
                await up.outbox.make_room()

    return _both(patch.object(Card, "make_room", make_room), patch("tests.sim.vehicle.keep_tidy", at_once))


def receipt_lost() -> AbstractContextManager[Any]:
    """Records are thinned and dropped without a receipt."""

    async def lost(self: MemoryOutbox, first: int, last: int) -> list[Lost]:
        return []

    return patch.object(MemoryOutbox, "lost", lost)


def events_forgotten_at_restart() -> AbstractContextManager[Any]:
    """The event lane knows only what was made since the start."""

    async def none(self: MemoryOutbox, limit: int) -> list[Stored]:
        return []

    return patch.object(MemoryOutbox, "unacked_events", none)


def event_waits_for_the_window() -> AbstractContextManager[Any]:
    """An event is committed with the fixes."""

    async def add_event(self: recorder.Recorder, kind: str, place: Any, detail: Any = None) -> None:
        now = self._clock.now()
        where = (None, None) if place is None else (place.lat_deg, place.lon_deg)
        self._add(Record(Kind.EVENT, now, event_body(now, kind, where, detail or {})))

    return patch.object(recorder.Recorder, "add_event", add_event)


def live_basis_unacknowledged() -> AbstractContextManager[Any]:
    """What was in flight when the link broke counts as what the hub has."""

    def current(senses: Senses) -> Live | None:
        return None

    def unlinked(state: sampler.State) -> sampler.State:
        return replace(state, acked=state.sent or state.acked, sent=None)

    async def lane(session: Session, up: lanes.Uplink) -> None:
        up.live.linked = True
        up.nudge.set()
        while True:
            await lanes._send_live(session, up)

    return _both(patch.object(uplink, "tell_live", lane), patch.object(sampler, "unlinked", unlinked),
                 patch.object(lanes, "current", current))  # fmt: skip


def live_never_sent_again() -> AbstractContextManager[Any]:
    """A message that waits is thrown away while another is in flight, and counts as sent."""

    def offer(self: LiveLane, live: Live) -> None:
        if self.state.sent is None:
            self._waiting = live
            self._ready.set()
        else:
            self.state = replace(self.state, sent=live)

    return patch.object(LiveLane, "offer", offer)


def duplicates_stored() -> AbstractContextManager[Any]:
    """A batch that comes again is kept again."""

    def twice(mark: Mark, header: Header) -> Verdict:
        verdict = decide(mark, header)
        return Verdict.APPEND if verdict is Verdict.DUPLICATE and header.last == mark.last else verdict

    return patch.object(memory, "decide", twice)


def no_second_try() -> AbstractContextManager[Any]:
    """A batch without an answer is waited for as long as the link holds."""
    return patch.object(queueing, "overdue", lambda _track, _now_ms: False)


def rollback_unbooked() -> AbstractContextManager[Any]:
    """A hub that was restored takes what comes over the gap, and writes nothing into its books."""

    def silent(mark: Mark, header: Header) -> Verdict:
        verdict = decide(mark, header)
        return Verdict.APPEND if verdict is Verdict.ROLLBACK else verdict

    return patch.object(memory, "decide", silent)


def fork_leaves_the_rest() -> AbstractContextManager[Any]:
    """Who forks begins with an empty store."""
    real = MemoryOutbox.fork

    async def fork(self: MemoryOutbox, now: Any, *, hub_seq: int) -> None:
        self._rows = [row for row in self._rows if row.seq <= self.acked]
        await real(self, now, hub_seq=hub_seq)

    return patch.object(MemoryOutbox, "fork", fork)


def no_limit() -> AbstractContextManager[Any]:
    """Nobody makes room."""

    async def idle(up: lanes.Uplink) -> None:
        await asyncio.sleep(1e9)

    return patch("tests.sim.vehicle.keep_tidy", idle)


SMALL_CARD = {"card_bytes": 40_000, "fix_s": 1.0, "upload_s": 3_600.0, "event_every_s": 1e9}
CHANGES: dict[str, dict[str, float]] = {
    "thin rows in flight": {"card_bytes": 40_000, "fix_s": 1.0},
    "lose the receipt": SMALL_CARD,
    "no limit to the outbox": SMALL_CARD | {"hours": 1.2, "vehicles": 1},
}
"""What goes over the choice of the seed."""
BUGS: dict[str, tuple[Planted, tuple[str, ...]]] = {
    "ack before commit": (ack_before_commit, ("hub crash", "loss")),
    "delete on PUBACK": (delete_on_puback, ("loss", "hub crash")),
    "mark by maximum": (mark_by_maximum, ("loss", "disorder", "outage")),
    "no hash check": (no_hash_at_the_hub, ("cloned card", "older card")),
    "two batches in flight": (two_in_flight, ("slow link", "loss")),
    "resend with a new seq": (fresh_seq_for_each_try, ("loss", "outage")),
    "thin rows in flight": (thinned_in_flight, ("slow link", "loss")),
    "lose the receipt": (receipt_lost, ("outage", "disk full")),
    "forget events on restart": (events_forgotten_at_restart, ("outage", "agent crash", "power cut")),
    "event waits for the window": (event_waits_for_the_window, ("power cut",)),
    "live basis from unacked": (live_basis_unacknowledged, ("outage", "resets")),
    "live thrown away": (live_never_sent_again, ("slow link",)),
    "duplicates stored": (duplicates_stored, ("doubles", "loss")),
    "no second try": (no_second_try, ("loss",)),
    "roll-back not booked": (rollback_unbooked, ("hub rollback",)),
    "fork leaves the rest": (fork_leaves_the_rest, ("cloned card", "outage")),
    "no limit to the outbox": (no_limit, ("outage",)),
}
"""What is planted, and the weather in which it shows."""
