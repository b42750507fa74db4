"""The fast lanes on the way out: calls for help ahead of all, events until the hub has them."""

import asyncio

import pytest

from agent import lanes, uplink
from agent.adapters.memory import MemorySession
from tests.agent.test_flow import box
from tests.agent.test_uplink import filled, names, running, stopped, up_of
from tests.rigs import eventually
from wire.codec import decode_event, encode_ack
from wire.errors import RefusedError, ServerDownError
from wire.messages import Ack


async def test_events_are_said_again_until_the_hub_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "EVENT_AGAIN_S", 0.05)
    s = await filled(1)
    await s.recorder.add_event("sos", None)
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    await asyncio.sleep(0.1)
    assert names(session).count("event") >= 2
    session.inbox.put_nowait(("ack", encode_ack(Ack(box(s).store, events=(2, 77)))))
    await asyncio.sleep(0.06)
    said = names(session).count("event")
    await asyncio.sleep(0.12)
    assert names(session).count("event") == said
    await stopped(task)


async def test_a_call_for_help_waits_for_nobody() -> None:
    s = await filled(1)
    up, session = up_of(s, silent_s=5.0), MemorySession(puback=False)
    task = await running(up, session)
    for kind in ("battery-low", "tow", "sos", "sos"):
        await s.recorder.add_event(kind, None)
        await asyncio.sleep(0.01)
    told = [decode_event(payload)[1].kind for name, payload in session.sent if name == "event"]
    assert told == ["battery-low", "sos", "sos"], "the tow waits for the PUBACK of the battery"
    await stopped(task)


async def test_each_call_for_help_goes_ahead_of_the_backlog_however_many_events_wait() -> None:
    s = await filled(1)
    for n in range(lanes.EVENTS_AT_ONCE + 9):
        await s.recorder.add_event("tow" if n else "sos", None)
    await s.recorder.add_event("sos", None)
    up, session = up_of(s), MemorySession()
    task = await running(up, session)
    await eventually(lambda: "track" in names(session))
    track = names(session).index("track")
    told = [decode_event(payload)[1] for name, payload in session.sent[:track] if name == "event"]
    assert [event.seq for event in told if event.kind == "sos"] == [2, lanes.EVENTS_AT_ONCE + 11]
    assert [event.kind for event in told[:2]] == ["sos", "sos"]
    await stopped(task)


async def test_no_batch_goes_out_ahead_of_a_call_that_is_not_told_yet() -> None:
    s = await filled(1)
    up = up_of(s)
    await s.recorder.add_event("sos", None)
    waiting = asyncio.ensure_future(lanes.calls_told(up))
    await asyncio.sleep(0.01)
    assert not waiting.done(), "its lane has not run"
    assert up.call_nudge.is_set()
    up.calls.clear()
    await waiting


@pytest.mark.parametrize("error", [ServerDownError("gone"), RefusedError("no")])
async def test_a_call_for_help_waits_for_no_pause(error: ServerDownError | RefusedError) -> None:
    s = await filled(1)
    up, session = up_of(s, spread_s=3600.0), MemorySession()
    up.chance = lambda: 0.99
    task = await running(up, error, session)
    assert names(session) == []
    await s.recorder.add_event("sos", None)
    await eventually(lambda: "event" in names(session))
    await stopped(task)


async def test_while_a_call_waits_no_pause_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "CALLING_S", 0.01)
    s = await filled(1)
    await s.recorder.add_event("sos", None)
    up, session = up_of(s, spread_s=3600.0), MemorySession()
    up.chance = lambda: 0.99
    task = await running(up, *[ServerDownError("gone")] * 9, session)
    await eventually(lambda: "event" in names(session))
    await stopped(task)
