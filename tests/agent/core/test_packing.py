"""Packed rows come back as they were, and so does everything else."""

import random

import pytest

from agent.core.packing import packed, unpacked
from wire.codec import dump


@pytest.mark.parametrize("seed", range(50))
def test_rows_come_back(seed: int) -> None:
    chance = random.Random(seed)
    row = dump([chance.choice([None, chance.randrange(-(10**10), 10**13)]) for _ in range(chance.randrange(1, 25))])
    kept = packed(row)
    assert unpacked(kept) == row
    assert len(kept) <= len(row) / 2 + 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b"[n]",
        b"[1.5]",
        b'[1,"sos",null,null,{}]',
        b"\xff\x00",
        '[1,"ü",null]'.encode(),
        b"{}",
        b"[1,2]x",
    ],
)
def test_everything_else_does_too(body: bytes) -> None:
    assert unpacked(packed(body)) in {body, body.replace(b"n", b"null")}, "a bare n is not JSON; nobody keeps it"
