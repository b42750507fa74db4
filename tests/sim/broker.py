"""The way between: a link that loses, delays, doubles and reorders, and a broker that acknowledges and forgets."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.sim.kit import Process
from wire.codec import decode_live, encode_status
from wire.errors import LinkDownError, ServerDownError, UnavailableError
from wire.messages import Status
from wire.topics import Way, build, known, parse

if TYPE_CHECKING:
    from tests.sim.vehicle import Rig
    from tests.sim.world import World


@dataclass(slots=True)
class Weather:
    """What may happen to a message now, as shares of all; delays in seconds."""

    delay_s: float = 0.03
    forgets: float = 0.0
    drops_down: float = 0.0
    doubles: float = 0.0
    reorders: float = 0.0
    no_puback: float = 0.0
    breaks: float = 0.0
    dark: bool = False
    away: bool = False


@dataclass(slots=True)
class SimSession:
    """One connection of a vehicle."""

    broker: "Broker"
    rig: "Rig"
    will: Status
    lost: "asyncio.Future[UnavailableError]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    inbox: "asyncio.Queue[tuple[str, bytes]]" = field(default_factory=asyncio.Queue)
    attached: bool = True
    arrives_s: float = 0.0

    def publish(self, name: str, payload: bytes) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.attached:
            self.rig.world.oracle.published(self.rig, name, payload)
            self.broker.carry(self, name, payload, future)
        return future

    def drop(self, error: UnavailableError) -> None:
        self.broker.detach(self, will=True)
        if not self.lost.done():
            self.lost.set_result(error)

    async def close(self) -> None:
        self.broker.detach(self, will=False)


class SimLink:
    """The vehicle's way to the broker."""

    def __init__(self, broker: "Broker", rig: "Rig", process: Process) -> None:
        self._broker, self._rig, self._process = broker, rig, process

    async def open(self, will: Status) -> SimSession:
        broker, rng = self._broker, self._rig.rng
        weather = broker.weather[self._rig.device]
        await asyncio.sleep(2.0 * weather.delay_s)
        if weather.away or weather.dark:
            await asyncio.sleep(rng.uniform(0.1, 5.0))
            raise LinkDownError("no way to the broker")
        if broker.down:
            raise ServerDownError("refused")
        return broker.attach(self._rig, self._process, will)


