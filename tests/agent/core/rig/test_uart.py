"""A line read at another speed than it is sent at."""

import pytest

from agent.core.rig.uart import heard_at, levels

TEXT = b"$GNRMC,123519.00,A,4807.0381234,N,01131.0001234,E,022.4,084.4,230394,,,A,V*22\r\n"


def test_the_same_speed_is_the_same_text() -> None:
    assert heard_at(TEXT, 9600, 9600) is TEXT


@pytest.mark.parametrize(("sent", "read"), [(9600, 9630), (9600, 9400), (115_200, 117_000)])
def test_clocks_that_differ_by_two_percent_still_agree(sent: int, read: int) -> None:
    assert heard_at(TEXT, sent, read) == TEXT


@pytest.mark.parametrize("read", [4800, 19_200, 38_400, 115_200, 921_600])
def test_another_speed_is_garbage(read: int) -> None:
    heard = heard_at(TEXT, 9600, read)
    assert heard
    assert TEXT[:6] not in heard
    assert len(set(heard)) < len(set(TEXT)) or any(byte > 127 or byte < 10 for byte in heard)


def test_a_fast_reader_gets_more_characters_and_a_slow_one_fewer() -> None:
    assert len(heard_at(TEXT, 9600, 115_200)) > len(TEXT) > len(heard_at(TEXT, 115_200, 9600)) > 0


def test_levels_of_a_character() -> None:
    assert levels(b"\x05")[:10] == bytes([0, 1, 0, 1, 0, 0, 0, 0, 0, 1])
    assert heard_at(b"", 9600, 4800) == b""


def test_known_pictures_of_a_wrong_speed() -> None:
    assert heard_at(b"\x00", 9600, 19_200) == b"\x00", "nine low bits are eighteen: a character that has no stop bit"
    assert heard_at(b"\x00", 9600, 4800) == b"\xf8", "and four and a half here"
    assert heard_at(b"UUUU", 9600, 4800) == b"", "spikes that are too short for a start bit"
