"""Where adapters meet the flow: builds the agent from its settings and runs it."""

import asyncio
import random
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime

from agent.adapters.bluetooth import BluetoothDoor
from agent.adapters.clock import GnssClock
from agent.adapters.gpsd import GpsdDoor
from agent.adapters.mqtt import MqttLink
from agent.adapters.serial import SerialDoor
from agent.adapters.serial_probe import adapter_rate
from agent.adapters.sqlite import SqliteOutbox, only_agent
from agent.adapters.state_socket import answer, socket_path
from agent.adapters.tcp import TcpDoor
from agent.adapters.udp import UdpDoor
from agent.core import elm327, gpsd, nmea, sampler
from agent.core.elm327 import Elm327
from agent.dialogue import ask
from agent.events import HAPPENINGS
from agent.flow import LiveLane, Parser, Senses, Vehicle, collect, reopening, watch_fixes
from agent.ports import Bytes, Line
from agent.recorder import Recorder
from agent.settings import AgentSettings, Obd
from agent.uplink import Config, Uplink, keep_tidy, stay_linked
from wire import VERSION
from wire.errors import UnavailableError
from wire.ops import clock
from wire.ops.main import together
from wire.ops.mqtt import Login, login
from wire.ops.settings import secret
from wire.ops.watch import Watch

SILENT_S = 8.0
"""A receiver that says nothing for so long is opened anew. Less than what `reopening` takes for a steady line, so that
one that stays silent is tried ever more seldom, and told once."""


def _login(settings: AgentSettings) -> Login:
    hub, device = settings.hub, settings.device
    ca_file = str(hub.ca_file) if hub.ca_file else None
    return login(hub.url, device.id, secret=secret(device.secret_file), ca_file=ca_file, keepalive_s=hub.keepalive_s)


def receiver(settings: AgentSettings, on_baud: Callable[[int], object] | None = None) -> tuple[Bytes, Parser]:
    """The door of the receiver and the parser for what comes in by it."""
    gnss = settings.gnss
    host, port = gnss.address
    if gnss.source == "gpsd":
        return GpsdDoor(host, port, silence_s=SILENT_S), gpsd.Parser()
    if gnss.source == "tcp":
        return TcpDoor(host, port, silence_s=SILENT_S), nmea.Parser()
    if gnss.source == "udp":
        return UdpDoor(host, port, sender=gnss.sender, silence_s=SILENT_S), nmea.Parser()
    return SerialDoor(str(gnss.path), baud=gnss.baud, silence_s=SILENT_S, on_baud=on_baud), nmea.Parser()


async def adapter(obd: Obd, known_baud: int | None = None) -> tuple[Line, int | None]:
    """The line to the ELM327, ready to be written to, and its speed if that was found. Raises UnavailableError."""
    if obd.host is not None:
        wifi = TcpDoor(obd.host, obd.port)
        await wifi.connect()
        return wifi, None
    if obd.bluetooth is not None:
        radio = BluetoothDoor(obd.bluetooth, obd.channel)
        await radio.connect()
        return radio, None
    path = str(obd.path)
    rate = await adapter_rate(path, first=known_baud) if obd.baud == "auto" else obd.baud
    return SerialDoor(path, baud=rate), rate if obd.baud == "auto" else None


def floor_ms(day: date) -> int:
    """The first moment of a day."""
    return round(datetime.combine(day, datetime.min.time(), UTC).timestamp() * 1000)


def _sampler(settings: AgentSettings) -> sampler.Config:
    chosen = settings.sampling
    return sampler.Config(
        eps_m=chosen.eps_m,
        heartbeat_moving_ms=round(chosen.heartbeat_moving_s * 1000),
        heartbeat_parked_ms=round(chosen.heartbeat_parked_s * 1000),
    )


async def run(settings: AgentSettings) -> None:
    """Run the agent until it is cancelled; what waits in memory is committed on the way out."""
    where = _login(settings)
    with only_agent(settings.outbox.path):
        await _run(settings, where)


