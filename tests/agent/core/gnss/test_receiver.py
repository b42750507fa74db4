"""A receiver's stream: real logs against what gpsd made of them, every cut, damage, noise, and each rule of the parser."""

import gzip
import random
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.receiver import Parser, Reader
from bench import agree
from wire.messages import Fix, Mode, Quality, Rejected

ROOT = Path(__file__).parents[4]
RECORDINGS = ROOT / "tests" / "recordings"
GPSD = RECORDINGS / "gpsd"
NAMES = agree.names(GPSD)
LOST = {"ublox-neo-m8l": 0.9, "ublox-neo-m8u-hnr": 0.5, "magellan315": 0.25}
"""Share of moments that a vehicle does not use: high-rate positions between the epochs; a GLL of its own milliseconds."""
LIMIT = 1024
SEVERAL = {"bundg_zeus_9": 0.3, "humminbird-M37": 0.5}
"""Share of moments that several sources of one boat tell differently."""
F9K = gzip.decompress((RECORDINGS / "drive-ublox-f9k-mtv-part1.nmea.gz").read_bytes())


def s(body: str) -> bytes:
    total = 0
    for code in body.encode():
        total ^= code
    return f"${body}*{total:02X}\r\n".encode()


def rmc(tod: str = "120000.00", *, date: str = "010624", status: str = "A", rest: str = "10.0,90.0") -> bytes:
    return s(f"GNRMC,{tod},{status},5212.00000,N,00506.00000,E,{rest},{date},,,A,V")


def gga(tod: str = "120000.00", *, quality: str = "1") -> bytes:
    return s(f"GNGGA,{tod},5212.00000,N,00506.00000,E,{quality},09,0.80,12.5,M,40.0,M,,")


def fixes(items: Iterable[object]) -> list[Fix]:
    return [item for item in items if isinstance(item, Fix)]


def reasons(items: Iterable[object]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Rejected)]


def whole(data: bytes) -> list[Fix | Rejected]:
    parser = Parser()
    return told_of(parser.feed(data) + parser.flush())


def told_of(items: Iterable[object]) -> list[Fix | Rejected]:
    return [item for item in items if isinstance(item, Fix | Rejected)]


@pytest.fixture(scope="module")
def agreements() -> list[agree.Agreement]:
    return [agree.agreement(GPSD, name) for name in agree.names(GPSD)]


def test_agrees_with_gpsd_but_for_those_in_the_table(agreements: list[agree.Agreement]) -> None:
    """95 % of the recordings, and each of the others has its reason in the docs."""
    assert len(agreements) == 86
    wrong = {each.name for each in agreements if not each.agrees}
    assert len(wrong) <= len(agreements) * 0.05
    page = (ROOT / "docs" / "receivers.md").read_text(encoding="utf-8")
    table = page.partition("## Where we differ")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == wrong


def test_the_comparison_can_fail() -> None:
    name = "gr8013-w"
    expected = agree.theirs(agree.content(GPSD / f"{name}{agree.EXPECTED}"))
    got, _ = agree.ours(agree.content(GPSD / f"{name}.log").replace(b",A,", b",V,"))
    assert not [at_ms for at_ms in expected if at_ms in got and got[at_ms] == expected[at_ms]]


@pytest.mark.parametrize("name", NAMES)
def test_a_vehicle_gets_the_same_fixes(name: str) -> None:
    """Given out at once, without waiting for the next epoch, a fix is what gpsd says of that time, or refused with a reason."""
    data = agree.content(GPSD / f"{name}.log")
    parser = Parser()
    items = [item for at in range(0, len(data), 200) for item in parser.feed(data[at : at + 200])] + parser.flush()
    told = {fix.at_ms: fix for fix in fixes(items)}
    expected = {at_ms: said for at_ms, said in agree.ours(data)[0].items() if "lat" in said}
    absent = expected.keys() - told.keys()
    assert len(absent) <= reasons(items).count("back-in-time") + len(expected) * LOST.get(name, 0.0)
    near = [
        at_ms for at_ms in expected.keys() & told.keys() if abs(expected[at_ms]["lat"] - told[at_ms].lat_deg) < 2e-6
    ]
    assert len(near) >= len(told.keys() & expected.keys()) * (0.95 - SEVERAL.get(name, 0.0))


