"""Lines to messages: every way of writing, and everything that must not pass."""

import pytest

from agent.core.obd.isotp import Message, byte_sum, crc8, messages

VIN = b"\x49\x02\x01RGDMPLE520000001Z"


def older(text: str, check: str = "sum") -> bytes:
    data = bytes.fromhex(text)
    return (data + bytes((byte_sum(data) if check == "sum" else crc8(data),))).hex().upper().encode()


GOOD: list[tuple[list[bytes], str, list[Message]]] = [
    ([b"7E803410D32"], "6", [Message("7E8", b"\x41\x0d\x32")]),
    ([b"7E803410D32AAAAAAAA"], "6", [Message("7E8", b"\x41\x0d\x32")]),
    ([b"7E803410D32", b"7E803410D32"], "", [Message("7E8", b"\x41\x0d\x32")]),
    ([b"18DAF11003410D32"], "7", [Message("F110", b"\x41\x0d\x32")]),
    ([b"18DAF11003410D32"], "", [Message("F110", b"\x41\x0d\x32")]),
    (
        [b"7E803410D32", b"7E903410D33"],
        "6",
        [Message("7E8", b"\x41\x0d\x32"), Message("7E9", b"\x41\x0d\x33")],
    ),
    (
        [b"7E8100A410C1AF8", b"7E9034100FF"][:1] and [b"7E8100A410C1AF80D32", b"7E82105530000000000"],
        "6",
        [Message("7E8", bytes.fromhex("410C1AF80D320553" + "0000"))],
    ),
    (
        [b"7E8210553FFFFFFFFFF", b"7E8100841041AF80D32"],
        "6",
        [Message("7E8", bytes.fromhex("41041AF80D320553"))],
    ),
    ([older("486B10410D32")], "3", [Message("10", b"\x41\x0d\x32")]),
    ([older("83F110410D32")], "5", [Message("10", b"\x41\x0d\x32")]),
    ([older("416B10410D32", "crc")], "1", [Message("10", b"\x41\x0d\x32")]),
    ([older("486B10410D32", "crc")], "", [Message("10", b"\x41\x0d\x32")]),
]
BAD: list[tuple[list[bytes], str, str]] = [
    ([b"7E803410D3"], "6", "garbled"),
    ([b"7E803410D"], "6", "short"),
    ([b"7E8"], "6", "short"),
    ([b"7EX03410D32"], "6", "garbled"),
    ([b"7E003410D32"], "6", "garbled"),
    ([b"18DAF1X003410D32"], "7", "garbled"),
    ([b"410D32"], "6", "garbled"),
    ([b"7E803410D327E904410D33"], "6", "garbled"),
    ([b"7E803410D32AAAB"], "6", "garbled"),
    ([b"7E800"], "6", "garbled"),
    ([b"7E8300000"], "6", "garbled"),
    ([b"7E8210553"], "6", "disorder"),
    ([b"7E8100A410C1AF80D32", b"7E8100B410C1AF80D32"], "6", "disorder"),
    ([b"7E8100A410C1A"], "6", "short"),
    ([b"7E81004410C1AF80D32"], "6", "garbled"),
    ([b"7E8100A410C1AF80D32"], "6", "short"),
    ([b"7E8100A410C1AF80D32", b"7E82205530000000000"], "6", "disorder"),
    ([b"7E8100A410C1AF80D32", b"7E8210553"], "6", "short"),
    ([b"7E81014490201314434", b"7E82147503030523535", b"7E822423132333435"], "6", "short"),
    ([b"7E81014490201314434", b"7E821475030305235", b"7E82242313233343536"], "6", "short"),
    ([b"7E8100A410C1AF80D32", b"7E821055300000000AB"], "6", "garbled"),
    ([older("486B10410D32")[:-1]], "3", "garbled"),
    ([b"486B10"], "3", "short"),
    ([older("486B10410D32", "crc")], "3", "checksum"),
    ([older("486B10410D32")], "A", "checksum"),
    ([older("123410410D32")], "3", "garbled"),
    ([older("84F110410D32")], "5", "garbled"),
]


@pytest.mark.parametrize(("lines", "protocol", "told"), GOOD)
def test_with_headers(lines: list[bytes], protocol: str, told: list[Message]) -> None:
    assert messages(lines, protocol, headers=True) == told


@pytest.mark.parametrize(("lines", "protocol", "reason"), BAD)
def test_what_does_not_fit_is_a_reason(lines: list[bytes], protocol: str, reason: str) -> None:
    assert messages(lines, protocol, headers=True) == reason


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"410D32"], [Message("", b"\x41\x0d\x32")]),
        ([b"410D32", b"410D33"], [Message("", b"\x41\x0d\x32"), Message("", b"\x41\x0d\x33")]),
        ([b"008", b"0:410C1AF80D32", b"1:05530000000000"], [Message("", bytes.fromhex("410C1AF80D320553"))]),
        ([b"410D3"], "garbled"),
        ([b"410D32", b"xx"], "garbled"),
        ([b"008", b"0:410C1AF80D32"], "short"),
        ([b"008", b"0:410C1AF80D32", b"2:05530000000000"], "short"),
        ([b"008", b"0:410C1AF80D32", b"1:055300000000AB"], "garbled"),
        ([b"008", b"0:410C1AF80D32", b"0:05530000000000"], "garbled"),
        ([b"008", b"410C1AF80D32"], "garbled"),
        ([b"000", b"0:41"], "short"),
    ],
)
def test_without_headers(lines: list[bytes], told: list[Message] | str) -> None:
    assert messages(lines, "", headers=False) == told


def test_checks() -> None:
    assert crc8(b"123456789") == 0x4B
    assert byte_sum(b"\xff\x02") == 1
