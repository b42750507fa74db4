"""The way in, on the twins in memory: every lane, every door, parts that do not answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hub.core.marks import Mark
from hub.core.windows import Window
from tests.hub.flow.ingest_yard import LIVE, ON, SOS, Yard
from tests.hub.makers import STORE, T0, a_batch, bent_body, h_at
from tests.rigs import eventually
from wire.codec import encode_event, encode_live, encode_status
from wire.messages import Ack, Status
from wire.track import GENESIS, encode_batch


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    made = Yard()
    await made.people()
    yield made
    await made.stop()


# Live.


async def test_a_live_message_is_shown(yard: Yard) -> None:
    await yard.start()
    yard.send("live", encode_live(LIVE))
    await yard.is_shown(rx=T0 + 100, q=3, on=False)
    assert (await yard.shown())["live"]["spd"] == 13.4
    ((name, far_m),) = await yard.now.near("main", 41.28, -96.08, radius_m=10, most=5)
    assert (name, round(far_m, 1)) == ("van-1", 0.0)


async def test_only_the_newest_waiting_live_message_is_taken(yard: Yard) -> None:
    yard.send("live", encode_live(LIVE))
    assert yard.watch.count("ingest.stranger") == 1  # before the registry was read nobody is known
    await yard.start("live")
    for i in range(10):
        yard.send("live", encode_live(replace(LIVE, at_ms=T0 + i)))
    await yard.is_shown(rx=T0 + 100)
    assert (await yard.shown())["live"]["t"] == T0 + 9
    assert yard.watch.count("live.replaced") == 9


async def test_old_live_messages_are_ignored(yard: Yard) -> None:
    await yard.start()
    yard.send("live", encode_live(LIVE))
    await yard.is_shown(rx=T0 + 100)
    yard.send("live", encode_live(replace(LIVE, at_ms=T0 - 10)))
    yard.send("live", encode_live(replace(LIVE, at_ms=T0 - 5000)), "gw-b")  # before it sat in van-2
    await eventually(lambda: yard.watch.count("live.old") == 2)
    assert (await yard.shown("van-2"))["live"] is None


async def test_the_newest_live_message_is_saved_now_and_then(yard: Yard) -> None:
    await yard.start("live")
    yard.send("live", encode_live(LIVE))
    await eventually(lambda: yard.watch.count("live.received") == 1)
    await yard.ingest.save_live(yard.at_ms)
    yard.send("live", encode_live(replace(LIVE, at_ms=T0 + 50)))
    await eventually(lambda: yard.watch.count("live.received") == 2)
    await yard.ingest.save_live(yard.at_ms + 9_999)
    assert [saved.received_ms for saved in await yard.store.load_live()] == [T0 + 100]
    yard.store.down = True
    await yard.ingest.save_live()
    yard.store.down = False
    await yard.ingest.save_live()
    again = Yard()
    again.store = yard.store
    again.ingest._store = yard.store
    again.at_ms = T0 + 999
    await again.ingest.start()
    view = again.ingest.views.get("van-1")
    assert view is not None
    assert view.live is not None
    assert view.live.at_ms == T0 + 50


# Track.


async def test_a_batch_is_acked_after_the_commit(yard: Yard) -> None:
    await yard.start()
    yard.send("live", encode_live(replace(LIVE, waiting=40)))
    yard.send("track", encode_batch(a_batch(1, 10, waiting=20)))
    await eventually(lambda: len(yard.acks()) == 1)
    assert yard.acks()[0] == Ack(STORE, 10, h_at(10), live_ms=T0)
    await yard.is_shown(q=20, through=T0 + 10_000, catching_up=False)
    yard.send("track", encode_batch(a_batch(1, 10)))
    yard.send("track", encode_batch(a_batch(12, 10)))
    yard.send("track", encode_batch(a_batch(11, 10)))
    await eventually(lambda: len(yard.acks()) == 4)
    assert [ack.upto for ack in yard.acks()] == [10, 10, 10, 20]
    assert [yard.watch.count("track.verdict", verdict=v) for v in ("append", "duplicate", "answer")] == [2, 1, 1]
    assert yard.watch.count("track.rows") == 20


async def test_damaged_batches_are_answered_bad(yard: Yard) -> None:
    await yard.start()
    good = encode_batch(a_batch())
    yard.send("track", b"junk")
    yard.send("track", good[:-1])
    await eventually(lambda: len(yard.acks()) == 2)
    assert [(ack.store, ack.bad, ack.upto) for ack in yard.acks()] == [
        (GENESIS, "no-header-line", None), (STORE, "checksum", None),
    ]  # fmt: skip
    yard.send("track", good)
    await eventually(lambda: len(yard.acks()) == 3)
    yard.send("track", b"junk")
    await eventually(lambda: len(yard.acks()) == 4)
    assert (yard.acks()[3].store, yard.watch.count("track.bad")) == (STORE, 3)


async def test_poison_moves_the_mark_and_disturbs_nobody(yard: Yard) -> None:
    await yard.start()
    yard.send("track", bent_body(a_batch(1, 10)))
    yard.send("track", encode_batch(a_batch(1, 5)), "gw-b")
    yard.send("track", encode_batch(a_batch(11, 10)))
    await eventually(lambda: len(yard.acks()) == 2 and len(yard.acks("gw-b")) == 1)
    assert [ack.upto for ack in yard.acks()] == [10, 20]
    assert yard.watch.count("track.quarantined", kind="poison") == 1
    assert yard.watch.count("track.lost") == 10


async def test_a_roll_back_is_booked_and_alarmed(yard: Yard) -> None:
    await yard.start()
    yard.send("track", encode_batch(a_batch(101, 10, low=101)))
    await eventually(lambda: len(yard.acks()) == 1)
    assert yard.acks()[0].upto == 110
    assert yard.watch.count("track.lost") == 100
    await eventually(lambda: "hub-rollback" in str(yard.now.stream))


async def test_what_does_not_fit_the_inbox_is_dropped_and_counted(yard: Yard) -> None:
    await yard.ingest.start()
    for i in range(6):
        yard.send("track", encode_batch(a_batch(1 + 10 * i, 10)))
        yard.send("event", encode_event(STORE, SOS))
    assert yard.watch.count("ingest.overflow", topic="track") == 2
    assert yard.watch.count("ingest.overflow", topic="event") == 2
    told = [ack for ack in yard.acks() if ack.retry_after_s is not None]
    assert [(ack.store, ack.upto, ack.retry_after_s) for ack in told] == [(STORE, None, 15.1), (STORE, None, 15.2)]
    yard.send("track", b"no header")
    assert len([ack for ack in yard.acks() if ack.retry_after_s]) == 2, "whose store nobody knows gets no answer"


# Events and statuses.


async def test_an_event_is_stored_once_acked_and_relayed(yard: Yard) -> None:
    await yard.start()
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: len(yard.acks()) == 1)
    assert yard.acks()[0] == Ack(STORE, events=(11,))
    yard.send("track", encode_batch(a_batch(1, 10, events=[SOS])))
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: len(yard.acks()) == 3)
    await eventually(lambda: bool(yard.now.stream))
    await asyncio.sleep(0.05)
    (told,) = yard.now.stream["main"].values()
    assert json.loads(told) | {"veh": "van-1", "kind": "sos"} == json.loads(told)
    await eventually(lambda: yard.boards.of("main").pos == 1)


@pytest.mark.parametrize("missed", ["boards", "look"])
async def test_a_bell_is_heard_or_looked_for(yard: Yard, missed: str) -> None:
    lanes = {"word", "relay", "redis", "boards", "look"} - {missed}
    await yard.start(*lanes)
    await asyncio.sleep(0.02)
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: yard.boards.of("main").pos == 1)


async def test_an_event_that_would_not_go_into_a_stream_is_refused(yard: Yard) -> None:
    await yard.start()
    yard.send("event", encode_event(STORE, SOS).replace(b"button", b"\\ud800"))
    await eventually(lambda: yard.watch.count("ingest.refused", topic="event") == 1)
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: bool(yard.now.stream))


async def test_events_wait_for_redis_but_their_ack_does_not(yard: Yard) -> None:
    yard.now.down = True
    await yard.start()
    yard.send("event", encode_event(STORE, SOS))
    await eventually(lambda: len(yard.acks()) == 1)
    yard.send("track", encode_batch(a_batch(1, 10, events=[SOS])))
    await eventually(lambda: len(yard.acks()) == 2)
    yard.now.down = False
    await eventually(lambda: len(yard.now.stream.get("main", {})) == 1)


async def test_presence_is_shown_and_the_mark_told(yard: Yard) -> None:
    await yard.start()
    yard.send("track", encode_batch(a_batch(1, 10)))
    await eventually(lambda: len(yard.acks()) == 1)
    yard.send("status", encode_status(ON))
    await yard.is_shown(on=True)
    assert yard.acks()[1] == Ack(STORE, 10, h_at(10))
    yard.send("status", encode_status(replace(ON, connection="c2")))
    yard.send("status", encode_status(Status(False, "c1")))
    await eventually(lambda: yard.watch.count("status.changed", change="came-again") == 1)
    await yard.is_shown(on=True)
    yard.send("status", encode_status(Status(False, "c2")))
    await yard.is_shown(on=False)


# Doors.


@pytest.mark.parametrize(
    ("topic", "payload", "counted"),
    [
        ("odo/1/gw-a/up/live", b"{", "ingest.refused"), ("odo/1/gw-a/up/live", b'{"v":1}', "ingest.refused"),
        ("odo/1/gw-a/up/live", b"\xff\xfe", "ingest.refused"), ("odo/1/gw-a/up/live", b"[" * 900, "ingest.refused"),
        ("odo/1/gw-a/up/live", b"x" * 1025, "ingest.refused"), ("odo/1/gw-a/up/event", b"[]", "ingest.refused"),
        ("odo/1/gw-a/up/status", b"5", "ingest.refused"), ("odo/1/gw-a/up/nothing", b"x", "ingest.refused"),
        ("odo/1/GW/up/live", b"x", "ingest.refused"), ("", b"x", "ingest.refused"),
        ("odo/1/gw-z/up/live", b"x", "ingest.stranger"), ("odo/1/gw-a/up/track", b"x" * 70_000, "ingest.refused"),
    ],
)  # fmt: skip
async def test_malformed_messages_are_counted_and_disturb_nothing(
    yard: Yard, topic: str, payload: bytes, counted: str
) -> None:
    await yard.start()
    yard.ingest.take(topic, payload)
    await eventually(lambda: yard.watch.count(counted) == 1)
    yard.send("live", encode_live(LIVE))
    await yard.is_shown(rx=T0 + 100)


@pytest.mark.parametrize(
    ("topic", "payload"), [("odo/1/gw-a/up/live", b""), ("odo/1/gw-a/down/ack", b"x"), ("odo/1/gw-a/up/csr", b"x")]
)
async def test_what_is_not_for_the_lanes_is_left_alone(yard: Yard, topic: str, payload: bytes) -> None:
    await yard.start()
    yard.ingest.take(topic, payload)
    assert yard.watch.count("ingest.refused") == 0


# Registry.


async def test_a_suspended_device_is_shut_out_and_shown_offline(yard: Yard) -> None:
    await yard.start()
    yard.send("status", encode_status(ON))
    await yard.is_shown(on=True)
    await yard.store.set_suspended("gw-a", suspended=True, now_ms=T0)
    await yard.is_shown(on=False)
    cleared = [(topic, retain) for topic, data, retain in yard.down.sent if not data]
    assert cleared == [("odo/1/gw-a/up/live", True), ("odo/1/gw-a/up/status", True)]
    yard.send("live", encode_live(LIVE))
    assert yard.watch.count("ingest.stranger") == 1


async def test_a_device_that_moves_is_shown_in_its_new_vehicle(yard: Yard) -> None:
    await yard.start()
    yard.send("status", encode_status(ON))
    await yard.is_shown(on=True)
    await yard.store.add_vehicle("bus", "main", name="Bus", tags=[], now_ms=T0)
    await yard.store.bind("gw-a", "bus", valid_from_ms=T0 + 50, now_ms=T0)
    await yard.is_shown(on=False)
    assert (await yard.shown("bus"))["on"] is True
    assert [topic for topic, data, _ in yard.down.sent if not data] == ["odo/1/gw-a/up/live"]
    yard.send("live", encode_live(LIVE))  # of before it moved
    await eventually(lambda: yard.watch.count("live.old") == 1)


async def test_an_unbound_device_is_stored_and_shown_nowhere(yard: Yard) -> None:
    yard.at_ms = T0 - 5000
    await yard.start()
    yard.send("live", encode_live(LIVE))
    yard.send("track", encode_batch(a_batch(1, 10)))
    yard.send("status", encode_status(ON))
    await eventually(lambda: len(yard.acks()) == 2)
    assert {ack.live_ms for ack in yard.acks()} == {T0}
    assert (await yard.shown())["live"] is None


# Parts that do not answer.


async def test_nothing_is_acked_while_the_store_is_down(yard: Yard) -> None:
    await yard.start()
    await yard.is_shown(on=False)
    yard.store.down = True
    yard.send("track", encode_batch(a_batch(1, 10)))
    yard.send("event", encode_event(STORE, SOS))
    yard.send("status", encode_status(ON))
    await yard.is_shown(on=True)  # what is now does not need the store
    assert yard.acks() == []
    assert yard.ingest.store_fault
    yard.store.down = False
    await eventually(lambda: yard.ingest.store_fault is None)
    yard.send("track", encode_batch(a_batch(1, 10)))
    await eventually(lambda: [ack.upto for ack in yard.acks()] == [10])
    assert (yard.watch.count("store.down"), yard.watch.count("store.up")) == (1, 1)


async def test_redis_that_was_away_is_brought_up_to_date(yard: Yard) -> None:
    await yard.start()
    await yard.is_shown(on=False)
    yard.now.down = True
    yard.send("live", encode_live(LIVE))
    yard.send("track", encode_batch(a_batch(1, 10)))
    await eventually(lambda: len(yard.acks()) == 1)
    await eventually(lambda: yard.ingest.redis_fault is not None)
    yard.now.down = False
    await yard.is_shown(rx=T0 + 100, through=T0 + 10_000)
    await eventually(lambda: yard.ingest.redis_fault is None)
    assert yard.watch.count("redis.down") == 1


async def test_a_redis_that_was_never_there_is_told_once_and_holds_nobody_up(yard: Yard) -> None:
    yard.now.down = True
    await yard.start()
    yard.send("live", encode_live(LIVE))
    yard.send("track", encode_batch(a_batch(1, 10)))
    await eventually(lambda: len(yard.acks()) == 1)
    await eventually(lambda: yard.watch.count("redis.retry") > 1)
    assert (yard.watch.count("redis.down"), yard.watch.count("redis.up")) == (1, 0)
    yard.now.down = False
    await yard.is_shown(rx=T0 + 100, through=T0 + 10_000)
    await eventually(lambda: yard.ingest.redis_fault is None)
    assert (yard.watch.count("redis.down"), yard.watch.count("redis.up")) == (1, 1)


async def test_a_redis_that_lost_everything_is_filled_again(yard: Yard) -> None:
    await yard.start()
    yard.send("live", encode_live(LIVE))
    await yard.is_shown(rx=T0 + 100)
    yard.now.lose()
    await yard.is_shown(rx=T0 + 100)

    async def whole() -> bool:
        return await yard.now.filled("main") == "1"

    await eventually(whole, every_s=0.01)
    assert await yard.store.mark("gw-a", STORE) == Mark()


async def test_what_an_outside_redis_kept_is_taken_over_if_newer(yard: Yard) -> None:
    await yard.start()
    yard.send("live", encode_live(LIVE))
    await yard.is_shown(rx=T0 + 100)
    again = Yard()
    again.now = again.ingest._now = again.boards._now = yard.now
    again.store = again.ingest._store = yard.store
    again.boards._last_pos = yard.store.last_pos
    yard.now._states["main"]["bent"] = replace(yard.now._states["main"]["van-1"], vehicle="bent", text='{"veh":5}')
    await yard.stop()
    await again.start()
    await eventually(lambda: again.ingest.redis_tried)
    view = again.ingest.views.get("van-1")
    assert view is not None
    assert view.live is not None
    assert again.watch.count("ingest.refused", topic="redis") >= 1
    await again.stop()


# Boards.


async def test_boards_follow_and_come_back(yard: Yard) -> None:
    await yard.start()
    await eventually(lambda: yard.boards.follows)
    board = yard.boards.of("main")
    viewer = board.join(lambda: None)
    snapshot = json.loads(viewer.subscribe(1, Window(tags=frozenset({"cooled"})), T0))
    assert [vehicle["veh"] for vehicle in snapshot["vehicles"]] == ["van-1", "van-2"]
    yard.send("live", encode_live(LIVE))
    await eventually(lambda: viewer.pending)
    assert [json.loads(frame)["vehicles"][0]["rx"] for frame in viewer.drain(T0)] == [T0 + 100]
    yard.now._tell("odo:{main}:moves", b"junk")
    yard.now._tell("odo:{main}:bell", b"junk")
    yard.now._tell("odo:{nowhere}:moves", b"junk")
    await eventually(lambda: yard.watch.count("ingest.refused", topic="redis") == 2)
    assert not viewer.pending


async def test_what_devices_say_to_commands_is_passed_on(yard: Yard) -> None:
    await yard.start("registry")
    told: list[tuple[str, bool, str]] = []
    yard.ingest.on_outcome = lambda device, outcome: told.append((device, outcome.ok, outcome.why))
    yard.send("cmd", b'{"v":1,"id":"a","ok":false,"why":"expired"}')
    yard.send("cmd", b"{")
    assert told == [("gw-a", False, "expired")]
    assert yard.watch.count("ingest.refused", topic="cmd", reason="not-json") == 1
