"""Once a second: counted bytes go into the budget, and what follows from it, or from somebody who watches, to the lanes.

ε in force is the budget's; while nothing is over budget, that of who watches if it is smaller. A new ε is told at once by a live
message, because the hub's bound is what the last message said.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.core import budget, cost, orders, queueing, sampler
from agent.guard import Guard
from agent.lanes import Uplink
from agent.mileage import Notes
from agent.recorder import unbroken
from wire.codec import decode_command, encode_outcome
from wire.errors import DecodeError, UnavailableError

NOTE = "budget"
LOOK_EVERY_S = 1.0
STEP_EVERY_MS = 60_000
KEEP_EVERY_MS = 600_000
HEARTBEAT_MOST_MS = 3_600_000
THIN_FROM = 36_000
"""Ten hours of driving."""
UNDECIDED_ROWS = 600
"""Before the time is known, one batch at a time: what waits may be more than a month's budget."""


@dataclass(slots=True)
class Meter:
    """Counts what goes over the air, by lane, until somebody takes it."""

    lanes: Counter[str] = field(default_factory=Counter)
    news: bool = False

    def __call__(self, lane: str, n: int) -> None:
        """So many bytes more."""
        self.lanes[lane] += n
        self.news = True

    def taken(self) -> Mapping[str, int]:
        """What has been counted since the last time."""
        lanes, self.lanes = self.lanes, Counter()
        return lanes


@dataclass(slots=True)
class Thrift:
    """The budget's state, who watches, and what both are applied to. `chosen` is how the live lane was set."""

    up: Uplink
    guard: Guard
    notes: Notes
    meter: Meter
    config: budget.Config
    keepalive_ms: int
    tls: bool
    chosen: sampler.Config
    state: budget.State = field(default_factory=budget.State)
    watching: orders.State = field(default_factory=orders.State)
    decided: bool = False
    stepped_ms: int = 0
    heard_ms: int = 0
    recorded: int = 0
    acked: int = 0
    thinned: float = 0.0
    kept_ms: int = 0
    kept_level: int = -1

    @classmethod
    def of(
        cls, up: Uplink, guard: Guard, *, notes: Notes, meter: Meter, config: budget.Config, keepalive_s: int, tls: bool
    ) -> "Thrift":
        """Go on from what was noted; a note that can't be read is told."""
        new = cls(up, guard, notes, meter, config, keepalive_s * 1000, tls, up.live.config)
        note = notes.record(NOTE)
        if note is not None:
            try:
                new.state = budget.restored(note)
            except DecodeError as error:
                up.watch("budget.forgotten", error=error)
        new.recorded, new.acked = up.recorder.recorded, up.outbox.acked
        new.thinned = min(up.recorder.waiting, sum(up.outbox.lost_so_far.values()))
        new.stepped_ms = new.heard_ms = up.clock.mono_ms()
        up.obey = new.obey
        apply(new)
        return new

    def obey(self, payload: bytes) -> bytes | None:
        """A command of the hub; gives the answer, none to what is no command."""
        up = self.up
        try:
            command = decode_command(payload)
        except DecodeError as error:
            up.watch("command.rejected", reason=error.reason, where=error.where)
            return None
        self.watching, outcome = orders.step(
            self.watching, command, up.clock.now().at_ms, over_budget=self.state.level > 0
        )
        up.watch("command.done", op=command.op if outcome.ok else "refused", why=outcome.why)
        apply(self)
        return encode_outcome(outcome)

    def finish(self) -> None:
        """The agent ends: count and note what is left."""
        count(self)
        self.keep()

    def keep(self) -> None:
        """Note what is counted."""
        self.kept_ms, self.kept_level = self.up.clock.mono_ms(), self.state.level
        self.notes.keep_all({NOTE: budget.kept(self.state)})

    def due(self) -> bool:
        """Whether to write by itself: on the move, the odometer's notes carry it to the disk, and a parked one spares the card."""
        return self.state.level != self.kept_level or self.up.clock.mono_ms() - self.kept_ms >= KEEP_EVERY_MS


