"""What an answer amounts to: words, progress, messages, refusals."""

import pytest

from agent.core.obd.answers import WORDS, Kind, announces, in_progress, split, understand, written

GOOD = b"7E803410D32\r\r"


@pytest.mark.parametrize(("word", "kind", "reason"), WORDS)
def test_every_word(word: bytes, kind: Kind, reason: str) -> None:
    answer = understand(word + b"\r\r", "010D", "6", headers=True)
    assert (answer.kind, answer.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("raw", "command", "kind", "reason"),
    [
        (GOOD, "010D", Kind.GOOD, ""),
        (b"SEARCHING..." + GOOD, "010D", Kind.GOOD, ""),
        (b"BUS INIT: OK\r" + GOOD, "010D", Kind.GOOD, ""),
        (b"BUS INIT: ...OK\r" + GOOD, "010D", Kind.GOOD, ""),
        (b"BUS INIT: ERROR\r", "010D", Kind.NO_DATA, "bus-init"),
        (b"7E803410D32 <RX ERROR\r", "010D", Kind.AGAIN, "data-error"),
        (GOOD + b"NO DATA\r", "010D", Kind.FAULT, "garbled"),
        (b"ERR94\r", "010D", Kind.FAULT, "adapter-error"),
        (GOOD, "010C", Kind.FAULT, "mismatch"),
        (GOOD, "03", Kind.FAULT, "mismatch"),
        (b"7E8024300\r", "03", Kind.GOOD, ""),
        (b"7E80141\r", "010D", Kind.FAULT, "short"),
        (b"7E802420C\r", "020C00", Kind.FAULT, "short"),
        (b"7E805420C001AF8\r", "020C00", Kind.GOOD, ""),
        (b"7E803410D32\r7E9037F0112\r", "010D", Kind.GOOD, ""),
        (b"7E8037F0112\r7E9037F0178\r", "010D", Kind.PENDING, "negative-12"),
        (b"7E8037F0312\r", "010D", Kind.FAULT, "mismatch"),
        (b"ELM327 v1.5\r", "010D", Kind.RESTARTED, "restarted"),
        (b"\r", "010D", Kind.FAULT, "empty"),
        (b"zz\r", "010D", Kind.FAULT, "garbled"),
    ],
)
def test_answers(raw: bytes, command: str, kind: Kind, reason: str) -> None:
    answer = understand(raw, command, "6", headers=True)
    assert (answer.kind, answer.reason) == (kind, reason)
    assert not answer.echo


def test_an_echo_is_seen_and_left_out() -> None:
    answer = understand(b"010D1\r" + GOOD, "010D1", "6", headers=True)
    assert (answer.kind, answer.echo, answer.lines) == (Kind.GOOD, True, 1)
    assert understand(b"010D\r\r", "010D", "6", headers=True).echo


@pytest.mark.parametrize(
    ("buffer", "is_so"),
    [
        (b"", False), (b"\r\r", False), (b"SEARCHING", True), (b"\rSEARCHING...\r", True), (b"BUS INIT: ..", True),
        (b"SEARCHING...41", False), (b"BUS INIT: OK\r", True), (b"7E8037F0178\r", True), (b"7F0978\r", True), (b"7E803410178\r", False),
    ],
)  # fmt: skip
def test_progress(buffer: bytes, is_so: bool) -> None:  # noqa: FBT001  # the expected answer
    assert in_progress(buffer) is is_so


def test_lines() -> None:
    assert split(b"\r\n41 0d\0 32 \r\n\r\n") == [b"410D32"]
    assert written(b"\r\rELM327 v1.5\r\n\0\r") == ["ELM327 v1.5"]
    assert announces([b"OK", b"STN1110V4"])
    assert not announces([b"OK"])
