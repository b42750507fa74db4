"""The data budget: what a month will cost, and what follows when that is more than it may.

Rules
1. Every byte on the air counts, from the first day of the plan's month on, in UTC. Without a confirmed time bytes are counted,
   but no month begins and nothing is decided.
2. Demand is what would be sent if nothing were held back: bytes of live messages over the factor of the level in force, fixes
   recorded times what a fix costs, and the rest as it is. Its rate is the mean over the last `DAYS` days, today counted whole, and
   over `PRIOR_DAYS` days at which the budget would just do. So one long first day decides nothing, nor do two hours a day.
3. The forecast is what is used, the rate until the month ends, and what waits in the outbox. Over the budget, the level rises to
   the least that brings it under, at most once in `RISE_MS`. It falls by one when the level below would leave
   `SPARE` of the budget, at most once in `FALL_MS`.
4. On the level before the last the track waits, except while less has been used than the days gone by leave room for.
   When only `reserve_bytes` are left, which is what a heartbeat now and then will cost until the end, the budget is used up: nothing
   else goes but events.
5. Events, and so SOS, are never held back, whatever the level.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.core.cost import ping_bytes
from wire.codec import MAX_TIME_MS, integer, number
from wire.errors import DecodeError

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DAYS = 14
PRIOR_DAYS = 2.0
PRIOR_SHARE = 0.9
RISE_MS = HOUR_MS
FALL_MS = 12 * HOUR_MS
AIM = 0.97
SPARE = 0.1
LINE = 0.95
RESERVE_BYTES_PER_H = 2_200
ROW_BYTES = 17.0
"""What a fix costs on the track at first; learnt from what has been sent."""
ROWS_PRIOR = 3_600.0
PING_SHARE = 0.05
LONGEST_KEEPALIVE_S = 1_200
BLIND_M = 10_000.0
"""ε when only heartbeats go: the bound that is told stays true."""
EPS_MOST_M = 100.0
_MOST = 1 << 50


@dataclass(frozen=True, slots=True)
class Level:
    """What is done about it. `live` and `track` are the shares of their demand that are left; `rows` is a batch's size."""

    about: str
    eps: float = 1.0
    moving: float = 1.0
    parked: float = 1.0
    upload_s: float = 0.0
    rows: int | None = None
    held: bool = False
    live: float = 1.0
    track: float = 1.0


LEVELS: tuple[Level, ...] = (
    Level("nothing"),
    Level("ε × 1.5, track every 5 min", 1.5, 1.0, 1.0, 300.0, 300, live=0.80, track=0.75),
    Level("ε × 2, track every 10 min", 2.0, 1.5, 1.0, 600.0, 600, live=0.65, track=0.65),
    Level("ε × 3, track every 10 min", 3.0, 2.0, 2.0, 600.0, 600, live=0.50, track=0.65),
    Level("ε × 5, track every 10 min", 5.0, 3.0, 3.0, 600.0, 600, live=0.37, track=0.65),
    Level("ε up to 100 m, track waits", 10.0, 5.0, 4.0, 600.0, 600, held=True, live=0.25, track=0.0),
    Level("heartbeats and events only", 0.0, 10.0, 6.0, 600.0, 600, held=True, live=0.02, track=0.0),
)
"""Shares were measured on the drives of `bench.live` (messages) and by batches of 60 and 600 (track)."""
SPENT = len(LEVELS) - 1


@dataclass(frozen=True, slots=True)
class Config:
    """`month_bytes` is None without a budget; `first_day` is the day on which the plan's month begins, 1 to 28."""

    month_bytes: int | None = None
    first_day: int = 1


