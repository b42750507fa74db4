"""Times as recordings write them."""

import pytest

from agent.core.traces.times import at_ms

NOON = 1_224_741_185_000


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1_224_741_185, NOON),
        (1_224_741_185.25, NOON + 250),
        ("1224741185", NOON),
        ("1224741185000", NOON),
        ("1224741185000000", NOON),
        ("1224741185000000000", NOON),
        ("2008-10-23 05:53:05", NOON),
        ("2008-10-23T05:53:05Z", NOON),
        ("2008-10-23T05:53:05.250+00:00", NOON + 250),
        ("2008-10-23 07:53:05+0200", NOON),
        ("2008/10/23 05:53:05", NOON),
        ("2008-10-23 05:53:05 UTC", NOON),
        ("23.10.2008 05:53:05", NOON),
        (None, None),
        (True, None),
        ("", None),
        ("soon", None),
        ("05:53:05", None),
        (float("nan"), None),
        (-5, None),
        ("1e30", None),
        ("0001-01-01 00:00:00+23:59", None),
        ("1969-01-01", None),
    ],
)
def test_at_ms(told: object, expected: int | None) -> None:
    assert at_ms(told) == expected


def test_the_unit_that_a_title_tells_counts() -> None:
    assert at_ms("5000", 1.0) == 5000
    assert at_ms(5, 1000.0) == 5000
