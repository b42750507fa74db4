"""The way out: what the outbox and the live lane hold goes to the hub, and the hub's acks come back.

Order on a new link: waiting events, then the live position, then the status, and only then the backlog.
Waits are bounded by `asyncio.timeout`: `wait_for` of Python 3.11 may swallow the cancelling of a lane, which then never ends.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.core import queueing, room, sampler
from agent.core.dating import Moment
from agent.flow import LiveLane, Senses, current
from agent.ports import Clock, Kind, Link, Outbox, Session, Settled, Stored
from agent.recorder import Recorder, unbroken
from wire.backoff import full_jitter_s
from wire.codec import decode_ack, encode_event, encode_live, encode_status
from wire.errors import (
    DecodeError,
    LinkDownError,
    OdographError,
    RefusedError,
    ServerDownError,
    SettingsError,
    UnavailableError,
)
from wire.messages import Ack, Batch, Event, Row, Status
from wire.ops.watch import WatchCall
from wire.track import GENESIS, MAX_SPAN, encode_batch

EVENT_AGAIN_S = 5.0
REFUSED_FIRST_S = 2.0
REFUSED_CAP_S = 60.0
LINK_PAUSE_S = 0.3
GOODBYE_S = 1.0
EVENTS_AT_ONCE = 64
LIVE_SLOW_MS = 2_000
TIDY_EVERY_S = 60.0
FORGET_EVERY = 60
"""So many rounds of tidying to one of forgetting."""


class Forking(Outbox, Protocol):
    """An outbox that can go on under a new store id, and forget old records."""

    async def fork(self, now: Moment, *, hub_seq: int) -> None:
        """Leave the store id to the other device."""

    async def forget(self, now_ms: int) -> None:
        """Delete what the hub has had for a day."""


@dataclass(frozen=True, slots=True)
class Config:
    """How the lanes run: upload interval, patience with a silent link, spread of the herd after a server loss."""

    version: str
    connection: str
    upload_s: float = 60.0
    silent_s: float = 5.0
    spread_s: float = 60.0


@dataclass(slots=True)
class Uplink:
    """State of the lanes on their way out."""

    outbox: Forking
    recorder: Recorder
    live: LiveLane
    senses: Senses
    clock: Clock
    watch: WatchCall
    config: Config
    chance: "Chance"
    track: queueing.Track = field(default_factory=queueing.Track)
    events: dict[int, Stored] = field(default_factory=dict)
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    event_nudge: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    linked_at_ms: int | None = None
    fault: str = ""
    fault_at_ms: int = 0
    live_took_ms: int = 0
    retry_after_s: float = 0.0
    saving: queueing.Saving = field(default_factory=queueing.Saving)
    obey: Callable[[bytes], bytes | None] = lambda _command: None
    ask: Callable[[Session], None] = lambda _session: None
    hear: Callable[[Ack], bool] = lambda _ack: False

    @property
    def upload_s(self) -> float:
        """The interval of the track upload."""
        return max(self.config.upload_s, self.saving.upload_s)

    def take_event(self, stored: Stored) -> None:
        """An event has been committed: its fast copy may go, and where it was is told at once."""
        self.live.state = sampler.forced(self.live.state)
        self.events[stored.seq] = stored
        self.event_nudge.set()
        self.nudge.set()


class Chance(Protocol):
    """A source of chance for jitter."""

    def __call__(self) -> float:
        """Uniform in [0, 1)."""


async def stay_linked(link: Link, up: Uplink) -> None:
    """Open the link again and again; its loss is told once, repeats are not."""
    attempt = 0
    for stored in await up.outbox.unacked_events(EVENTS_AT_ONCE):
        up.events[stored.seq] = stored
    while True:
        try:
            session = await link.open(_status(up, online=False))
            up.watch("link.up", after_attempts=attempt)
            attempt = 0
            error = await serve(session, up)
            _tell(up, "link.down", error)
        except (RefusedError, SettingsError) as refusal:  # a CA file that has gone must not end the recording
            _tell(up, "link.refused" if attempt == 0 else "link.again", refusal)
            await asyncio.sleep(min(REFUSED_CAP_S, REFUSED_FIRST_S * 2.0 ** min(attempt, 10)) * (0.5 + up.chance()))
            attempt += 1
            continue
        except UnavailableError as failure:
            error = failure
            _tell(up, "link.down" if attempt == 0 else "link.again", error)
        await asyncio.sleep(_pause_s(error, attempt, up))
        attempt += 1


def _tell(up: Uplink, name: str, error: OdographError) -> None:
    """Why there is no link, for the log and for who asks."""
    up.fault, up.fault_at_ms = str(error), up.clock.mono_ms()
    up.watch(name, code=error.code, error=error)


def _pause_s(error: UnavailableError, attempt: int, up: Uplink) -> float:
    """A link that is away is tried again soon. A server that went is left alone: its clients spread over `spread_s`."""
    asked_s, up.retry_after_s = up.retry_after_s, 0.0
    if asked_s:
        return asked_s * (1.0 + 0.1 * up.chance())
    if isinstance(error, ServerDownError):
        if attempt == 0:
            return up.chance() * up.config.spread_s
        return full_jitter_s(attempt, up.chance(), base_s=1.0, cap_s=max(1.0, up.config.spread_s))
    return LINK_PAUSE_S * up.chance()


def _status(up: Uplink, *, online: bool, reason: str = "link") -> Status:
    return Status(
        online=online,
        connection=up.config.connection,
        version=up.config.version,
        store=up.outbox.store,
        newest_seq=up.outbox.newest,
        recorded=up.outbox.newest,
        upload_s=up.upload_s,
        reason="" if online else reason,
    )


async def serve(session: Session, up: Uplink) -> UnavailableError:
    """Run all lanes on one link until it is lost; gives back why."""
    up.linked_at_ms = up.clock.mono_ms()
    up.nudge.clear()  # what happened meanwhile does not send the backlog ahead of the live position
    lanes = [
        asyncio.ensure_future(lane)
        for lane in (_events(session, up), _live(session, up), _track(session, up), _answers(session, up))
    ]
    try:
        ends: list[asyncio.Future[Any]] = [session.lost, *lanes]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.linked_at_ms = None
        up.live.unlink()
        up.track = queueing.unlinked(up.track)
        for lane in lanes:
            lane.cancel()
        results = await asyncio.gather(*lanes, return_exceptions=True)
        if asyncio.current_task() is not None and not session.lost.done():
            await _say_goodbye(session, up)
    faults = [fault for fault in results if isinstance(fault, BaseException)]
    for fault in faults:
        if not isinstance(fault, UnavailableError | asyncio.CancelledError):
            raise fault
    if session.lost.done():
        return session.lost.result()
    return next((fault for fault in faults if isinstance(fault, UnavailableError)), LinkDownError("a lane has ended"))


async def _say_goodbye(session: Session, up: Uplink) -> None:
    """Tell that we go, unless the link is what has failed."""
    with contextlib.suppress(UnavailableError, TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await session.publish("status", encode_status(_status(up, online=False, reason="stopped")))
    await session.close()


async def _patiently(sent: Awaitable[None], session: Session, up: Uplink) -> None:
    """Wait for a PUBACK; a link that stays silent is dropped so that a new one can be tried."""
    try:
        async with asyncio.timeout(up.config.silent_s):
            await sent
    except TimeoutError:
        error = LinkDownError(f"no PUBACK for {up.config.silent_s:g} s")
        session.drop(error)
        raise error from None


async def _events(session: Session, up: Uplink) -> None:
    """Fast copies of events: at once, and again until the hub has committed them."""
    while True:
        up.event_nudge.clear()
        for seq in sorted(up.events):
            stored = up.events.get(seq)
            if stored is not None:
                await _patiently(session.publish("event", encode_event(up.outbox.store, event_of(stored))), session, up)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVENT_AGAIN_S if up.events else None):
                await up.event_nudge.wait()


async def _live(session: Session, up: Uplink) -> None:
    """Now first: where the vehicle is, then that it is online; after that whatever the sampler finds worth sending."""
    lane = up.live
    lane.linked = True
    first = current(up.senses)
    if first is not None:
        lane.offer(first)
        await _send_live(session, up)
    await _patiently(session.publish("status", encode_status(_status(up, online=True))), session, up)
    up.nudge.set()
    while True:
        await _send_live(session, up)


async def _send_live(session: Session, up: Uplink) -> None:
    live = await up.live.next()
    started_ms = up.clock.mono_ms()
    up.watch("live.sent")
    await _patiently(session.publish("live", encode_live(live)), session, up)
    up.live_took_ms = up.clock.mono_ms() - started_ms
    up.live.acknowledged(live)
    up.watch("live.acked")


async def _track(session: Session, up: Uplink) -> None:
    """Every record, in order: cut a batch, send it, wait for the hub's answer; then the next, or the next interval."""
    await up.nudge.wait()
    while True:
        up.nudge.clear()
        up.ask(session)
        await up.recorder.commit()
        while up.outbox.acked < up.outbox.ready and not up.saving.held:
            pause_ms = up.track.not_before_ms - up.clock.mono_ms()
            if pause_ms > 0:
                await asyncio.sleep(pause_ms / 1000.0)
            await _send_batch(session, up)
            if up.saving.rows is not None:
                break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(up.upload_s):
                await up.nudge.wait()


