"""Rules of other trackers: when each sends, how far off the hub is, and what it costs."""

import pytest

from agent.core.peers import Comparison, Rule, due, off_m, pooled, rules
from wire.geo import moved
from wire.messages import Fix

TABLE = {rule.key: rule for rule in rules(10.0, 60_000)}


def fix(second: float, *, north_m: float = 0.0, speed_mps: float | None = 10.0, course_deg: float | None = 0.0) -> Fix:
    lat, lon = moved(50.0, 10.0, north_m, 0.0)
    return Fix(round(second * 1000), lat, lon, speed_mps=speed_mps, course_deg=course_deg)


LAST = fix(0)


@pytest.mark.parametrize(
    ("key", "other", "sends"),
    [
        ("fixed_1s", fix(1), True),
        ("fixed_1s", fix(0.5), False),
        ("fixed_5s_30s", fix(5), True),
        ("fixed_5s_30s", fix(4.8), True),
        ("fixed_5s_30s", fix(5, speed_mps=1.0), False),
        ("fixed_5s_30s", fix(30, speed_mps=None), True),
        ("owntracks", fix(9), False),
        ("owntracks", fix(10, speed_mps=0.0), True),
        ("traccar", fix(5, north_m=74.0), False),
        ("traccar", fix(5, north_m=76.0), True),
        ("traccar", fix(5, north_m=76.0, speed_mps=0.0), True),
        ("traccar", fix(300), True),
        ("teltonika", fix(5, north_m=50.0), False),
        ("teltonika", fix(5, north_m=101.0), True),
        ("teltonika", fix(5, course_deg=350.0), True),
        ("teltonika", fix(5, course_deg=None), False),
        ("teltonika", fix(5, speed_mps=13.0), True),
        ("teltonika", fix(5, speed_mps=0.5), False),
        ("teltonika", fix(3600, speed_mps=None), True),
        ("linear", fix(5, north_m=50.0), False),
        ("linear", fix(5, north_m=61.0), True),
        ("linear", fix(60, north_m=600.0), True),
    ],
)
def test_when_each_sends(key: str, other: Fix, *, sends: bool) -> None:
    assert due(TABLE[key], LAST, other) is sends


def test_a_rule_may_look_at_nothing() -> None:
    assert not due(Rule("never", "never", 1.0), LAST, fix(9999, north_m=9999.0))
    assert not due(Rule("turns", "turns", 1.0, degrees=10.0), LAST, fix(9, north_m=9999.0))


def test_how_far_off() -> None:
    assert off_m(LAST, fix(5, north_m=50.0)) == pytest.approx(0.0, abs=1e-6)
    assert off_m(fix(0, course_deg=None), fix(5, north_m=50.0)) == pytest.approx(50.0)
    assert off_m(fix(0, speed_mps=None), fix(5, north_m=50.0)) == pytest.approx(50.0)
    assert off_m(fix(9), fix(5, north_m=50.0)) == pytest.approx(50.0), "not back in time"


def test_a_comparison_counts_and_pools() -> None:
    table = rules(10.0, 60_000)
    one, other = Comparison(table), Comparison(table)
    for part in (one, other):
        part.begin()
        for second in range(11):
            part.feed(fix(second, north_m=10.0 * second))
    rows = {row["rule"]: row for row in pooled([one, other], table).rows(20_000)}
    assert rows["fixed_1s"]["messages"] == 22
    assert rows["fixed_5s_30s"]["messages"] == 6
    assert rows["linear"]["messages"] == 2
    assert rows["owntracks"]["hold_m"] == {"p50": 40.0, "p95": 90.0, "p99": 90.0, "max": 90.0}
    assert rows["fixed_1s"]["messages_per_hour"] == 3960.0
    assert rows["fixed_1s"]["bytes_per_hour"] == 3960 * TABLE["fixed_1s"].bytes_each
    assert one.rows(0)[0]["messages_per_hour"] is None
    one.begin()
    one.feed(fix(11))
    assert one.heard[0].messages == 12
