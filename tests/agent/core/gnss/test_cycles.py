"""Where epochs begin and end."""

import pytest

from agent.core.gnss.cycles import NmeaCycle, UbxCycle
from agent.core.gnss.epochs import Epoch
from agent.core.gnss.framing import Ubx
from agent.core.gnss.merging import Merger
from agent.core.gnss.receiver import Reader


def rmc(second: int) -> bytes:
    return b"GPRMC,1200%02d,A,5212.0,N,00506.0,E,1.0,90.0,010624,," % second


def gga(second: int) -> bytes:
    return b"GPGGA,1200%02d,5212.0,N,00506.0,E,1,09,0.8,12.5,M,40.0,M,," % second


def gll(second: int) -> bytes:
    return b"GPGLL,5212.0,N,00506.0,E,1200%02d,A,A" % second


VTG = b"GPVTG,45.0,T,,M,20.0,N,37.0,K,A"


def told(*sentences: bytes) -> list[Epoch]:
    out: list[object] = []
    cycle = NmeaCycle(Merger(out.append, at_once=False))
    for sentence in sentences:
        cycle.take(sentence)
    cycle.merger.close()
    return [item for item in out if isinstance(item, Epoch)]


def test_time_begins_an_epoch() -> None:
    found = told(rmc(0), gga(0), rmc(1), gga(1), rmc(1), rmc(2))
    assert [each.at_ms for each in found] == [1717243200000, 1717243201000, 1717243202000]


def test_what_stands_before_a_new_time_ends_epochs_from_then_on() -> None:
    found = told(rmc(0), gga(0), rmc(1), VTG, gga(1), rmc(2), gga(2), VTG)
    assert [each.course_deg for each in found] == [90.0, 45.0, 45.0]


def test_gll_lengthens_the_epoch() -> None:
    found = told(rmc(0), gga(0), gll(0), rmc(1), gga(1), gll(1), VTG, rmc(2), gga(2), gll(2), VTG, rmc(3))
    assert [each.at_ms for each in found] == [1717243200000 + 1000 * n for n in range(4)]
    cycle = NmeaCycle(Merger(lambda _: None, at_once=False))
    for sentence in (rmc(0), gga(0), gll(0), rmc(1), gga(1), b"GPGLL,,,,,,V,N", rmc(2)):
        cycle.take(sentence)
    assert cycle.merger.reliable


def test_kinds() -> None:
    cycle = NmeaCycle(Merger(lambda _: None, at_once=False))
    assert [cycle.take(each) for each in (rmc(0), b"PGRMZ,100,f,3", b"PSTI,030,,V,,,,,,,,,,N,,", b"PUBX,00", b"GPXXX", b"")] == [
        b"RMC", b"PGRMZ", b"PSTI,030", None, None, None,
    ]  # fmt: skip


def test_views_and_satellites_used_do_not_end_an_epoch() -> None:
    views = (b"GPGSV,2,1,05,07,40,083,46", b"GPGSV,2,2,05,46,33,155,40", b"GPGSA,A,3,07,,,,,,,,,,,,1.5,0.9,1.2")
    found = told(rmc(0), gga(0), *views, rmc(1), *views, gga(1), *views, rmc(2))
    assert [each.sats_seen for each in found] == [2, 2, 2]


def test_what_was_3d_stays_so_while_an_altitude_is_known() -> None:
    found = told(rmc(0), gga(0), rmc(1), gll(1), b"GNGSA,A,,07,,,,,,,,,,,,1.5,0.9,1.2", rmc(2))
    assert [each.mode for each in found] == [3, 3, 3]
    assert [
        each.mode for each in told(b"GPGSA,A,3,07,,,,,,,,,,,,1.5,0.9,1.2", b"GPGSA,A,2,07,,,,,,,,,,,,1.5,0.9,1.2")
    ] == [2]


def test_a_standard_sentence_with_too_few_fields() -> None:
    with pytest.raises(ValueError, match="fields"):
        told(b"GPRMC,1,2")


def frame(kind: int, tow_ms: int, size: int = 28) -> Ubx:
    return Ubx(kind, tow_ms.to_bytes(4, "little") + bytes(size - 4))


def test_ubx_by_time_of_week() -> None:
    cycle = UbxCycle(Merger(lambda _: None, at_once=False))
    began = []
    for each in (
        frame(0x0102, 1000),
        frame(0x0161, 1000, 4),
        frame(0x0102, 2000),
        frame(0x0161, 2005, 4),
        frame(0x0102, 3000),
    ):
        assert cycle.take(each)
        began.append(cycle.began)
    assert began == [True, False, True, False, True]


def test_ubx_that_is_not_read() -> None:
    cycle = UbxCycle(Merger(lambda _: None, at_once=False))
    assert not cycle.take(Ubx(0x0601, b""))
    assert cycle.take(Ubx(0x0102, b"\0" * 5))
    assert not cycle.began
    assert cycle.take(Ubx(0x0A09, b"\0" * 60))
    assert cycle.merger.reliable


def test_a_receiver_without_time_ends_its_epoch_by_beginning_anew() -> None:
    reader = Reader()
    burst = b"$GPRMC,,V,,,,,,,,,,N*53\r\n$GPGGA,,,,,,0,,,,,,,,*66\r\n"
    assert len([item for item in reader.feed(burst * 3) + reader.end() if isinstance(item, Epoch)]) == 3
