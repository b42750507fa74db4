"""A call for help raised on the gateway: committed, told with its place, and held back by nothing."""

import asyncio

import pytest

from agent.adapters.memory import MemorySession
from agent.calling import Calls
from agent.core import queueing
from agent.flow import Senses
from agent.lanes import Uplink
from agent.ports import Record, Stored
from tests.agent.test_flow import box, senses
from tests.agent.test_uplink import filled, running, stopped, up_of
from tests.rigs import eventually
from wire.codec import decode_event, encode_ack
from wire.errors import UnavailableError
from wire.messages import Ack


def calls_of(s: Senses, **settings: float) -> tuple[Uplink, Calls]:
    up = up_of(s, **settings)
    return up, Calls.of(up)


async def test_it_is_committed_with_its_place_and_the_answer_names_its_seq() -> None:
    s = await filled(3)
    up, calls = calls_of(s)
    told = await calls.sos({"do": "sos", "note": "tyre on fire"})
    assert told["seq"] == box(s).newest == 4
    assert told["store"] == box(s).store
    assert told["linked"] is False
    _, event = decode_event((await sent_events(up))[0])
    assert (event.kind, event.seq, event.detail["note"]) == ("sos", 4, "tyre on fire")
    assert [event.lat_deg, event.lon_deg] == told["place"]
    assert "fix_age_s" not in event.detail


async def sent_events(up: Uplink) -> list[bytes]:
    session = MemorySession()
    task = await running(up, session)
    await eventually(lambda: any(name == "event" for name, _ in session.sent), every_s=0.01)
    await stopped(task)
    return [payload for name, payload in session.sent if name == "event"]


async def test_without_a_fix_and_with_an_old_one() -> None:
    s = senses()
    _, calls = calls_of(s)
    told = await calls.sos({})
    assert (told["seq"], told["place"], told["fix_age_s"]) == (1, None, None)
    s = await filled(2)
    _, calls = calls_of(s)
    assert s.vehicle.fix_mono_ms is not None
    s.vehicle.fix_mono_ms -= 61_000
    assert (await calls.sos({"note": 7}))["fix_age_s"] in {61, 62}


async def test_no_budget_holds_it_back_and_the_hub_s_word_is_passed_on() -> None:
    s = await filled(5)
    up, calls = calls_of(s)
    up.saving = queueing.Saving(upload_s=3600.0, rows=600, held=True)
    session = MemorySession()
    task = await running(up, session)
    session.sent.clear()
    told = await calls.sos({"note": "x" * 300})
    await eventually(lambda: session.sent, every_s=0.001)
    assert session.sent[0][0] == "event", "and nothing went before it"
    assert len(str(decode_event(session.sent[0][1])[1].detail["note"])) == 200
    asked = {"seq": told["seq"], "store": told["store"]}
    assert await calls.held(asked) == {"held": False}
    seq = told["seq"]
    assert isinstance(seq, int)
    session.inbox.put_nowait(("ack", encode_ack(Ack(box(s).store, events=(seq,)))))
    await eventually(lambda: seq not in up.events, every_s=0.01)
    assert await calls.held(asked) == {"held": True}
    assert await calls.held(asked | {"store": "another"}) == {"held": None}
    assert await calls.held({"store": told["store"]}) == {"held": None}
    assert "track" not in [name for name, _ in session.sent]
    await stopped(task)


async def test_a_disk_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    s = await filled(1)
    up, calls = calls_of(s)
    put = box(s).put

    async def refuses(_records: list[Record]) -> list[Stored]:
        raise UnavailableError("no space left")

    monkeypatch.setattr(box(s), "put", refuses)
    assert (await calls.sos({}))["seq"] is None
    monkeypatch.setattr(box(s), "put", put)
    await s.recorder.commit()
    assert [event.kind.value for event in up.events.values()] == ["e"], "it goes as soon as it can be written"


async def test_two_at_once_have_a_seq_each() -> None:
    s = await filled(1)
    _, calls = calls_of(s)
    told = await asyncio.gather(calls.sos({}), calls.sos({}))
    assert sorted(str(one["seq"]) for one in told) == ["2", "3"]
