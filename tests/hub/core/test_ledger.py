"""The account: what stands where, what closes, and why something does not."""

from collections import Counter
from dataclasses import replace

import pytest

from hub.core.ledger import (
    FIRST_DAY,
    LAST_DAY,
    SILENT_MS,
    Balance,
    Day,
    Line,
    Reach,
    balance_data,
    balances,
    day_data,
    days,
    reason_label,
)
from hub.core.marks import DAY_MS
from hub.core.registry import Binding, Device, Registry
from tests.hub.makers import DAY, STORE, T0, a_registry

NOW = T0 + 60_000
ALL = {"first": FIRST_DAY, "last": LAST_DAY, "now_ms": NOW}


def told(last: int, newest: int, device: str = "gw-a", **more: object) -> Reach:
    return replace(Reach(device, STORE, last, newest, T0), **more)  # type: ignore[arg-type]  # by name


def moved_at(at_ms: int) -> Registry:
    """gw-a goes from van-1 to van-2."""
    registry = a_registry()
    bindings = (Binding("van-1", T0 - 9 * DAY_MS), Binding("van-2", at_ms))
    return replace(registry, devices={"gw-a": Device("gw-a", "main", bindings=bindings)})


def test_a_day_is_received_and_lost_and_out_there() -> None:
    lines = [
        Line("gw-a", DAY, "rows", 90), Line("gw-a", DAY, "events", 3), Line("gw-a", DAY, "unknown", 2),
        Line("gw-a", DAY, "lost:thinned", 5), Line("gw-b", DAY, "rows", 7), Line("gw-a", DAY - 1, "rows", 1),
        Line("gw-a", DAY, "nonsense", 4),
    ]  # fmt: skip
    found = days(lines, [told(100, 110), told(7, 7, "gw-b")], registry=a_registry(), **ALL)
    assert [(one.day, one.vehicle, one.recorded, one.received, one.out_there) for one in found] == [
        (DAY - 1, "van-1", 1, 1, 0), (DAY, "van-1", 110, 95, 10), (DAY, "van-2", 7, 7, 0),
    ]  # fmt: skip
    assert found[1].lost == Counter({"thinned": 5})
    assert all(one.notes == [] for one in found)
    assert days(lines, [told(100, 110)], registry=a_registry(), first=DAY + 1, last=LAST_DAY, now_ms=NOW) == []
    assert day_data(found[1]) == {
        "vehicle": "van-1", "day": "2025-10-09", "recorded": 110, "received": 95, "lost": {"thinned": 5},
        "out_there": 10, "told_ms": T0, "notes": [],
    }  # fmt: skip


def test_a_device_that_is_silent_says_so() -> None:
    late = T0 + SILENT_MS + 1
    at = {"registry": a_registry(), "first": FIRST_DAY, "last": LAST_DAY, "now_ms": late}
    (one,) = days([Line("gw-a", DAY, "rows", 5)], [told(5, 5)], **at)  # type: ignore[arg-type]  # by name
    assert one.notes == [
        "gw-a has not reported since 2025-10-09T08:53:20.000Z: what it recorded after that is not known here"
    ]
    assert days([], [told(5, 5)], **at) == []  # type: ignore[arg-type]  # by name
    (waits,) = days([], [told(5, 9)], **at)  # type: ignore[arg-type]  # by name
    assert (waits.recorded, waits.out_there, len(waits.notes)) == (4, 4, 1)
    assert days([], [told(5, 9, closed="fork")], **at) == []  # type: ignore[arg-type]  # by name
    (never,) = days([], [told(5, 9, told_ms=None)], **at)  # type: ignore[arg-type]  # by name
    assert (never.day, never.out_there, never.notes) == (DAY, 4, [])


def test_the_account_says_up_to_when_it_can_know() -> None:
    """The silent one of two devices in a vehicle is what the day can't be complete for."""
    registry = a_registry(gw_a="van-1", gw_b="van-1")
    lines = [Line("gw-a", DAY, "rows", 5), Line("gw-b", DAY, "rows", 5)]
    reaches = [told(5, 5, told_ms=T0 + 9), told(5, 5, "gw-b", told_ms=T0 + 4)]
    for order in (reaches, reaches[::-1]):
        assert [one.told_ms for one in days(lines, order, registry=registry, **ALL)] == [T0 + 4]
    assert [one.told_ms for one in balances(lines, reaches, now_ms=NOW)] == [T0 + 9, T0 + 4]
    never = [told(5, 5, told_ms=None)]
    assert days(lines[:1], never, registry=registry, **ALL)[0].told_ms is None
    assert balances(lines[:1], [told(5, 5, closed="fork")], now_ms=NOW)[0].told_ms is None, "that store tells no more"


