"""The rig: a virtual vehicle on two ptys, a GNSS receiver and an ELM327, played from a recording.

Bursts go out aligned to the wall clock, `LATENCY_MS` after the time that they tell, as receivers do. Who does not read
loses them, as on a real line: only what was written last is kept for a reader that comes late.
"""

import array
import asyncio
import fcntl
import gzip
import json
import os
import termios
import tty
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from agent.core import nmea
from agent.core.rig_elm327 import Car, Responder
from agent.core.rig_recording import Epoch, Recording, Slot, moving_start_ms, read, sampled, schedule
from agent.core.rig_sentences import made, moved
from wire.errors import SettingsError, UnavailableError
from wire.messages import Fix
from wire.ops import clock

FASTEST = 10_000.0
LATENCY_MS = 40
LEAD_MS = 200
READER_LIMIT_S = 2.0
SETTLE_S, DEAF_SETTLE_S = 0.25, 0.02
"""The kernel hands over what was written some moments later; a closed pty takes the rest with it."""
KPH_PER_MPS = 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class RigOptions:
    """`speed` runs the recording N times faster, its moved times too. `duration_s` is real time.

    `start` is in seconds of the recording, or `auto`: where the vehicle moves. The bus values of `obd` fill what the
    recording does not have.
    """

    recording: Path
    speed: float = 1.0
    link: Path | None = None
    start: str | float = "auto"
    loop: bool = False
    truth: Path | None = None
    duration_s: float | None = None
    obd: Path | None = None
    max_gap_s: float = 5.0
    as_json: bool = False


async def run_rig(options: RigOptions, *, say: Callable[[str], None]) -> None:
    """Play until the recording or the duration ends, or for ever with `loop`. Raises DecodeError, SettingsError."""
    recording = await asyncio.to_thread(_load, options.recording)
    extra = await asyncio.to_thread(_load, options.obd) if options.obd else None
    plan = _plan(recording, options)
    with ExitStack() as stack:
        gnss, obd = stack.enter_context(_pty()), stack.enter_context(_pty())
        if options.link is not None:
            stack.enter_context(_linked(options.link, {"gnss": gnss.path, "obd": obd.path}))
        truth = stack.enter_context(_truth(options.truth)) if options.truth else None
        vehicle = Vehicle(recording, extra)
        adapter = Adapter(obd, vehicle)
        stack.callback(adapter.close)
        seconds = plan[-1].offset_ms / 1000
        _tell(options, say, f"GNSS at {gnss.path}, OBD at {obd.path}: {len(plan)} epochs, {seconds:.0f} s", {
            "gnss": gnss.path, "obd": obd.path, "epochs": len(plan), "seconds": seconds,
            "bus": sorted(vehicle.keys), "link": str(options.link) if options.link else None,
        })  # fmt: skip
        sent = await Player(gnss, vehicle, options, truth=truth).play(plan)
        await asyncio.sleep(SETTLE_S)
        await gnss.read()
        _tell(options, say, f"{sent} epochs sent, {gnss.dropped} bursts heard by nobody", {
            "sent": sent, "unheard": gnss.dropped,
        })  # fmt: skip


def _truth(path: Path) -> IO[str]:
    try:
        return path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"--truth {path}: {error.strerror or error}"]) from error


def _tell(options: RigOptions, say: Callable[[str], None], text: str, facts: Mapping[str, object]) -> None:
    say(json.dumps(facts) if options.as_json else text)


def _load(path: Path) -> Recording:
    try:
        data = path.read_bytes()
        name = path.name
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
    except (OSError, EOFError, zlib.error) as error:
        told = error.strerror if isinstance(error, OSError) else None
        raise SettingsError([f"recording {path}: {told or error}"]) from error
    return read(name, data)


