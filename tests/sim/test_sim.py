"""The simulation in short: known and fresh worlds hold every invariant, and every planted bug is found. `make soak` takes more."""

import random

import pytest

from tests.sim.bugs import BUGS, CHANGES
from tests.sim.faults import FAULTS
from tests.sim.invariants import INVARIANTS
from tests.sim.world import Result, simulate

KNOWN_SEEDS = (8, 16, 29, 36, 54, 99, 162, 561092975499, 561092975602, 1011258193436, 420835169794)
"""Worlds that have found something once: forks while a batch is cut, an SOS behind others, a store of two cards."""
FRESH, FRESH_HOURS = 8, 0.4
BUG_SEEDS = 8
BUG_HOURS = 0.5


def sound(result: Result) -> Result:
    told = "\n".join(f"{one.at_s:.1f} s: {one.invariant}: {one.about}" for one in result.broken)
    assert not result.broken, f"replay: python -m tests.sim --seed {result.plan.seed}\n{told}"
    return result


@pytest.mark.parametrize("seed", KNOWN_SEEDS)
def test_a_known_world(seed: int) -> None:
    sound(simulate(seed))


@pytest.mark.parametrize("nth", range(FRESH))
def test_a_fresh_world(nth: int) -> None:
    """Another one with each run; what breaks says which."""
    sound(simulate(random.SystemRandom().randrange(1 << 40), hours=FRESH_HOURS))


def test_a_seed_replays() -> None:
    first, second = simulate(18), simulate(18)
    assert first.digest == second.digest
    assert first.records == second.records > 0


def test_every_fault_happens_and_every_invariant_is_looked_at() -> None:
    result = sound(simulate(3, hours=0.8, only=tuple(FAULTS), vehicles=2, card_bytes=40_000, fix_s=1.0))
    assert not FAULTS.keys() - result.happened.keys() - {"cloned card", "older card", "hub rollback"}
    assert not INVARIANTS.keys() - result.checks.keys()
    assert len(INVARIANTS) >= 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    planted, only = BUGS[name]
    options = {"hours": BUG_HOURS, "only": only} | CHANGES.get(name, {})
    with planted():
        found = next((seed for seed in range(BUG_SEEDS) if simulate(seed, **options).broken), None)  # type: ignore[arg-type]  # by name
    assert found is not None, f"{name}: not found in {BUG_SEEDS} worlds"