async def _send_batch(session: Session, up: Uplink) -> None:
    batch = await cut(up.outbox, queueing.batch_rows(up.track, up.saving))
    now_ms, records = up.clock.mono_ms(), len(batch.rows) + len(batch.events)
    items = records + len(batch.lost) if records > 1 else 1
    up.track = queueing.sent(up.track, batch.first, batch.last, now_ms, items=items)
    up.outbox.sent = max(up.outbox.sent, batch.last)
    up.watch("track.sent")
    await _patiently(session.publish("track", encode_batch(batch)), session, up)
    while up.track.flight is not None:
        up.answer.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(up.track.answer_ms / 1000.0):
                await up.answer.wait()
        if queueing.overdue(up.track, up.clock.mono_ms()):
            up.track = queueing.unlinked(up.track)
            up.watch("track.again")


async def cut(outbox: Outbox, limit: int) -> Batch:
    """The next batch, from the mark or the oldest that is there; it ends at a record, and receipts fill what is missing."""
    first, ready = max(outbox.acked + 1, outbox.low), outbox.ready
    stored = [item for item in await outbox.read(first, limit) if item.seq <= ready]
    before = await outbox.hash_at(first - 1)
    if not stored:
        raise UnavailableError("the outbox was forked while a batch was cut")  # the next link begins with the new store
    seqs = [item.seq for item in stored]
    lost = room.tiled(first, seqs[-1], seqs, await outbox.lost(first, seqs[-1]))
    stored = stored[: room.fitting(first, seqs, lost, limit, span=MAX_SPAN)]
    rows = tuple((item.seq, row_of_body(item.body)) for item in stored if item.kind is Kind.FIX)
    events = tuple(event_of(item) for item in stored if item.kind is Kind.EVENT)
    last = stored[-1]
    return Batch(
        store=outbox.store, first=first, last=last.seq, low=outbox.low,
        before=before or GENESIS, after=last.h,
        rows=rows, events=events, lost=tuple(one for one in lost if one.last < last.seq),
        waiting=outbox.newest - last.seq,
    )  # fmt: skip


