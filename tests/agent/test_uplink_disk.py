"""The way out beside a disk that thins, fails or can not be read: the link and the live lane go on."""

from dataclasses import replace

import pytest

from agent import uplink
from agent.adapters.memory import MemoryOutbox, MemorySession
from agent.cutting import cut
from agent.ports import Stored
from tests.agent.test_flow import box
from tests.agent.test_uplink import ack_of, filled, names, running, stopped, up_of
from tests.rigs import eventually
from wire.errors import LinkDownError, UnavailableError
from wire.messages import Batch
from wire.track import decode_batch


async def test_a_batch_whose_end_was_thinned_while_it_was_cut_is_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own ack would look like another card's."""
    s = await filled(1400)
    up, session = up_of(s), MemorySession()
    up.track = replace(up.track, limit=600)
    cuts = []

    async def beside(outbox: MemoryOutbox, limit: int) -> Batch:
        batch = await cut(outbox, limit)
        cuts.append(batch.last)
        if len(cuts) == 1:
            await outbox.thin()
        return batch

    monkeypatch.setattr(uplink, "cut", beside)
    task = await running(up, session)
    await eventually(lambda: "track" in names(session))
    batch = decode_batch(next(payload for name, payload in session.sent if name == "track"))
    assert len(cuts) == 2
    assert await box(s).hash_at(batch.last) == batch.after
    assert await box(s).hash_at(cuts[0]) is None
    await stopped(task)


async def test_a_disk_that_can_not_be_read_keeps_the_link_and_the_live_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "DISK_AGAIN_S", 0.02)
    s = await filled(3)
    up, session = up_of(s), MemorySession()
    real, broken = box(s).read, True

    async def read(first: int, limit: int) -> list[Stored]:
        if broken:
            raise UnavailableError("disk I/O error")
        return await real(first, limit)

    monkeypatch.setattr(box(s), "read", read)
    task = await running(up, session)
    await eventually(lambda: s.watch.count("outbox.failed") > 1)  # type: ignore[attr-defined]  # a Watch
    assert names(session) == ["live", "status"]
    assert not session.lost.done()
    broken = False
    await eventually(lambda: "track" in names(session))
    await stopped(task)


async def test_what_a_disk_can_not_say_of_the_hubs_mark_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    s = await filled(3)
    up, session = up_of(s), MemorySession()
    task = await running(up, session)

    async def settle(_upto: int, _h: str) -> None:
        raise UnavailableError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(box(s), "settle", settle)
        session.inbox.put_nowait(("ack", ack_of(session)))
        await eventually(lambda: s.watch.count("outbox.failed") == 1)  # type: ignore[attr-defined]  # a Watch
    session.inbox.put_nowait(("ack", ack_of(session)))
    await eventually(lambda: box(s).acked == 3)
    assert not session.lost.done()
    await stopped(task)


async def test_events_that_can_not_be_read_at_the_start_are_read_with_the_next_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s = await filled(1)
    await s.recorder.add_event("tow", None)
    up, first, second = up_of(s), MemorySession(), MemorySession()

    async def refuse(_limit: int) -> list[Stored]:
        raise UnavailableError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(box(s), "unacked_events", refuse)
        task = await running(up, first, second)
        await eventually(lambda: "status" in names(first))
    first.drop(LinkDownError("cut"))
    await eventually(lambda: "event" in names(second))
    assert "event" not in names(first)
    await stopped(task)
