"""Drives: cut at long gaps but not at one wrong date, put in order, speed and course derived where they are missing."""

from dataclasses import replace

from agent.core.traces.drives import Moment, derived, drives_of, reading_of, with_speeds
from wire.messages import Fix, Reading

HOUR_MS = 3_600_000


def moments(*times_ms: int) -> list[Moment]:
    return [Moment(Fix(at_ms, 50.0, 10.0)) for at_ms in times_ms]


def times(found: list[Moment], name: str = "v") -> list[list[int]]:
    return [[m.fix.at_ms for m in drive.moments] for drive in drives_of(name, found)]


def test_an_hour_of_silence_begins_a_new_drive() -> None:
    found = moments(1000, 2000, 2000 + HOUR_MS, 3000 + HOUR_MS)
    assert times(found) == [[1000, 2000], [2000 + HOUR_MS, 3000 + HOUR_MS]]
    assert [drive.name for drive in drives_of("v", found)] == ["v 1", "v 2"]
    assert [drive.name for drive in drives_of("", found)] == ["1", "2"]
    assert times(moments(1000, 2000)) == [[1000, 2000]]
    assert times([]) == []


def test_an_earlier_day_behind_it_is_a_drive_too() -> None:
    late = 24 * HOUR_MS
    assert times(moments(late, late + 1000, late + 2000, 1000, 2000)) == [
        [late, late + 1000, late + 2000],
        [1000, 2000],
    ]


def test_one_wrong_date_makes_no_drive() -> None:
    assert times(moments(1000, 2000, 9 * HOUR_MS, 3000, 4000)) == [[1000, 2000, 9 * HOUR_MS, 3000, 4000]]
    assert times(moments(1000, 2000, 9 * HOUR_MS)) == [[1000, 2000, 9 * HOUR_MS]]


def test_the_newest_first_is_turned_round() -> None:
    assert times(moments(3000, 2000, 1000)) == [[1000, 2000, 3000]]


def test_what_is_missing_is_derived() -> None:
    first = Fix(1000, 50.0, 10.0)
    assert derived(None, first).speed_mps == 0.0
    moving = derived(first, Fix(2000, 50.0001, 10.0))
    assert round(moving.speed_mps or 0, 1) == 11.1
    assert moving.course_deg == 0.0
    standing = derived(moving, Fix(3000, 50.0001, 10.0))
    assert (standing.speed_mps, standing.course_deg) == (0.0, 0.0), "the course stays"
    assert derived(first, Fix(2000, 50.0001, 10.0, speed_mps=3.0)).speed_mps == 3.0
    assert derived(first, Fix(2000, 50.0001, 10.0, course_deg=90.0)).course_deg == 90.0
    whole = Fix(2000, 50.0001, 10.0, speed_mps=3.0, course_deg=4.0)
    assert derived(first, whole) is whole
    jumped = Fix(2000, 51.0, 11.0)
    assert derived(moving, replace(jumped, at_ms=3000)) == replace(
        jumped, at_ms=3000, speed_mps=moving.speed_mps, course_deg=0.0
    )
    told = replace(jumped, at_ms=3000, speed_mps=2.0)
    assert derived(moving, told) == replace(told, course_deg=0.0)
    told = replace(jumped, at_ms=3000, course_deg=2.0)
    assert derived(moving, told) == replace(told, speed_mps=moving.speed_mps)
    back = Fix(500, 50.0001, 10.0, speed_mps=3.0)
    assert derived(first, back) is back
    assert derived(first, Fix(500, 50.0001, 10.0)).speed_mps == 0.0
    drive = next(drives_of("", moments(1000, 2000, 1500, 3000)))
    assert [m.fix.speed_mps for m in drive.moments] == [None] * 4
    assert [m.fix.speed_mps for m in with_speeds(drive.moments)] == [0.0] * 4


def test_bus_values_become_a_reading() -> None:
    assert reading_of({}) == Reading()
    assert reading_of({"rp": 800.0, "ig": 1.0, "zz": 1.0}) == Reading(rpm=800.0, ignition=True)
    assert reading_of({"vs": 3.0}) == Reading(speed_kph=3.0)
    assert reading_of({"ig": 0.0}).ignition is False
