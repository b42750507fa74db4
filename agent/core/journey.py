"""One fix on its way through the agent, with a hub that takes everything at once: what it sends, and what that says.

The steps and their order are those of `agent.flow` and `agent.uplink`: plausible, row, odometer, dynamics, motion, sampler, batch.
Each live message is acknowledged before the next fix, each batch before the next row: latency zero, the link always up.
"""

from dataclasses import dataclass, field, replace

from agent.core import dynamics, ignition, motion, odometer, queueing, sampler
from agent.core.gnss import plausible
from wire.codec import dump, encode_ack, encode_live
from wire.messages import Ack, Batch, Fix, Live, Reading, Rejected, Row
from wire.schema import row_of
from wire.track import GENESIS, chain, encode_batch

STORE = "cmVwbGF5Li4"
"""A store id like any other: it is not packed, so its letters don't matter."""

Chain = tuple[int, Row, str, "Chain | None"]
"""Rows that wait, the newest first: seq, row, hash, and those before it."""


@dataclass(frozen=True, slots=True)
class Config:
    """How the agent samples, how often it uploads, and within what a full disk would begin to thin."""

    sampling: sampler.Config = field(default_factory=sampler.Config)
    upload_ms: int = 60_000
    thin_m: float = 5.0


@dataclass(frozen=True, slots=True)
class State:
    """The states of the cores, and the rows that wait for the next upload."""

    judging: plausible.State = field(default_factory=plausible.State)
    engine: ignition.State = field(default_factory=ignition.State)
    bus_ms: int | None = None
    dynamic: dynamics.State = field(default_factory=dynamics.State)
    moving: motion.State = field(default_factory=motion.State)
    driven: odometer.State = field(default_factory=odometer.State)
    sampling: sampler.State = field(default_factory=sampler.State)
    queue: queueing.Track = field(default_factory=queueing.Track)
    waiting: Chain | None = None
    sent: int = 0
    sent_h: str = GENESIS
    sent_ms: int | None = None
    live_ms: int | None = None

    @property
    def newest(self) -> int:
        """The seq of the newest row."""
        return self.sent if self.waiting is None else self.waiting[0]


@dataclass(frozen=True, slots=True)
class Upload:
    """A track message as sent, and the hub's answer."""

    payload: bytes
    ack: bytes


@dataclass(frozen=True, slots=True)
class Passed:
    """An accepted fix, with the speed and course that the agent gives it, and what came of it.

    `live` is the message as sent; `held` means that the fix did not count as moved.
    """

    fix: Fix
    reading: Reading
    row: Row
    motion: motion.Motion
    standing: bool
    held: bool
    live: bytes | None
    uploads: tuple[Upload, ...]


def step(state: State, fix: Fix, reading: Reading, config: Config) -> tuple[State, Passed | Rejected]:
    """The next state, and what the agent makes of the fix."""
    judging, judged = plausible.step(state.judging, fix, None if reading.speed_kph is None else reading.speed_kph / 3.6)
    if isinstance(judged, Rejected):
        return replace(state, judging=judging), judged
    settled, bus_ms, reading = _ignition(state, reading, fix.at_ms)
    row = row_of(fix, reading)
    seq, before = (state.sent, state.sent_h) if state.waiting is None else (state.waiting[0], state.waiting[2])
    waiting: Chain = (seq + 1, row, chain(before, seq + 1, dump([*row])), state.waiting)
    driven, dynamic = odometer.step(state.driven, fix, reading), dynamics.step(state.dynamic, fix, reading)
    fix = dynamic.fix or fix
    moving = motion.step(state.moving, fix, reading)
    sampling, live = sampler.step(
        state.sampling,
        fix,
        reading,
        moving.motion,
        config.sampling,
        waiting=waiting[0] - state.sent,
        trend=dynamic.trend,
    )
    held = sampling.held
    if live is not None:
        sampling = sampler.acknowledged(sampler.sending(sampling, live), live)
    state = replace(
        state, judging=judging, engine=settled, bus_ms=bus_ms, moving=moving, sampling=sampling, waiting=waiting,
        driven=driven, dynamic=dynamic, live_ms=state.live_ms if live is None else live.at_ms,
    )  # fmt: skip
    state, uploads = _due(state, fix.at_ms, config)
    return state, Passed(fix, reading, row, moving.motion, motion.standing(fix, reading), held, _bytes(live), uploads)


def _bytes(live: Live | None) -> bytes | None:
    return None if live is None else encode_live(live)


def _ignition(state: State, reading: Reading, at_ms: int) -> tuple[ignition.State, int | None, Reading]:
    """The ignition as told, or settled from the bus.

    A recording whose bus falls silent has lost its recorder, not its engine: then nobody knows.
    """
    if reading.ignition is not None:
        return state.engine, state.bus_ms, reading
    if reading.rpm is None and reading.voltage_v is None:
        if state.bus_ms is None or at_ms - state.bus_ms > ignition.SILENT_MS:
            return ignition.State(), None, reading
        return state.engine, state.bus_ms, replace(reading, ignition=state.engine.on)
    settled, _ = ignition.step(state.engine, reading, at_ms)
    return settled, at_ms, replace(reading, ignition=settled.on)


def _due(state: State, at_ms: int, config: Config) -> tuple[State, tuple[Upload, ...]]:
    """Batches whose time has come. The first interval begins with the first fix."""
    if state.sent_ms is None:
        return replace(state, sent_ms=at_ms), ()
    if at_ms - state.sent_ms < config.upload_ms:
        return state, ()
    return finish(replace(state, sent_ms=at_ms), at_ms)


def finish(state: State, at_ms: int) -> tuple[State, tuple[Upload, ...]]:
    """Everything that waits, in batches as the uplink cuts them."""
    rows: list[tuple[int, Row, str]] = []
    waiting = state.waiting
    while waiting is not None:
        seq, row, h, waiting = waiting
        rows.append((seq, row, h))
    rows.reverse()
    queue, before, uploads, start = state.queue, state.sent_h, [], 0
    while start < len(rows):
        part = rows[start : start + queue.limit]
        start += len(part)
        first, (last, _, after) = part[0][0], part[-1]
        batch = Batch(
            STORE, first, last, first, before, after,
            tuple((seq, row) for seq, row, _ in part), waiting=len(rows) - start,
        )  # fmt: skip
        ack = Ack(STORE, last, after, live_ms=state.live_ms)
        queue = queueing.answered(queueing.sent(queue, first, last, at_ms), ack, at_ms, chance=0.0)
        uploads.append(Upload(encode_batch(batch), encode_ack(ack)))
        before = after
    sent = rows[-1][0] if rows else state.sent
    return replace(state, queue=queue, waiting=None, sent=sent, sent_h=before), tuple(uploads)
