"""The guardian of the starter battery: when the bus may be asked, what the battery does, how long it will last.

Rules
1. While the ignition is on, everything may be asked. `wind_down_ms` after it went off the bus is left alone (`quiet`): only the
   adapter's own voltage is read then, every `voltage_ms`. The same holds when a start of the agent finds no ignition.
2. Quiet ends when the ignition comes on, the vehicle moves, or the voltage rises as if the engine had started. If the bus then
   shows no ignition for `wake_ms`, quiet comes back, and the next look waits twice as long, up to `cap_ms`: a vehicle is never kept awake.
3. The resting voltage of this vehicle is learnt: after `settle_ms` without ignition the first reading of each parking goes into
   a slow mean. Below `low_below_rest_v` under it, or under `floor_v`, the battery is low: said once, the voltage is read seldom
   (`low_voltage_ms`), heartbeats get longer. It is well again `HYSTERESIS_V` above that.
4. The trend of a parking (least squares over its quarter-hour means, six hours at least) says how many days are left until the
   voltage at which engines no longer start.
All voltages are per 12 V battery.
"""

from dataclasses import dataclass, replace

from agent.core.facts import Fact
from agent.core.ignition import RISE_V, batteries

HYSTERESIS_V = 0.15
FALL_V = 0.5
LEARN = 0.2
SLOT_MS = 900_000
SLOTS = 14 * 96
TREND_SLOTS = 24
DAY_MS = 86_400_000
LONGEST_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class Config:
    """`heartbeat_factor` stretches the parked heartbeat while the battery is low."""

    voltage_ms: int = 60_000
    low_voltage_ms: int = 600_000
    wind_down_ms: int = 120_000
    wake_ms: int = 30_000
    cap_ms: int = 1_800_000
    settle_ms: int = 1_800_000
    low_below_rest_v: float = 0.5
    floor_v: float = 11.8
    no_start_v: float = 11.6
    heartbeat_factor: int = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known now: the debounced ignition, the voltage if it is fresh, and whether the receiver says that it moves."""

    ignition: bool | None
    voltage_v: float | None
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """Mean voltage of a quarter of an hour that began at `at_ms`."""

    at_ms: int
    total_v: float
    count: int

    @property
    def mean_v(self) -> float:
        return self.total_v / self.count


@dataclass(frozen=True, slots=True)
class State:
    """`rest_v` is learnt and worth keeping over a restart. `off_since_ms` is None while the ignition is on."""

    rest_v: float | None = None
    quiet: bool = False
    low: bool = False
    off_since_ms: int | None = None
    woken_ms: int | None = None
    next_look_ms: int = 0
    pause_ms: int = 0
    learnt: bool = False
    slots: tuple[Slot, ...] = ()
    last_v: float | None = None


def voltage_ms(state: State, config: Config) -> int:
    """How often the voltage is read while quiet."""
    return config.low_voltage_ms if state.low else config.voltage_ms


def days_left(state: State, config: Config) -> float | None:
    """Days until the engine will no longer start, by the trend of this parking; None while none can be told."""
    if len(state.slots) < TREND_SLOTS:
        return None
    xs = [(slot.at_ms - state.slots[0].at_ms) / DAY_MS for slot in state.slots]
    ys = [slot.mean_v for slot in state.slots]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    if slope >= 0:
        return None
    now_v = y_mean + slope * (xs[-1] - x_mean)
    return min(LONGEST_DAYS, max(0.0, (now_v - config.no_start_v * batteries(now_v)) / -slope))


def fallen(high_v: float | None, voltage_v: float | None) -> tuple[float | None, bool]:
    """The highest voltage since it last fell, and whether it has just fallen by `FALL_V` below that: power may be about to go."""
    if voltage_v is None or high_v is None or voltage_v > high_v:
        return high_v if voltage_v is None else voltage_v, False
    falls = voltage_v <= high_v - FALL_V * batteries(high_v)
    return voltage_v if falls else high_v, falls


def step(state: State, seen: Seen, now_ms: int, config: Config) -> tuple[State, list[Fact]]:
    """The next state; `state.quiet` says whether the bus is left alone from now on."""
    if seen.ignition:
        facts = [] if not state.low else [Fact("battery-ok", _told(state, seen, config))]
        return State(rest_v=state.rest_v, last_v=seen.voltage_v), facts
    if state.off_since_ms is None:
        state = replace(state, off_since_ms=now_ms, pause_ms=0, next_look_ms=0)
    state = _quieten(state, seen, now_ms, config)
    if seen.voltage_v is None:
        return state, []
    state = replace(_remember(state, seen.voltage_v, now_ms, config), last_v=seen.voltage_v)
    return _judge(state, seen, config)


def _quieten(state: State, seen: Seen, now_ms: int, config: Config) -> State:
    assert state.off_since_ms is not None
    if state.woken_ms is not None:
        if now_ms - state.woken_ms < config.wake_ms:
            return state
        pause_ms = min(config.cap_ms, max(config.voltage_ms, 2 * state.pause_ms))
        return replace(state, quiet=True, woken_ms=None, pause_ms=pause_ms, next_look_ms=now_ms + pause_ms)
    if not state.quiet:
        return replace(state, quiet=now_ms - state.off_since_ms >= config.wind_down_ms)
    if now_ms >= state.next_look_ms and (seen.moving or _risen(state, seen.voltage_v)):
        return replace(state, quiet=False, woken_ms=now_ms)
    return state


def _risen(state: State, voltage_v: float | None) -> bool:
    """Whether the voltage has gone up as it does when an engine starts."""
    if voltage_v is None:
        return False
    step_v = RISE_V * batteries(voltage_v)
    before = [v for v in (state.last_v, state.rest_v) if v is not None]
    return any(voltage_v > v + step_v for v in before)


def _remember(state: State, voltage_v: float, now_ms: int, config: Config) -> State:
    """The resting voltage, once a parking, and the quarter-hour means, once the battery has settled."""
    assert state.off_since_ms is not None
    if now_ms - state.off_since_ms < config.settle_ms:
        return state
    if not state.learnt:
        rest_v = voltage_v if state.rest_v is None else state.rest_v + LEARN * (voltage_v - state.rest_v)
        state = replace(state, rest_v=rest_v, learnt=True)
    slots = state.slots
    if slots and now_ms - slots[-1].at_ms < SLOT_MS:
        last = slots[-1]
        slots = (*slots[:-1], Slot(last.at_ms, last.total_v + voltage_v, last.count + 1))
    else:
        slots = (*slots[-SLOTS + 1 :], Slot(now_ms, voltage_v, 1))
    return replace(state, slots=slots)


def _judge(state: State, seen: Seen, config: Config) -> tuple[State, list[Fact]]:
    voltage_v = seen.voltage_v
    assert voltage_v is not None
    number = batteries(voltage_v)
    limit_v = config.floor_v * number
    if state.rest_v is not None:
        limit_v = max(limit_v, state.rest_v - config.low_below_rest_v * number)
    if not state.low and voltage_v < limit_v and _settled(state):
        state = replace(state, low=True)
        return state, [Fact("battery-low", _told(state, seen, config))]
    if state.low and voltage_v > limit_v + HYSTERESIS_V * number:
        state = replace(state, low=False)
        return state, [Fact("battery-ok", _told(state, seen, config))]
    return state, []


def _settled(state: State) -> bool:
    """A voltage is judged once the parking has a mean of its own: a starter motor pulls any battery low for a moment."""
    return bool(state.slots)


def _told(state: State, seen: Seen, config: Config) -> dict[str, object]:
    days = days_left(state, config)
    told = {"voltage_v": seen.voltage_v, "rest_v": state.rest_v, "days_left": days}
    return {key: round(value, 2) for key, value in told.items() if value is not None}
