"""Settings of the hub: one TOML file, all of it optional. Each setting is declared here once, with its text."""

import ipaddress
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from wire.ops.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Http(Settings):
    """The API, the stream and the page."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")


class Mqtt(Settings):
    """The broker: embedded, unless a URL names another."""

    url: str | None = Field(default=None, description="mqtt://host:port or mqtts://host:port of another broker")
    ca_file: str | None = Field(default=None, description="certificates that the other broker's is checked against")
    host: str = Field(default="127.0.0.1", description="address that the embedded broker listens on")
    port: int = Field(default=1883, ge=0, le=65535, description="port of the embedded broker; 0 takes a free one")
    tls_cert: str | None = Field(default=None, description="certificate chain of the embedded broker, as PEM")
    tls_key: str | None = Field(default=None, description="key of that certificate, as PEM")
    max_connections: int = Field(default=1000, ge=2, le=20_000, description="connections to the embedded broker")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.url is not None and urlsplit(self.url).scheme not in {"mqtt", "mqtts"}:
            raise ValueError("url wants mqtt:// or mqtts://")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self


class Redis(Settings):
    """Redis 7.0 or newer, or Valkey: embedded, unless a URL names another."""

    url: str | None = Field(default=None, description="redis://host:port/0, rediss://… or unix:///path")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.url is not None and urlsplit(self.url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("url wants redis://, rediss:// or unix://")
        return self


class Store(Settings):
    """The store: SQLite in the data folder, unless a URL names a PostgreSQL."""

    url: str | None = Field(default=None, description="postgresql://user@host:port/database")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.url is not None and urlsplit(self.url).scheme not in {"postgresql", "postgres"}:
            raise ValueError("url wants postgresql://")
        return self


class Page(Settings):
    """The live page."""

    tile_url: str | None = Field(
        default=None, description="https://host/{z}/{x}/{y}.png of a tile server; none: built-in map"
    )
    attribution: str = Field(default="", description="what the tile server wants to be said")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tile_url is not None and not self.tile_url.startswith(("https://", "http://")):
            raise ValueError("tile_url wants https://")
        return self


class Limits(Settings):
    """What one client may take."""

    stream_clients: int = Field(default=1000, ge=1, le=100_000, description="WebSocket clients at the same time")
    client_rate: float = Field(default=100, gt=0, description="frames a second that one WebSocket client may send")
    client_silent_s: float = Field(
        default=20, gt=0, description="how long a client may not take a frame before it is closed"
    )
    near_vehicles: int = Field(default=200, ge=1, le=10_000, description="vehicles in one answer of /v1/near")
    inbox_batches: int = Field(default=2000, ge=1, description="track batches that may wait for the store")
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
