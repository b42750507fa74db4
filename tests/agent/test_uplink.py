"""The way out, on twins in memory: order, acks, patience, retries; what each answer of the hub means."""

import asyncio
from dataclasses import replace

import pytest

from agent import uplink
from agent.adapters.memory import MemoryLink, MemorySession
from agent.core import queueing
from agent.flow import Senses, take
from agent.lanes import Config, Uplink
from agent.uplink import stay_linked, take_ack
from tests.agent.test_flow import box, fix, senses
from tests.rigs import eventually
from wire.codec import decode_event, decode_live, encode_ack
from wire.errors import LinkDownError, RefusedError, ServerDownError, SettingsError
from wire.messages import Ack
from wire.track import GENESIS, decode_batch


def up_of(s: Senses, **settings: float) -> Uplink:
    chosen = {"upload_s": 0.05, "silent_s": 0.2, "spread_s": 0.05} | settings
    up = Uplink(
        box(s), s.recorder, s.live, s, s.clock, s.watch, Config("0", "c1", **chosen), lambda: 0.01
    )  # fmt: skip
    s.recorder.on_event = up.take_event
    return up


async def running(
    up: Uplink, *line: MemorySession | LinkDownError | ServerDownError | RefusedError | SettingsError
) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(stay_linked(MemoryLink(*line), up))
    await asyncio.sleep(0.03)
    return task


async def stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def names(session: MemorySession) -> list[str]:
    return [name for name, _ in session.sent]


async def filled(count: int = 3) -> Senses:
    s = senses()
    for second in range(count):
        await take(fix(second), s)
    await s.recorder.commit()
    return s


def ack_of(session: MemorySession, **changes: object) -> bytes:
    batch = decode_batch(next(payload for name, payload in reversed(session.sent) if name == "track"))
    return encode_ack(Ack(**({"store": batch.store, "upto": batch.last, "h": batch.after} | changes)))  # type: ignore[arg-type]


async def test_now_first_then_status_then_the_backlog() -> None:
    s = await filled()
    await s.recorder.add_event("sos", s.vehicle.fix, {"by": "button"})
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    assert names(session)[:4] == ["event", "live", "status", "track"]
    assert decode_event(session.sent[0][1])[1].detail == {"by": "button"}
    assert decode_live(session.sent[1][1]).waiting == 4
    batch = decode_batch(session.sent[3][1])
    assert (batch.first, batch.last, len(batch.rows), len(batch.events), batch.waiting) == (1, 4, 3, 1, 0)
    session.inbox.put_nowait(("ack", ack_of(session)))
    await asyncio.sleep(0.03)
    assert box(s).acked == 4
    assert up.events == {}
    await stopped(task)
    assert session.closed
    assert names(session)[-1] == "status"


async def test_one_batch_in_flight_until_it_is_answered_and_again_without_an_answer() -> None:
    s = await filled()
    up, session = up_of(s), MemorySession()
    up.track = up.track.__class__(answer_ms=100)
    task = await running(up, session)
    assert names(session).count("track") == 1
    await asyncio.sleep(0.2)
    s.clock.ms += 200  # type: ignore[attr-defined]  # the clock of the test
    await asyncio.sleep(0.2)
    assert names(session).count("track") == 2
    assert s.watch.count("track.again") == 1  # type: ignore[attr-defined]  # a Watch
    await stopped(task)


async def test_a_refused_batch_is_cut_smaller() -> None:
    s = await filled(4)
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    session.inbox.put_nowait(("ack", ack_of(session, upto=None, h=None, bad="checksum")))
    await asyncio.sleep(0.05)
    batches = [decode_batch(payload) for name, payload in session.sent if name == "track"]
    assert [(b.first, b.last) for b in batches] == [(1, 4), (1, 2)]
    assert batches[1].waiting == 2
    await stopped(task)


async def test_a_row_that_is_refused_again_and_again_is_not_sent_in_a_loop() -> None:
    s = await filled(1)
    up, session = up_of(s), MemorySession()
    up.chance = lambda: 0.99
    task = await running(up, session)
    for _ in range(3):
        session.inbox.put_nowait(("ack", ack_of(session, upto=None, h=None, bad="checksum")))
        await asyncio.sleep(0.03)
    assert names(session).count("track") == 1, "the next goes a second later"
    assert up.track.not_before_ms == 990
    s.clock.ms = 980  # type: ignore[attr-defined]  # the clock of the test
    await stopped(task)
    assert s.watch.count("track.bad") == 3  # type: ignore[attr-defined]  # a Watch


async def test_a_mark_that_is_elsewhere_is_followed() -> None:
    s = await filled(4)
    up, session = up_of(s), MemorySession()
    h2 = await box(s).hash_at(2)
    task = await running(up, session)
    session.inbox.put_nowait(("ack", encode_ack(Ack(box(s).store, upto=2, h=h2))))
    await asyncio.sleep(0.05)
    assert decode_batch(session.sent[-1][1]).first == 3
    session.inbox.put_nowait(("ack", encode_ack(Ack(box(s).store, upto=0, h=GENESIS))))
    await asyncio.sleep(0.05)
    assert decode_batch(session.sent[-1][1]).first == 1, "the hub has gone back"
    await stopped(task)