@dataclass(frozen=True, slots=True)
class Spent:
    """Since the step before: bytes by lane, and fixes recorded and delivered. `waiting` is what waits now."""

    lanes: Mapping[str, int]
    recorded: int = 0
    delivered: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """Demand of a UTC day (since 1970): bytes of live messages and of the rest, and fixes."""

    day: int
    live: float = 0.0
    rest: float = 0.0
    rows: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What is kept over a restart: the month and what it has used by lane, the last days, and the level in force."""

    month_ms: int | None = None
    lanes: tuple[tuple[str, int], ...] = ()
    since_ms: int | None = None
    days: tuple[Day, ...] = ()
    level: int = 0
    changed_ms: int = 0
    sent_bytes: float = 0.0
    sent_rows: float = 0.0
    waiting: int = 0
    at_ms: int | None = None

    @property
    def used(self) -> int:
        """Bytes of this month."""
        return sum(n for _, n in self.lanes)

    @property
    def row_bytes(self) -> float:
        """What a fix costs on the track."""
        return (self.sent_bytes + ROW_BYTES * ROWS_PRIOR) / (self.sent_rows + ROWS_PRIOR)


def step(state: State, spent: Spent, now_ms: int | None, config: Config) -> tuple[State, str | None]:
    """The next state, and what has changed: `over`, `spent`, `eased` or `month`. `now_ms` is a confirmed time, or None."""
    state = _counted(state, spent)
    if now_ms is None or (state.at_ms is not None and now_ms < state.at_ms):
        return state, None
    began_ms = month_start_ms(now_ms, config.first_day)
    fresh = state.month_ms is not None and state.month_ms != began_ms
    if fresh:
        state = replace(state, lanes=(), changed_ms=0)
    since_ms = max(now_ms if state.since_ms is None else state.since_ms, (now_ms // DAY_MS - DAYS + 1) * DAY_MS)
    state = replace(state, month_ms=began_ms, at_ms=now_ms, since_ms=since_ms, days=_days(state, spent, now_ms))
    if config.month_bytes is None:
        return replace(state, level=0), None
    level = _level(state, config, fresh=fresh)
    told = "month" if fresh else None
    if level == state.level:
        return state, told
    told = told or ("spent" if level == SPENT else "over" if level > state.level else "eased")
    return replace(state, level=level, changed_ms=now_ms), told


def forecast(state: State, config: Config, level: int | None = None) -> float | None:
    """Bytes at the end of the month, with this level (the one in force) kept until then; None while the time is unknown."""
    if state.at_ms is None:
        return None
    left_ms = month_end_ms(state.at_ms, config.first_day) - state.at_ms
    kept = LEVELS[state.level if level is None else level]
    return state.used + _rate(state, config, kept) * left_ms + state.waiting * state.row_bytes * kept.track


def days_left(state: State, config: Config) -> float | None:
    """Days until the budget is used up at the rate of now; None without a budget or a time."""
    if state.at_ms is None or config.month_bytes is None:
        return None
    rate = _rate(state, config, LEVELS[state.level])
    return max(0.0, config.month_bytes - state.used) / max(rate, 1e-9) / DAY_MS


def month_start_ms(at_ms: int, first_day: int) -> int:
    """When the plan's month began that holds this moment."""
    now = datetime.fromtimestamp(at_ms / 1000.0, UTC)
    months = now.year * 12 + now.month - 1 - (now.day < first_day)
    return _first_ms(months, first_day)


def month_end_ms(at_ms: int, first_day: int) -> int:
    """When it ends."""
    now = datetime.fromtimestamp(month_start_ms(at_ms, first_day) / 1000.0, UTC)
    return _first_ms(now.year * 12 + now.month, first_day)


def keepalive_s(config: Config, chosen_s: int) -> int:
    """The MQTT keep-alive: with a budget so long that pings alone take no more than `PING_SHARE` of it."""
    if config.month_bytes is None:
        return chosen_s
    fits_s = 31 * 86_400 * ping_bytes() / max(1.0, PING_SHARE * config.month_bytes)
    return max(chosen_s, min(LONGEST_KEEPALIVE_S, round(fits_s)))


def eps_m(level: int, chosen_m: float) -> float:
    """ε at a level: never less than what was chosen, and told as it is."""
    if level == SPENT:
        return max(BLIND_M, chosen_m)
    return max(chosen_m, min(EPS_MOST_M, chosen_m * LEVELS[level].eps))


def reserve_bytes(state: State, config: Config) -> float:
    """What heartbeats will cost until the end of the month."""
    if state.at_ms is None:
        return 0.0
    left_ms = month_end_ms(state.at_ms, config.first_day) - state.at_ms
    return left_ms * (RESERVE_BYTES_PER_H / HOUR_MS + sum(day.rest for day in state.days) / (_known_ms(state) + DAY_MS))


def held(state: State, config: Config) -> bool:
    """Whether the track waits. Short of the last level it still gets what the line from nothing to the budget leaves it."""
    if not LEVELS[state.level].held or state.at_ms is None or state.month_ms is None or config.month_bytes is None:
        return False
    gone = (state.at_ms - state.month_ms) / (month_end_ms(state.at_ms, config.first_day) - state.month_ms)
    return state.level == SPENT or state.used >= LINE * gone * config.month_bytes


