"""The staircase of the agent, on the way in: device to outbox and live lane. The way out, to the hub, is `agent.uplink`."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.core import alarms, dynamics, guardian, ignition, motion, odometer, sampler
from agent.core.gnss import hearing, names, plausible
from agent.core.gnss.sky import Antenna, Sky
from agent.core.obd import bus
from agent.core.obd.memory import Memory
from agent.core.timing import Verdict
from agent.ports import Bytes, Clock
from agent.recorder import Recorder
from wire.errors import SilentError, UnavailableError
from wire.messages import Fix, Live, Reading, Rejected
from wire.ops.watch import WatchCall

SILENCES_S = (0.08, 0.32)
"""A short silence ends a burst that is whole by what was learned; after the long one behind it, any burst is over."""
NO_FIX_MS = 4_000
DEVICES = {"gnss": "receiver", "obd": "adapter"}
REOPEN_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_MS = 10_000


class Parser(Protocol):
    """Bytes in, fixes and refusals out; `pause` gives what is complete when the line falls silent, `flush` what there is.

    `heard` counts what was valid, with or without a fix; `speaks` names the language.
    """

    speaks: str

    @property
    def heard(self) -> int:
        """Valid sentences, frames or lines so far."""

    def feed(self, chunk: bytes) -> Sequence[Fix | Rejected | Sky | Antenna]:
        """Take what has arrived."""

    def pause(self) -> Sequence[Fix | Rejected | Sky | Antenna]:
        """The line is silent for a moment."""

    def flush(self) -> Sequence[Fix | Rejected | Sky | Antenna]:
        """The line is silent: whatever was under way is over."""


@dataclass(slots=True)
class Vehicle:
    """What is known now: shared by the senses, which write it, and the lanes, which read it.

    While `rest_ms` is set the bus is left alone, and only the battery's voltage is read, so often.
    """

    signals: bus.State = field(default_factory=bus.State)
    ignition_state: ignition.State = field(default_factory=ignition.State)
    battery: guardian.State = field(default_factory=guardian.State)
    rest_ms: int | None = None
    moving: motion.State = field(default_factory=motion.State)
    dynamics: "dynamics.State" = field(default_factory=dynamics.State)
    driven: odometer.State = field(default_factory=odometer.State)
    alarming: alarms.State = field(default_factory=alarms.State)
    present: dict[str, bool] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    heard: int = 0
    heard_ms: int | None = None
    noise_ms: int | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    opened_ms: int = 0
    first_fix_ms: int | None = None
    baud: int | None = None
    judging: plausible.State = field(default_factory=plausible.State)
    undated: plausible.State = field(default_factory=plausible.State)
    misdated: bool = False
    fix_mono_ms: int | None = None
    line: hearing.State | None = None
    last_line: hearing.State | None = None
    adapter: Memory = field(default_factory=Memory)
    sky: Sky = field(default_factory=Sky)
    antenna: Antenna | None = None

    def reading(self, now_ms: int) -> Reading:
        """The bus values that are fresh, and the settled ignition."""
        return replace(bus.reading(self.signals, now_ms), ignition=self.ignition_state.on)

    def bus_mps(self, now_ms: int) -> float | None:
        """The speed that the wheels have."""
        speed_kph = bus.reading(self.signals, now_ms).speed_kph
        return None if speed_kph is None else speed_kph / 3.6

    @property
    def fix(self) -> Fix | None:
        """The last accepted fix."""
        return self.judging.last


class LiveLane:
    """One message in flight and the newest waiting, never a queue. The link's side takes with `next` and tells back."""

    def __init__(self, config: sampler.Config) -> None:
        self.config = config
        self.state = sampler.State()
        self.linked = False
        self._waiting: Live | None = None
        self._ready = asyncio.Event()

    def offer(self, live: Live) -> None:
        """The newest message to send; one that still waits is replaced."""
        self._waiting = live
        self._ready.set()

    async def next(self) -> Live:
        """The message to send now."""
        await self._ready.wait()
        self._ready.clear()
        live, self._waiting = self._waiting, None
        if live is None:
            raise RuntimeError("the lane was woken without a message")
        self.state = sampler.sending(self.state, live)
        return live

    def acknowledged(self, live: Live) -> None:
        """The broker has it."""
        self.state = sampler.acknowledged(self.state, live)

    def unlink(self) -> None:
        """The link is gone: forget what waits, it would be old news."""
        self.linked = False
        self.state = sampler.unlinked(self.state)
        self._waiting = None
        self._ready.clear()


@dataclass(frozen=True, slots=True)
class Senses:
    """What the senses share on their way in."""

    vehicle: Vehicle
    recorder: Recorder
    live: LiveLane
    clock: Clock
    watch: WatchCall
    limits: alarms.Config = field(default_factory=alarms.Config)


