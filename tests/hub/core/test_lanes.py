"""What is shown of a vehicle: newer wins, a wrong clock does not freeze it, catching up."""

import json
from dataclasses import replace

import pytest

from hub.core.lanes import View, encode, with_commit, with_live, with_status
from tests.hub.makers import T0
from wire.messages import Live, Status

VIEW = View("van-1", "Van 1")
LIVE = Live(T0, 41.28, -96.08, 13.4, 271.0, waiting=3)


def test_newer_wins() -> None:
    shown = with_live(VIEW, LIVE, T0 + 100)
    assert shown is not None
    assert (shown.live, shown.received_ms, shown.waiting, shown.clock) == (LIVE, T0 + 100, 3, False)
    assert with_live(shown, replace(LIVE, at_ms=T0 - 1), T0 + 200) is None
    assert with_live(shown, LIVE, T0 + 200) is None
    again = with_live(shown, replace(LIVE, at_ms=T0 + 1), T0 + 200)
    assert again is not None
    assert again.received_ms == T0 + 200


def test_a_clock_ahead_is_marked_and_ordered_by_arrival() -> None:
    ahead = with_live(VIEW, replace(LIVE, at_ms=T0 + 3_600_000), T0)
    assert ahead is not None
    assert ahead.clock
    assert ahead.order_ms == T0
    assert json.loads(encode(ahead))["clock"] is True
    mended = with_live(ahead, replace(LIVE, at_ms=T0 + 1000), T0 + 1100)
    assert mended is not None
    assert not mended.clock
    assert mended.order_ms == T0 + 1000
    edge = with_live(VIEW, replace(LIVE, at_ms=T0 + 10_000), T0)
    assert edge is not None
    assert not edge.clock


def test_waiting_is_what_the_newest_word_says() -> None:
    shown = with_live(VIEW, replace(LIVE, waiting=50), T0)
    assert shown is not None
    shown = with_commit(shown, 40, T0 - 30_000)
    assert (shown.waiting, shown.through_ms) == (40, T0 - 30_000)
    less = with_live(shown, replace(LIVE, at_ms=T0 + 1, waiting=30), T0 + 1)
    assert less is not None
    assert less.waiting == 40
    more = with_live(shown, replace(LIVE, at_ms=T0 + 1, waiting=45), T0 + 1)
    assert more is not None
    assert more.waiting == 45
    done = with_commit(more, 0, T0 + 5)
    late = with_live(done, replace(LIVE, at_ms=T0 + 5, waiting=9), T0 + 6)
    assert late is not None
    assert late.waiting == 0  # it describes a fix that is committed
    quiet = with_live(done, replace(LIVE, at_ms=T0 + 9, waiting=None), T0 + 9)
    assert quiet is not None
    assert quiet.waiting == 0
    assert with_commit(done, 0, T0).through_ms == T0 + 5
    assert with_commit(VIEW, 0, None).through_ms is None


@pytest.mark.parametrize(
    ("upload_s", "waiting", "behind"), [(60, 180, False), (60, 181, True), (1, 5, False), (1, 6, True), (2, 7, True)]
)
def test_catching_up(upload_s: float, waiting: int, *, behind: bool) -> None:
    shown = with_status(VIEW, Status(True, "c", upload_s=upload_s), online=True)
    assert with_commit(shown, waiting, T0).catching_up is behind


def test_status() -> None:
    on = with_status(VIEW, Status(True, "c", upload_s=2), online=True)
    off = with_status(on, Status(False, "c"), online=False)
    assert (on.online, off.online, off.upload_s) == (True, False, 2)


def test_json() -> None:
    assert json.loads(encode(VIEW)) == {
        "veh": "van-1", "name": "Van 1", "on": False, "live": None, "rx": None, "q": 0, "through": None,
        "catching_up": False,
    }  # fmt: skip
    assert VIEW.order_ms == 0
    shown = with_live(VIEW, LIVE, T0 + 5)
    assert shown is not None
    data = json.loads(encode(shown))
    assert data["live"] == {"v": 1, "t": T0, "lat": 41.28, "lon": -96.08, "spd": 13.4, "crs": 271, "eps": 10, "q": 3}
    assert (data["rx"], data["q"], "clock" in data) == (T0 + 5, 3, False)
