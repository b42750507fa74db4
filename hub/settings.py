"""Settings of the hub: one TOML file, all of it optional. Each setting is declared here once, with its text."""

import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from hub.urls import broker_url, is_host, is_loopback, redis_url, store_url, tiles_url
from wire.ops.settings import Settings

WITH_FILES = {"files": True}
"""The context of a check that reads the files that are named, too: of `run` and `config check`."""


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("wants an address or a host name")
    return text


Host = Annotated[str, AfterValidator(_host)]


def _reads_files(info: ValidationInfo) -> bool:
    return info.context is not None and bool(info.context["files"])


def _readable(path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None


class Http(Settings):
    """The API, the stream and the page."""

    host: Host = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")


class Mqtt(Settings):
    """The broker: embedded, unless a URL names another."""

    url: Annotated[str, AfterValidator(broker_url)] | None = Field(
        default=None, description="mqtt://host:port or mqtts://host:port of another broker"
    )
    ca_file: str | None = Field(default=None, description="certificates that the other broker's is checked against")
    host: Host = Field(default="127.0.0.1", description="address that the embedded broker listens on")
    port: int = Field(default=1883, ge=0, le=65535, description="port of the embedded broker; 0 takes a free one")
    tls_cert: str | None = Field(default=None, description="certificate chain of the embedded broker, as PEM")
    tls_key: str | None = Field(default=None, validate_default=True, description="key of that certificate, as PEM")
    max_connections: int = Field(default=1000, ge=2, le=20_000, description="connections to the embedded broker")

    @field_validator("ca_file")
    @classmethod
    def _trusts(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and _reads_files(info):
            _readable(value)
            try:
                ssl.create_default_context(cafile=value)
            except ssl.SSLError:
                raise ValueError(f"{value} holds no certificate as PEM") from None
        return value

    @field_validator("tls_cert")
    @classmethod
    def _shows(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and _reads_files(info):
            _readable(value)
        return value

    @field_validator("tls_key")
    @classmethod
    def _proves(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and _reads_files(info):
            _readable(value)
        cert = info.data.get("tls_cert", "")  # it is missing there if it has a fault of its own
        if (cert is None) != (value is None):
            raise ValueError("tls_cert and tls_key go together")
        if value is not None and cert and _reads_files(info):
            try:  # an encrypted key must not make the start ask for a password
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, value, password="")
            except (ssl.SSLError, ValueError):
                raise ValueError(f"{cert} and {value} are no certificate with its key, as PEM, not encrypted") from None
        return value


class Redis(Settings):
    """Redis 7.0 or newer, or Valkey: embedded, unless a URL names another."""

    url: Annotated[str, AfterValidator(redis_url)] | None = Field(
        default=None, description="redis://host:port/0, rediss://… or unix:///path"
    )


class Store(Settings):
    """The store: SQLite in the data folder, unless a URL names a PostgreSQL."""

    url: Annotated[str, AfterValidator(store_url)] | None = Field(
        default=None, description="postgresql://user@host:port/database"
    )


class Page(Settings):
    """The live page."""

    tile_url: Annotated[str, AfterValidator(tiles_url)] | None = Field(
        default=None, description="https://host/{z}/{x}/{y}.png of a tile server; none: built-in map"
    )
    attribution: str = Field(default="", description="what the tile server wants to be said")


class Limits(Settings):
    """What one client may take."""

    stream_clients: int = Field(default=1000, ge=1, le=100_000, description="WebSocket clients at the same time")
    client_rate: float = Field(default=100, gt=0, description="frames a second that one WebSocket client may send")
    client_silent_s: float = Field(
        default=20, gt=0, description="how long a client may not take a frame before it is closed"
    )
    near_vehicles: int = Field(default=200, ge=1, le=10_000, description="vehicles in one answer of /v1/near")
    inbox_batches: int = Field(default=2000, ge=1, description="track batches that may wait for the store")
    quarantine_mb: int = Field(
        default=256, ge=1, le=1_000_000, description="raw payloads kept of what can't be read, the oldest go first"
    )
    inbox_words: int = Field(default=10_000, ge=1, description="events and statuses that may wait for the store")


class Hub(Settings):
    """Settings of a hub."""

    name: str = Field(
        "1", pattern=r"^[a-z0-9]{1,12}$", description="name of this hub process, if several share a store"
    )
    fleet: str = Field(
        default="main", pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="fleet that a new store starts with"
    )
    insecure: bool = Field(default=False, description="allow listening beyond this machine without TLS")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="what is logged from")
    http: Http = Field(default_factory=Http)
    mqtt: Mqtt = Field(default_factory=Mqtt)
    redis: Redis = Field(default_factory=Redis)
    store: Store = Field(default_factory=Store)
    page: Page = Field(default_factory=Page)
    limits: Limits = Field(default_factory=Limits)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        open_doors = []
        if not is_loopback(self.http.host):
            open_doors.append(f"http.host {self.http.host}")
        if self.mqtt.url is None and self.mqtt.tls_cert is None and not is_loopback(self.mqtt.host):
            open_doors.append(f"mqtt.host {self.mqtt.host}")
        if open_doors and not self.insecure:
            raise ValueError(
                f"{' and '.join(open_doors)} would be open to the network without TLS: passwords and positions could be "
                "read on the way. Listen on 127.0.0.1 behind a TLS proxy, give mqtt.tls_cert and mqtt.tls_key, "
                "or set insecure = true"
            )
        return self
