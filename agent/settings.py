"""The agent's settings: one TOML file, every key declared here with its text."""

import difflib
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, ValidationInfo, field_validator, model_validator

from agent.core.profiles import PROFILES, Profile, unknown
from wire import BUILT_MS
from wire.ops.settings import Settings
from wire.signals import NAMED
from wire.topics import IDENTITY

BUILT = date(1970, 1, 1) + timedelta(milliseconds=BUILT_MS)


class Device(Settings):
    """Who this gateway is."""

    id: str = Field(description="identity of the gateway, as given by `odograph-hub device add`: gw-…")
    secret_file: Path = Field(description="file with the device's secret; only its owner may read it (chmod 600)")

    @field_validator("id")
    @classmethod
    def _gateway(cls, value: str) -> str:
        if not IDENTITY.fullmatch(value) or not value.startswith("gw-") or value == "gw-":
            raise ValueError("wants gw- and then lower-case letters, digits, _ or -, at most 32 characters in all")
        return value


class Hub(Settings):
    """Where the hub's broker is."""

    url: str = Field(description="mqtt://host:port, or mqtts://host:port for TLS")
    ca_file: Path | None = Field(
        default=None, description="CA certificate that the broker must show; system CAs if absent"
    )
    keepalive_s: int = Field(default=30, ge=5, le=1200, description="MQTT keep-alive")
    silent_s: float = Field(
        5.0, ge=1, le=60, description="a link without a PUBACK for so long is dropped and dialled again"
    )
    spread_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="after the server closed or refused, the first retry is spread over so many seconds",
    )

    @field_validator("url")
    @classmethod
    def _mqtt(cls, value: str) -> str:
        if not re.fullmatch(r"mqtts?://(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?/?", value, re.ASCII):
            raise ValueError("wants mqtt://host:port or mqtts://host:port, without user and password")
        port = re.search(r":(\d+)/?$", value)
        if port is not None and not 0 < int(port[1]) < 65_536:
            raise ValueError("the port must be from 1 to 65535")
        return value


HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?")
BLUETOOTH = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
GPSD_PORT = 2947
SLOWEST, FASTEST = 1200, 921_600
NEEDED, FREE = "needed", "free"
USES = {
    "serial": {"path": NEEDED},
    "gpsd": {"host": FREE, "port": FREE},
    "tcp": {"host": NEEDED, "port": NEEDED},
    "udp": {"host": FREE, "port": NEEDED, "sender": FREE},
}
"""Which settings of `[gnss]` a source has. A path beside another source is let pass: it is often only switched off."""


def _baud(value: object) -> object:
    if value != "auto" and not (type(value) is int and SLOWEST <= value <= FASTEST):
        raise ValueError(f"wants auto, or a number from {SLOWEST} to {FASTEST}")
    return value


Baud = Annotated[Literal["auto"] | int, PlainValidator(_baud)]


def _host(value: str | None) -> str | None:
    if value is not None and not HOST.fullmatch(value):
        raise ValueError("wants a name or an address, without port and without ://")
    return value


Host = Annotated[str | None, AfterValidator(_host)]


