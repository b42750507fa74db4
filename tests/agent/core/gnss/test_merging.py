"""How messages become epochs: masks, cycles, what follows from what was told."""

import math

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.merging import (
    ALTITUDE,
    ATTITUDE,
    CLEAR,
    DOP,
    ECEF,
    LATLON,
    MODE,
    REPORT,
    SPEED,
    STATUS,
    TIME,
    TRACK,
    VECEF,
    VNED,
    Merger,
    State,
    metres,
)  # fmt: skip
from agent.core.gnss.sky import Antenna, Satellite, Sky
from wire.messages import Quality

S = 1_000_000_000
PLACE = TIME | LATLON | MODE


def earth_centred(lat_deg: float, lon_deg: float, up_m: float) -> tuple[float, float, float]:
    """The way back, from the book."""
    lat, lon, e2 = math.radians(lat_deg), math.radians(lon_deg), 0.00669437999014
    n = 6_378_137.0 / math.sqrt(1 - e2 * math.sin(lat) ** 2)
    level = (n + up_m) * math.cos(lat)
    return level * math.cos(lon), level * math.sin(lon), (n * (1 - e2) + up_m) * math.sin(lat)


X = earth_centred(52.1, 5.1, 120.0)


def news(second: float = 100, **said: object) -> State:
    state = State()
    for key, value in {"time_ns": round(second * S), "mode": 3, "lat_deg": 52.0, "lon_deg": 5.0, **said}.items():
        setattr(state, key, value)
    return state


def merger(*, at_once: bool = False) -> tuple[Merger, list[object]]:
    told: list[object] = []
    return Merger(told.append, at_once=at_once), told


def epochs(told: list[object]) -> list[Epoch]:
    return [item for item in told if isinstance(item, Epoch)]


def test_the_last_report_of_a_moment_is_the_epoch() -> None:
    merging, told = merger()
    merging.merge(PLACE | CLEAR, news())
    merging.merge(MODE | STATUS, news(mode=2, status=2))
    merging.merge(STATUS, news(status=1))
    assert told == []
    merging.merge(PLACE | CLEAR, news(101))
    merging.close()
    merging.close()
    assert epochs(told) == [
        Epoch(100_000, 2, Quality.DGPS, 52.0, 5.0),
        Epoch(101_000, 3, Quality.GNSS, 52.0, 5.0, speed_mps=0.0, derived=("speed_mps",)),
    ]


def test_once_an_end_is_known_only_reports_count() -> None:
    merging, told = merger()
    merging.reliable = True
    merging.merge(PLACE | CLEAR, news())
    merging.merge(SPEED | REPORT, news(speed_mps=3.0))
    merging.merge(SPEED, news(speed_mps=4.0))
    merging.merge(PLACE | CLEAR, news(101))
    merging.merge(TIME | REPORT, news(101.5))
    merging.merge(PLACE | CLEAR, news(101.5, mode=2))
    merging.merge(TIME | CLEAR, news(103))
    merging.close()
    assert [(each.at_ms, each.mode, each.speed_mps) for each in epochs(told)] == [
        (100_000, 3, 3.0), (101_500, 3, pytest.approx(0.0)),
    ]  # fmt: skip


def test_a_report_of_another_time_within_a_cycle_is_an_epoch_too() -> None:
    merging, told = merger()
    merging.merge(PLACE | CLEAR, news())
    merging.merge(PLACE, news(100.2))
    merging.close()
    assert [each.at_ms for each in epochs(told)] == [100_000, 100_200]


def test_a_time_is_told_after_an_epoch_without_one() -> None:
    merging, told = merger()
    merging.merge(LATLON | MODE | CLEAR, news())
    merging.merge(PLACE, news())
    merging.close()
    assert [each.at_ms for each in epochs(told)] == [100_000]


def test_for_a_vehicle_the_state_at_the_end_of_the_burst() -> None:
    merging, told = merger(at_once=True)
    assert merging.closed
    merging.merge(PLACE | CLEAR, news())
    merging.merge(SPEED | TRACK, news(speed_mps=2.0, course_deg=-10.0))
    merging.merge(MODE, news(mode=0))
    merging.close()
    assert epochs(told) == [Epoch(100_000, 3, Quality.GNSS, 52.0, 5.0, speed_mps=2.0, course_deg=350.0)]
    merging.merge(ATTITUDE, news())
    merging.close()
    assert len(told) == 1