def _plan(recording: Recording, options: RigOptions) -> list[Slot]:
    if not 0 < options.speed <= FASTEST:  # NaN is neither
        raise SettingsError([f"--speed {options.speed:g}: must be above 0, at most {FASTEST:g}"])
    if options.duration_s is not None and not options.duration_s > 0:
        raise SettingsError([f"--duration {options.duration_s:g}: must be above 0"])
    epochs = recording.epochs
    try:
        start_ms = moving_start_ms(epochs) if options.start == "auto" else _after(epochs, float(options.start))
    except (ValueError, OverflowError) as error:
        raise SettingsError([f"--start {options.start}: must be auto or seconds"]) from error
    epochs = tuple(epochs[next((i for i, epoch in enumerate(epochs) if epoch.at_ms >= start_ms), len(epochs)) :])
    if not epochs:
        raise SettingsError([f"--start {options.start}: the recording is shorter"])
    return list(schedule(epochs, max_gap_ms=round(options.max_gap_s * 1000)))


def _after(epochs: tuple[Epoch, ...], seconds: float) -> int:
    return epochs[0].at_ms + round(seconds * 1000)


class Pty:
    """The master's side; the slave is held open too, so that a reader may come and go."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.dropped = 0
        self._deaf = False

    def close(self) -> None:
        os.close(self.master)
        os.close(self._slave)

    def _unread(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._slave, termios.FIONREAD, count)
        return count[0]

    async def read(self) -> bool:
        """Wait until all was read; who was not there the last time is not waited for."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(DEAF_SETTLE_S if self._deaf else 0)
        limit_s = loop.time() + (0.0 if self._deaf else READER_LIMIT_S)
        while (unread := self._unread() > 0) and loop.time() < limit_s:  # noqa: ASYNC110  # a tty does not tell when it was read
            await asyncio.sleep(0.004)
        self._deaf = unread
        return not unread

    async def burst(self, data: bytes) -> None:
        """Write when the one before has been read; after `READER_LIMIT_S` nobody reads, and it is thrown away."""
        if not await self.read():
            self.dropped += 1
            termios.tcflush(self._slave, termios.TCIFLUSH)
        loop = asyncio.get_running_loop()
        limit_s = loop.time() + READER_LIMIT_S
        rest = memoryview(data)
        while rest and loop.time() < limit_s:
            if not (written := self.write(rest)):
                await asyncio.sleep(0.004)
            rest = rest[written:]

    def write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0


@contextmanager
def _pty() -> Iterator[Pty]:
    pty = Pty()
    try:
        yield pty
    finally:
        pty.close()


@contextmanager
def _linked(folder: Path, targets: Mapping[str, str]) -> Iterator[None]:
    """Stable names for the ptys; replaced at once, so that a reader never finds half a link."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, target in targets.items():
            fresh = folder / f".{name}.{os.getpid()}"
            fresh.symlink_to(target)
            fresh.replace(folder / name)
    except OSError as error:
        raise UnavailableError(f"--link {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        for name, target in targets.items():
            with suppress(OSError):
                if str((folder / name).readlink()) == target:
                    (folder / name).unlink()


class Vehicle:
    """The bus at this moment: the recording's own values, its speed over ground, and what `--obd` adds."""

    def __init__(self, recording: Recording, extra: Recording | None) -> None:
        self._extra = extra
        self._alone = recording if all(epoch.fix is None and epoch.raw is None for epoch in recording.epochs) else None
        keys = set(recording.keys) | (set(extra.keys) if extra else set())
        if self._alone is None:
            keys.add("vs")
        self.keys = frozenset(keys)
        self._epoch: Epoch | None = None
        self._at_ms = 0

    def at(self, slot: Slot, at_ms: int) -> None:
        """This epoch is being sent, `at_ms` after the start."""
        self._epoch = slot.epoch
        self._at_ms = at_ms

    def car(self) -> Car:
        values = dict(sampled(self._extra, self._at_ms)) if self._extra else {}
        if self._epoch is not None:
            if self._alone is None:
                values.pop("vs", None)
            if self._epoch.fix is not None and self._epoch.fix.speed_mps is not None:
                values["vs"] = self._epoch.fix.speed_mps * KPH_PER_MPS
            values.update(self._epoch.values)
        return Car(self.keys, values)


