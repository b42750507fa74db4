"""Bursts with gaps (Bluetooth, a busy router): nothing of an epoch is lost, and no receiver is refused for ever."""

from collections import Counter
from collections.abc import Callable

import pytest

from agent.core.gnss.framing import folded
from agent.core.gnss.receiver import Parser
from wire.messages import Fix, Rejected

SECONDS = 50
Pieces = Callable[[int], tuple[bytes, ...]]


def s(body: bytes) -> bytes:
    return b"$%b*%02X\r\n" % (body, folded(body))


def tod(n: int) -> bytes:
    return b"12%02d%02d.00" % divmod(n, 60)


def rmc(n: int, date: bytes = b"150626") -> bytes:
    return s(b"GNRMC,%b,A,5200.5%03d,N,00430.0,E,10.0,45.0,%b,,,A" % (tod(n), n, date))


def gga(n: int) -> bytes:
    return s(b"GNGGA,%b,5200.5%03d,N,00430.0,E,1,08,1.0,10.0,M,46.0,M,," % (tod(n), n))


def zda(n: int, date: bytes = b"15,06,2026") -> bytes:
    return s(b"GNZDA,%b,%b,00,00" % (tod(n), date))


VTG = s(b"GNVTG,45.0,T,,M,10.0,N,18.5,K,A")


def live(pieces: Pieces, *, long: bool = False, both: bool = True) -> tuple[list[Fix], Counter[str]]:
    """The pieces of each second come apart by a short silence, or a long one; behind the last one is a long one."""
    parser, fixes, reasons = Parser(), [], Counter[str]()
    for n in range(SECONDS):
        items: list[object] = []
        for piece in pieces(n):
            items += [*parser.feed(piece), *(parser.pause() if both else [])]
            items += parser.flush() if long else []
        for item in [*items, *parser.flush()]:
            if isinstance(item, Fix):
                fixes.append(item)
            elif isinstance(item, Rejected):
                reasons[item.reason] += 1
    return fixes, reasons


GAPS: dict[str, Pieces] = {
    "RMC VTG | GGA": lambda n: (rmc(n) + VTG, gga(n)),
    "GGA | RMC": lambda n: (gga(n), rmc(n)),
    "GGA ZDA | VTG": lambda n: (gga(n) + zda(n), VTG),
    "each by itself": lambda n: (gga(n), VTG, rmc(n), zda(n)),
    "no gap": lambda n: (rmc(n) + gga(n),),
}


@pytest.mark.parametrize("name", GAPS)
def test_a_gap_within_the_burst_costs_nothing(name: str) -> None:
    fixes, reasons = live(GAPS[name])
    assert (len(fixes), reasons) == (SECONDS, {})
    assert all(fix.speed_mps is not None and fix.alt_m is not None for fix in fixes)


@pytest.mark.parametrize("name", [name for name in GAPS if name != "GGA ZDA | VTG"])
def test_a_long_gap_costs_the_first_epoch_only(name: str) -> None:
    """Each piece is followed by so long a silence that the burst seems over; that it is not is learned at once."""
    fixes, reasons = live(GAPS[name], long=True)
    whole = [fix for fix in fixes if fix.speed_mps is not None and fix.alt_m is not None]
    assert len(whole) >= SECONDS - 3
    assert reasons["repeated"] <= 1


def test_an_epoch_that_is_whole_is_given_out_at_the_pause() -> None:
    parser = Parser()
    for n in range(2):
        for piece in (gga(n) + rmc(n), VTG + zda(n)) if n else (gga(n) + VTG + zda(n), rmc(n)):
            parser.feed(piece)
            assert parser.pause() == []
        parser.flush()
    parser.feed(gga(2) + rmc(2) + VTG)
    assert parser.pause() == []
    parser.feed(zda(2)[:20])
    assert parser.pause() == []
    given = parser.feed(zda(2)[20:]) + parser.pause()
    assert [fix.speed_mps is not None for fix in given if isinstance(fix, Fix)] == [True]