class Broker:
    """Carries, keeps what is retained, and forgets when it is told to."""

    def __init__(self, world: "World") -> None:
        self._world, self._rng = world, world.rng_of("broker")
        self.weather: dict[str, Weather] = {}
        self.down = False
        self.corrupts = 0.0
        self._sessions: dict[str, SimSession] = {}
        self._retained: dict[str, bytes] = {}

    def way_of(self, rig: "Rig", process: Process) -> SimLink:
        return SimLink(self, rig, process)

    def attach(self, rig: "Rig", process: Process, will: Status) -> SimSession:
        """A new connection; an older one of the same name is closed, as MQTT demands."""
        if (old := self._sessions.get(rig.device)) is not None:
            old.drop(ServerDownError("taken over"))
        session = SimSession(self, rig, will, attached=process.alive)
        if process.alive:
            self._sessions[rig.device] = session
            rig.forget_link()
            rig.session = session
        return session

    def detach(self, session: SimSession, *, will: bool) -> None:
        if not session.attached:
            return
        session.attached = False
        if session.rig.session is session:
            session.rig.forget_link()
        if self._sessions.get(session.rig.device) is session:
            del self._sessions[session.rig.device]
        if will:
            self._to_hub(build(session.rig.device, Way.UP, "status"), encode_status(session.will))

    def unplug(self, rig: "Rig") -> None:
        """The machine is gone: nothing of it is carried any more."""
        session = self._sessions.get(rig.device)
        if session is not None and session.rig is rig:
            self.detach(session, will=True)

    def cut(self, device: str, error: UnavailableError) -> None:
        """The connection breaks."""
        if (session := self._sessions.get(device)) is not None:
            session.drop(error)

    def restart(self, *, forgets: bool) -> None:
        """It goes, with all connections."""
        self.down = True
        for device in [*self._sessions]:
            self.cut(device, ServerDownError("closed"))
        if forgets:
            self._retained.clear()

    def carry(self, session: SimSession, name: str, payload: bytes, future: "asyncio.Future[None]") -> None:
        """In order, as TCP does, or not at all."""
        loop, weather = asyncio.get_running_loop(), self.weather[session.rig.device]
        if weather.dark:
            return
        delay_s = weather.delay_s * self._rng.uniform(0.7, 1.5)
        session.arrives_s = max(session.arrives_s, loop.time() + delay_s)
        loop.call_at(session.arrives_s, self._arrived, session, name, payload, future)

    def _arrived(self, session: SimSession, name: str, payload: bytes, future: "asyncio.Future[None]") -> None:
        weather, rng = self.weather[session.rig.device], self._rng
        if not session.attached or weather.dark:
            return
        if weather.breaks and rng.random() < weather.breaks:
            session.drop(LinkDownError("reset"))
            return
        topic = build(session.rig.device, Way.UP, name)
        if weather.forgets and rng.random() < weather.forgets:
            self._world.count("message acknowledged and forgotten")
        else:
            if known(Way.UP, name).retain:
                self._retained[topic] = payload
            self._to_hub(topic, self._spoiled(name, payload))
            if weather.doubles and rng.random() < weather.doubles:
                self._world.count("message doubled")
                self._to_hub(topic, payload, later_s=rng.uniform(0.0, 30.0))
        if not (weather.no_puback and rng.random() < weather.no_puback):
            asyncio.get_running_loop().call_later(weather.delay_s, self._puback, session, name, payload, future)

    def _spoiled(self, name: str, payload: bytes) -> bytes:
        if name != "track" or not self.corrupts or self._rng.random() >= self.corrupts:
            return payload
        self._world.count("batch spoiled")
        at = self._rng.randrange(payload.index(b"\n") + 1, len(payload))
        return payload[:at] + bytes([payload[at] ^ (1 << self._rng.randrange(8))]) + payload[at + 1 :]

    @staticmethod
    def _puback(session: SimSession, name: str, payload: bytes, future: "asyncio.Future[None]") -> None:
        if session.attached and not future.done():
            if name == "live":
                session.rig.pubacked, session.rig.in_flight = decode_live(payload), None
            future.set_result(None)

    def _to_hub(self, topic: str, payload: bytes, *, later_s: float = 0.0) -> None:
        weather = self.weather[parse(topic)[0]]
        if weather.reorders and self._rng.random() < weather.reorders:
            self._world.count("message reordered")
            later_s += self._rng.uniform(0.0, 20.0)
        asyncio.get_running_loop().call_later(0.002 + later_s, self._world.hub.hear, topic, payload)

    def retained(self) -> list[tuple[str, bytes]]:
        """What a new subscriber is told."""
        return [*self._retained.items()]

    def to_device(self, topic: str, payload: bytes) -> None:
        """From the hub; a message that meets no connection is gone."""
        device, row = parse(topic)
        weather, rng = self.weather[device], self._rng
        if weather.dark or (weather.drops_down and rng.random() < weather.drops_down):
            self._world.count("ack lost")
            return
        session = self._sessions.get(device)
        if session is None:
            return
        times = 2 if weather.doubles and rng.random() < weather.doubles else 1
        for _ in range(times):
            late_s = rng.uniform(0.0, 15.0) if weather.reorders and rng.random() < weather.reorders else 0.0
            asyncio.get_running_loop().call_later(weather.delay_s + late_s, self._told, session, row.name, payload)

    @staticmethod
    def _told(session: SimSession, name: str, payload: bytes) -> None:
        if session.attached:
            session.rig.world.oracle.answered(session.rig)
            session.inbox.put_nowait((name, payload))
