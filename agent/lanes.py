"""What the lanes on the way out share, and the fast ones: calls for help, events, and where the vehicle is now.

A call for help waits for nothing: not for the PUBACK of what went before it, and no batch goes out ahead of it.
Waits are bounded by `asyncio.timeout`: `wait_for` of Python 3.11 may swallow the cancelling of a lane, which then never ends.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from agent.core import queueing, sampler
from agent.core.dating import Moment
from agent.cutting import days_out, event_of
from agent.flow import LiveLane, Senses, current
from agent.ports import Clock, Outbox, Session, Stored
from agent.recorder import Recorder
from wire.codec import encode_event, encode_live, encode_status
from wire.errors import LinkDownError, UnavailableError
from wire.kinds import SOS
from wire.messages import Ack, Status
from wire.ops.watch import WatchCall

EVENT_AGAIN_S = 5.0
EVENTS_AT_ONCE, EVENTS_MOST = 64, 10_000


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
    """State of the lanes on their way out. `mute`: links in a row whose login was answered, and no message."""

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
    calls: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    call_nudge: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    linked_at_ms: int | None = None
    fault: str = ""
    fault_at_ms: int = 0
    live_took_ms: int = 0
    mute: int = 0
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
        if _is_call(stored):
            self.calls.add(stored.seq)
            self.call_nudge.set()
        else:
            self.event_nudge.set()
        self.nudge.set()


class Chance(Protocol):
    """A source of chance for jitter."""

    def __call__(self) -> float:
        """Uniform in [0, 1)."""


def status_of(up: Uplink, *, online: bool, reason: str = "link", days: tuple[tuple[int, int], ...] = ()) -> Status:
    """What there is to say about this device."""
    return Status(
        online=online,
        connection=up.config.connection,
        version=up.config.version,
        store=up.outbox.store,
        newest_seq=up.outbox.newest,
        recorded=up.outbox.newest,
        upload_s=up.upload_s,
        reason="" if online else reason,
        days=days,
    )


async def patiently(sent: Awaitable[None], session: Session, up: Uplink) -> None:
    """Wait for a PUBACK; a link that stays silent is dropped so that a new one can be tried."""
    try:
        async with asyncio.timeout(up.config.silent_s):
            await sent
        up.mute = 0
    except TimeoutError:
        error = LinkDownError(f"no PUBACK for {up.config.silent_s:g} s")
        session.drop(error)
        raise error from None


async def untold(outbox: Outbox) -> dict[int, Stored]:
    """What the event lanes take from the outbox: every call for help, and the oldest of the other events."""
    waiting = await outbox.unacked_events(EVENTS_MOST)
    others = [stored for stored in waiting if not _is_call(stored)]
    return {stored.seq: stored for stored in [*(one for one in waiting if _is_call(one)), *others[:EVENTS_AT_ONCE]]}


def _is_call(stored: Stored) -> bool:
    return event_of(stored).kind == SOS


def calls_of(up: Uplink) -> set[int]:
    return {seq for seq, stored in up.events.items() if _is_call(stored)}


async def tell_calls(session: Session, up: Uplink) -> None:
    """Fast copies of calls for help: all of them at once, and again until the hub has committed them."""
    waiting: set[asyncio.Future[None]] = set()
    try:
        while True:
            up.call_nudge.clear()
            for seq in sorted(up.calls & up.events.keys()):
                copy = encode_event(up.outbox.store, event_of(up.events[seq]))
                waiting.add(asyncio.ensure_future(patiently(session.publish("event", copy), session, up)))
            up.calls.clear()
            waiting = {one for one in waiting if not one.done() or one.result()}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVENT_AGAIN_S if calls_of(up) else None):
                    await up.call_nudge.wait()
            if not up.call_nudge.is_set():
                up.calls = calls_of(up)
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def calls_told(up: Uplink) -> None:
    """Wait until the copy of each call for help that is committed has gone out on this link; no more than a moment."""
    await up.recorder.told()
    while up.calls & up.events.keys():
        up.call_nudge.set()
        await asyncio.sleep(0)  # the lane of the calls is ready, and runs in between


async def tell_events(session: Session, up: Uplink) -> None:
    """Fast copies of the other events: one after the other, and again until the hub has committed them."""
    while True:
        up.event_nudge.clear()
        for seq in sorted(up.events):
            stored = up.events.get(seq)
            if stored is not None and not _is_call(stored):
                await patiently(session.publish("event", encode_event(up.outbox.store, event_of(stored))), session, up)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVENT_AGAIN_S if up.events else None):
                await up.event_nudge.wait()


async def tell_live(session: Session, up: Uplink) -> None:
    """Now first: where the vehicle is, then that it is online; after that whatever the sampler finds worth sending."""
    lane = up.live
    lane.linked = True
    first = current(up.senses)
    if first is not None:
        lane.offer(first)
        await _send_live(session, up)
    days: tuple[tuple[int, int], ...] = ()
    with contextlib.suppress(UnavailableError):  # a disk that fails keeps no live position from going
        days = await days_out(up.outbox)
    status = status_of(up, online=True, days=days)
    await patiently(session.publish("status", encode_status(status)), session, up)
    up.nudge.set()
    while True:
        await _send_live(session, up)


async def _send_live(session: Session, up: Uplink) -> None:
    live = await up.live.next()
    started_ms = up.clock.mono_ms()
    up.watch("live.sent")
    await patiently(session.publish("live", encode_live(live)), session, up)
    up.live_took_ms = up.clock.mono_ms() - started_ms
    up.track = queueing.heard(up.track, up.live_took_ms)
    up.live.acknowledged(live)
    up.watch("live.acked")
