"""Events in every store: once, in order, with a gap-free place, and with a true time as soon as somebody knows it."""

from dataclasses import replace

from hub.core.marks import StoredEvent, stored
from tests.hub.adapters.test_store import SOS, append, peopled
from tests.hub.conftest import AnyStore
from tests.hub.makers import STORE, T0, a_batch, a_registry, an_incoming
from wire.messages import TIME_KNOWN, Event

BOOT = "b007b007b007b007"


def an_event(seq: int = 11, *, fleet: str = "main", kind: str = "sos") -> StoredEvent:
    return StoredEvent("gw-a", STORE, replace(SOS, seq=seq, kind=kind), fleet, "van-1", T0 + 20_000)


def came(*events: Event, at_ms: int = T0) -> list[StoredEvent]:
    return [stored("gw-a", STORE, event, registry=a_registry(), received_ms=at_ms) for event in events]


def undated(seq: int, mono_ms: int, boot: str = BOOT) -> Event:
    return Event(seq, None, "ignition-on", boot=boot, mono_ms=mono_ms)


def known(seq: int, boot: str = BOOT) -> Event:
    return Event(seq, T0 + 900_000, TIME_KNOWN, detail={"boot": boot, "offset_ms": T0})


async def told(store: AnyStore) -> dict[int, tuple[int | None, str | None]]:
    await store.relay("main", 100)
    return {one.event.seq: (one.event.at_ms, one.event.boot) for one in await store.events_after("main", 0, 100)}


async def test_an_event_is_stored_once_whichever_way_it_comes_first(store: AnyStore) -> None:
    await peopled(store)
    track = an_incoming(a_batch(1, 10, events=[SOS]))
    fast = stored("gw-a", STORE, SOS, registry=a_registry(), received_ms=T0)
    await store.add_events([])
    await store.add_events([fast, fast])
    await append(store, track)
    (event,) = await store.relay("main", 10)
    assert (event.event, event.pos, event.fleet, event.vehicle) == (SOS, 1, "main", "van-1")
    other = an_incoming(a_batch(1, 10, events=[SOS]), device="gw-b")
    await append(store, other)
    await store.add_events([stored("gw-b", STORE, SOS, registry=a_registry(), received_ms=T0)])
    assert [one.device for one in await store.events_after("main", 0, 10)] == ["gw-a"]
    assert [one.device for one in await store.relay("main", 10)] == ["gw-a", "gw-b"]


async def test_another_event_in_the_place_is_no_repeat(store: AnyStore) -> None:
    """Two cards of one identity: the call for help of the second has the seq of an event of the first."""
    await peopled(store)
    first, second, other = (
        stored("gw-a", STORE, event, registry=a_registry(), received_ms=T0)
        for event in (Event(11, T0, "idle"), replace(SOS, seq=11), Event(12, T0 + 1, "idle"))
    )
    assert await store.add_events([first]) == []
    assert await store.add_events([second, other]) == [second]
    assert await store.add_events([first, other]) == [], "these are repeats"
    assert await store.add_events([second]) == [second], "it is not there, however often it comes"
    again = replace(second, event=replace(second.event, detail={"why": "another"}))
    await append(store, an_incoming(a_batch(1, 10, events=[second.event])))
    assert await store.add_events([second, again]) == [again]
    log = await store.relay("main", 10)
    assert [(one.event.kind, one.event.seq < 0) for one in log] == [("idle", True), ("idle", False), ("sos", False)]


async def test_two_in_one_group_for_one_place_are_not_both_there(store: AnyStore) -> None:
    await peopled(store)
    events = came(Event(7, T0, "idle"), Event(7, T0, "sos"), Event(7, T0, "idle"))
    assert await store.add_events(events) == [events[1]]
    assert [one.event.kind for one in await store.relay("main", 10)] == ["idle"]


async def test_a_time_is_not_taken_from_another_event(store: AnyStore) -> None:
    await peopled(store)
    await store.add_events(came(undated(1, 5_000)))
    (other,) = came(Event(1, T0 + 77, "sos"))
    assert await store.add_events([other]) == [other]
    assert await told(store) == {1: (T0, BOOT)}


async def test_positions_have_no_gap_and_the_unpublished_come_again(store: AnyStore) -> None:
    await peopled(store)
    await store.add_fleet("north", T0)
    assert await store.relay("main", 10) == []
    await store.add_events([an_event(seq) for seq in (3, 1, 2)] + [an_event(9, fleet="north")])
    assert [one.pos for one in await store.relay("main", 2)] == [1, 2]
    assert [one.pos for one in await store.relay("main", 2)] == [1, 2]
    await store.published("main", 2)
    assert [(one.pos, one.event.seq) for one in await store.relay("main", 2)] == [(3, 2)]
    await store.published("main", 3)
    assert await store.relay("main", 2) == []
    assert [one.pos for one in await store.relay("north", 2)] == [1]
    assert [one.pos for one in await store.events_after("main", 1, 10)] == [2, 3]
    assert [one.pos for one in await store.events_after("main", 0, 1)] == [1]
    assert (await store.last_pos("main"), await store.last_pos("north"), await store.last_pos("x")) == (3, 1, 0)
    await store.add_events([an_event(5, fleet="nowhere")])
    assert await store.relay("nowhere", 5) == []


async def test_an_event_without_a_time_has_that_of_its_coming_until_its_boot_is_known(store: AnyStore) -> None:
    await peopled(store)
    await store.add_events(came(undated(1, 5_000), undated(2, 6_000, boot="another"), at_ms=T0 + 700_000))
    assert await told(store) == {1: (T0 + 700_000, BOOT), 2: (T0 + 700_000, "another")}
    await store.add_events(came(known(3)))
    assert await told(store) == {1: (T0 + 5_000, None), 2: (T0 + 700_000, "another"), 3: (T0 + 900_000, None)}
    await store.add_events(came(undated(4, 7_000), at_ms=T0 + 950_000))
    assert (await told(store))[4] == (T0 + 7_000, None), "it came after the word about its boot"


async def test_the_dated_copy_of_the_track_mends_the_fast_one(store: AnyStore) -> None:
    await peopled(store)
    fast = Event(11, None, "sos", 41.5, -96.5, SOS.detail, boot=BOOT, mono_ms=5_000)
    await store.add_events(came(fast, at_ms=T0 + 20_000))
    await append(store, an_incoming(a_batch(1, 10, events=[replace(SOS, seq=11)])))
    assert await told(store) == {11: (SOS.at_ms, None)}
    await store.add_events(came(fast, at_ms=T0 + 60_000))
    assert await told(store) == {11: (SOS.at_ms, None)}, "a late fast copy changes nothing"


async def test_undated_events_of_a_batch_stand_on_the_day_of_their_coming(store: AnyStore) -> None:
    await peopled(store)
    batch = an_incoming(
        a_batch(1, 10, events=[replace(undated(11, 5_000), lat_deg=41.0, lon_deg=-96.0)]), at_ms=T0 + 60_000
    )
    assert batch.t_max_ms == T0 + 60_000
    await append(store, batch)
    assert await told(store) == {11: (T0 + 60_000, BOOT)}