def test_a_sentence_that_comes_at_times_and_late_is_waited_for() -> None:
    """RMC each fifth second, behind a gap: its speed is not refused for ever."""
    fixes, reasons = live(lambda n: (gga(n), rmc(n)) if n % 5 == 0 else (gga(n),))
    assert reasons["repeated"] <= 1
    assert sum(fix.speed_mps is not None for fix in fixes) >= 9


def test_what_is_no_longer_sent_is_waited_for_no_longer() -> None:
    """RMC comes late once and never again: after some epochs the end of the burst gives the fix out again."""
    parser, at_pause = Parser(), []
    for n in range(30):
        given = parser.feed(gga(n) + zda(n)) + parser.pause()
        at_pause.append(sum(isinstance(item, Fix) for item in given))
        parser.flush()
        if n == 5:
            assert parser.feed(rmc(n)) == [Rejected("repeated")]
    assert at_pause[4:12] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert at_pause[20:] == [1] * 10


@pytest.mark.parametrize(
    "pieces",
    [
        lambda n: (rmc(n, b"" if 10 <= n < 30 else b"150626") + gga(n),),
        lambda n: (gga(n), rmc(n, b"" if 10 <= n < 30 else b"150626")),
        lambda n: (rmc(n, b"310626" if 10 <= n < 30 else b"150626") + gga(n),),
        lambda n: (gga(n) + VTG + zda(n, b",," if 10 <= n < 30 else b"15,06,2026"),),
    ],
    ids=["RMC GGA", "GGA | RMC", "no such day", "GGA ZDA"],
)
def test_without_its_date_an_epoch_is_refused_as_that(pieces: Pieces) -> None:
    """A receiver that has told the date and no longer does has begun anew: it may have been off for days."""
    fixes, reasons = live(pieces)
    assert reasons.keys() == {"no-date"}
    assert 18 <= reasons["no-date"] <= 22
    assert len(fixes) + reasons["no-date"] == SECONDS
    assert all(fix.speed_mps is not None and fix.alt_m is not None for fix in fixes)


def test_a_date_that_zda_tells_outlives_rmc_without_one() -> None:
    fixes, reasons = live(lambda n: (zda(n) + rmc(n, b"") + gga(n),))
    assert (len(fixes), reasons) == (SECONDS, {})


NONSENSE = {
    "negative speed": b"GNRMC,{},A,5200.5,N,00430.0,E,-1,45.0,150626,,,A",
    "course of 361": b"GNRMC,{},A,5200.5,N,00430.0,E,1,361,150626,,,A",
    "course below 0": b"GNVTG,-5,T,,M,10.0,N,18.5,K,A",
    "negative speed over ground": b"GNVTG,45.0,T,,M,-10.0,N,18.5,K,A",
    "too high": b"GNGGA,{},5200.5,N,00430.0,E,1,08,1.0,235960.0,M,46.0,M,,",
    "too low": b"GNGGA,{},5200.5,N,00430.0,E,1,08,1.0,-1001,M,46.0,M,,",
    "satellites below 0": b"GNGGA,{},5200.5,N,00430.0,E,1,-1,1.0,10,M,46.0,M,,",
    "C/N0 of 100": b"GPGSV,1,1,02,07,50,100,45,08,50,100,100",
    "high GNS": b"GNGNS,{},5200.5,N,00430.0,E,A,08,1.0,20001,40,,,S",
    "feet": b"PGRMZ,100000,f,3",
    "error below 0": b"PGRME,-6.7,M,9.0,M,11.0,M",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_and_says_nothing(name: str) -> None:
    """Neither its values nor its time: what comes with it makes a whole fix."""
    fixes, reasons = live(lambda n: (s(NONSENSE[name].replace(b"{}", tod(n))) + rmc(n) + gga(n),))
    assert (len(fixes), reasons) == (SECONDS, {"field": SECONDS})
    assert all(fix.speed_mps == pytest.approx(5.144, abs=1e-3) and fix.alt_m == 10.0 for fix in fixes)
    assert all(fix.cn0_dbhz is None for fix in fixes)
