"""Whether a receiver's line gives anything usable. A line that does not is told once, and once more when it does again."""

from dataclasses import dataclass, replace
from enum import Enum, auto

LIMIT_MS = 5_000
BACK = "back"


class Heard(Enum):
    """What came: a valid sentence, bytes without one, or nothing (time passes)."""

    VALID = auto()
    NOISE = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class State:
    """An open line at `place`, where `speaks` is expected. `since_ms` is when it was opened or last heard."""

    place: str
    speaks: str
    since_ms: int
    noise: bool = False
    told: bool = False


def opened(before: State | None, place: str, speaks: str, now_ms: int) -> State:
    """The line is open, perhaps again: what was told of it before is not told again until it was heard."""
    told = before is not None and before.place == place and before.told
    return State(place, speaks, now_ms, told=told)


def step(state: State, heard: Heard, now_ms: int) -> tuple[State, str | None]:
    """Take in what came; what to tell comes out: what is wrong, or `BACK`."""
    if heard is Heard.VALID:
        return replace(state, since_ms=now_ms, noise=False, told=False), BACK if state.told else None
    noise = state.noise or heard is Heard.NOISE
    told = state.told or now_ms - state.since_ms > LIMIT_MS
    state, first = replace(state, noise=noise, told=told), told and not state.told
    if not first:
        return state, None
    if noise:
        return state, f"{state.place} gives no {state.speaks}: wrong port or wrong baud?"
    return state, f"{state.place} is silent: wrong port, or a receiver without power?"
