"""The way in, on the twins in memory: what is recorded, what is offered to the live lane, what is told."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.adapters.memory import MemoryOutbox
from agent.core import sampler, timing
from agent.core.dating import Moment
from agent.core.gnss import receiver
from agent.core.obd.elm327 import Elm327
from agent.dialogue import ask
from agent.events import HAPPENINGS
from agent.flow import (
    LiveLane,
    Senses,
    Vehicle,
    collect,
    current,
    reopening,
    take,
    watch_fixes,
    with_silence,
)
from agent.ports import Kind
from agent.recorder import Recorder
from wire.errors import UnavailableError
from wire.messages import Fix, Live
from wire.ops.watch import Watch

T = 1_760_000_000_000


class Clock:
    """Time that the test moves; the rules are those of the agent. Tests begin at a known time unless they say else."""

    def __init__(self, *, known: bool = True, floor_ms: int = 0) -> None:
        self.ms = 0
        self.state = timing.State(T, timing.Basis.SYSTEM) if known else timing.State()
        self.floor_ms = floor_ms

    def now(self) -> Moment:
        return Moment(self.state.utc_ms(self.ms), "b007", self.ms)

    @property
    def basis(self) -> timing.Basis:
        return self.state.basis

    def mono_ms(self) -> int:
        return self.ms

    def judge(self, at_ms: int) -> tuple[int | None, timing.Verdict]:
        self.state, true_ms, verdict = timing.receiver(self.state, at_ms, self.ms, floor_ms=self.floor_ms)
        return true_ms, verdict


def senses(clock: Clock | None = None) -> Senses:
    watch, clock = Watch("agent", HAPPENINGS), clock or Clock()
    recorder = Recorder(MemoryOutbox(), clock, watch=watch, commit_ms=10)
    return Senses(Vehicle(), recorder, LiveLane(sampler.Config()), clock, watch)


def box(s: Senses) -> MemoryOutbox:
    outbox = s.recorder._outbox
    assert isinstance(outbox, MemoryOutbox)
    return outbox


def fix(second: int, north: float = 0.0, speed: float = 0.0) -> Fix:
    return Fix(T + 1000 * second, 41.0 + north, -96.0, 300.0, speed, 0.0)


class Door:
    """Bytes that the test has lined up, then silence or the end."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._chunks = chunks
        self._ends = ends
        self.written: list[bytes] = []
        self.place = "/dev/x"

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if not self._ends:
            await asyncio.get_running_loop().create_future()

    async def write(self, data: bytes) -> None:
        self.written.append(data)


RMC = b"$GNRMC,021417.00,A,3725.58362,N,12205.61915,W,0.028,65.13,070220,13.06,E,F,V*4A\r\n"


async def test_bytes_become_records_and_noise_is_counted() -> None:
    s = senses()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collect(Door(b"$GPRMC,bad*00\r\n", RMC, ends=False), receiver.Parser(), s), 0.9)
    assert s.watch.count("gnss.rejected") > 0  # type: ignore[attr-defined]  # the watch of this test is a Watch
    await s.recorder.commit()
    assert [row.kind for row in await box(s).read(1, 9)] == [Kind.FIX]


async def test_a_line_that_ends_loses_nothing() -> None:
    s = senses()
    with pytest.raises(UnavailableError, match="ended"):
        await collect(Door(b"garbage\r\n", RMC), receiver.Parser(), s)
    assert s.vehicle.fix is not None


async def test_every_accepted_fix_is_recorded_and_only_some_are_live() -> None:
    s = senses()
    s.live.linked = True
    for second in range(10):
        await take(fix(second), s)
        if s.live._waiting is not None:
            live = await s.live.next()
            s.live.acknowledged(live)
    await take(fix(9), s)
    await s.recorder.commit()
    assert box(s).newest == 10
    assert s.watch.count("gnss.rejected", reason="repeated") == 1  # type: ignore[attr-defined]  # as above
    assert s.live.state.acked is not None
    assert s.live.state.acked.at_ms == T


async def test_without_a_link_nothing_is_offered() -> None:
    s = senses()
    await take(fix(1), s)
    assert s.live._waiting is None
    first = current(s)
    assert first is not None
    assert first.waiting == 1
    assert current(senses()) is None


async def test_a_crowded_window_closes_early() -> None:
    s = senses()
    for second in range(700):
        await take(fix(second), s)
    assert box(s).newest == 600
    assert s.recorder.waiting == 700


