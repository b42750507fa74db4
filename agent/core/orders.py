"""What the hub may ask of the agent: today, to be watched, so that ε falls for a while.

A command is done once: a repeat of its id is answered as the first time. One whose time is over, or lies in nobody's clock, is
refused. Two that watch at once are both served: the smaller ε, and the later end. None holds longer than `LONGEST_MS`.
"""

from dataclasses import dataclass, replace

from wire.messages import Command, CommandOutcome

LONGEST_MS = 600_000
REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class State:
    """While `until_ms` is not over, somebody watches and wants `eps_m`. `done` holds the last outcomes."""

    eps_m: float | None = None
    until_ms: int = 0
    done: tuple[CommandOutcome, ...] = ()


def step(state: State, command: Command, now_ms: int | None, *, over_budget: bool) -> tuple[State, CommandOutcome]:
    """The next state, and the answer."""
    told = next((outcome for outcome in state.done if outcome.id == command.id), None)
    if told is not None:
        return state, told
    why = _refused(command, now_ms, over_budget=over_budget)
    outcome = CommandOutcome(command.id, not why, why)
    state = replace(state, done=(*state.done[1 - REMEMBERED :], outcome))
    if why or now_ms is None or command.until_ms is None:
        return state, outcome
    known_m = watched_m(state, now_ms)
    wanted_m = [eps_m for eps_m in (known_m, command.eps_m) if eps_m is not None]
    until_ms = min(command.until_ms, now_ms + LONGEST_MS)
    return replace(
        state, eps_m=min(wanted_m), until_ms=until_ms if known_m is None else max(until_ms, state.until_ms)
    ), outcome


def watched_m(state: State, now_ms: int | None) -> float | None:
    """The ε that somebody who watches wants; None when nobody does."""
    return state.eps_m if now_ms is not None and now_ms < state.until_ms else None


def _refused(command: Command, now_ms: int | None, *, over_budget: bool) -> str:
    if command.op != "watch":
        return "unknown-op"
    if now_ms is None:
        return "no-time"
    if command.until_ms is None or command.until_ms <= now_ms:
        return "expired"
    return "over-budget" if over_budget else ""
