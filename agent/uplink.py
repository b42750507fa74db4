"""The way out: what the outbox and the live lane hold goes to the hub, and the hub's acks come back.

Order on a new link: calls for help, waiting events, the live position, the status, and only then the backlog. A call for
help waits for nothing: not for the PUBACK of what went before it, and no batch goes out ahead of it.
Waits are bounded by `asyncio.timeout`: `wait_for` of Python 3.11 may swallow the cancelling of a lane, which then never ends.
"""

import asyncio
import contextlib
from typing import Any

from agent.core import queueing, sampler
from agent.cutting import cut
from agent.lanes import Uplink, calls_of, calls_told, patiently, status_of, tell_calls, tell_events, tell_live, untold
from agent.ports import Link, Session, Settled
from agent.recorder import unbroken
from wire.backoff import full_jitter_s
from wire.codec import decode_ack, encode_status
from wire.errors import (
    DecodeError,
    LinkDownError,
    OdographError,
    RefusedError,
    ServerDownError,
    SettingsError,
    UnavailableError,
)
from wire.messages import Ack
from wire.track import encode_batch

REFUSED_FIRST_S = 2.0
REFUSED_CAP_S = 60.0
LINK_PAUSE_S = 0.3
GOODBYE_S = 1.0
CALLING_S = 2.0
DISK_AGAIN_S = 5.0
LIVE_SLOW_MS = 2_000


async def stay_linked(link: Link, up: Uplink) -> None:
    """Open the link again and again; its loss is told once, repeats are not."""
    attempt, known = 0, False
    while True:
        up.call_nudge.clear()
        with contextlib.suppress(UnavailableError):  # a disk that fails keeps no live position from going
            up.events |= {} if known else await untold(up.outbox)
            known = True
        try:
            session = await link.open(status_of(up, online=False))
            up.watch("link.up", after_attempts=attempt)
            attempt = 0
            up.mute += 1  # until the first PUBACK
            error = await serve(session, up)
            _tell(up, "link.down", error)
        except (RefusedError, SettingsError) as refusal:  # a CA file that has gone must not end the recording
            _tell(up, "link.refused" if attempt == 0 else "link.again", refusal)
            await _rest(min(REFUSED_CAP_S, REFUSED_FIRST_S * 2.0 ** min(attempt, 10)) * (0.5 + up.chance()), up)
            attempt += 1
            continue
        except UnavailableError as failure:
            error = failure
            _tell(up, "link.down" if attempt == 0 else "link.again", error)
        await _rest(_pause_s(error, attempt, up), up)
        attempt += 1


async def _rest(pause_s: float, up: Uplink) -> None:
    """The pause before the next try. A call for help ends it at once, and while one waits no pause is long."""
    if calls_of(up):
        pause_s = min(pause_s, CALLING_S * (0.5 + 0.5 * up.chance()))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await up.call_nudge.wait()


def _tell(up: Uplink, name: str, error: OdographError) -> None:
    """Why there is no link, for the log and for who asks."""
    up.fault, up.fault_at_ms = str(error), up.clock.mono_ms()
    up.watch(name, code=error.code, error=error)


def _pause_s(error: UnavailableError, attempt: int, up: Uplink) -> float:
    """A link that is away is tried again soon. A server that went is left alone: its clients spread over `spread_s`.

    One that takes logins, and again and again acknowledges nothing, has more to do than it can: to come back at once would hold
    it there.
    """
    if isinstance(error, ServerDownError):
        up.mute = 0
        if attempt == 0:
            return up.chance() * up.config.spread_s
        return full_jitter_s(attempt, up.chance(), base_s=1.0, cap_s=max(1.0, up.config.spread_s))
    if up.mute > 1:
        return full_jitter_s(up.mute, up.chance(), base_s=1.0, cap_s=max(1.0, up.config.spread_s))
    return LINK_PAUSE_S * up.chance()