async def test_each_silence_is_told_once_after_some_bytes() -> None:
    heard = with_silence(Door(b"a", b"b", ends=False).chunks(), (0.02, 0.02))
    assert [await anext(heard) for _ in range(4)] == [b"a", b"b", b"", b""]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(heard), 0.3)
    assert [c async for c in with_silence(Door(b"a").chunks(), (0.02, 0.02))] == [b"a"]


async def test_the_adapter_is_asked_and_its_end_is_told() -> None:
    s = senses()
    door = Door(b"ELM327 v1.5\r\r>", ends=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(door, Elm327(), s), 0.2)
    assert door.written[0] == b"ATZ\r"
    with pytest.raises(UnavailableError, match="ended"):
        await ask(Door(b"?"), Elm327(), s)


async def test_a_sense_is_opened_again_and_told_once() -> None:
    s, tries = senses(), []

    async def once() -> None:
        tries.append(1)
        if len(tries) == 2:
            s.clock.ms += 60_000  # type: ignore[attr-defined]  # the clock of this test
        raise UnavailableError("gone")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reopening("gnss", once, s), 1.3)
    assert len(tries) == 3
    assert s.watch.count("gnss.away") == 2  # type: ignore[attr-defined]  # as above


async def test_no_fix_is_known_within_its_limit() -> None:
    s = senses()
    task = asyncio.ensure_future(watch_fixes(s))
    await asyncio.sleep(0)
    s.clock.ms = 6000  # type: ignore[attr-defined]  # the clock of this test
    await asyncio.sleep(1.1)
    assert s.watch.count("gnss.nofix") == 1  # type: ignore[attr-defined]  # as above
    await take(fix(7), s)
    s.clock.ms = 12_001  # type: ignore[attr-defined]  # as above
    await take(fix(13), s)
    await asyncio.sleep(1.1)
    task.cancel()
    assert s.watch.count("gnss.back") == 1  # type: ignore[attr-defined]  # as above


async def heard_at(s: Senses, *now_ms: int) -> None:
    """A second of the watch at each of these times."""
    task = asyncio.ensure_future(watch_fixes(s))
    for at_ms in now_ms:
        await asyncio.sleep(0)
        s.clock.ms = at_ms  # type: ignore[attr-defined]  # the clock of this test
        await asyncio.sleep(1.05)
    task.cancel()


async def test_a_port_that_gives_no_nmea_is_named_once_and_so_is_its_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "odograph")
    s, more = senses(), asyncio.Event()

    class Changing(Door):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"ELM327 v1.5\r\r>"
            await more.wait()
            yield RMC
            await asyncio.get_running_loop().create_future()

    task = asyncio.ensure_future(collect(Changing(), receiver.Parser(), s))
    await heard_at(s, 4000, 6000, 7000)
    assert caplog.text.count("(error=/dev/x gives no NMEA or UBX: wrong port or wrong baud?)") == 1
    assert s.watch.count("gnss.heard") == 0  # type: ignore[attr-defined]  # a Watch
    more.set()
    await asyncio.sleep(0.05)
    assert s.watch.count("gnss.heard") == 1  # type: ignore[attr-defined]  # as above
    await heard_at(s, 13_000)
    assert caplog.text.count("/dev/x is silent") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert s.vehicle.line is None
    await heard_at(s, 60_000)
    assert s.watch.count("gnss.unheard") == 2, "a line that is not open is not complained about"  # type: ignore[attr-defined]  # as above


async def test_a_port_without_an_adapter_is_named(caplog: pytest.LogCaptureFixture) -> None:
    s, door = senses(), Door(b"$GPTXT*00\r\n", ends=False)
    task = asyncio.ensure_future(ask(door, Elm327(), s))
    await asyncio.sleep(0.05)
    for at_ms in (2100, 2500):
        s.clock.ms = at_ms  # type: ignore[attr-defined]  # the clock of this test
        await asyncio.sleep(1.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert caplog.text.count("no ELM327 answers at /dev/x: wrong port or baud?") == 1


async def test_the_lane_keeps_only_the_newest() -> None:
    lane = LiveLane(sampler.Config())
    lane.offer(Live(1, 0, 0))
    lane.offer(Live(2, 0, 0))
    assert (await lane.next()).at_ms == 2
    lane.offer(Live(3, 0, 0))
    lane.unlink()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane.next(), 0.02)
