"""Who speaks on the rig's lines: the receiver that plays a recording, and the ELM327 that answers from it."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO

from agent.adapters.rig_lines import LOOPBACK, Port, Receiver
from agent.core.gnss import nmea
from agent.core.gnss import receiver as stream
from agent.core.rig import faults as rig_faults
from agent.core.rig.elm327 import FAULTS, Car, Responder
from agent.core.rig.faults import Planted, names_at
from agent.core.rig.recording import Epoch, Recording, Slot, sampled
from agent.core.rig.sentences import made, moved
from wire.errors import UnavailableError
from wire.messages import Fix
from wire.ops import clock

LATENCY_MS = 40
LEAD_MS = 200
KPH_PER_MPS = 3.6


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

    def car(self, names: frozenset[str] = frozenset()) -> Car:
        """What it says, under the adapter's faults."""
        values = dict(sampled(self._extra, self._at_ms)) if self._extra else {}
        if self._epoch is not None:
            if self._alone is None:
                values.pop("vs", None)
            if self._epoch.fix is not None and self._epoch.fix.speed_mps is not None:
                values["vs"] = self._epoch.fix.speed_mps * KPH_PER_MPS
            values.update(self._epoch.values)
        if rig_faults.LOW_VOLTAGE in names:
            values["mv"] = rig_faults.LOW_V
        return Car(self.keys, values)


class Talk:
    """One dialogue with an ELM327, driven by the loop's callbacks; `send` takes what it says."""

    def __init__(self, vehicle: Vehicle, responder: Responder, send: Callable[[bytes], object]) -> None:
        self._vehicle = vehicle
        self._send = send
        self._responder = responder
        self._names: frozenset[str] = frozenset()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, data: bytes) -> None:
        """What the host says."""
        self._responder.feed(data, clock.mono_ms(), self._vehicle.car(self._names))
        self._speak()

    def plant(self, names: frozenset[str]) -> None:
        """From now on it has these faults."""
        self._names = names
        self._responder.faults = names & FAULTS.keys()
        self._responder.asleep = rig_faults.ASLEEP in names

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _speak(self) -> None:
        now_ms = clock.mono_ms()
        if data := self._responder.take(now_ms):
            self._send(data)
        self.close()
        if (wake_ms := self._responder.wake_at) is not None:
            self._timer = self._loop.call_later(max(0, wake_ms - now_ms) / 1000, self._speak)


