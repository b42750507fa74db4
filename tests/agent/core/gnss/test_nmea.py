"""NMEA: how fields are read, and what a talker remembers."""

import pytest

from agent.core.gnss import nmea
from agent.core.gnss.merging import REPORT, TIME, Merger, State
from agent.core.gnss.nmea import DAY_NS, Talk, counted, day_of, dop, number, place, time_of_day_ms, tod_of, whole

HOUR_NS = 3_600_000_000_000


def talk(*, past_midnight: bool = False) -> Talk:
    return Talk(Merger(lambda _: None, at_once=True), past_midnight=past_midnight)


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"12", 12), (b"", 0), (b"x", 0), (b"-5", -5), (b"+7.5", 7), (b" 3 ", 3), (b"08abc", 8), (b"-", 0)],
)
def test_whole(field: bytes, value: int) -> None:
    assert whole(field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"1.5", 1.5), (b"-2", -2.0), (b"", None), (b"x", None), (b"nan", None), (b"inf", None), (b"1e300", None)],
)
def test_number(field: bytes, value: float | None) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"1.5", 1.5), (b"", None), (b"0.00", None), (b"99.99", None), (b"99.0", None), (b"0.01", 0.01), (b"x", None)],
)
def test_dilutions(field: bytes, value: float | None) -> None:
    assert dop(field) == value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((b"5212.0", b"N", b"00506.0", b"E"), (52.2, 5.1)),
        ((b"5212.0", b"S", b"00506.0", b"W"), (-52.2, -5.1)),
        ((b".5", b"N", b"006.", b"E"), (0.5 / 60, 0.1)),
        ((b"5212", b"N", b"00506.0", b"E"), None),
        ((b"5212.0", b"N", b"00506", b"E"), None),
        ((b"5212.0", b"N", b"00506.0", b""), None),
        ((b"", b"", b"", b""), None),
        ((b"9012.0", b"N", b"00506.0", b"E"), "refused"),
        ((b"5272.0", b"N", b"00506.0", b"E"), "refused"),
        ((b"5212.0", b"n", b"00506.0", b"E"), "refused"),
        ((b"5212.0", b"N", b"00506.0", b"X"), "refused"),
        ((b"x212.0", b"N", b"00506.0", b"E"), "refused"),
    ],
)
def test_places(fields: tuple[bytes, ...], expected: tuple[float, float] | str | None) -> None:
    news = State()
    if expected == "refused":
        with pytest.raises(ValueError, match=r".+"):
            place(news, [*fields], 0)
    elif expected is None:
        assert not place(news, [*fields], 0)
        assert news.lat_deg is None
    else:
        assert place(news, [*fields], 0)
        assert (news.lat_deg, news.lon_deg) == pytest.approx(expected, abs=1e-12)


def test_times_and_dates() -> None:
    assert time_of_day_ms(b"120001.5") == 43_201_500
    assert day_of(b"010170") == 0
    assert day_of(b"311268") == day_of(b"010169") + 36_524
    assert tod_of(b"010000") == HOUR_NS
    assert tod_of(b"010000.25") == HOUR_NS + 250_000_000
    assert tod_of(b"010000.x") == tod_of(b"010000,5") == HOUR_NS
    assert tod_of(b"235960.5") == 24 * HOUR_NS + 500_000_000
    assert tod_of(b"01") is tod_of(b"") is tod_of(b"0100-1") is None
    for wrong in (b"250000", b"006000", b"000062"):
        with pytest.raises(ValueError, match="time of day"):
            tod_of(wrong)
    for wrong in (b"250000", b"006000", b"000061", b"-10000"):
        with pytest.raises(ValueError, match=r".+"):
            time_of_day_ms(wrong)


def test_satellites_of_a_fix() -> None:
    news = State()
    assert counted(news, b"") == 0
    assert news.counted is None
    assert counted(news, b"07") == 7
    assert news.counted == 7


def test_a_talker_knows_the_time_once_it_knows_the_date() -> None:
    said = talk()
    assert said.now_ns() is None
    assert said.told_time(b"") == said.told_time(b"x") == 0
    assert said.timed is bool(said.moment_ns)
    assert said.told_time(b"010000") == 0
    said.day = 2
    assert said.told_time(b"020000") == TIME
    assert said.now_ns() == 2 * DAY_NS + 2 * HOUR_NS
    assert (said.before_ns, said.moment_ns) == (HOUR_NS, 2 * HOUR_NS)
    assert said.no_time() == REPORT | TIME
    assert said.now_ns() is None


def test_a_date_goes_on_over_midnight_only_for_a_vehicle() -> None:
    for past_midnight, day in ((False, 2), (True, 3)):
        said = talk(past_midnight=past_midnight)
        said.day = 2
        assert said.clock(b"235959")
        assert said.clock(b"000001")
        assert said.day == day


def test_sentences_are_checked_by_the_framing() -> None:
    assert nmea.fits(b"GPRMC,,V,,,,,,,,,,N*53")


def test_a_time_without_its_date() -> None:
    """A vehicle forgets a date that this sentence used to tell; a recording goes on with it, as gpsd does."""
    for past_midnight, kind, day, mask in ((True, b"RMC", None, TIME), (True, b"ZDA", 7, TIME), (False, b"RMC", 7, 0)):
        said = talk(past_midnight=past_midnight)
        said.day = 7
        said.dated.add(b"RMC")
        assert (said.undated(kind, b"120000.00"), said.day) == (mask, day)
        assert said.undated(kind, b"x") == 0


def test_nonsense_leaves_no_trace() -> None:
    said = talk()
    said.told_time(b"120000")
    kept = said.kept()
    said.told_time(b"120001")
    said.day = 9
    assert said.kept() != kept
    said.back_to(kept)
    assert said.kept() == kept