def test_no_fix_hides_the_place_and_no_time_is_none() -> None:
    merging, told = merger()
    merging.merge(PLACE | CLEAR, news(0, mode=1))
    merging.close()
    assert epochs(told) == [Epoch(None, 1)]


def test_dilutions_and_satellites() -> None:
    merging, told = merger()
    merging.hdop, merging.pdop = 0.8, 1.4
    merging.merge(PLACE | CLEAR | DOP, news(counted=7))
    merging.sats_used = 9
    merging.merge(MODE, news())
    merging.merge(PLACE | CLEAR, news(101))
    merging.merge(ALTITUDE, news(101, hae_m=50.0, accuracy_m=2.5))
    merging.merge(ALTITUDE, news(101, alt_m=10.0))
    merging.merge(MODE, news(101))
    merging.close()
    first, second = epochs(told)
    assert (first.hdop, first.pdop, first.accuracy_m, first.sats_used) == (0.8, 1.4, 4.0, 9)
    assert (second.hdop, second.accuracy_m, second.alt_m) == (None, 2.5, 10.0)
    assert merging.fix.high


def test_the_sky_and_the_antenna() -> None:
    merging, told = merger()
    merging.heaven.whole([Satellite("GPS", 3, cn0_dbhz=40.0)])
    for status in ("ok", None, "ok", "open"):
        merging.antenna_is(status)
    merging.merge(PLACE | CLEAR, news())
    merging.close()
    assert told[:2] == [Antenna("ok"), Antenna("open")]
    assert isinstance(told[2], Sky)
    assert epochs(told)[0].cn0_dbhz == 40.0
    assert epochs(told)[0].sats_seen == 1


def test_speed_from_the_last_two_places() -> None:
    merging, told = merger()
    for second, lat in ((100, 52.0), (101, 52.001), (102, 52.001), (103, 80.0)):
        merging.merge(PLACE | CLEAR, news(second, lat_deg=lat))
        merging.merge(MODE, news(second))
    merging.close()
    assert [None if each.speed_mps is None else round(each.speed_mps, 1) for each in epochs(told)] == [
        None,
        111.3,
        0.0,
        None,
    ]
    assert epochs(told)[1].derived == ("speed_mps",)


def test_no_speed_without_two_places() -> None:
    merging, told = merger()
    merging.merge(PLACE | CLEAR, news())
    merging.merge(TIME | MODE | CLEAR, news(101))
    merging.merge(PLACE | CLEAR, news(102))
    merging.merge(TIME | MODE | CLEAR, news(103, mode=1))
    merging.merge(PLACE | CLEAR, news(104))
    merging.close()
    assert [each.speed_mps for each in epochs(told)] == [None] * 5


def test_speed_and_course_from_velocities() -> None:
    merging, told = merger()
    merging.merge(PLACE | VNED | CLEAR, news(north_mps=0.0, east_mps=-3.0))
    merging.merge(SPEED | TRACK | MODE, news(speed_mps=5.0, course_deg=10.0))
    merging.close()
    assert (epochs(told)[0].speed_mps, epochs(told)[0].course_deg) == (5.0, 10.0)
    assert merging.fix.north_mps == 0.0
    merging, told = merger()
    merging.merge(PLACE | VNED | CLEAR, news(north_mps=0.0, east_mps=-3.0))
    merging.close()
    assert (epochs(told)[0].speed_mps, epochs(told)[0].course_deg) == (3.0, 270.0)


def test_earth_centred_positions() -> None:
    merging, told = merger()
    merging.merge(TIME | MODE | ECEF | VECEF | CLEAR, news(ecef_m=X, ecef_mps=(0.0, 1.0, 0.0)))
    merging.merge(TIME | MODE | ECEF | CLEAR, news(101, ecef_m=X))
    merging.merge(TIME | MODE | ECEF | CLEAR, news(102, ecef_m=(0.0, 0.0, 0.0)))
    merging.close()
    first, second, third = epochs(told)
    assert (first.lat_deg, first.lon_deg) == pytest.approx((52.1, 5.1), abs=1e-8)
    assert first.speed_mps == pytest.approx(1.0, abs=0.01)
    assert first.course_deg == pytest.approx(94.0, abs=1.0)
    assert (second.course_deg, third.lat_deg) == (None, None)


def test_metres_on_the_ellipsoid() -> None:
    assert metres(0.0, 0.0, 0.0, 1.0) == pytest.approx(111_319.5, abs=0.5)
    assert metres(52.0, 179.9995, 52.0, -179.9995) == pytest.approx(68.7, abs=0.1)