async def _run(settings: AgentSettings, where: Login) -> None:
    watch, time = Watch("agent", HAPPENINGS), GnssClock(floor_ms=floor_ms(settings.gnss.floor))
    outbox = await SqliteOutbox.open(settings.outbox.path, now=time.now())
    recorder = Recorder(outbox, time, watch=watch, commit_ms=round(settings.sampling.commit_s * 1000))
    senses = Senses(Vehicle(), recorder, LiveLane(_sampler(settings)), time, watch)
    uplink = Uplink(
        outbox, recorder, senses.live, senses, time, watch,
        Config(
            VERSION, secrets.token_hex(8), upload_s=settings.sampling.upload_s,
            silent_s=settings.hub.silent_s, spread_s=settings.hub.spread_s,
        ),
        random.SystemRandom().random,
    )  # fmt: skip
    recorder.on_event = uplink.take_event
    recorder.on_dated = uplink.nudge.set
    watch(
        "agent.start",
        version=VERSION,
        device=settings.device.id,
        hub=settings.hub.url,
        receiver=receiver(settings)[0].place,
    )
    try:
        await together(
            _sense_position(settings, senses),
            *([] if settings.obd is None else [_sense_bus(settings.obd, senses)]),
            watch_fixes(senses),
            recorder.keep_committing(),
            recorder.keep_dating(),
            stay_linked(MqttLink(where), uplink),
            keep_tidy(uplink),
            _tell_state(settings, uplink, watch),
        )
    finally:
        try:
            await recorder.commit()
        finally:  # the library's thread would keep the process alive
            await outbox.close()
            watch("agent.stop", recorded=recorder.recorded, waiting=recorder.waiting, not_on_disk=recorder.unwritten)


async def _sense_position(settings: AgentSettings, senses: Senses) -> None:
    path = settings.gnss.path
    door, _ = receiver(settings, lambda baud: senses.watch("gnss.baud", path=path, baud=baud))

    async def once() -> None:
        _, parser = receiver(settings)
        await collect(door, parser, senses)  # the same door again: it remembers the speed

    await reopening("gnss", once, senses)


async def _sense_bus(obd: Obd, senses: Senses) -> None:
    known: int | None = None

    async def once() -> None:
        nonlocal known
        elm = Elm327(elm327.Config(slot_ms=round(1000 / obd.rate_hz)))
        line, found = await adapter(obd, known)
        if found != known:
            known = found
            senses.watch("obd.baud", path=obd.path, baud=found)
        await ask(line, elm, senses)

    await reopening("obd", once, senses)


async def _tell_state(settings: AgentSettings, uplink: Uplink, watch: Watch) -> None:
    """Answer who asks; an agent that can't be asked still does its work."""
    try:
        await answer(socket_path(settings.outbox.path), lambda: state(uplink, watch))
    except UnavailableError as error:
        watch("status.away", error=error)
        await asyncio.get_running_loop().create_future()


def state(uplink: Uplink, watch: Watch) -> dict[str, object]:
    """What `odograph-agent status` tells."""
    vehicle, outbox = uplink.senses.vehicle, uplink.outbox
    now_ms = uplink.clock.mono_ms()
    fix, reading = vehicle.fix, vehicle.reading(now_ms)
    position = None
    if fix is not None and vehicle.fix_mono_ms is not None:
        position = {
            "at": clock.iso(fix.at_ms), "age_s": (now_ms - vehicle.fix_mono_ms) / 1000.0, "lat_deg": fix.lat_deg,
            "lon_deg": fix.lon_deg, "speed_mps": fix.speed_mps, "sats_used": fix.sats_used, "hdop": fix.hdop,
        }  # fmt: skip
    return {
        "running": True,
        "version": VERSION,
        "store": outbox.store,
        "recorded": uplink.recorder.recorded,
        "committed_by_hub": outbox.acked,
        "waiting": uplink.recorder.waiting,
        "not_yet_on_disk": uplink.recorder.unwritten,
        "linked": uplink.linked_at_ms is not None,
        "linked_for_s": None if uplink.linked_at_ms is None else (now_ms - uplink.linked_at_ms) / 1000.0,
        "link_error": _link_error(uplink, now_ms),
        "motion": vehicle.moving.motion.value,
        "fix": position,
        "bus": {name: getattr(reading, name) for name in reading.__slots__ if getattr(reading, name) is not None},
        "live_sent": watch.count("live.sent"),
        "live_acked": watch.count("live.acked"),
        "rejected": watch.counts("gnss.rejected", "reason"),
        "bus_rejected": watch.counts("obd.rejected", "reason"),
    }


def _link_error(uplink: Uplink, now_ms: int) -> dict[str, object] | None:
    if uplink.linked_at_ms is not None or not uplink.fault:
        return None
    return {"error": uplink.fault, "age_s": (now_ms - uplink.fault_at_ms) / 1000.0}
