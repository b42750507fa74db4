"""Kinds of sentences are counted, and never more than a few."""

from collections import Counter

from agent.core.gnss.names import MOST_KINDS, count


def test_kinds_are_counted() -> None:
    kinds: Counter[str] = Counter()
    count(kinds, b"$GNRMC,1*00\r\n$GPGSV,1*00\r\n$GLGSV,1*00\r\n\xb5\x62\x01\x07$PUBX,00*00\r\n$G")
    assert kinds == {"RMC": 1, "GSV": 2, "UBX": 1, "PUBX": 1}


def test_nonsense_does_not_fill_the_memory() -> None:
    kinds: Counter[str] = Counter()
    count(kinds, b"".join(b"$GP%c%c%c,\n" % (a, b, c) for a in b"ABCDE" for b in b"ABCDE" for c in b"ABCDE"))
    assert len(kinds) == MOST_KINDS
