"""The agent's settings: one TOML file, every key declared here with its text."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from wire.ops.settings import Settings
from wire.topics import IDENTITY


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


class Gnss(Settings):
    """The receiver."""

    source: Literal["serial", "gpsd"] = Field(
        default="serial", description="`serial` for a port, `gpsd` for a running gpsd"
    )
    path: Path | None = Field(default=None, description="serial port, best by its stable name under /dev/serial/by-id/")
    baud: int = Field(default=9600, ge=1200, le=921_600, description="speed of the serial port")
    host: str = Field(default="127.0.0.1", description="where gpsd listens")
    port: int = Field(default=2947, ge=1, le=65_535, description="port of gpsd")

    @model_validator(mode="after")
    def _has_port(self) -> "Gnss":
        if self.source == "serial" and self.path is None:
            raise ValueError("source is serial: `path` must name the port")
        return self


class Obd(Settings):
    """The ELM327 adapter."""

    path: Path = Field(description="serial port of the adapter")
    baud: int = Field(default=38_400, ge=1200, le=921_600, description="speed of the serial port")
    rate_hz: float = Field(default=5.0, gt=0, le=20, description="queries a second at most")


class Sampling(Settings):
    """What goes out, and how often."""

    eps_m: float = Field(default=10.0, ge=1, le=1000, description="error bound of the live position")
    heartbeat_moving_s: float = Field(
        default=60.0, ge=1, le=3600, description="longest silence while the vehicle is not parked"
    )
    heartbeat_parked_s: float = Field(default=300.0, ge=1, le=86_400, description="longest silence while it is parked")
    upload_s: float = Field(default=60.0, ge=0.5, le=86_400, description="interval of the track upload")
    commit_s: float = Field(
        default=5.0, ge=0.1, le=60, description="fixes of so many seconds are written to disk together"
    )


class Outbox(Settings):
    """Where records wait."""

    path: Path = Field(default=Path("/var/lib/odograph/outbox.db"), description="the SQLite file of the outbox")


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
    outbox: Outbox = Outbox()
    log: Log = Log()
