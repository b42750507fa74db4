"""Sentences of the standard: what each says of an epoch, by gpsd's rules."""

from typing import Any

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.receiver import Reader
from agent.core.gnss.sky import Sky
from wire.messages import Quality, Rejected

T = 1717243200000


def s(body: str) -> bytes:
    total = 0
    for code in body.encode():
        total ^= code
    return f"${body}*{total:02X}\r\n".encode()


def told(*bodies: str) -> list[object]:
    reader = Reader(at_once=True)
    return [*reader.feed(b"".join(s(body) for body in bodies)), *reader.end()]


def last(*bodies: str) -> Epoch:
    return [item for item in told(*bodies) if isinstance(item, Epoch)][-1]


RMC = "GPRMC,120000,A,5212.0,N,00506.0,E,10.0,90.0,010624,,"
BARE = "GPRMC,120000,A,5212.0,N,00506.0,E,,,010624,,"
GGA = "GPGGA,120000,5212.0,N,00506.0,E,{},09,0.8,12.5,M,40.0,M,,"
GSA = "GPGSA,A,{},07,08,,,,,,,,,,,1.5,0.9,1.2"

SAYS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "rmc": ((RMC,), {"at_ms": T, "mode": 2, "speed_mps": 10 * 1852 / 3600, "course_deg": 90.0, "quality": Quality.GNSS}),
    "rmc void": ((RMC.replace("A,", "V,"),), {"at_ms": None, "mode": 1, "lat_deg": None}),
    "rmc without time": (("GPRMC,,V,,,,,,,,,,N",), {"at_ms": None, "mode": 1}),
    "rmc without place": (("GPRMC,120000,A,,,,,,,010624,,",), {"at_ms": T, "mode": 1}),
    "rmc with a wrong date": (("GPRMC,120000,A,5212.0,N,00506.0,E,,,310624,,",), {"at_ms": None, "mode": 2}),
    "rmc with half a date": (("GPRMC,120000,A,5212.0,N,00506.0,E,,,0106,,",), {"at_ms": None, "mode": 2}),
    "rmc without date": (("GPRMC,120000,A,5212.0,N,00506.0,E,,,,,",), {"at_ms": None, "mode": 2}),
    "rmc faster than can be": ((RMC.replace("10.0", "99999"),), {"speed_mps": None, "mode": 2}),
    "rmc letters": ((BARE + ",R,V",), {"quality": Quality.RTK_FIXED, "void": False}),
    "rmc letter empty": ((BARE + ",,V",), {"quality": Quality.GNSS}),
    "rmc letter N": ((BARE + ",N,V",), {"mode": 2, "void": True}),
    "rmc after four satellites": ((GSA.replace("07,08,,", "07,08,09,10").format(2), BARE), {"mode": 3}),
    "rmc keeps 3D": ((GGA.format(1), RMC, RMC.replace("120000", "120001")), {"at_ms": T + 1000, "mode": 3}),
    "gga": ((RMC, GGA.format(5)), {
        "mode": 3, "alt_m": 12.5, "hdop": 0.8, "accuracy_m": 4.0, "sats_used": 9, "quality": Quality.RTK_FLOAT,
    }),
    "gga without quality": ((RMC, GGA.format("")), {"mode": 3, "void": True}),
    "gga quality 0": ((RMC, GGA.format("0")), {"mode": 3, "void": True}),
    "gga of another quality": ((RMC, GGA.format("9")), {"mode": 3, "void": False, "quality": Quality.GNSS}),
    "gga without time and fix": ((RMC, "GPGGA,,,,,,0,,,,,,,,"), {"at_ms": T, "mode": 1}),
    "gga without altitude": ((RMC, GGA.format(1).replace("12.5", "")), {"mode": 2, "alt_m": None}),
    "gga of two satellites": ((RMC, GGA.format(1).replace(",09,", ",02,")), {"mode": 1}),
    "gga of two satellites of another system": ((RMC, GGA.format(1).replace("GPGGA", "GLGGA").replace(",09,", ",02,")), {
        "mode": 2
    }),
    "gga before any date": ((GGA.format(1),), {"at_ms": None, "mode": 3}),
    "gga without place": ((RMC, "GPGGA,120000,,,,,1,05,,,M,,M,,"), {"mode": 1}),
    "gga that repeats its time": ((RMC, GGA.format(1), GSA.format(3), GGA.format(1), GSA.format(2)), {"mode": 3}),
    "gga of two talkers": ((RMC, GGA.format(1), GGA.format(1).replace("GPGGA", "GLGGA"), GSA.format(3)), {"pdop": 1.5}),
    "gns": ((BARE, "GNGNS,120000,5212.0,N,00506.0,E,DA,14,0.7,33.5,40,,,S"), {
        "mode": 3, "alt_m": 33.5, "sats_used": 14, "hdop": 0.7, "quality": Quality.DGPS,
    }),
    "gns none": ((BARE, "GNGNS,120000,,,,,NN,,,,,,,V"), {"mode": 1}),
    "gns unsafe": ((BARE, "GNGNS,120000,5212.0,N,00506.0,E,A,14,0.7,33.5,40,,,U"), {"mode": 2, "alt_m": None}),
    "gns bare": ((BARE, "GNGNS,120000,5212.0,N,00506.0,E,A,,,,,,,"), {"mode": 2}),
    "gns without place": ((BARE, "GNGNS,120000,,,,,A,,,,,,,"), {"mode": 1}),
    "gll": ((BARE, "GPGLL,5213.0,N,00506.0,E,120000,A,D"), {"lat_deg": 52 + 13 / 60, "mode": 2, "quality": Quality.DGPS}),
    "gll without letter": ((BARE, "GPGLL,5213.0,N,00506.0,E,120000,A"), {"mode": 2, "quality": Quality.GNSS}),
    "gll with an altitude": ((RMC, GGA.format(1), "GPGLL,5213.0,N,00506.0,E,120000,A,A"), {"mode": 3}),
    "gll void": ((BARE, "GPGLL,5213.0,N,00506.0,E,120000,V,N"), {"mode": 1}),
    "gll letter N": ((BARE, "GPGLL,5213.0,N,00506.0,E,120000,A,N"), {"mode": 1}),
    "gll after an altitude": (
        (RMC, GGA.format(1), "GPGLL,5213.0,N,00506.0,E,120001,A,A", "GPGGA,120001,,,,,1,0,,,M,,M,,",
         "GPGLL,5213.0,N,00506.0,E,120001,A,A"), {"mode": 2},
    ),
    "gll of a fix that was 3D": (
        (RMC, GGA.format(1), RMC.replace("120000", "120001"), "GPGLL,5213.0,N,00506.0,E,120001,A,A"), {"mode": 3},
    ),
    "gsa": ((BARE, GSA.format(3)), {"mode": 3, "pdop": 1.5, "hdop": 0.9, "sats_used": 2}),
    "gsa of dead reckoning": ((BARE, GSA.format("E")), {"mode": 2}),
    "gsa without dilutions": ((BARE, GSA.format(3).replace("1.5,0.9,1.2", "99.9,,")), {"mode": 3, "pdop": None}),
    "gsa of twenty-four": ((BARE, "GPGSA,A,3,27,23,13,07,25" + "," * 20 + "07.9,06.0,05.2"), {
        "mode": 3, "pdop": None, "sats_used": 5,
    }),
    "gsa of two systems": ((BARE, "GNGSA,A,3,07,,,,,,,,,,,,1.5,0.9,1.2,1", "GNGSA,A,3,07,08,,,,,,,,,,,1.5,0.9,1.2,3"), {
        "mode": 3, "sats_used": 3, "pdop": 1.5,
    }),
    "gsa of GPS beside others": ((BARE, "GLGSA,A,3,70,,,,,,,,,,,,1.5,0.9,1.2", GSA.format(1)), {"mode": 3}),
    "gsa of Quectel": ((BARE, "PQGSA,A,3,12,,,,,,,,,,,,1.2,0.9,0.9,4"), {"mode": 3, "sats_used": 1}),
    "gsa with numbers that are none": ((BARE, "GPGSA,A,3,07,,,,,,,,,,100,x,1.5,0.9,1.2"), {"sats_used": 1}),
    "vtg": ((BARE, "GPVTG,45.0,T,,M,20.0,N,37.0,K,A"), {"course_deg": 45.0, "speed_mps": 20 * 1852 / 3600}),
    "vtg of dead reckoning": ((BARE, "GPVTG,45.0,T,,M,20.0,N,37.0,K,E"), {"course_deg": None}),
    "vtg old": ((BARE, "GPVTG,45.0,T,,M,20.0"), {"course_deg": 45.0}),
    "zda": (("GPZDA,120000.5,01,06,2024,00,00", "GPGGA,120000.5,5212.0,N,00506.0,E,1,09,,,M,,M,,"), {"at_ms": T + 500}),
    "zda empty": ((BARE, "GPZDA,120000,,,,,"), {"at_ms": T}),
    "zda of no day": ((BARE, "GPZDA,120000,32,06,2024,,", "GPZDA,120000,01,13,2024,,", "GPZDA,120000,01,06,24,,"), {
        "at_ms": T
    }),
    "gst": ((BARE, "GPGST,120000,1,2,3,4,3.0,4.0,9.0"), {"accuracy_m": 5.0}),
    "gst empty": ((BARE, "GPGST,120000,,,,,,,"), {"accuracy_m": None}),
    "gbs": ((BARE, "GPGBS,120000,6.0,8.0,9.0,,,"), {"accuracy_m": 10.0, "at_ms": T}),
    "gbs of another second": ((BARE, "GPGBS,120005,6.0,8.0,9.0,,,"), {"accuracy_m": None}),
    "gbs without time": (("GPGBS,,6.0,8.0,9.0,,,", BARE), {"accuracy_m": None}),
    "compass and depth": ((BARE, "HEHDT,12.0,T", "SDDPT,3.0,0.5,,", "WIMWV,12,R,3,N,A"), {"mode": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_says(name: str) -> None:
    bodies, expected = SAYS[name]
    epoch = last(*bodies)
    for key, value in expected.items():
        got = getattr(epoch, key)
        assert got == (pytest.approx(value) if isinstance(value, float) else value), key


def test_satellites_in_view() -> None:
    sky = [
        item for item in told(
            RMC, "GPGSV,2,1,05,07,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45",
            "GPGSV,2,2,05,46,33,155,40", "GLGSV,1,1,01,70,10,100,30", "GPGSV,1,1,01,07,40,083,46",
            "PQGSV,1,1,01,07,40,083,46,0,4",
        ) if isinstance(item, Sky)
    ]  # fmt: skip
    assert [(each.system, each.id) for each in sky[0].satellites] == [("BeiDou", 7), ("GLONASS", 6), ("GPS", 7)]


@pytest.mark.parametrize("body", ["GPGSV,0,0,0", "GPGSV,2,3,9", "GPGSV,99,1,9", "GPGSV,1,1,03,07,40,083"])
def test_what_is_no_view_is_nothing(body: str) -> None:
    assert last(RMC, body).sats_seen is None


def test_a_sentence_with_too_few_fields_is_told() -> None:
    assert Rejected("field", "GPRMC") in told("GPRMC,120000,A,5212.0,N")


def test_what_is_called_not_valid_has_no_quality() -> None:
    assert last(RMC, GGA.format(0)).quality is Quality.NONE
    assert last(RMC, GGA.format(1)).quality is Quality.GNSS


def test_a_date_with_an_unreadable_time_is_none() -> None:
    assert last("GPRMC,12:00,A,5212.0,N,00506.0,E,,,010624,,").at_ms is None
