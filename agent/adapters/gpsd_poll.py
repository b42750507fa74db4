"""One look at gpsd through gpsd-py3, for `odograph-agent status`: it blocks, polls and never reconnects, so not for more."""

import socket
from dataclasses import dataclass
from typing import IO

import gpsd

from wire.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Look:
    """What gpsd says now. `device` is the path of the receiver, `driver` how gpsd speaks to it."""

    mode: int
    time: str
    lat_deg: float
    lon_deg: float
    sats_seen: int
    sats_used: int
    device: str = ""
    driver: str = ""


def look(host: str = "127.0.0.1", port: int = 2947, *, timeout_s: float = 3.0) -> Look:
    """Ask once. Raises UnavailableError if gpsd does not answer or has no active receiver."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)  # the library takes no time limit, and its socket is a global of the module
    try:
        gpsd.connect(host, port)  # type: ignore[no-untyped-call]  # gpsd-py3 has no types
        now = gpsd.get_current()  # type: ignore[no-untyped-call]  # gpsd-py3 has no types
        devices = gpsd.state.get("devices", {}).get("devices", [])
    except UserWarning as error:
        raise UnavailableError(f"gpsd at {host}:{port} has no active receiver") from error
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise UnavailableError(f"gpsd at {host}:{port} gives no position: {error!r}") from error
    finally:
        socket.setdefaulttimeout(before)
        _hang_up()
    first = devices[0] if devices else {}
    return Look(
        now.mode, now.time, now.lat, now.lon, now.sats, now.sats_valid,
        device=str(first.get("path", "")), driver=str(first.get("driver", "")),
    )  # fmt: skip


def _hang_up() -> None:
    parts: tuple[IO[str] | socket.socket | None, ...] = (gpsd.gpsd_stream, gpsd.gpsd_socket)
    for part in parts:
        if part is not None:
            part.close()
    gpsd.gpsd_stream = gpsd.gpsd_socket = None