async def serve(session: Session, up: Uplink) -> UnavailableError:
    """Run all lanes on one link until it is lost; gives back why."""
    up.linked_at_ms = up.clock.mono_ms()
    up.calls = calls_of(up)
    up.nudge.clear()  # what happened meanwhile does not send the backlog ahead of the live position
    lanes = [
        asyncio.ensure_future(lane)
        for lane in (
            tell_calls(session, up),
            tell_events(session, up),
            tell_live(session, up),
            _track(session, up),
            _answers(session, up),
        )
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
            await session.publish("status", encode_status(status_of(up, online=False, reason="stopped")))
    await session.close()


async def _track(session: Session, up: Uplink) -> None:
    """Every record, in order: cut a batch, send it, wait for the hub's answer; then the next, or the next interval."""
    await up.nudge.wait()
    while True:
        up.nudge.clear()
        up.ask(session)
        up.outbox.ahead = queueing.batch_rows(up.track, up.saving)
        await up.recorder.commit()
        up.outbox.ahead = 0
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
    try:
        batch = await cut(up.outbox, queueing.batch_rows(up.track, up.saving))
        await unbroken(up.outbox.going(batch.last))
        if (up.outbox.store, await up.outbox.hash_at(batch.last)) != (batch.store, batch.after):
            return  # thinned or forked while it was cut
    except UnavailableError as error:  # the disk, not the link: the other lanes go on
        up.watch("outbox.failed", error=error)
        await asyncio.sleep(DISK_AGAIN_S)
        return
    now_ms, records = up.clock.mono_ms(), len(batch.rows) + len(batch.events)
    items = records + len(batch.lost) if records > 1 else 1
    await calls_told(up)
    up.track = queueing.sent(up.track, batch.first, batch.last, now_ms, items=items)
    up.watch("track.sent")
    await patiently(session.publish("track", encode_batch(batch)), session, up)
    while up.track.flight is not None:
        up.answer.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(up.track.answer_ms / 1000.0):
                await up.answer.wait()
        if queueing.overdue(up.track, up.clock.mono_ms()):
            up.track = queueing.unlinked(up.track)
            up.watch("track.again")


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
        if ack.store == up.outbox.store:
            try:
                await take_ack(ack, up)
            except UnavailableError as error:  # the disk: the hub says it again
                up.watch("outbox.failed", error=error)
        elif not up.hear(ack):
            up.watch("ack.rejected", reason="other-store")


async def take_ack(ack: Ack, up: Uplink) -> None:
    """What an ack means for the outbox, the track lane, the event lane and the sampler's basis."""
    for seq in ack.events:
        if up.events.pop(seq, None) is not None:
            up.held.add(seq)
            up.watch("event.acked")
    if ack.live_ms is not None:
        up.live.state = sampler.hub_holds(up.live.state, ack.live_ms)
    if ack.bad is not None:
        up.watch("track.bad", reason=ack.bad)
    if ack.retry_after_s is not None:  # the track waits; link, live position and events are no burden, and stay
        up.track = queueing.later(up.track, up.clock.mono_ms(), ack.retry_after_s * (1.0 + 0.1 * up.chance()))
        up.watch("track.again")
    if ack.upto is not None and ack.h is not None:
        before = up.outbox.acked
        settled = await up.outbox.settle(ack.upto, ack.h)
        if settled is Settled.FORKED:
            await _fork(ack.upto, up)
            return
        up.watch("track.acked", n=max(0, up.outbox.acked - before))
        for seq in [seq for seq in up.events if seq <= up.outbox.acked]:
            del up.events[seq]
        up.held = {seq for seq in up.held if seq > up.outbox.acked}
    live_slow = up.live_took_ms > LIVE_SLOW_MS
    up.track = queueing.answered(up.track, ack, up.clock.mono_ms(), chance=up.chance(), live_slow=live_slow)
    up.answer.set()


async def _fork(hub_seq: int, up: Uplink) -> None:
    """Leave the store id to the other device, and go on under a new one."""
    up.watch("outbox.fork", hub_seq=hub_seq, newest=up.outbox.newest)
    flight = up.track.flight
    try:
        await unbroken(up.outbox.fork(up.clock.now(), hub_seq=hub_seq))
    except UnavailableError as error:  # the disk refuses: the batch goes again, and so does this
        up.watch("outbox.failed", error=error)
        return
    up.events, up.held = await untold(up.outbox), set()
    up.calls = calls_of(up)
    if up.track.flight is flight:  # else a batch of the new store is on its way already
        up.track = queueing.unlinked(up.track)
    up.answer.set()