class Gnss(Settings):
    """The receiver."""

    model_config = ConfigDict(validate_default=True)

    source: Literal["serial", "gpsd", "tcp", "udp"] = Field(
        default="serial",
        description="`serial` for a port, `gpsd` for a running gpsd, `tcp` to fetch NMEA from a router, `udp` to be sent it",
    )
    path: Path | None = Field(
        default=None,
        description="`serial`: the port, best by its stable name, /dev/odograph/gnss or under /dev/serial/by-id/",
    )
    baud: Baud = Field(default="auto", description="`serial`: speed of the port; `auto` finds it")
    host: Host = Field(
        default=None,
        description="`gpsd`: where it listens (127.0.0.1 if absent); `tcp`: the router; `udp`: own address to listen at "
        "(0.0.0.0, which is every one, if absent)",
    )
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="`gpsd`: its port (2947 if absent); `tcp`, `udp`: must be set"
    )
    sender: Host = Field(
        default=None, description="`udp`: address that is listened to; if absent, whoever is heard first"
    )

    floor: date = Field(
        default=BUILT,
        description="a receiver that tells an earlier date is wrong: week rollovers are repaired, other dates are not used; "
        "the default is the day of this version",
    )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of what is no serial port."""
        return self.host or ("0.0.0.0" if self.source == "udp" else "127.0.0.1"), self.port or GPSD_PORT  # noqa: S104  # routers are not on the loopback

    @field_validator("path", "host", "port", "sender")
    @classmethod
    def _fits_the_source(cls, value: object, info: ValidationInfo) -> object:
        """Field by field, so that each fault is named at its place, besides all others."""
        source, name = info.data.get("source"), info.field_name
        uses = USES.get(str(source), {})
        if value is None and uses.get(name or "") == NEEDED:
            raise ValueError(f"must be set, as source is {source}")
        if value is not None and uses and name != "path" and name not in uses:
            raise ValueError(f"means nothing while source is {source}: set source, or take it out")
        return value


def _near(name: str) -> str:
    """Known names that may have been meant, each with what it is."""
    wanted = name.lower().replace(" ", "_")
    called = {known: signal.vss.rpartition(".")[2] for known, signal in NAMED.items()}
    close = difflib.get_close_matches(wanted, called, 2)
    holding = [known for known, meaning in called.items() if wanted and wanted in f"{known} {meaning}".lower()]
    near = [f"{known} is {called[known]}" for known in dict.fromkeys([*close, *sorted(holding, key=len)])][:3]
    return f" (near: {', '.join(near)})" if near else ""


class Obd(Settings):
    """The ELM327 adapter."""

    model_config = ConfigDict(validate_default=True)

    host: Host = Field(default=None, description="address of a WiFi adapter")
    port: int = Field(default=35_000, ge=1, le=65_535, description="TCP port of a WiFi adapter (WiCAN: 3333)")
    bluetooth: str | None = Field(default=None, description="address of a Bluetooth adapter, as 00:1D:A5:68:98:8B")
    channel: int = Field(default=1, ge=1, le=30, description="RFCOMM channel of a Bluetooth adapter")
    path: Path | None = Field(
        default=None,
        description="serial port of the adapter: /dev/odograph/obd, /dev/serial/by-id/…, or /dev/rfcomm0; either this or "
        "`host` or `bluetooth` must be set",
    )
    baud: Baud = Field(default="auto", description="speed of the serial port; `auto` finds it")
    rate_hz: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="speed and rpm so often a second, as far as the adapter can; the rest seldom",
    )
    wanted: tuple[str, ...] = Field(
        default=(), description="values to ask besides those of the track, by their names in the table of obd.md"
    )
    codes_min: float = Field(default=10.0, ge=0.5, le=1440, description="trouble codes are read every so many minutes")

    @property
    def place(self) -> str:
        """What a person calls it."""
        return f"{self.host}:{self.port}" if self.host else str(self.bluetooth or self.path)

    @field_validator("wanted")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in NAMED]:
            told = ", ".join(name + _near(name) for name in unknown)
            raise ValueError(f"unknown: {told}; the names are in the table of docs/obd.md")
        return value

    @field_validator("bluetooth")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not BLUETOOTH.fullmatch(value.upper()):
            raise ValueError("wants six pairs of hexadecimal digits: 00:1D:A5:68:98:8B")
        return None if value is None else value.upper()

    @field_validator("path")
    @classmethod
    def _one_way(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if not {"host", "bluetooth"} <= info.data.keys():
            return value  # one of them has a fault of its own
        ways = [name for name in ("host", "bluetooth") if info.data[name] is not None]
        ways += [] if value is None else ["path"]
        if len(ways) != 1:
            told = "none is" if not ways else " and ".join(ways) + " are"
            raise ValueError(f"exactly one of path, host and bluetooth says where the adapter is; {told} set")
        return value


def _profile(sampling: Any) -> Profile | None:
    """The profile that a section names, if there is one of this name."""
    name = sampling.get("profile") if isinstance(sampling, dict) else None
    return PROFILES.get(name) if isinstance(name, str) else None


class Sampling(Settings):
    """What goes out, and how often."""

    profile: str | None = Field(
        default=None,
        description=f"defaults for a kind of work, {', '.join(PROFILES)}; what is set beside it counts before it",
    )
    eps_m: float = Field(default=10.0, ge=1, le=1000, description="error bound of the live position")
    heartbeat_moving_s: float = Field(
        default=60.0, ge=1, le=3600, description="longest silence while the vehicle is not parked"
    )
    heartbeat_parked_s: float = Field(default=300.0, ge=1, le=86_400, description="longest silence while it is parked")
    upload_s: float = Field(default=60.0, ge=0.5, le=86_400, description="interval of the track upload")
    commit_s: float = Field(
        default=5.0, ge=0.1, le=60, description="fixes of so many seconds are written to disk together"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_profile(cls, data: Any) -> Any:
        """Its values for what the file does not set."""
        profile = _profile(data)
        return data if profile is None else {**profile.sampling, **data}

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in PROFILES:
            raise ValueError(unknown(value))
        return value


LEAST_MB = 3.0


class Budget(Settings):
    """What a month of data may cost."""

    month_mb: float = Field(
        default=0.0, ge=0, le=1_000_000,
        description="MB (1,000,000 bytes, both directions, all overhead) that a month may take, 3 at least; 0 for no budget",
    )  # fmt: skip
    first_day: int = Field(default=1, ge=1, le=28, description="day on which the month of the data plan begins, UTC")

    @field_validator("month_mb")
    @classmethod
    def _enough(cls, value: float) -> float:
        if 0 < value < LEAST_MB:
            raise ValueError(
                f"wants {LEAST_MB:g} MB at least: heartbeats and the link alone take up to 2; 0 for no budget"
            )
        return value


class Guard(Settings):
    """What is watched besides the position: battery, power, idling, tow."""

    voltage_s: float = Field(
        default=60.0, ge=5, le=3600, description="how often the battery is read while the vehicle is parked"
    )
    wind_down_s: float = Field(
        default=120.0, ge=0, le=3600, description="so long after the ignition went off the bus is left alone"
    )
    idle_s: float = Field(default=300.0, ge=30, le=86_400, description="standing so long with the ignition on is told")
    tow_m: float = Field(
        default=200.0, ge=20, le=10_000, description="moving so far with the ignition off is told as a tow"
    )
    supply: Path | None = Field(
        default=None,
        description="file that says 1 while the gateway has its supply; the kernel's first mains supply if absent",
    )


class Outbox(Settings):
    """Where records wait."""

    path: Path = Field(default=Path("/var/lib/odograph/outbox.db"), description="the SQLite file of the outbox")
    max_mb: float = Field(
        default=256.0,
        ge=1,
        le=100_000,
        description="how large the outbox may grow; then the oldest fixes are thinned, and dropped when all are thinned",
    )
    thin_m: float = Field(
        default=5.0,
        ge=1,
        le=100,
        description="error bound of thinned fixes: none was farther from the line that is left",
    )


class Log(Settings):
    """Log lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is written"
    )


class AgentSettings(Settings):
    """The whole file."""

    device: Device
    hub: Hub
    gnss: Gnss
    obd: Obd | None = None
    sampling: Sampling = Sampling()
    budget: Budget = Budget()
    guard: Guard = Guard()
    outbox: Outbox = Outbox()
    log: Log = Log()

    @model_validator(mode="before")
    @classmethod
    def _profile_elsewhere(cls, data: Any) -> Any:
        """A profile also has values for other sections; the bus needs one of its own to be asked at all."""
        profile = _profile(data.get("sampling")) if isinstance(data, dict) else None
        if profile is None:
            return data
        out = dict(data)
        for name, values in profile.sections.items():
            told = data.get(name, None if name == "obd" else {})
            if isinstance(told, dict):
                out[name] = {**values, **told}
        return out