def test_a_real_drive() -> None:
    items = whole(F9K)
    told = fixes(items)
    assert len(told) == 1101
    assert Counter(reasons(items)) == {"checksum": 10}
    assert all(b.at_ms - a.at_ms >= 1000 for a, b in pairwise(told))
    first = told[0]
    assert first == Fix(
        1581041657000, first.lat_deg, first.lon_deg, alt_m=4.4, speed_mps=first.speed_mps, course_deg=65.13,
        mode=Mode.FIX_3D, quality=Quality.RTK_FLOAT, hdop=0.76, pdop=1.48, accuracy_m=0.76 * 5, sats_used=25,
        sats_seen=38, cn0_dbhz=48.2,
    )  # fmt: skip
    assert first.lat_deg == pytest.approx(37.426393667, abs=1e-9)
    assert first.lon_deg == pytest.approx(-122.093652500, abs=1e-9)
    assert first.speed_mps == pytest.approx(0.0144, abs=1e-4)


def test_at_any_cut_the_same() -> None:
    ubx = agree.content(GPSD / "ublox-zed-f9r.log")[:20_000]
    data = F9K[:20_000] + ubx + agree.content(GPSD / "beidou-bd.log") + F9K[60_000:70_000]
    expected = Parser().feed(data)
    chance = random.Random(7)
    for _ in range(60):
        parser, got, at = Parser(), [], 0
        while at < len(data):
            step = chance.choice((1, 3, 17, 80, 500, 4096))
            got += parser.feed(data[at : at + step])
            at += step
        assert got == expected


