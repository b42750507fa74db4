"""The parts that the settings name: doors, parsers, logins, and the configurations of cores."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from agent.adapters.bluetooth import BluetoothDoor
from agent.adapters.gpsd import GpsdDoor
from agent.adapters.serial import SerialDoor
from agent.adapters.serial_probe import adapter_rate
from agent.adapters.tcp import TcpDoor
from agent.adapters.udp import UdpDoor
from agent.core import budget, sampler
from agent.core.gnss import gpsd
from agent.core.gnss import receiver as stream
from agent.core.obd import elm327, plan
from agent.core.obd.reader import Wants
from agent.flow import Parser
from agent.ports import Bytes, Line
from agent.settings import AgentSettings, Budget, Gnss, Obd, Sampling
from wire.ops.mqtt import Login, login
from wire.ops.settings import secret

SILENT_S = 8.0
"""A receiver that says nothing for so long is opened anew. Less than what `reopening` takes for a steady line, so that
one that stays silent is tried ever more seldom, and told once."""


def login_of(settings: AgentSettings) -> Login:
    """Where the hub's broker is, and who we are there. Raises SettingsError."""
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
        return TcpDoor(host, port, silence_s=SILENT_S), stream.Parser()
    if gnss.source == "udp":
        return UdpDoor(host, port, sender=gnss.sender, silence_s=SILENT_S), stream.Parser()
    return SerialDoor(str(gnss.path), baud=gnss.baud, silence_s=SILENT_S, on_baud=on_baud), stream.Parser()


def hunts(gnss: Gnss) -> bool:
    """Whether the speed of the receiver's line can't be set wrong."""
    return gnss.source != "serial" or gnss.baud == "auto"


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


def sampling(chosen: Sampling) -> sampler.Config:
    """How the live lane samples."""
    return sampler.Config(
        eps_m=chosen.eps_m,
        heartbeat_moving_ms=round(chosen.heartbeat_moving_s * 1000),
        heartbeat_parked_ms=round(chosen.heartbeat_parked_s * 1000),
    )


def budgeted(chosen: Budget) -> budget.Config:
    """What a month of data may cost."""
    return budget.Config(round(chosen.month_mb * 1e6) or None, chosen.first_day)


def bus(obd: Obd) -> elm327.Config:
    """How the bus is asked."""
    return elm327.Config(
        plan=plan.Config(fast_ms=round(1000 / obd.rate_hz)),
        wants=Wants(obd.wanted, round(obd.codes_min * 60_000)),
    )