class Adapter:
    """The ELM327's side of its pty, driven by the loop's callbacks."""

    def __init__(self, pty: Pty, vehicle: Vehicle) -> None:
        self._pty = pty
        self._vehicle = vehicle
        self._responder = Responder()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(pty.master, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._pty.master)
        if self._timer is not None:
            self._timer.cancel()

    def _readable(self) -> None:
        self._responder.feed(os.read(self._pty.master, 256), clock.mono_ms(), self._vehicle.car())
        self._speak()

    def _speak(self) -> None:
        now_ms = clock.mono_ms()
        if data := self._responder.take(now_ms):
            self._pty.write(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (wake_ms := self._responder.wake_at) is not None:
            self._timer = self._loop.call_later(max(0, wake_ms - now_ms) / 1000, self._speak)


class Player:
    """The receiver's side: sends each epoch at its moment, and writes down what the truth was."""

    def __init__(self, pty: Pty, vehicle: Vehicle, options: RigOptions, *, truth: IO[str] | None) -> None:
        self._pty = pty
        self._vehicle = vehicle
        self._options = options
        self._truth = truth
        self._parser = nmea.Parser()
        self._start_ms = 0

    async def play(self, plan: list[Slot]) -> int:
        """How many epochs were sent."""
        phase_ms = plan[0].epoch.at_ms % 1000
        self._start_ms = -(-(clock.utc_ms() + LEAD_MS - phase_ms) // 1000) * 1000 + phase_ms
        sent, lap_ms = 0, 0
        duration_ms = (
            None if self._options.duration_s is None else self._options.duration_s * 1000 * self._options.speed
        )
        while True:
            for slot in plan:
                offset_ms = lap_ms + slot.offset_ms
                if duration_ms is not None and offset_ms >= duration_ms:
                    return sent
                await self._until(offset_ms)
                await self._send(slot, offset_ms, lap_ms)
                sent += 1
            if not self._options.loop:
                return sent
            lap_ms += plan[-1].offset_ms + _interval_ms(plan)

    async def _until(self, offset_ms: int) -> None:
        due_ms = self._start_ms + LATENCY_MS + offset_ms / self._options.speed
        await asyncio.sleep(max(0.0, (due_ms - clock.utc_ms()) / 1000))

    async def _send(self, slot: Slot, offset_ms: int, lap_ms: int) -> None:
        epoch = slot.epoch
        shift_ms = self._start_ms + lap_ms + slot.shift_ms
        self._vehicle.at(slot, offset_ms)
        if epoch.raw is not None:
            data = moved(epoch.raw, epoch.at_ms // nmea.DAY_MS, shift_ms)
            told = [item for item in self._parser.feed(data) + self._parser.flush() if isinstance(item, Fix)]
        elif epoch.fix is not None:
            told = [replace(epoch.fix, at_ms=epoch.at_ms + shift_ms)]
            data = made(told[0])
        else:
            return
        await self._pty.burst(data)
        if self._truth is not None:
            for fix in told:
                self._truth.write(_truth_line(fix))


def _interval_ms(plan: list[Slot]) -> int:
    """From the end of a lap to the start of the next: as between its first two epochs, in whole seconds."""
    first = plan[1].offset_ms - plan[0].offset_ms if len(plan) > 1 else 1000
    lap_ms = plan[-1].offset_ms + first
    return -(-lap_ms // 1000) * 1000 - plan[-1].offset_ms


def _truth_line(fix: Fix) -> str:
    return json.dumps({
        "at_ms": fix.at_ms, "lat": fix.lat_deg, "lon": fix.lon_deg, "spd": fix.speed_mps, "crs": fix.course_deg,
        "wall_ms": clock.utc_ms(),
    }) + "\n"  # fmt: skip