def test_a_recording_is_told_the_same_at_any_cut() -> None:
    data = agree.content(GPSD / "ublox8-uniqid-monhw.log") + agree.content(GPSD / "garmin25lp.log")
    reader = Reader()
    expected = reader.feed(data) + reader.end()
    chance = random.Random(8)
    for _ in range(30):
        reader, got, at = Reader(), [], 0
        while at < len(data):
            step = chance.choice((1, 2, 5, 90, 700))
            got += reader.feed(data[at : at + step])
            at += step
        assert got + reader.end() == expected


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A recording after bad lines: flipped bits, lost and doubled pieces, lines in another order."""
    broken = bytearray(data)
    for _ in range(chance.randrange(1, 40)):
        at = chance.randrange(len(broken))
        what = chance.randrange(4)
        if what == 0:
            broken[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            del broken[at : at + chance.randrange(1, 60)]
        elif what == 2:
            broken[at:at] = broken[at : at + chance.randrange(1, 200)]
        else:
            lines = bytes(broken).split(b"\n")
            n = chance.randrange(len(lines))
            lines[n], lines[-n] = lines[-n], lines[n]
            broken = bytearray(b"\n".join(lines))
        broken = broken or bytearray(b"$")
    return bytes(broken)


def test_damage_ends_in_a_right_fix_or_a_refusal() -> None:
    """Each fix that comes out of a damaged recording is one of the whole recording; nothing is raised."""
    chance = random.Random(11)
    told = 0
    for name in NAMES:
        data = agree.content(GPSD / f"{name}.log")[:12_000]
        reader = Reader()
        epochs = [item for item in reader.feed(data) + reader.end() if isinstance(item, Epoch)]
        true = {round(each.lat_deg, 4) for each in epochs if each.lat_deg is not None}
        true |= {round(fix.lat_deg, 4) for fix in fixes(whole(data))}
        for _ in range(3):
            broken, parser, got, at = damaged(data, chance), Parser(), [], 0
            while at < len(broken):
                size = chance.choice((7, 64, 512))
                got += parser.feed(broken[at : at + size]) + (parser.flush() if chance.random() < 0.05 else [])
                at += size
            for fix in fixes(got + parser.flush()):
                assert round(fix.lat_deg, 4) in true, name
                told += 1
    assert told > 500


def test_byte_by_byte() -> None:
    parser = Parser()
    data = F9K[:8000]
    assert [item for i in range(len(data)) for item in parser.feed(data[i : i + 1])] == Parser().feed(data)


def test_given_out_with_its_last_sentence_once_that_is_learned() -> None:
    parser = Parser()
    told = []
    for n in range(4):
        parser.feed(rmc(f"12000{n}.00"))
        told.append(fixes(parser.feed(gga(f"12000{n}.00"))))
    assert [len(batch) for batch in told] == [0, 0, 1, 1]


def test_silence_gives_it_out_and_teaches() -> None:
    parser = Parser()
    assert parser.flush() == []
    for n in range(2):
        assert parser.feed(s("GNGSA,A,3,01,,,,,,,,,,,,1.5,0.9,1.2,1") + rmc(f"12000{n}.00") + gga(f"12000{n}.00")) == []
        assert fixes(parser.flush())[0].pdop == 1.5
    burst = s("GNGSA,A,3,01,,,,,,,,,,,,1.7,0.9,1.2,1") + rmc("120002.00") + gga("120002.00")
    assert fixes(parser.feed(burst))[0].pdop == 1.7
    assert parser.flush() == []


def test_silence_in_the_middle_of_a_burst_keeps_what_has_no_position() -> None:
    parser = Parser()
    parser.feed(s("GNGST,120000.00,,,,,3.0,4.0,5.0"))
    assert parser.flush() == []
    parser.feed(rmc())
    assert fixes(parser.flush())[0].accuracy_m == 5.0


def test_a_late_sentence_unlearns_and_a_repeat_is_told() -> None:
    parser = Parser()
    for n in range(3):
        parser.feed(rmc(f"12000{n}.00") + gga(f"12000{n}.00"))
    late = s("GNGLL,5212.0,N,00506.0,E,120002.00,A,A")
    assert reasons(parser.feed(late + late)) == ["repeated"]
    assert parser.feed(rmc("120003.00") + gga("120003.00")) == []
    assert len(fixes(parser.feed(late.replace(b"120002", b"120003")[:-4] + b"XX\r\n"))) == 0
    assert len(fixes(parser.flush())) == 1
    assert reasons([*parser.feed(rmc("120003.00") + gga("120003.00")), *parser.flush()]) == ["repeated"]


def test_untimed_sentences_after_the_end_belong_to_the_next_epoch() -> None:
    parser = Parser()
    for n in range(3):
        parser.feed(rmc(f"12000{n}.00") + gga(f"12000{n}.00"))
    parser.feed(s("GNVTG,45.0,T,,M,20.0,N,37.0,K,A"))
    fix = fixes(parser.feed(rmc("120003.00", rest=",") + gga("120003.00")))[0]
    assert (fix.course_deg, round(fix.speed_mps or 0, 3)) == (45.0, 10.289)


GSA = "GNGSA,A,{},,,,,,,,,,,,,1.5,0.9,1.2,1"

CASES: dict[str, tuple[bytes, Fix | str | None]] = {
    "rmc alone is 2D": (
        rmc(),
        Fix(1717243200000, 52.2, 5.1, speed_mps=10 * 1852 / 3600, course_deg=90.0, mode=Mode.FIX_2D),
    ),
    "south and west": (
        s("GPRMC,120000,A,5212.00000,S,00506.00000,W,,,010624,,"),
        Fix(1717243200000, -52.2, -5.1, mode=Mode.FIX_2D),
    ),
    "status V": (rmc(status="V"), "no-fix"),
    "quality 0": (rmc() + gga(quality="0"), "no-fix"),
    "quality empty": (rmc() + gga(quality=""), "no-fix"),
    "gsa 1": (rmc() + s(GSA.format(1)), "no-fix"),
    "gsa empty": (rmc() + s(GSA.format("")), Fix(
        1717243200000, 52.2, 5.1, speed_mps=10 * 1852 / 3600, course_deg=90.0, mode=Mode.FIX_2D, hdop=0.9, pdop=1.5,
        accuracy_m=4.5,
    )),
    "best gsa of the systems": (rmc() + s(GSA.format(1)) + s(GSA.format(3)), Fix(
        1717243200000, 52.2, 5.1, speed_mps=10 * 1852 / 3600, course_deg=90.0, mode=Mode.FIX_3D, hdop=0.9, pdop=1.5,
        accuracy_m=4.5,
    )),
    "gsa 7": (rmc() + s(GSA.format(7)), Fix(
        1717243200000, 52.2, 5.1, speed_mps=10 * 1852 / 3600, course_deg=90.0, mode=Mode.FIX_2D, hdop=0.9, pdop=1.5,
        accuracy_m=4.5,
    )),
    "gll void": (rmc() + s("GNGLL,5212.0,N,00506.0,E,120000.00,V,N"), "no-fix"),
    "old gll": (s("GPGLL,5212.0,N,00506.0,E,120000.00"), "field"),
    "mode letter N": (rmc().replace(b",A,V*", b",N,V*"), "checksum"),
    "letter N": (s("GNRMC,120000,A,5212.0,N,00506.0,E,,,010624,,,N,V"), "no-fix"),
    "letter unknown": (s("GNRMC,120000,A,5212.0,N,00506.0,E,,,010624,,,x,V"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D
    )),
    "gns": (s("GNGNS,120000,5212.0,N,00506.0,E,RA,14,0.7,33.5,40,,,S") + s("GPZDA,120000,01,06,2024,,"), Fix(
        1717243200000, 52.2, 5.1, alt_m=33.5, quality=Quality.RTK_FIXED, hdop=0.7, accuracy_m=3.5, sats_used=14
    )),
    "gns bare": (s("GNGNS,120000,5212.0,N,00506.0,E,A,,,,,,,") + s("GPZDA,120000,01,06,2024,,"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D
    )),
    "gns none": (s("GNGNS,120000,,,,,NN,,,,,,,V") + s("GPZDA,120000,01,06,2024,,"), "no-fix"),
    "gga bare": (s("GPGGA,120000,5212.0,N,00506.0,E,2,03,99.99,,M,,M,,") + s("GPZDA,120000,01,06,2024,,"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D, quality=Quality.DGPS, sats_used=3
    )),
    "gga of two satellites": (s("GPGGA,120000,5212.0,N,00506.0,E,1,02,9.9,,M,,M,,"), "no-fix"),
    "gga without place": (s("GPGGA,120000,,,,,1,05,1.0,,M,,M,,"), "no-fix"),
    "rmc without date": (s("GPRMC,120000,A,5212.0,N,00506.0,E,,,,,"), "no-date"),
    "zda without date": (gga() + s("GPZDA,120000,,,,,"), "no-date"),
    "no date": (gga(), "no-date"),
    "gst": (rmc(rest=",") + s("GPGST,120000,,,,,3.0,4.0,9.0"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D, accuracy_m=5.0
    )),
    "gst empty": (rmc(rest=",") + s("GPGST,120000,,,,,,,"), Fix(1717243200000, 52.2, 5.1, mode=Mode.FIX_2D)),
    "vtg without course": (rmc(rest=",") + s("GPVTG,,T,,M,,N,36.0,K"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D
    )),
    "vtg empty": (rmc(rest=",") + s("GPVTG,,T,,M,,N"), Fix(1717243200000, 52.2, 5.1, mode=Mode.FIX_2D)),
    "null island": (s("GPRMC,120000,A,0000.0,N,00000.0,E,,,010624,,"), "null-island"),
    "hemisphere": (s("GPRMC,120000,A,5212.0,Q,00506.0,E,,,010624,,"), "field"),
    "latitude": (s("GPRMC,120000,A,9912.0,N,00506.0,E,,,010624,,"), "field"),
    "minutes": (s("GPRMC,120000,A,5272.0,N,00506.0,E,,,010624,,"), "field"),
    "no point": (s("GPRMC,120000,A,5212,N,00506,E,,,010624,,"), "no-fix"),
    "speed": (s("GPRMC,120000,A,5212.0,N,00506.0,E,9999,,010624,,"), "field"),
    "speed nan": (s("GPRMC,120000,A,5212.0,N,00506.0,E,nan,,010624,,"), Fix(
        1717243200000, 52.2, 5.1, mode=Mode.FIX_2D
    )),
    "time": (s("GPRMC,250000,A,5212.0,N,00506.0,E,,,010624,,"), "field"),
    "date": (s("GPRMC,120000,A,5212.0,N,00506.0,E,,,310624,,"), "no-date"),
    "too few fields": (s("GPRMC,120000,A,5212.0,N"), "field"),
    "no time, no fix": (s("GPRMC,,V,,,,,,,,,,N"), "no-fix"),
    "timeless and short": (s("GPGLL,,,,"), "field"),
    "last century": (s("GPRMC,120000,A,5212.0,N,00506.0,E,,,010699,,"), Fix(
        928238400000, 52.2, 5.1, mode=Mode.FIX_2D
    )),
    "no checksum": (b"$GPRMC,120000,A,5212.0,N,00506.0,E,,,010624,,\r\n", "cut"),
    "cut by the next": (b"$GPRMC,1200" + rmc(rest=",") , "cut"),
    "binary": (b"\xb5\x62\x01\x07\x5c\x00\xff\xfe\n", "garbage"),
    "too long": (s("GPTXT," + "x" * 300), "too-long"),
    "other sentences": (s("GPGSV,1,1,00") + s("PUBX,00") + s("GPTXT,01") + b"\r\n", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    data, expected = CASES[name]
    items = whole(data)
    if expected is None:
        assert items == []
    elif isinstance(expected, str):
        assert expected in reasons(items)
    else:
        assert [repr(item) for item in items] == [repr(_near(items, expected))]


def _near(items: list[Fix | Rejected], expected: Fix) -> Fix:
    """The expected fix, with floats taken from the first item where they are equal to nine digits."""
    values = {}
    for key in Fix.__slots__:
        want, got = getattr(expected, key), getattr(items[0], key, None)
        values[key] = got if isinstance(want, float) and got == pytest.approx(want, abs=1e-9) else want
    return Fix(**values)


def test_a_cut_sentence_costs_only_itself() -> None:
    items = whole(b"$GPRMC,1200" + rmc())
    assert reasons(items) == ["cut"]
    assert len(fixes(items)) == 1


def test_timeless_receiver_is_told_once_a_burst() -> None:
    burst = s("GPGGA,,,,,,0,00,,,M,,M,,") + s("GPRMC,,V,,,,,,,,,,N")
    assert reasons(whole(burst * 3)) == ["no-fix"] * 3


def test_midnight_without_a_new_date() -> None:
    parser = Parser()
    items = parser.feed(rmc("235959.00") + gga("000000.00") + gga("000001.00") + rmc("000002.00", date="020624"))
    told = fixes(items + parser.flush())
    assert [fix.at_ms - told[0].at_ms for fix in told] == [0, 1000, 2000, 3000]


def test_steps_back_are_told() -> None:
    items = whole(rmc("120005.00") + rmc("120003.00") + rmc("120006.00"))
    assert [fix.at_ms % 60000 for fix in fixes(items)] == [5000, 6000]
    assert reasons(items) == ["back-in-time"]


def test_noise_is_bounded_and_told_once() -> None:
    parser = Parser()
    items = parser.feed(b"\x00\x01\x02" * 5000)
    items += parser.feed(b"more" * 1000 + b"$GPRMC")
    items += parser.feed(b"\xff" * 2 * LIMIT + b"\n")
    assert reasons(items) == ["garbage", "cut"]
    assert len(fixes(parser.feed(rmc()) + parser.flush())) == 1


def test_a_sentence_begun_in_noise_survives() -> None:
    parser = Parser()
    first = rmc()
    parser.feed(b"\x01" * 2 * LIMIT + first[:10])
    assert len(fixes(parser.feed(first[10:]) + parser.flush())) == 1


def test_ubx_between_sentences_changes_nothing() -> None:
    frame = b"\xb5\x62\x01\x07\x08\x00\x24\x0a\x2a\x00\x01\x02\x03\x04\x55\xaa"
    lines = F9K[:30_000].splitlines(keepends=True)
    mixed = frame.join(lines)
    assert fixes(Parser().feed(mixed)) == fixes(Parser().feed(F9K[:30_000]))


def test_an_epoch_without_place_is_nothing() -> None:
    assert Parser().feed(s("GPGST,120000,,,,,3.0,4.0,9.0") + s("GPGST,120001,,,,,3.0,4.0,9.0")) == []


def test_what_is_valid_is_counted_with_or_without_a_fix() -> None:
    parser = Parser()
    parser.feed(b"$GPRMC,,V,,,,,,,,,,N*53\r\n$GPRMC,,V,,,,,,,,,,N*54\r\nnoise\r\n$PUBX,00*33\r\n")
    assert (parser.speaks, parser.heard) == ("NMEA or UBX", 2)
