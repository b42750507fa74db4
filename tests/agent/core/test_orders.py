"""Commands: done once, refused with a reason, and never longer than they may."""

import pytest

from agent.core.orders import LONGEST_MS, REMEMBERED, State, step, watched_m
from wire.messages import Command, CommandOutcome

NOW = 1_760_000_000_000


def watch(name: str = "a", *, eps_m: float = 3.0, for_ms: int = 60_000) -> Command:
    return Command(name, "watch", eps_m, NOW + for_ms)


def test_watching_has_an_end() -> None:
    state, outcome = step(State(), watch(), NOW, over_budget=False)
    assert outcome == CommandOutcome("a", ok=True)
    assert watched_m(state, NOW + 59_999) == 3.0
    assert watched_m(state, NOW + 60_000) is None
    assert watched_m(state, None) is None
    assert watched_m(State(), NOW) is None


@pytest.mark.parametrize(
    ("command", "now_ms", "over", "why"),
    [
        (Command("a", "reboot"), NOW, False, "unknown-op"),
        (watch(), None, False, "no-time"),
        (watch(for_ms=0), NOW, False, "expired"),
        (Command("a", "watch", 3.0), NOW, False, "expired"),
        (watch(), NOW, True, "over-budget"),
    ],
)
def test_refused_with_a_reason(command: Command, now_ms: int | None, over: bool, why: str) -> None:  # noqa: FBT001  # a case table
    state, outcome = step(State(), command, now_ms, over_budget=over)
    assert outcome == CommandOutcome("a", ok=False, why=why)
    assert watched_m(state, NOW) is None
    assert step(state, watch(), NOW, over_budget=False) == (state, outcome), "the same id has the same answer"


def test_ten_minutes_at_most_and_a_repeat_does_not_prolong() -> None:
    state, _ = step(State(), watch(for_ms=86_400_000), NOW, over_budget=False)
    assert state.until_ms == NOW + LONGEST_MS
    again, outcome = step(state, watch(for_ms=86_400_000), NOW + 1000, over_budget=False)
    assert (again, outcome.ok) == (state, True)


def test_two_who_watch_are_both_served() -> None:
    state, _ = step(State(), watch("a", eps_m=3.0), NOW, over_budget=False)
    both, _ = step(state, watch("b", eps_m=5.0, for_ms=30_000), NOW, over_budget=False)
    assert (both.eps_m, both.until_ms) == (3.0, NOW + 60_000)
    later, _ = step(both, Command("c", "watch", 5.0, NOW + 200_000), NOW + 100_000, over_budget=False)
    assert (later.eps_m, later.until_ms) == (5.0, NOW + 200_000)


def test_only_so_many_outcomes_are_remembered() -> None:
    state = State()
    for n in range(2 * REMEMBERED):
        state, _ = step(state, watch(f"c{n}"), NOW, over_budget=False)
    assert len(state.done) == REMEMBERED
