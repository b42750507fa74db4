"""Rollovers of the GPS week: what is repaired, what is kept, what is noise."""

from datetime import UTC, datetime

import pytest

from agent.core.gnss.dates import ERA_MS, FUTURE_MS, repaired


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


FLOOR = ms("2026-11-22")


@pytest.mark.parametrize(
    ("told", "true"),
    [
        ("2026-11-22T00:00:00", "2026-11-22T00:00:00"),
        ("2027-01-01T12:00:00", "2027-01-01T12:00:00"),
        ("2007-05-20T10:00:00", "2027-01-03T10:00:00"),
        ("2007-04-07T23:59:59", "2026-11-21T23:59:59"),
        ("1987-10-04T10:00:00", "2027-01-03T10:00:00"),
        ("1980-01-06T00:00:00", "2038-11-21T00:00:00"),
        ("2090-01-01T00:00:00", None),
        ("1950-01-01T00:00:00", None),
    ],
)
def test_repaired(told: str, true: str | None) -> None:
    at_ms = repaired(ms(told), FLOOR)
    if true is not None and ms(true) < FLOOR:
        true = datetime.fromtimestamp((ms(true) + ERA_MS) / 1000, UTC).isoformat()[:19]
    assert at_ms == (None if true is None else ms(true))


def test_the_fewest_eras_that_reach_the_floor() -> None:
    for back in range(1, 4):
        for offset in (0, 1, ERA_MS - 1):
            assert repaired(FLOOR + offset - back * ERA_MS, FLOOR) == FLOOR + offset
    assert repaired(FLOOR - 4 * ERA_MS, FLOOR) is None
    assert repaired(FLOOR - 3 * ERA_MS - 1, FLOOR) is None
    assert repaired(FLOOR + FUTURE_MS + 1, FLOOR) is None
