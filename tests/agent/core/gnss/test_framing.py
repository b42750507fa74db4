"""Framing: every kind of frame, whole, cut, broken, foreign; at any cut the same."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.gnss import framing
from agent.core.gnss.framing import (
    CREDIT,
    CREDIT_PER_BYTE,
    LINE_LIMIT,
    UBX_LIMIT,
    Frame,
    Framer,
    Ubx,
    casic_sum,
    crc24q,
    fits,
    fletcher,
)  # fmt: skip
from wire.messages import Rejected

RMC = b"$GPRMC,,V,,,,,,,,,,N*53\r\n"
SAID = b"GPRMC,,V,,,,,,,,,,N"


def ubx(kind: int, payload: bytes) -> bytes:
    body = kind.to_bytes(2, "big") + len(payload).to_bytes(2, "little") + payload
    return b"\xb5\x62" + body + fletcher(body)


def rtcm(payload: bytes) -> bytes:
    head = b"\xd3" + len(payload).to_bytes(2, "big") + payload
    return head + crc24q(head).to_bytes(3, "big")


def casic(payload: bytes) -> bytes:
    total = len(payload) + (1 << 16) + (3 << 24)
    total += sum(int.from_bytes(payload[n : n + 4], "little") for n in range(0, len(payload), 4))
    return (
        b"\xba\xce"
        + len(payload).to_bytes(2, "little")
        + b"\x01\x03"
        + payload
        + (total & 0xFFFFFFFF).to_bytes(4, "little")
    )


SIRF = b"\xa0\xa2\x00\x02$G\x00\x6b\xb0\xb3"
SKYTRAQ = b"\xa0\xa1\x00\x02$G\x63\r\n"
UBX = ubx(0x0161, b"\x24$G\n")
TAG = b"\\s:r3669961,c:1120959341*7B\\"
GARBAGE, CUT = Rejected("garbage"), Rejected("cut", "GPRMC,")

CASES: dict[str, tuple[bytes, list[Frame]]] = {
    "a sentence": (RMC, [SAID]),
    "line feed only": (RMC.replace(b"\r", b""), [SAID]),
    "small letters in the checksum": (b"$GPTXT,h*0b\r\n", [b"GPTXT,h"]),
    "something behind the checksum": (RMC.replace(b"*53", b"*53 x"), [SAID]),
    "zeros and blanks between": (b"\0\0 " + RMC + b"\r\n" + RMC, [SAID, SAID]),
    "wrong checksum": (RMC.replace(b"*53", b"*54"), [Rejected("checksum", "GPRMC,")]),
    "no checksum": (b"$GPRMC,,V\r\n", [CUT]),
    "half a checksum": (b"$GPRMC,,V*5\r\n", [CUT]),
    "cut by the next": (b"$GPRMC,1200" + RMC, [CUT, SAID]),
    "cut by binary": (b"$GPRMC,1200" + UBX + RMC, [CUT, Ubx(0x0161, b"\x24$G\n"), SAID]),
    "too long": (b"$GPRMC," + b"x" * 200 + b"*00\r\n", [Rejected("too-long")]),
    "AIS is not for us": (b"!AIVDM,1*4A\r\n" + RMC, [SAID]),
    "a comment": (b"# $GPRMC,\xb5\x62\n" + RMC, [SAID]),
    "JSON": (b'{"class":"VERSION"}\r\n' + RMC, [SAID]),
    "a brace within a line": (b"x{\n" + RMC, [GARBAGE, SAID]),
    "UBX": (UBX, [Ubx(0x0161, b"\x24$G\n")]),
    "UBX with a wrong checksum": (UBX[:-1] + b"\0" + RMC, [Rejected("checksum", "UBX"), GARBAGE, Rejected("cut"), Rejected("cut", "G"), SAID]),
    "UBX of absurd length": (b"\xb5\x62\x01\x02\xff\xff" + RMC, [GARBAGE, SAID]),
    "the first byte of UBX": (b"\xb5x" + RMC, [GARBAGE, SAID]),
    "RTCM 3": (rtcm(b"$GP\xb5\x62") + RMC, [SAID]),
    "RTCM 3 with a wrong checksum": (rtcm(b"xx")[:-1] + b"\0" + RMC, [GARBAGE, SAID]),
    "not RTCM 3": (b"\xd3\xff" + RMC, [GARBAGE, SAID]),
    "SiRF": (SIRF + RMC, [Rejected("foreign", "SiRF"), SAID]),
    "Skytraq": (SKYTRAQ + RMC, [Rejected("foreign", "Skytraq"), SAID]),
    "SiRF without its end": (SIRF[:-1] + b"\0" + RMC, [GARBAGE, Rejected("cut", "G"), SAID]),
    "SiRF of absurd length": (b"\xa0\xa2\xff\xff" + RMC, [GARBAGE, SAID]),
    "not SiRF": (b"\xa0\x00" + RMC, [GARBAGE, SAID]),
    "CASIC": (casic(b"$GPR") + RMC, [Rejected("foreign", "CASIC"), SAID]),
    "CASIC with a wrong checksum": (casic(b"1234")[:-1] + b"\xff" + RMC, [GARBAGE, SAID]),
    "CASIC of odd length": (b"\xba\xce\x03\x00\x01\x03" + RMC, [GARBAGE, SAID]),
    "not CASIC": (b"\xba\x00" + RMC, [GARBAGE, SAID]),
    "a comment ended by a carriage return": (b"# lines of an old computer\r" + RMC[:-1] + b"#\r" + RMC, [SAID, SAID]),
    "a TAG block": (TAG + RMC + TAG + UBX, [SAID, Ubx(0x0161, b"\x24$G\n")]),
    "a TAG block with a wrong checksum": (TAG[:-2] + b"9\\" + RMC, [GARBAGE, SAID]),
    "a backslash": (b"\\" + RMC + RMC + b"\\s:r1" + RMC, [GARBAGE, SAID, SAID, GARBAGE, SAID]),
    "the time of a logger before each sentence": ((b"2024-01-01 00:00:00.000 " + RMC) * 3 + RMC + b"x " + RMC, [
        GARBAGE, SAID, SAID, SAID, SAID, GARBAGE, SAID,
    ]),
    "noise is told once": (b"\xff\xfe\n\xff\n" + RMC + b"\xff\n", [GARBAGE, SAID, GARBAGE]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    data, expected = CASES[name]
    framer = Framer()
    assert framer.feed(data) == expected
    assert framer.heard == sum(not isinstance(frame, Rejected) for frame in expected) + (
        name in {"RTCM 3", "AIS is not for us"}
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_cases_in_one_stream_at_any_cut(size: int) -> None:
    """Frames do not touch each other: between them stands a line end, as a comment begins a line."""
    whole = b"\n".join(data for data, _ in CASES.values() if b"\xff\xff" not in data)
    at_once, piecewise = Framer(), Framer()
    got = [frame for at in range(0, len(whole), size) for frame in piecewise.feed(whole[at : at + size])]
    assert got == at_once.feed(whole)


def test_a_binary_frame_without_its_end_is_given_up() -> None:
    framer = Framer()
    assert framer.feed(b"\xb5\x62\x01\x07\x5c\x00" + RMC) == []
    assert framer.give_up() == [GARBAGE, SAID]
    assert framer.feed(RMC[:9]) == []
    assert framer.give_up() == []
    assert framer.feed(RMC[9:]) == [SAID]


def test_at_the_end_of_the_stream_a_line_needs_no_end() -> None:
    framer = Framer()
    assert framer.feed(RMC[:-2]) == []
    assert framer.give_up(ended=True) == [SAID]
    assert framer.give_up(ended=True) == []
    assert framer.feed(b"# half a comment") == []
    assert framer.give_up(ended=True) == []


def test_nothing_grows_for_ever() -> None:
    framer = Framer()
    assert framer.feed(b"$" + b"G" * 5000) == [Rejected("too-long")]
    assert framer.feed(b"\n{" + b"x" * (LINE_LIMIT + 1)) == [GARBAGE]
    for lead in (b"\xb5\x62\x01\x07" + UBX_LIMIT.to_bytes(2, "little"), b"\xd3\x03\xff", b"\xa0\xa2\x1f\xff"):
        framer.feed(lead)
        for _ in range(40):
            framer.feed(b"\x01" * 512)
        assert len(framer._buffer) <= UBX_LIMIT + 8
        framer.give_up(ended=True)


def test_checksums() -> None:
    assert fits(b"GPRMC,,V,,,,,,,,,,N*53")
    assert not fits(b"GPRMC,,V,,,,,,,,,,N*5")
    assert crc24q(b"123456789") == 0xCDE703
    assert fletcher(b"\x06\x01\x02\x00\x01\x07") == b"\x11\x3a"


def test_a_few_zeros_are_padding_and_many_are_noise() -> None:
    assert [item for item in Framer().feed(bytes(8) + b"\r\n$") if isinstance(item, Rejected)] == []
    assert [item.reason for item in Framer().feed(bytes(5_000) + b"\r\n$") if isinstance(item, Rejected)] == ["garbage"]


HOSTILE = {
    "ubx": b"\xb5\x62\x01\x07\xf0\x1f", "rtcm": b"\xd3\x03\xff", "casic": b"\xba\xce\xf0\x1f\x01\x01", "sirf": b"\xa0\xa2\x1f\xf0",
    "dollar": b"$", "hash": b"\n#", "tag": b"\\", "json": b'\n{"a":',
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_checked_in_vain_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 kB of claims cost no more than the credit; counted in bytes, so that a busy machine changes nothing."""
    checked = 0
    for check in (fletcher, crc24q, casic_sum):

        def counting(data: bytes, check: Callable[[bytes], Any] = check) -> Any:
            nonlocal checked
            checked += len(data)
            return check(data)

        monkeypatch.setattr(framing, check.__name__, counting)
    data = HOSTILE[name] * (60_000 // len(HOSTILE[name]))
    framer = Framer()
    for at in range(0, len(data), 512):
        framer.feed(data[at : at + 512])
    assert checked <= CREDIT + CREDIT_PER_BYTE * len(data) + 2 * UBX_LIMIT
    framer.give_up()
    assert framer.feed(b"\n" + RMC)[-1:] == [SAID]


def test_after_hostile_bytes_frames_are_heard_again() -> None:
    framer = Framer()
    for _ in range(20):
        framer.feed(HOSTILE["ubx"] * 500)
    framer.feed(bytes(UBX_LIMIT))
    assert [frame for _ in range(9) for frame in framer.feed(UBX) if isinstance(frame, Ubx)] != []