def test_a_day_stands_with_the_vehicle_that_it_was_in_for_longest() -> None:
    midnight = DAY * DAY_MS
    lines = [Line("gw-a", DAY, "rows", 5), Line("gw-a", DAY, "events", 1)]
    for hour, vehicle in ((1, "van-2"), (23, "van-1")):
        (one,) = days(lines, [], registry=moved_at(midnight + hour * 3_600_000), **ALL)
        assert (one.vehicle, one.received) == (vehicle, 6)
        assert one.notes == ["gw-a sat in more than one vehicle on this day; all of it stands here"]
    (one,) = days(lines, [], registry=moved_at(midnight), **ALL)
    assert (one.vehicle, one.notes) == ("van-2", [])


def test_what_belongs_to_no_vehicle_is_told_too() -> None:
    registry = moved_at(T0)
    found = days([Line("gw-z", DAY, "rows", 5), Line("gw-a", DAY - 99, "rows", 1)], [], registry=registry, **ALL)
    assert [(one.vehicle, one.notes) for one in found] == [
        (None, ["gw-a was in no vehicle yet"]), (None, ["gw-z is in no vehicle"]),
    ]  # fmt: skip


def test_a_device_closes() -> None:
    totals = [Line("gw-a", 0, "rows", 90), Line("gw-a", 0, "lost:dropped", 10), Line("gw-a", 0, "lost:thinned", 0)]
    (one,) = balances(totals, [told(60, 65), told(40, 40, store="ZZZZZZZZZZZ")], now_ms=NOW)
    assert one == Balance("gw-a", 105, 90, {"dropped": 10}, 5, told_ms=T0)
    assert one.off == 0
    assert balance_data(one) == {
        "device": "gw-a", "recorded": 105, "received": 90, "lost": {"dropped": 10}, "out_there": 5,
        "told_ms": T0, "off": 0, "why": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "reach", "off", "why"),
    [
        ([Line("gw-a", 0, "rows", 90)], told(90, 100, closed="store-new"), 10, "ended (store-new) with 10 records"),
        ([Line("gw-a", 0, "rows", 90)], told(90, 90, closed="fork"), 0, ""),
        ([Line("gw-a", 0, "rows", 80)], told(90, 100), 10, "differ by 10"),
        ([], told(90, 90), 90, "differ by 90"),
        ([Line("gw-a", 0, "rows", 90)], told(90, 95, told_ms=T0 - SILENT_MS), 0, "has not reported since"),
        ([Line("gw-a", 0, "rows", 90)], told(90, 95, told_ms=None), 0, ""),
    ],
)
def test_what_does_not_close_says_why(lines: list[Line], reach: Reach, off: int, why: str) -> None:
    (one,) = balances(lines, [reach], now_ms=NOW)
    assert one.off == off
    assert why in " ".join(one.why)
    assert bool(one.why) is bool(why)


def test_lines_without_a_store_are_off() -> None:
    (one,) = balances([Line("gw-a", 0, "rows", 9)], [], now_ms=NOW)
    assert (one.off, len(one.why)) == (-9, 1)


def test_no_device_makes_up_labels() -> None:
    assert [reason_label(what) for what in ("lost:thinned", "lost:hub-rollback", "lost:x1")] == [
        "thinned", "hub-rollback", "other",
    ]  # fmt: skip


def test_an_empty_day_is_nothing() -> None:
    assert Day("van-1", 1).recorded == 0


def test_what_is_out_there_stands_on_its_own_day() -> None:
    waits = told(100, 350, days=((DAY - 2, 90), (DAY - 1, 200), (DAY, 300)))
    found = days([], [waits], registry=a_registry(), **ALL)
    assert [(one.day, one.out_there) for one in found] == [(DAY - 1, 100), (DAY, 150)], "50 came after its word"
    assert days([], [waits], registry=a_registry(), first=DAY, last=DAY, now_ms=NOW)[0].out_there == 150
    assert days([], [replace(waits, last=350)], registry=a_registry(), **ALL) == []
    (short,) = days([], [replace(waits, last=290, newest=295)], registry=a_registry(), **ALL)
    assert (short.day, short.out_there) == (DAY, 5), "less than it told: the mark went back"