def _first_ms(months: int, first_day: int) -> int:
    return round(datetime(months // 12, months % 12 + 1, first_day, tzinfo=UTC).timestamp() * 1000)


def _counted(state: State, spent: Spent) -> State:
    lanes = dict(state.lanes)
    for lane, n in spent.lanes.items():
        lanes[lane] = lanes.get(lane, 0) + n
    share = LEVELS[state.level].track
    track = spent.lanes.get("track", 0) / (share or min(level.track for level in LEVELS if level.track))
    fade = 0.5 if state.sent_rows > 30 * ROWS_PRIOR else 1.0
    return replace(
        state, lanes=tuple(sorted(lanes.items())), waiting=spent.waiting,
        sent_bytes=state.sent_bytes * fade + track, sent_rows=state.sent_rows * fade + spent.delivered,
    )  # fmt: skip


def _days(state: State, spent: Spent, now_ms: int) -> tuple[Day, ...]:
    """The last days, with what came since the step before."""
    today = now_ms // DAY_MS
    days = {day.day: day for day in state.days if today - DAYS < day.day <= today}
    last = days.get(today, Day(today))
    live = spent.lanes.get("live", 0) / LEVELS[state.level].live
    rest = sum(n for lane, n in spent.lanes.items() if lane not in {"live", "track"})
    days[today] = Day(today, last.live + live, last.rest + rest, last.rows + spent.recorded)
    return tuple(days.values())


def _rate(state: State, config: Config, level: Level) -> float:
    """Bytes a millisecond, if this level were in force."""
    assert state.at_ms is not None
    known_ms = _known_ms(state)
    live = sum(day.live for day in state.days) * level.live
    rest = sum(day.rest for day in state.days)
    track = sum(day.rows for day in state.days) * state.row_bytes * level.track
    prior, prior_ms = 0.0, PRIOR_DAYS * DAY_MS
    if config.month_bytes is not None:
        month_ms = month_end_ms(state.at_ms, config.first_day) - month_start_ms(state.at_ms, config.first_day)
        prior = PRIOR_SHARE * config.month_bytes / month_ms * prior_ms * level.live
    else:
        prior_ms = 0.0
    return (live + rest + track + prior) / (known_ms + prior_ms)


def _known_ms(state: State) -> float:
    """How long the last days are, today counted whole: what is to come of it is what is left of a day's work, at most."""
    assert state.at_ms is not None
    assert state.since_ms is not None
    return (state.at_ms // DAY_MS + 1) * DAY_MS - state.since_ms


def _level(state: State, config: Config, *, fresh: bool) -> int:
    assert state.at_ms is not None
    assert config.month_bytes is not None
    most, reserve = config.month_bytes, reserve_bytes(state, config)
    left = most - state.used
    waited_ms = state.at_ms - state.changed_ms
    if left <= reserve:
        return SPENT
    if state.level == SPENT and not fresh:
        return SPENT - 1 if left > 2.0 * reserve and waited_ms >= FALL_MS else SPENT
    if fresh or (waited_ms >= RISE_MS and _over(state, config, state.level, 1.0)):
        start = 0 if fresh else state.level
        return next((n for n in range(start, SPENT - 1) if not _over(state, config, n, AIM if n else 1.0)), SPENT - 1)
    if state.level and waited_ms >= FALL_MS and not _over(state, config, state.level - 1, 1.0 - SPARE):
        return state.level - 1
    return state.level


def _over(state: State, config: Config, level: int, share: float) -> bool:
    told = forecast(state, config, level)
    assert told is not None
    assert config.month_bytes is not None
    return told > share * config.month_bytes


def kept(state: State) -> dict[str, object]:
    """What is worth keeping, as plain values."""
    return {
        "month_ms": state.month_ms, "since_ms": state.since_ms, "at_ms": state.at_ms, "level": state.level,
        "changed_ms": state.changed_ms, "lanes": dict(state.lanes), "sent": [state.sent_bytes, state.sent_rows],
        "days": [[day.day, round(day.live), round(day.rest), round(day.rows)] for day in state.days],
    }  # fmt: skip


def restored(data: Mapping[str, object]) -> State:
    """The state from what was kept. Raises DecodeError when it is not what `kept` gave."""
    lanes, days, sent = data.get("lanes"), data.get("days"), data.get("sent")
    if not isinstance(lanes, dict) or not isinstance(days, list) or not isinstance(sent, list):
        raise DecodeError("not-a-budget")
    rows = [_numbers(row, 4) for row in days[-DAYS:]]
    times = [
        None if data.get(key) is None else integer(data, key, 0, MAX_TIME_MS)
        for key in ("month_ms", "since_ms", "at_ms")
    ]
    if None in times:
        times = [None, None, None]
        rows = []
    sent_bytes, sent_rows = _numbers(sent, 2)
    return State(
        month_ms=times[0], since_ms=times[1], at_ms=times[2],
        lanes=tuple(sorted((str(lane), integer(lanes, lane, 0, _MOST)) for lane in lanes)),
        days=tuple(Day(int(row[0]), *row[1:]) for row in rows),
        level=integer(data, "level", 0, SPENT), changed_ms=integer(data, "changed_ms", 0, MAX_TIME_MS),
        sent_bytes=sent_bytes, sent_rows=sent_rows,
    )  # fmt: skip


def _numbers(row: object, count: int) -> list[float]:
    if not isinstance(row, list) or len(row) != count:
        raise DecodeError("not-a-row")
    return [float(number({"days": value}, "days", 0, _MOST)) for value in row]
