"""Power cuts of the outbox in short form: known and fresh lives, and bugs that must be found."""

import random

import pytest

from tests.power.agent_life import BUGS
from tests.power.run import Sum, agent_cuts

LIVES = 23


async def test_nothing_that_was_committed_is_lost() -> None:
    fresh = random.SystemRandom().randrange(1 << 40)
    done = Sum()
    for i in range(LIVES):
        done.add(await agent_cuts(i if i < LIVES // 2 else fresh + i))
    assert done.wrong == []
    assert done.longest_ms <= 10_000
    assert done.counts["transactions"] > LIVES * 15


@pytest.mark.parametrize("bug", [one for one in BUGS if one])
async def test_a_planted_bug_is_found(bug: str) -> None:
    done = Sum()
    for seed in range(5):
        done.add(await agent_cuts(seed, bug=bug, count=20))
        if done.wrong:
            break
    assert done.wrong