async def with_silence(chunks: AsyncIterator[bytes], silences_s: Sequence[float]) -> AsyncIterator[bytes]:
    """The chunks, and after some an empty one for each of the silences that follow one another."""
    pending: asyncio.Task[bytes] | None = None
    waits: list[float] = []
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(anext(chunks, b""))
            done, _ = await asyncio.wait({pending}, timeout=waits[0] if waits else None)
            if not done:
                waits.pop(0)
                yield b""
                continue
            chunk = pending.result()
            pending = None
            if not chunk:
                return
            waits = [*silences_s]
            yield chunk
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, UnavailableError, StopAsyncIteration):
                await pending


async def collect(door: Bytes, parser: Parser, senses: Senses) -> None:
    """Receiver to outbox and live lane: bytes, fix, row; motion, sample. Ends with UnavailableError."""
    fresh, silences, vehicle = True, 0, senses.vehicle
    vehicle.line = hearing.opened(vehicle.last_line, door.place, parser.speaks, senses.clock.mono_ms())
    try:
        async for chunk in with_silence(door.chunks(), SILENCES_S):
            if fresh:
                senses.watch("gnss.opened")
                vehicle.troubles.pop("gnss", None)
                vehicle.opened_ms, vehicle.first_fix_ms, fresh = senses.clock.mono_ms(), None, False
            before = parser.heard
            silences = 0 if chunk else silences + 1
            items = parser.feed(chunk) if chunk else parser.pause() if silences == 1 else parser.flush()
            if chunk:
                _listen(hearing.Heard.VALID if parser.heard > before else hearing.Heard.NOISE, senses)
                names.count(vehicle.kinds, chunk)
                if parser.heard == before:
                    vehicle.noise_ms = senses.clock.mono_ms()
            if parser.heard > before:
                vehicle.heard += parser.heard - before
                vehicle.heard_ms = senses.clock.mono_ms()
                await present("gnss", senses)
            await sort(items, senses)
        await sort(parser.flush(), senses)
    finally:
        vehicle.last_line, vehicle.line = vehicle.line, None
    raise UnavailableError("the receiver's line has ended")


def _listen(heard: hearing.Heard, senses: Senses) -> None:
    """A line that gives nothing usable is told once, and so is its recovery."""
    vehicle, now_ms = senses.vehicle, senses.clock.mono_ms()
    if vehicle.line is None:
        return
    vehicle.line, told = hearing.step(vehicle.line, heard, now_ms)
    if told == hearing.BACK:
        senses.watch("gnss.heard", place=vehicle.line.place)
    elif told is not None:
        senses.watch("gnss.unheard", error=told)


async def sort(items: Sequence[Fix | Rejected | Sky | Antenna], senses: Senses) -> None:
    """Refusals are counted, fixes go on; the newest sky and state of the antenna are kept."""
    for item in items:
        if isinstance(item, Rejected):
            senses.watch("gnss.rejected", reason=item.reason)
        elif isinstance(item, Sky):
            senses.vehicle.sky = item
        elif isinstance(item, Antenna):
            senses.vehicle.antenna = item
        else:
            await take(item, senses)


async def dated(fix: Fix, senses: Senses) -> Fix | None:
    """The fix with its true time, or None if it can't be used now: its time leaps, or nobody knows the time yet."""
    true_ms, verdict = senses.clock.judge(fix.at_ms)
    wrong = verdict is Verdict.UNUSABLE
    if wrong and not senses.vehicle.misdated:
        senses.watch("gnss.wrong-date", told_ms=fix.at_ms)
        await senses.recorder.add_event("wrong-date", fix, {"told_ms": fix.at_ms})
    senses.vehicle.misdated = wrong
    if verdict is Verdict.LEAP:
        senses.watch("gnss.rejected", reason=verdict.value)
        return None
    if verdict is Verdict.RIGHT:
        return fix
    senses.watch("gnss.redated", how=verdict.value)
    if true_ms is None:
        true_ms = senses.clock.now().at_ms
    if true_ms is not None:
        return replace(fix, at_ms=true_ms)
    _keep_undated(fix, senses)
    return None


def _keep_undated(fix: Fix, senses: Senses) -> None:
    """A place at an unknown time is judged by the clock that never steps, kept, and dated later."""
    vehicle, now_ms = senses.vehicle, senses.clock.mono_ms()
    vehicle.undated, judged = plausible.step(vehicle.undated, replace(fix, at_ms=now_ms))
    if isinstance(judged, Rejected):
        senses.watch("gnss.rejected", reason=judged.reason)
        return
    vehicle.fix_mono_ms = now_ms
    senses.recorder.add_fix(fix, vehicle.reading(now_ms), dated=False)