class Adapter:
    """The ELM327 at its pty, and one for each TCP connection."""

    def __init__(self, port: Port, vehicle: Vehicle, make: Callable[[], Responder] = Responder) -> None:
        self._port = port
        self._vehicle = vehicle
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._talk: Talk | None = None
        self._talks: dict[asyncio.StreamWriter, Talk] = {}
        self._server: asyncio.Server | None = None
        self._listens_at: int | None = None
        self._names: frozenset[str] = frozenset()

    async def plug(self) -> None:
        """There it is. Raises UnavailableError."""
        self._port.plug()
        if self._talk is None and self._port.pty is not None:
            pty = self._port.pty
            self._talk = Talk(self._vehicle, self._make(), pty.write)
            self._talk.plant(self._names)
            self._loop.add_reader(pty.master, self._readable)
        if self._listens_at is not None and self._server is None:
            await self.listen(self._listens_at)

    async def listen(self, port: int) -> int:
        """Answer over TCP too, on the loopback; the port. Raises UnavailableError."""
        try:
            self._server = await asyncio.start_server(self._client, LOOPBACK, port)
        except OSError as error:
            raise UnavailableError(f"--obd-tcp {port}: {error.strerror or error}") from error
        self._listens_at = int(self._server.sockets[0].getsockname()[1])
        return self._listens_at

    def pull(self) -> None:
        """It is gone."""
        if self._talk is not None and self._port.pty is not None:
            self._loop.remove_reader(self._port.pty.master)
            self._talk.close()
        self._talk = None
        self._port.pull()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._talks):
            writer.transport.abort()

    async def plant(self, names: frozenset[str]) -> None:
        """From now on it has these faults."""
        if names == self._names:
            return
        self._names = names
        if rig_faults.UNPLUGGED in names:
            self.pull()
            return
        await self.plug()
        for talk in [*self._talks.values(), *([self._talk] if self._talk else [])]:
            talk.plant(names)

    def _readable(self) -> None:
        if self._talk is not None and self._port.pty is not None:
            self._talk.hear(self._port.pty.read())

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = self._talks[writer] = Talk(self._vehicle, self._make(), writer.write)
        talk.plant(self._names)
        try:
            with suppress(OSError):
                while data := await reader.read(256):
                    talk.hear(data)
        finally:
            del self._talks[writer]
            talk.close()
            writer.transport.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How it is played: `speed` times as fast, in laps, for `duration_s` real seconds, with faults."""

    speed: float = 1.0
    loop: bool = False
    duration_s: float | None = None
    faults: tuple[Planted, ...] = ()


class Player:
    """The receiver's side: sends each epoch at its moment, and writes down what the truth was."""

    def __init__(
        self, receiver: Receiver, adapter: Adapter, vehicle: Vehicle, *, score: Score, truth: IO[str] | None
    ) -> None:
        self._receiver = receiver
        self._adapter = adapter
        self._vehicle = vehicle
        self._score = score
        self._truth = truth
        self._parser = stream.Parser()
        self._spoiling = rig_faults.State()
        self._start_ms = 0

    async def play(self, plan: list[Slot]) -> int:
        """How many epochs were sent."""
        phase_ms = plan[0].epoch.at_ms % 1000
        self._start_ms = -(-(clock.utc_ms() + LEAD_MS - phase_ms) // 1000) * 1000 + phase_ms
        sent, lap_ms, score = 0, 0, self._score
        duration_ms = None if score.duration_s is None else score.duration_s * 1000 * score.speed
        while True:
            for slot in plan:
                offset_ms = lap_ms + slot.offset_ms
                if duration_ms is not None and offset_ms >= duration_ms:
                    return sent
                await self._until(offset_ms)
                await self._send(slot, offset_ms, lap_ms)
                sent += 1
            if not score.loop:
                return sent
            lap_ms += plan[-1].offset_ms + _interval_ms(plan)

    async def _until(self, offset_ms: int) -> None:
        due_ms = self._start_ms + LATENCY_MS + offset_ms / self._score.speed
        await asyncio.sleep(max(0.0, (due_ms - clock.utc_ms()) / 1000))

    async def _send(self, slot: Slot, offset_ms: int, lap_ms: int) -> None:
        epoch = slot.epoch
        shift_ms = self._start_ms + lap_ms + slot.shift_ms
        self._vehicle.at(slot, offset_ms)
        at_s = offset_ms / 1000 / self._score.speed
        await self._adapter.plant(names_at(self._score.faults, at_s, obd=True))
        if epoch.raw is not None:
            data = moved(epoch.raw, epoch.at_ms // nmea.DAY_MS, shift_ms)
            told = [item for item in self._parser.feed(data) + self._parser.flush() if isinstance(item, Fix)]
        elif epoch.fix is not None:
            told = [replace(epoch.fix, at_ms=epoch.at_ms + shift_ms)]
            data = made(told[0])
        else:
            return
        names = names_at(self._score.faults, at_s, obd=False)
        await (self._receiver.pull() if rig_faults.UNPLUGGED in names else self._receiver.plug())
        self._spoiling, data = rig_faults.step(self._spoiling, told[0] if told else None, data, names)
        await self._receiver.burst(data)
        if self._truth is not None:
            for fix in told:
                self._truth.write(_truth_line(fix, names))


def _interval_ms(plan: list[Slot]) -> int:
    """From the end of a lap to the start of the next: as between its first two epochs, in whole seconds."""
    first = plan[1].offset_ms - plan[0].offset_ms if len(plan) > 1 else 1000
    lap_ms = plan[-1].offset_ms + first
    return -(-lap_ms // 1000) * 1000 - plan[-1].offset_ms


def _truth_line(fix: Fix, faults: frozenset[str]) -> str:
    """Where the vehicle really is; `faults` are those of the receiver, if it has any."""
    return json.dumps({
        "at_ms": fix.at_ms, "lat": fix.lat_deg, "lon": fix.lon_deg, "spd": fix.speed_mps, "crs": fix.course_deg,
        "wall_ms": clock.utc_ms(), **({"faults": sorted(faults)} if faults else {}),
    }) + "\n"  # fmt: skip
