"""Payloads made worse: bits, pieces, nasty words and numbers, cuts and joints, and JSON changed where it hurts."""

import json
import random
from collections.abc import Sequence
from typing import Any

LONGEST = 4096
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 0.5, -0.0, 1e-300, 255, 256, 600, 601, 65_535, 65_536, 1_000_000, 1_000_001, (1 << 31) - 1, 1 << 31, 1 << 32,
    4_294_967_295_000, (1 << 43) - 1, 1 << 43, 1 << 44, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, 1 << 64,
    -(1 << 63), 1 << 70, 10**40, 1e308, -1e308, 90, 90.0000001, 180.0000001, 359.96, 359.999, 1e15, float("inf"), float("nan"),
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, "", "x", "x" * 33, "\0", "ä" * 11, "\ud800", "\udfff\ud800", "😀", "../../x", "AAAAAAAAAAA", "A" * 11,
    [], {}, [[]], [None], [0], [0, 0], ["b", 1], ["b", None], {"": 1}, {"a": {"b": [1, {"c": None}]}}, [1] * 50, "9" * 30, "NaN", "%s%n",
)  # fmt: skip
WORDS = (
    b"", b"\0", b"\n", b"\r\n", b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0",
    b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\u0000", b"\\",
    b"9" * 40, b"9" * 5000, b"-", b"0x10", b"1_0", b"\xd9\xa1", b"[" * 1200, b'{"a":' * 500, b"*00", b"$", b"!", b"\xb5b", b"\xd3", b">", b"?",
    b"SEARCHING...", b"NO DATA", b"ELM327 v1.5", b"7E8", b"10 14", b"\x1f\x8b", b"=1+1", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"'",
)  # fmt: skip


class Mutator:
    """The same seed makes the same payloads. `words` are further pieces that belong to the kind of payload."""

    def __init__(self, chance: random.Random, corpus: Sequence[bytes], words: Sequence[bytes] = ()) -> None:
        self._chance = chance
        self._corpus = list(corpus)
        self._words = (*WORDS, *words)
        self._ways = (
            self._flip, self._flip, self._set, self._cut, self._tail, self._word, self._word, self._double, self._splice,
            self._shuffle, self._digits, self._digits, self._json, self._json, self._json,
        )  # fmt: skip

    def one(self) -> bytes:
        """A payload of the corpus after one to four mishaps."""
        data = self._chance.choice(self._corpus)
        for _ in range(self._chance.choice((1, 1, 1, 2, 2, 3, 4))):
            data = self._chance.choice(self._ways)(data)
        return data if len(data) <= LONGEST * 2 or self._chance.random() < 0.02 else data[: LONGEST * 2]

    def _at(self, data: bytes) -> int:
        return int(self._chance.random() * (len(data) + 1))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        out = bytearray(data)
        for _ in range(self._chance.choice((1, 1, 2, 8))):
            out[int(self._chance.random() * len(out))] ^= 1 << int(self._chance.random() * 8)
        return bytes(out)

    def _set(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._chance.randbytes(self._chance.choice((1, 1, 2, 4, 16))) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        at, end = self._at(data), self._at(data)
        return data[: min(at, end)] + data[max(at, end) :]

    def _tail(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _word(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._chance.choice(self._words) + data[at + self._chance.choice((0, 0, 1, 4)) :]

    def _double(self, data: bytes) -> bytes:
        at, end = sorted((self._at(data), self._at(data)))
        return data[:end] + data[at:end] * self._chance.choice((1, 1, 2, 9)) + data[end:]

    def _splice(self, data: bytes) -> bytes:
        other = self._chance.choice(self._corpus)
        return data[: self._at(data)] + other[self._at(other) :]

    def _shuffle(self, data: bytes) -> bytes:
        a, b, c = sorted((self._at(data), self._at(data), self._at(data)))
        return data[:a] + data[b:c] + data[a:b] + data[c:]

    def _digits(self, data: bytes) -> bytes:
        """Another number in the place of one."""
        found = [i for i in range(len(data)) if 0x30 <= data[i] <= 0x39]
        if not found:
            return data
        start = end = self._chance.choice(found)
        while start > 0 and data[start - 1 : start].isdigit():
            start -= 1
        while end < len(data) and data[end : end + 1].isdigit():
            end += 1
        return data[:start] + str(self._chance.choice(NUMBERS)).encode() + data[end:]

    def _json(self, data: bytes) -> bytes:
        """One value within a JSON text changed, dropped, doubled, or hung in somewhere else."""
        line, newline, rest = data.partition(b"\n")
        try:
            whole = json.loads(line)
        except (ValueError, RecursionError):
            return self._flip(data)
        spots = places(whole)
        if not spots:
            return self._word(data)
        holder, key = self._chance.choice(spots)
        way = self._chance.random()
        if way < 0.4:
            holder[key] = self._near(holder[key])
        elif way < 0.75:
            holder[key] = self._chance.choice(VALUES)
        elif way < 0.85:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            other, there = self._chance.choice(spots)
            holder[key] = json.loads(json.dumps(other[there]))
        ascii_only = self._chance.random() < 0.7
        return json.dumps(whole, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + newline + rest

    def _near(self, value: Any) -> Any:
        """A value that is a little different: what passes the first checks, and fails at the last, if at all."""
        if isinstance(value, bool) or value is None:
            return self._chance.choice((True, False, None, 0, 1))
        if isinstance(value, int):
            return value + self._chance.choice((-1, 1, 2, -60, 1000, -value, -2 * value))
        if isinstance(value, float):
            return value * self._chance.choice((1.0000001, 0.5, -1.0, 1.5, 1e-9))
        if isinstance(value, str):
            return self._chance.choice(
                (value + "ä", value[:-1], value[::-1], value * 2, "\u2028" + value, value + "\0")
            )
        return type(value)()


def places(whole: Any, most: int = 400) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    level = [whole]
    while level and len(found) < most:
        below = []
        for holder in level:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
            for key in keys:
                found.append((holder, key))
                if isinstance(holder[key], dict | list):
                    below.append(holder[key])
        level = below
    return found