async def keep_thrift(thrift: Thrift) -> None:
    """Look every second; the disk is waited for beside the loop."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if look(thrift):
            thrift.notes.keep_all({NOTE: budget.kept(thrift.state)}, later=True)
            if thrift.due():
                await asyncio.to_thread(thrift.keep)
            await thin(thrift)


async def thin(thrift: Thrift) -> None:
    """While the track waits and much does, the oldest fixes are thinned, a piece at a time: lossless they would never go."""
    up = thrift.up
    if not budget.LEVELS[thrift.state.level].held or up.recorder.waiting - thrift.thinned <= THIN_FROM:
        return
    with contextlib.suppress(UnavailableError):  # who records tells of the disk
        thrift.thinned += await unbroken(up.outbox.thin())


def look(thrift: Thrift) -> bool:
    """Count pings, step once a minute; whether there is something to note."""
    now_ms = thrift.up.clock.mono_ms()
    if thrift.meter.news or thrift.up.linked_at_ms is None:
        thrift.meter.news, thrift.heard_ms = False, now_ms
    elif now_ms - thrift.heard_ms >= thrift.keepalive_ms:  # a silent link is pinged
        thrift.meter("ping", cost.ping_bytes(tls=thrift.tls))
    fresh = not thrift.decided and thrift.up.clock.now().at_ms is not None
    counted = fresh or now_ms - thrift.stepped_ms >= STEP_EVERY_MS
    if counted:
        thrift.stepped_ms = now_ms
        count(thrift)
    apply(thrift)
    return counted


def count(thrift: Thrift) -> None:
    """What was counted goes into the budget; a change is told."""
    up = thrift.up
    recorded, acked = up.recorder.recorded, up.outbox.acked
    delivered, waited = max(0, acked - thrift.acked), max(1, thrift.recorded - thrift.acked)
    share = max(0.0, 1.0 - thrift.thinned / waited)  # of what went is whole fixes; of what is thinned, little is left
    thrift.thinned = min(thrift.thinned * max(0.0, 1.0 - delivered / waited), recorded - acked)
    spent = budget.Spent(
        thrift.meter.taken(), max(0, recorded - thrift.recorded), round(delivered * share),
        recorded - acked - round(thrift.thinned),
    )  # fmt: skip
    thrift.recorded, thrift.acked = recorded, acked
    thrift.state, told = budget.step(thrift.state, spent, up.clock.now().at_ms, thrift.config)
    thrift.decided = thrift.decided or up.clock.now().at_ms is not None
    if told is not None:
        about = budget.LEVELS[thrift.state.level].about
        up.watch(f"budget.{told}", used_mb=round(thrift.state.used / 1e6, 2), level=thrift.state.level, done=about)


def apply(thrift: Thrift) -> None:
    """The lanes as they should be now."""
    up, chosen = thrift.up, thrift.chosen
    level = budget.LEVELS[thrift.state.level]
    eps_m = budget.eps_m(thrift.state.level, chosen.eps_m)
    watched_m = orders.watched_m(thrift.watching, up.clock.now().at_ms)
    if watched_m is not None and thrift.state.level == 0:
        eps_m = min(eps_m, watched_m)
    moving_ms = _beat_ms(chosen.heartbeat_moving_ms, level.moving)
    thrift.guard.parked_ms = _beat_ms(chosen.heartbeat_parked_ms, level.parked)
    if up.live.config.eps_m != eps_m or up.live.config.heartbeat_moving_ms != moving_ms:
        up.live.config = replace(up.live.config, eps_m=eps_m, heartbeat_moving_ms=moving_ms)
        up.live.state = sampler.forced(up.live.state)
    rows = UNDECIDED_ROWS if thrift.config.month_bytes is not None and not thrift.decided else level.rows
    up.saving = queueing.Saving(level.upload_s, rows, budget.held(thrift.state, thrift.config))


def _beat_ms(chosen_ms: int, factor: float) -> int:
    """A longer heartbeat, an hour at most; one that was chosen longer stays."""
    return max(chosen_ms, min(HEARTBEAT_MOST_MS, round(chosen_ms * factor)))


def told(thrift: Thrift) -> dict[str, object]:
    """What the status shows."""
    state, config = thrift.state, thrift.config
    out: dict[str, object] = {
        "used_mb": round(state.used / 1e6, 3),
        "of_mb": None if config.month_bytes is None else config.month_bytes / 1e6,
        "lanes_kb": {lane: round(n / 1e3, 1) for lane, n in state.lanes},
    }
    forecast, days = budget.forecast(state, config), budget.days_left(state, config)
    out["forecast_mb"] = None if forecast is None else round(forecast / 1e6, 2)
    out["days_left"] = None if days is None else round(days, 1)
    if config.month_bytes is not None:
        out["done"] = budget.LEVELS[state.level].about
        out["track_waits"] = thrift.up.saving.held
    return out | {"eps_m": thrift.up.live.config.eps_m}