def row_of_body(body: bytes) -> Row:
    """The row as it was kept."""
    return tuple(json.loads(body))


def event_of(stored: Stored) -> Event:
    """The event as it was kept."""
    when, kind, lat, lon, detail = json.loads(stored.body)
    if isinstance(when, list):
        return Event(stored.seq, None, kind, lat, lon, detail, *when)
    return Event(stored.seq, when, kind, lat, lon, detail)


async def _answers(session: Session, up: Uplink) -> None:
    """The hub's acks, the only word that lets the outbox forget, and its commands."""
    while True:
        name, payload = await session.inbox.get()
        if name == "cmd" and (outcome := up.obey(payload)) is not None:
            session.publish("cmd", outcome)  # not waited for: the hub asks again
        if name != "ack":
            continue
        try:
            ack = decode_ack(payload)
        except DecodeError as error:
            up.watch("ack.rejected", reason=error.reason, where=error.where)
            continue
        if ack.retry_after_s is not None:
            up.retry_after_s = ack.retry_after_s
            session.drop(ServerDownError("the hub asks us to come back later"))
            return
        if ack.store == up.outbox.store:
            await take_ack(ack, up)
        elif not up.hear(ack):
            up.watch("ack.rejected", reason="other-store")


async def take_ack(ack: Ack, up: Uplink) -> None:
    """What an ack means for the outbox, the track lane, the event lane and the sampler's basis."""
    for seq in ack.events:
        if up.events.pop(seq, None) is not None:
            up.watch("event.acked")
    if ack.live_ms is not None:
        up.live.state = sampler.hub_holds(up.live.state, ack.live_ms)
    if ack.bad is not None:
        up.watch("track.bad", reason=ack.bad)
    if ack.upto is not None and ack.h is not None:
        before = up.outbox.acked
        settled = await up.outbox.settle(ack.upto, ack.h)
        if settled is Settled.FORKED:
            up.watch("outbox.fork", hub_seq=ack.upto, newest=up.outbox.newest)
            await unbroken(up.outbox.fork(up.clock.now(), hub_seq=ack.upto))
            up.events = {stored.seq: stored for stored in await up.outbox.unacked_events(EVENTS_AT_ONCE)}
            up.track = queueing.unlinked(up.track)
            up.answer.set()
            return
        up.watch("track.acked", n=max(0, up.outbox.acked - before))
        for seq in [seq for seq in up.events if seq <= up.outbox.acked]:
            del up.events[seq]
    live_slow = up.live_took_ms > LIVE_SLOW_MS
    up.track = queueing.answered(up.track, ack, up.clock.mono_ms(), chance=up.chance(), live_slow=live_slow)
    up.answer.set()


async def keep_tidy(up: Uplink) -> None:
    """Keep the outbox within its size, and tell what has gone; delete acknowledged records of yesterday, once an hour."""
    told, rounds = dict(up.outbox.lost_so_far), 0
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        rounds += 1
        now_ms = up.clock.now().at_ms
        with contextlib.suppress(UnavailableError):
            if rounds % FORGET_EVERY == 0 and now_ms is not None:
                await unbroken(up.outbox.forget(now_ms))
            await keep_within(up.outbox)
        for reason, n in up.outbox.lost_so_far.items():
            if n > told.get(reason, 0):
                up.watch(f"outbox.{reason}", n=n - told.get(reason, 0), so_far=n)
            told[reason] = n


async def keep_within(outbox: Outbox) -> None:
    """Make room while the outbox is larger than it may be; a little more, so that it is not a matter of each minute."""
    most = outbox.limits.max_bytes
    await outbox.see_to_disk()
    if await outbox.used_bytes() <= most:
        return
    while await outbox.used_bytes() > most * room.TO_SHARE:
        if not (await unbroken(outbox.make_room())).more:
            return
