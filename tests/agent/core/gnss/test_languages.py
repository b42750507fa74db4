"""A receiver that speaks NMEA and UBX at once: one epoch a second, whichever of the two tells it, and what is left out counted."""

import struct
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.framing import Ubx, fletcher, folded
from agent.core.gnss.languages import SILENT_AFTER, Languages
from agent.core.gnss.receiver import Parser, Reader
from wire.messages import Fix, Rejected

Second = Callable[[int], tuple[bytes, ...]]
SECONDS = 60


def s(body: bytes) -> bytes:
    return b"$%b*%02X\r\n" % (body, folded(body))


def u(kind: int, payload: bytes) -> bytes:
    body = kind.to_bytes(2, "big") + len(payload).to_bytes(2, "little") + payload
    return b"\xb5\x62" + body + fletcher(body)


def nmea(n: int) -> bytes:
    tod = b"12%02d%02d.00" % divmod(n, 60)
    place = b"5200.5%03d,N,00430.0,E" % n
    return s(b"GNRMC,%b,A,%b,10.0,45.0,150626,,,A" % (tod, place)) + s(
        b"GNGGA,%b,%b,1,08,1.0,10.0,M,46.0,M,," % (tod, place)
    )


def tow_ms(n: int) -> int:
    return 129_618_000 + 1000 * n


def posllh(n: int) -> bytes:
    return u(0x0102, struct.pack("<IiiiiII", tow_ms(n), 45_000_000, 520_083_333, 10_000, 12_000, 1000, 1000))


def status(n: int) -> bytes:
    return u(0x0103, struct.pack("<IBBBBII", tow_ms(n), 3, 0xDD, 0, 0, 0, 0))


def timeutc(n: int) -> bytes:
    return u(0x0121, struct.pack("<IIiHBBBBBB", tow_ms(n), 0, 0, 2026, 6, 15, 12, n // 60, n % 60, 7))


def sat(n: int) -> bytes:
    return u(0x0135, struct.pack("<IBBH", tow_ms(n), 1, 0, 0))


def pvt(n: int, *, fix: int = 3) -> bytes:
    head = struct.pack("<IHBBBBBBIiBBBB", tow_ms(n), 2026, 6, 15, 12, n // 60, n % 60, 3, 0, 0, fix, 1, 0, 9)
    return u(0x0107, head + struct.pack("<iiiiII", 45_000_000, 520_083_333, 10_000, 12_000, 1000, 1000) + bytes(44))


def live(second: Second) -> tuple[list[Fix], Counter[str]]:
    parser, fixes, reasons = Parser(), [], Counter[str]()
    for n in range(SECONDS):
        items: list[object] = []
        for piece in second(n):
            items += parser.feed(piece)
            items += parser.pause()
        for item in [*items, *parser.flush()]:
            if isinstance(item, Fix):
                fixes.append(item)
            elif isinstance(item, Rejected):
                reasons[item.reason] += 1
    return fixes, reasons


def epochs(second: Second) -> list[Epoch]:
    reader = Reader()
    told: Iterable[object] = [item for n in range(SECONDS) for item in reader.feed(b"".join(second(n)))]
    return [item for item in [*told, *reader.end()] if isinstance(item, Epoch)]


def test_a_position_without_date_does_not_mute_nmea() -> None:
    def second(n: int) -> tuple[bytes, ...]:
        return (nmea(n) + posllh(n),)

    fixes, reasons = live(second)
    assert len(fixes) == SECONDS
    assert all(fix.speed_mps is not None for fix in fixes)
    assert reasons == {"other-language": SECONDS}
    found = epochs(second)
    assert len(found) == SECONDS
    assert all(each.at_ms is not None and each.mode == 3 for each in found)


CASES: dict[str, tuple[Second, int, dict[str, int]]] = {
    "UBX that has date and fix leads": (lambda n: (pvt(n), nmea(n)), 60, {"other-language": 60}),
    "UBX that ends leaves NMEA mute for two seconds": (
        lambda n: (pvt(n) if n < 20 else b"", nmea(n)), 58, {"other-language": 22},
    ),
    "UBX that loses its fix, too": (
        lambda n: (pvt(n, fix=3 if n < 20 else 0), nmea(n)), 58, {"other-language": 59, "no-fix": 3},
    ),
    "date, place and mode of UBX in three frames": (
        lambda n: (posllh(n) + status(n) + timeutc(n), nmea(n)), 60, {"other-language": 60},
    ),
    "satellites of UBX end no epoch of NMEA": (
        lambda n: (nmea(n).partition(b"\n")[0] + b"\n", sat(n), nmea(n).partition(b"\n")[2]), 60, {},
    ),
    "UBX alone without date": (lambda n: (posllh(n) + status(n),), 0, {"no-date": 60}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_who_leads(name: str) -> None:
    second, count, expected = CASES[name]
    fixes, reasons = live(second)
    assert (len(fixes), reasons) == (count, expected)


def test_a_recording_is_read_as_gpsd_does() -> None:
    """NMEA goes on beside UBX that has date and fix: then a moment may be told twice, and neither is refused."""
    found = epochs(CASES["UBX that has date and fix leads"][0])
    assert len({each.at_ms for each in found}) == SECONDS
    assert len(epochs(CASES["satellites of UBX end no epoch of NMEA"][0])) == SECONDS


def test_what_an_antenna_says_is_heard_in_any_case() -> None:
    parser = Parser()
    parser.feed(pvt(0) + nmea(0))
    assert [type(item).__name__ for item in parser.feed(s(b"GNTXT,01,01,02,ANTSTATUS=OPEN"))] == ["Antenna"]


def pvt_frame() -> Ubx:
    return Ubx(0x0107, pvt(0)[6:-2])


def test_without_any_time_the_frames_count() -> None:
    languages = Languages(mixes=False)
    assert languages.neither
    assert languages.ubx(pvt_frame()) is True
    said = [languages.nmea(body) for body in (b"GNRMC,,V,,,,", b"GNGGA,999999,", b"GNRMC", b"PUBX,00")]
    assert said == [False] * 4
    assert [languages.nmea(b"GNGSV,1,1,00") for _ in range(SILENT_AFTER)][-5:] == [True] * 5
    assert languages.nmea_leads


def test_midnight_and_the_end_of_the_week_are_no_silence() -> None:
    languages = Languages(mixes=False)
    languages.ubx(pvt_frame())
    assert languages.nmea(b"GNGGA,235959.00,") == Rejected("other-language", "NMEA")
    assert languages.nmea(b"GNGGA,000000.00,") == Rejected("other-language", "NMEA")
    assert languages.nmea(b"GNGGA,000002.00,") is True


def test_a_leap_second_told_by_ubx_is_heard_while_nmea_leads() -> None:
    languages = Languages(mixes=False)
    languages.nmea(b"GNGGA,120000.00,")
    assert languages.ubx(Ubx(0x0126, tow_ms(0).to_bytes(4, "little") + bytes(20))) is True
    assert languages.ubx(Ubx(0x0102, posllh(1)[6:-2])) == Rejected("other-language", "UBX")
    assert languages.ubx(Ubx(0x0103, status(1)[6:-2])) is False
