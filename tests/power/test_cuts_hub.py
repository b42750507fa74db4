"""Power cuts of the hub's store in short form: known and fresh lives, and bugs that must be found."""

import random

import pytest

from tests.power.hub_life import BUGS
from tests.power.run import Sum, hub_cuts

LIVES = 11


async def test_nothing_that_was_acknowledged_is_lost() -> None:
    fresh = random.SystemRandom().randrange(1 << 40)
    done = Sum()
    for i in range(LIVES):
        done.add(await hub_cuts(i if i < LIVES // 2 else fresh + i, fresh=i == 0))
    assert done.wrong == []
    assert done.counts["acks sent"] > LIVES * 15


@pytest.mark.parametrize("bug", [one for one in BUGS if one])
async def test_a_planted_bug_is_found(bug: str) -> None:
    done = Sum()
    for seed in range(4):
        done.add(await hub_cuts(seed, bug=bug, count=20))
        if done.wrong:
            break
    assert done.wrong