async def take(told: Fix, senses: Senses) -> None:
    """One fix: dated, plausible, recorded, judged by motion, and offered to the live lane when the hub would be wrong."""
    fix = await dated(told, senses)
    if fix is None:
        return
    vehicle, now_ms = senses.vehicle, senses.clock.mono_ms()
    vehicle.judging, judged = plausible.step(vehicle.judging, fix, vehicle.bus_mps(now_ms))
    if isinstance(judged, Rejected):
        senses.watch("gnss.rejected", reason=judged.reason)
        return
    if vehicle.fix_mono_ms is not None and now_ms - vehicle.fix_mono_ms > NO_FIX_MS:
        senses.watch("gnss.back", after_s=(now_ms - vehicle.fix_mono_ms) // 1000)
    vehicle.fix_mono_ms = now_ms
    vehicle.first_fix_ms = now_ms if vehicle.first_fix_ms is None else vehicle.first_fix_ms
    senses.watch("gnss.fix")
    reading = vehicle.reading(now_ms)
    senses.recorder.add_fix(fix, reading)
    if senses.recorder.crowded:
        await senses.recorder.commit()
    vehicle.driven = odometer.step(vehicle.driven, fix, reading)
    vehicle.dynamics = dynamics.step(vehicle.dynamics, fix, reading)
    fix = vehicle.dynamics.fix or fix
    vehicle.moving = motion.step(vehicle.moving, fix, reading)
    await _alarm(fix, reading, now_ms, senses)
    lane = senses.live
    if lane.linked:
        lane.state, live = sampler.step(
            lane.state, fix, reading, vehicle.moving.motion, lane.config,
            waiting=senses.recorder.waiting, trend=vehicle.dynamics.trend,
        )  # fmt: skip
        if live is not None:
            lane.offer(live)


async def _alarm(fix: Fix, reading: Reading, now_ms: int, senses: Senses) -> None:
    """Long idling and tows."""
    vehicle = senses.vehicle
    vehicle.alarming, facts = alarms.step(
        vehicle.alarming, fix, now_ms, senses.limits,
        ignition=reading.ignition, standing=motion.standing(fix, reading),
    )  # fmt: skip
    for fact in facts:
        await senses.recorder.add_event(fact.kind, fix, dict(fact.detail))


async def present(device: str, senses: Senses) -> None:
    """A device speaks; if it had been unplugged, it is back."""
    if senses.vehicle.present.get(device) is False:
        await senses.recorder.add_event(f"{DEVICES[device]}-back", senses.vehicle.fix)
    senses.vehicle.present[device] = True
    senses.vehicle.troubles.pop(device, None)


async def _absent(device: str, error: UnavailableError, senses: Senses) -> None:
    """A device that had spoken has gone; one that is only silent is still there."""
    if senses.vehicle.present.get(device) and not isinstance(error, SilentError):
        senses.vehicle.present[device] = False
        detail: dict[str, object] = {"error": str(error)[:120]}
        await senses.recorder.add_event(f"{DEVICES[device]}-unplugged", senses.vehicle.fix, detail)


def current(senses: Senses) -> Live | None:
    """The live message of the last fix: what goes out first on a new link."""
    vehicle, lane = senses.vehicle, senses.live
    fix = vehicle.dynamics.fix
    if fix is None:
        return None
    reading = vehicle.reading(senses.clock.mono_ms())
    return sampler.first(
        lane.state, fix, reading, lane.config,
        waiting=senses.recorder.waiting, trend=vehicle.dynamics.trend,
    )  # fmt: skip


async def watch_fixes(senses: Senses) -> None:
    """Says once that there is no fix, or that the receiver's line is silent, within a second of the limit."""
    since_ms, told = senses.clock.mono_ms(), False
    while True:
        await asyncio.sleep(1.0)
        seen_ms = senses.vehicle.fix_mono_ms
        if seen_ms is not None and seen_ms > since_ms:
            since_ms, told = seen_ms, False
        if not told and senses.clock.mono_ms() - since_ms > NO_FIX_MS:
            told = True
            senses.watch("gnss.nofix")
        _listen(hearing.Heard.NOTHING, senses)


async def reopening(name: str, once: Callable[[], Awaitable[None]], senses: Senses) -> None:
    """Run a sense again whenever its device comes back, with growing pauses; the first failure is told, repeats are not."""
    attempt = 0
    while True:
        started_ms = senses.clock.mono_ms()
        try:
            await once()
        except UnavailableError as error:
            if senses.clock.mono_ms() - started_ms > STEADY_MS:
                attempt = 0
            if attempt == 0:
                senses.watch(f"{name}.away", error=error)
            senses.watch(f"{name}.rejected", reason="away")
            senses.vehicle.troubles[name] = str(error)
            await _absent(name, error, senses)
            await asyncio.sleep(REOPEN_S[0 if isinstance(error, SilentError) else min(attempt, len(REOPEN_S) - 1)])
            attempt += 1
