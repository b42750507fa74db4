"""Time on the way in: no time yet, a wrong date, a rollover, a leap; order is kept, and true times stand in the records."""

import json

from agent.core import sampler, timing
from agent.core.dating import UNDATED_FIX
from agent.core.gnss.dates import ERA_MS
from agent.cutting import cut
from agent.flow import Senses, take
from agent.recorder import OPEN_MS
from tests.agent.test_flow import Clock, T, box, fix, senses
from wire.messages import Fix
from wire.ops.watch import Watch
from wire.schema import AT_MS

DAY_MS = 86_400_000


def starting() -> tuple[Senses, Clock]:
    clock = Clock(known=False, floor_ms=T - DAY_MS)
    return senses(clock), clock


def count(s: Senses, name: str) -> int:
    assert isinstance(s.watch, Watch)
    return s.watch.count(name)


async def bodies(s: Senses) -> list[list[object]]:
    await s.recorder.commit()
    return [json.loads(row.body) for row in await box(s).read(1, 99)]


async def test_what_happened_before_the_first_fix_gets_its_true_time() -> None:
    s, clock = starting()
    clock.ms = 5_000
    await s.recorder.add_event("ignition-on", None)
    assert box(s).ready == 0, "held back"
    clock.ms = 65_000
    await take(fix(65), s)
    await s.recorder.commit()
    await s.recorder.settle_times()
    event, row = await bodies(s)
    assert event[:2] == [T + 5_000, "ignition-on"]
    assert row[AT_MS] == T + 65_000
    batch = await cut(box(s), 60)
    assert [one.at_ms for one in batch.events] == [T + 5_000]


async def test_after_ten_minutes_it_goes_without() -> None:
    s, clock = starting()
    await s.recorder.add_event("ignition-on", None)
    clock.ms = OPEN_MS
    await s.recorder.settle_times()
    (event,) = (await cut(box(s), 60)).events
    assert (event.at_ms, event.boot, event.mono_ms) == (None, "b007", 0)


async def test_a_rollover_is_repaired_and_counted() -> None:
    s, _ = starting()
    await take(Fix(T - ERA_MS + 1_000, 41.0, -96.0), s)
    ((at_ms, *_),) = await bodies(s)
    assert at_ms == T + 1_000
    assert s.vehicle.fix is not None
    assert s.vehicle.fix.at_ms == T + 1_000
    assert count(s, "gnss.redated") == 1


async def test_a_place_at_an_impossible_date_is_kept_and_dated_when_the_date_comes() -> None:
    s, clock = starting()
    s.live.linked = True
    for second in range(3):
        clock.ms = second * 1_000
        await take(Fix(315_964_800_000 + clock.ms, 41.0, -96.0), s)
    assert s.vehicle.fix is None, "nothing to send live"
    assert count(s, "gnss.wrong-date") == 1, "told once"
    await take(Fix(315_964_800_000 + clock.ms, 45.0, -96.0), s)
    assert count(s, "gnss.rejected") == 1, "it is judged all the same"
    clock.ms = 60_000
    await take(fix(60), s)
    await s.recorder.commit()
    await s.recorder.settle_times()
    times = [body[0] for body in await bodies(s)]
    assert times == [T, T, T + 1_000, T + 2_000, T + 60_000], (
        "the word about the date, three places, the first right fix"
    )


async def test_an_impossible_date_that_never_ends_is_sent_as_an_event_with_its_place() -> None:
    s, clock = starting()
    await take(Fix(315_964_800_000, 41.0, -96.0, speed_mps=3.0), s)
    await s.recorder.commit()
    clock.ms = OPEN_MS
    await s.recorder.settle_times()
    told, place = (await cut(box(s), 60)).events
    assert told.kind == "wrong-date"
    assert (place.kind, place.lat_deg, place.lon_deg, place.at_ms) == (UNDATED_FIX, 41.0, -96.0, None)


async def test_an_impossible_date_beside_a_confirmed_clock_takes_that_ones_time() -> None:
    s, clock = starting()
    clock.ms = 7_000
    clock.state = timing.State(T, timing.Basis.SYSTEM)
    await take(Fix(946_684_800_000, 41.0, -96.0), s)
    event, row = await bodies(s)
    assert (event[1], row[AT_MS]) == ("wrong-date", T + 7_000)


async def test_a_leap_of_the_receiver_is_refused_until_it_lasts() -> None:
    s, clock = starting()
    await take(fix(0), s)
    clock.ms = 1_000
    await take(fix(3_601), s)
    clock.ms = 2_000
    await take(fix(2), s)
    assert [body[AT_MS] for body in await bodies(s)] == [T, T + 2_000]
    assert count(s, "gnss.rejected") == 1
    for second in (3, 4, 5):
        clock.ms = second * 1_000
        await take(fix(3_600 + second), s)
    assert (await bodies(s))[-1][AT_MS] == T + 3_605_000


async def test_the_live_lane_waits_for_a_time() -> None:
    s, clock = starting()
    s.live.linked = True
    await take(Fix(315_964_800_000, 41.0, -96.0), s)
    assert s.live.state == sampler.State()
    clock.ms = 1_000
    await take(fix(1), s)
    assert s.live._waiting is not None


async def test_a_disk_that_refuses_leaves_them_open() -> None:
    s, clock = starting()
    await s.recorder.add_event("ignition-on", None)
    box(s).full = True
    clock.ms = OPEN_MS
    await s.recorder.settle_times()
    assert count(s, "outbox.failed") == 1
    assert box(s).ready == 0