async def test_a_foreign_mark_forks_and_nothing_unacked_is_forgotten() -> None:
    s = await filled(4)
    up, before = up_of(s), box(s).store
    await take_ack(Ack(before, upto=9, h=GENESIS), up)
    assert box(s).store != before
    assert box(s).newest == 5
    assert list(up.events) == [1]


async def test_a_fork_that_the_disk_refuses_is_tried_again() -> None:
    s = await filled(4)
    up, before = up_of(s), box(s).store
    box(s).full = True
    await take_ack(Ack(before, upto=9, h=GENESIS), up)
    assert (box(s).store, box(s).newest) == (before, 4)
    assert s.watch.count("outbox.failed") == 1  # type: ignore[attr-defined]  # a Watch
    box(s).full = False
    await take_ack(Ack(before, upto=9, h=GENESIS), up)
    assert (box(s).store != before, box(s).newest) == (True, 5)


async def test_acks_that_are_not_for_us_are_counted() -> None:
    s = await filled()
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    for name, payload in (
        ("cmd", b"{}"),
        ("ack", b"nonsense"),
        ("ack", encode_ack(Ack("AbCdEf01-_x", upto=3, h=GENESIS))),
    ):
        session.inbox.put_nowait((name, payload))
    await asyncio.sleep(0.03)
    assert s.watch.count("ack.rejected") == 2  # type: ignore[attr-defined]  # a Watch
    assert box(s).acked == 0
    await stopped(task)


async def test_a_server_that_takes_logins_and_answers_nothing_is_not_hurried() -> None:
    s = await filled(1)
    up = up_of(s, silent_s=0.02, spread_s=60.0)
    up.chance = lambda: 0.5
    mute = [MemorySession(puback=False) for _ in range(3)]
    task = await running(up, *mute, MemorySession())
    await eventually(lambda: up.mute == 2 and mute[1].lost.done(), every_s=0.01)
    assert uplink._pause_s(LinkDownError("silent"), 0, up) == 2.0
    up.mute = 1
    assert uplink._pause_s(LinkDownError("silent"), 0, up) < 0.2, "once is the line's fault"
    await stopped(task)


async def test_a_silent_link_is_dropped_and_dialled_again() -> None:
    s = await filled()
    first, second = MemorySession(puback=False), MemorySession()
    task = await running(up_of(s), first, second)
    await asyncio.sleep(0.5)
    assert isinstance(first.lost.result(), LinkDownError)
    assert "live" in names(second)
    await stopped(task)


async def test_losses_are_told_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "REFUSED_FIRST_S", 0.02)
    s = await filled()
    session = MemorySession()
    up = up_of(s)
    task = await running(
        up,
        LinkDownError("a"),
        ServerDownError("b"),
        ServerDownError("c"),
        RefusedError("d"),
        SettingsError(["e"]),
        session,
    )
    await asyncio.sleep(0.3)
    assert names(session)[0] == "live"
    assert up.fault == "e", "what is said last is kept for who asks"
    assert s.watch.count("link.down") == 1  # type: ignore[attr-defined]  # a Watch
    assert s.watch.count("link.again") == 4  # type: ignore[attr-defined]  # as above
    await stopped(task)


async def test_the_hub_may_ask_to_have_the_track_later_and_link_and_events_stay() -> None:
    s = await filled()
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    await eventually(lambda: "track" in names(session), every_s=0.01)
    first = session.sent[-1]
    session.inbox.put_nowait(("ack", encode_ack(Ack(box(s).store, retry_after_s=30))))
    await eventually(lambda: up.track.not_before_ms > s.clock.mono_ms() + 20_000, every_s=0.01)
    await s.recorder.add_event("sos", s.vehicle.fix)
    await eventually(lambda: "event" in names(session), every_s=0.01)
    assert names(session).count("track") == 1
    assert not session.lost.done()
    await stopped(task)
    assert up.track.not_before_ms > s.clock.mono_ms() + 20_000, "a new link is no reason to hurry"
    up.track = replace(up.track, not_before_ms=0)
    session = MemorySession()
    task = await running(up, session)
    await eventually(lambda: "track" in names(session), every_s=0.01)
    again = next(payload for name, payload in session.sent if name == "track")
    assert decode_batch(again).rows == decode_batch(first[1]).rows, "the same batch as before"
    await stopped(task)


async def test_a_hub_that_lost_our_live_message_gets_it_again() -> None:
    s = await filled()
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    assert s.live.state.acked is not None
    await take_ack(Ack(box(s).store, live_ms=5), up)
    assert s.live.state.force
    await take(fix(60), s)
    await asyncio.sleep(0.03)
    assert names(session).count("live") == 2
    await stopped(task)


async def test_a_small_budget_sends_one_large_batch_an_interval() -> None:
    s = await filled(130)
    up, session = up_of(s, upload_s=600), MemorySession()
    up.saving = queueing.Saving(300.0, 100)
    task = await running(up, session)
    async with asyncio.timeout(5):
        while "track" not in names(session):  # noqa: ASYNC110  # it goes within a turn of the loop
            await asyncio.sleep(0)
    session.inbox.put_nowait(("ack", ack_of(session)))
    async with asyncio.timeout(5):
        while box(s).acked < 100:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert names(session).count("track") == 1, "30 wait for the next interval"
    assert up.upload_s == 600
    await stopped(task)
