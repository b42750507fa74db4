"""Sentences of single makers, and what receivers say of their antenna."""

from typing import Any

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.receiver import Reader
from agent.core.gnss.sky import Antenna
from wire.messages import Quality

T = 1717243200000
RMC = "GPRMC,120000,A,5212.0,N,00506.0,E,,,010624,,"


def s(body: str) -> bytes:
    total = 0
    for code in body.encode():
        total ^= code
    return f"${body}*{total:02X}\r\n".encode()


def told(*bodies: str) -> list[object]:
    reader = Reader(at_once=True)
    return [*reader.feed(b"".join(s(body) for body in bodies)), *reader.end()]


SAYS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "Garmin errors": ((RMC, "PGRME,6.745,M,9.0,M,11.0,M"), {"accuracy_m": 10.0}),
    "Garmin errors in feet": ((RMC, "PGRME,6.745,f,9.0,M,11.0,M"), {"accuracy_m": None}),
    "Garmin height": ((RMC, "PGRMZ,100,f,3"), {"alt_m": 30.48, "mode": 3}),
    "Garmin height in metres": ((RMC, "PGRMZ,100,m,"), {"alt_m": None, "mode": 2}),
    "Garmin velocity": ((RMC, "PGRMV,3.0,4.0,0.0"), {"speed_mps": 5.0, "course_deg": 36.8698976}),
    "Garmin velocity empty": ((RMC, "PGRMV,3.0,4.0,"), {"speed_mps": None}),
    "Garmin fix": ((RMC, "PGRMF,290,293895,010624,120000,13,5213.0,N,00506.0,E,A,2,36,226,2,1"), {
        "lat_deg": 52 + 13 / 60, "mode": 3, "speed_mps": 10.0, "course_deg": 226.0, "at_ms": T,
    }),
    "Garmin fix by hand": ((RMC, "PGRMF,290,293895,,,13,5213.0,N,00506.0,E,M,2,36,226,2,1"), {"lat_deg": 52.2}),
    "Garmin fix without place": ((RMC, "PGRMF,290,293895,010624,120000,13,,,,,A,,36,226,2,1"), {"mode": 2, "lat_deg": 52.2}),
    "Magellan 3D": ((RMC, "PMGNST,01.75,9,3,T,816,11.1,-00496,00"), {"mode": 3}),
    "Magellan none": ((RMC, "PMGNST,01.75,9,3,F,816,11.1,-00496,00"), {"mode": 1}),
    "SiRF errors": ((RMC, "PSRFEPE,120000.000,A,0.7,6.82,10.69,0.0,180.0"), {"hdop": 0.7, "accuracy_m": 6.82}),
    "SiRF errors empty": ((RMC, "PSRFEPE,120000.000,A,,,,,"), {"hdop": None, "accuracy_m": None}),
    "SiRF errors void": ((RMC, "PSRFEPE,120000.000,V,0.7,6.82,10.69,0.0,180.0"), {"hdop": None}),
    "Skytraq": (("PSTI,030,120000.000,A,5212.0,N,00506.0,E,103.3,3.00,4.00,0.00,010624,R,1.2,4.2",), {
        "at_ms": T, "mode": 3, "alt_m": 103.3, "speed_mps": 5.0, "quality": Quality.RTK_FIXED,
    }),
    "Skytraq without place": (("PSTI,030,,A,,,,,,3.00,4.00,0.00,,A,1.2,4.2", RMC), {"mode": 2}),
    "Skytraq void": ((RMC, "PSTI,030,120000.000,V,,,,,,,,,010624,N,,"), {"mode": 1}),
    "Skytraq of no kind": ((RMC, "PSTI,030,120000.000,x,,,,,,,,,010624,A,,"), {"mode": 2}),
    "Ericsson": ((RMC, "PERC,GPavp,5213.0,N,00506.0,E,12.0,M"), {"lat_deg": 52 + 13 / 60}),
    "Ericsson empty": ((RMC, "PERC,GPavp,,,,,,"), {"lat_deg": 52.2}),
    "Trimble mode": ((RMC, "PTNLRNM,D"), {"quality": Quality.DGPS}),
    "Trimble mode N": ((RMC, "PTNLRNM,N"), {"quality": Quality.GNSS}),
    "Ashtech": ((RMC, "PASHR,POS,1,09,120000,5213.0,N,00506.0,E,12.0,,226,36,0,1.5,0.8,1.2,0.7,X"), {
        "lat_deg": 52 + 13 / 60, "mode": 3, "speed_mps": 10.0, "course_deg": 226.0, "pdop": 1.5, "hdop": 0.8,
        "sats_used": 9, "quality": Quality.DGPS,
    }),
    "Ashtech autonomous": ((RMC, "PASHR,POS,0,09,,,,,,12.0,,226,36,0,1.5,0.8,1.2,0.7,X"), {"mode": 3, "lat_deg": None}),
    "Ashtech none": ((RMC, "PASHR,POS,,,,,,,"), {"mode": 1}),
    "Ashtech others": ((RMC, "PASHR,SAT,0,", "PASHR,RID,x,"), {"mode": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_says(name: str) -> None:
    bodies, expected = SAYS[name]
    epoch = [item for item in told(*bodies) if isinstance(item, Epoch)][-1]
    for key, value in expected.items():
        got = getattr(epoch, key)
        assert got == (pytest.approx(value) if isinstance(value, float) else value), key


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("GNTXT,01,01,02,ANTSTATUS=OK", "ok"),
        ("GNTXT,01,01,02,ANTSTATUS=OPEN", "open"),
        ("GPTXT,01,01,02,ANTSTATUS=SHORT", "short"),
        ("GPTXT,01,01,01,ANTENNA OFF", "off"),
        ("GPTXT,01,01,02,ANTSTATUS=INIT", None),
        ("GPTXT,01,01,02,u-blox AG", None),
        ("PGTOP,11,1", "short"),
        ("PGTOP,11,3", "ok"),
        ("PCD,11,2", "ok"),
        ("PSTMANTENNASTATUS,1,0,0,0", "open"),
        ("PTNLRBA,0,1", "fault"),
        ("PQTMANTENNASTATUS,3,2,2,1", "open"),
        ("PQTMANTENNASTATUS,3,0,2,1", None),
    ],
)
def test_antenna(body: str, status: str | None) -> None:
    assert [item for item in told(body, body) if isinstance(item, Antenna)] == (
        [] if status is None else [Antenna(status)]
    )
