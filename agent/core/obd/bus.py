"""The newest value of each bus signal with its age, and what follows from them: the reading of this moment."""

from dataclasses import dataclass, field
from types import MappingProxyType

from wire.messages import Reading
from wire.signals import SIGNALS

MAX_AGE_MS = 15_000


@dataclass(frozen=True, slots=True)
class BusValue:
    """One answered value: `key` as in `wire.signals`, `at_ms` on the clock that the adapter core was given."""

    key: str
    value: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """Newest value per key. The mapping is replaced, never changed."""

    values: MappingProxyType[str, BusValue] = field(default_factory=lambda: MappingProxyType({}))


def step(state: State, value: BusValue, now_ms: int) -> State:
    """Take a value in; one that is older than what is known, or from the future, is left out."""
    known = state.values.get(value.key)
    if value.at_ms > now_ms or (known is not None and known.at_ms > value.at_ms):
        return state
    return State(MappingProxyType({**state.values, value.key: value}))


def reading(state: State, now_ms: int, max_age_ms: int = MAX_AGE_MS) -> Reading:
    """What is known at `now_ms`. What follows of it for the ignition is `core.ignition`'s."""
    fresh: dict[str, float] = {}
    for signal in SIGNALS:
        value = state.values.get(signal.key)
        if value is not None and now_ms - value.at_ms <= max_age_ms:
            fresh[signal.field] = value.value
    return Reading(**fresh, ignition=None)
