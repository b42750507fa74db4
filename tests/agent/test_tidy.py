"""The outbox kept tidy while the agent runs, and what is told of it."""

import asyncio

import pytest

from agent.core.dating import Moment
from agent.cutting import cut
from agent.ports import Kind, Limits, Record
from agent.tidy import keep_tidy
from tests.agent.test_flow import box, fix
from tests.agent.test_uplink import filled, up_of


async def test_tidying_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    s = await filled(5)
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 1:
            raise asyncio.CancelledError

    monkeypatch.setattr("agent.tidy.asyncio.sleep", nap)
    with pytest.raises(asyncio.CancelledError):
        await keep_tidy(up_of(s))
    assert naps == [60.0, 60.0]


async def test_room_that_was_made_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    s = await filled(1)
    up, outbox, rounds = up_of(s), box(s), 0
    body = (await outbox.read(1, 1))[0].body
    await outbox.put([Record(Kind.FIX, Moment(fix(i).at_ms, "b007", i), body) for i in range(1, 900)])
    outbox.limits = Limits(max_bytes=1)

    async def nap(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds > 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("agent.tidy.asyncio.sleep", nap)
    with pytest.raises(asyncio.CancelledError):
        await keep_tidy(up)
    assert s.watch.count("outbox.dropped") == outbox.lost_so_far["dropped"] == 899  # type: ignore[attr-defined]  # a Watch
    assert (await cut(outbox, 60)).lost[0].reason == "dropped"
