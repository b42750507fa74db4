"""What can be checked of the settings without starting: secret, CA file, outbox folder, ports. All faults are named at once."""

import ipaddress
import os
import socket
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path

from agent.adapters.bluetooth import rfcomm
from agent.settings import AgentSettings, Outbox
from wire.errors import SettingsError, UnavailableError
from wire.ops.settings import check, read, secret

Data = dict[str, object]
WAY_ROUND = "bind the adapter with rfcomm, and set obd.path to /dev/rfcomm0 instead"
USUAL = (
    1200, 1800, 2400, 4800, 9600, 14_400, 19_200, 28_800, 38_400, 57_600, 115_200, 230_400, 256_000, 460_800, 500_000, 576_000,
    921_600,
)  # fmt: skip
"""Speeds that serial devices have; another one is likely mistyped."""
EXAMPLES = Path(__file__).parent / "firmware_configs"
"""In the wheel; a clone has them as `firmware-configs`."""
PATHS = (("device", "secret_file"), ("hub", "ca_file"), ("gnss", "path"), ("obd", "path"), ("outbox", "path"))


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong. A port that refuses us is a fault, but no reason not to start: it may be mended while we run."""

    faults: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def load_whole(path: Path, *, starting: bool = False) -> tuple[AgentSettings, list[str]]:
    """The settings, and what is only worth a warning. Raises SettingsError with all faults of the file and around it.

    `starting` lets ports that refuse us pass, if all the rest is fine: the agent opens them again and again anyway.
    """
    data = read(path, examples=f" (examples: {EXAMPLES if EXAMPLES.exists() else 'firmware-configs/'})")
    found = look(data)
    try:
        settings = check(data, AgentSettings, source=str(path))
    except SettingsError as error:
        raise SettingsError([*error.faults, *found.faults, *found.ports]) from None
    if found.faults or (found.ports and not starting):
        raise SettingsError([*found.faults, *found.ports])
    return settings, [*found.ports, *found.warnings]


def look(data: Data) -> Found:
    """Look at what the file names. Its own faults are told elsewhere: what is no path is passed over."""
    found = Found()
    found.faults.extend(
        f"{section}.{key}: a path can't hold a NUL"
        for section, key in PATHS
        if "\0" in str(_section(data, section).get(key))
    )
    _look_at_secret(_path(data, "device", "secret_file"), found)
    _look_at_ca(_path(data, "hub", "ca_file"), found)
    _look_at_outbox(_path(data, "outbox", "path") or Outbox().path, found)
    gnss = _section(data, "gnss")
    receiver = _path(data, "gnss", "path") if gnss.get("source", "serial") == "serial" else None
    adapter = _path(data, "obd", "path")
    for port in (receiver, adapter):
        _look_at_port(port, found)
    _look_at_baud(data, "gnss", found, used=gnss.get("source", "serial") == "serial")
    _look_at_baud(data, "obd", found, used="path" in _section(data, "obd"))
    if gnss.get("source") == "udp":
        _look_at_address(gnss.get("host"), found)
    if isinstance(_section(data, "obd").get("bluetooth"), str):
        _look_at_bluetooth(found)
    if receiver and adapter and os.path.realpath(receiver) == os.path.realpath(adapter):
        found.ports.append(f"{adapter}: gnss.path and obd.path are the same port")
    return found


def _section(data: Data, name: str) -> Data:
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def _path(data: Data, section: str, key: str) -> Path | None:
    value = _section(data, section).get(key)
    return Path(value) if isinstance(value, str) and "\0" not in value else None


def _look_at_secret(path: Path | None, found: Found) -> None:
    if path is not None:
        try:
            secret(path)
        except SettingsError as error:
            found.faults.extend(error.faults)
        except UnicodeDecodeError:
            found.faults.append(f"{path}: the secret is no text")


def _look_at_ca(path: Path | None, found: Found) -> None:
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # SSLError too
            found.faults.append(f"{path}: no certificate can be read: {error.strerror or error}")


def _look_at_outbox(path: Path, found: Found) -> None:
    """The file, or the nearest folder above it that is there: the rest is made at start."""
    if os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises where a folder above may not be searched
        found.faults.append(f"{path}: the outbox can't be kept: this is a folder; outbox.path names a file")
        return
    if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
        found.faults.append(f"{path}: the outbox can't be kept: no right to read and write it")
        return
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):  # noqa: PTH112  # likewise
        found.faults.append(f"{path}: the outbox can't be kept: {folder} is no folder")
    elif not os.access(folder, os.W_OK | os.X_OK):
        found.faults.append(f"{path}: the outbox can't be kept: no right to write in {folder}")


def _look_at_port(path: Path | None, found: Found) -> None:
    if path is None:
        return
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        found.warnings.append(
            f"{path}: no such port now; is it plugged in, and is the path right (see /dev/serial/by-id)?"
        )
        return
    except OSError as error:
        found.ports.append(f"{path}: {error.strerror}")
        return
    if not stat.S_ISCHR(mode):
        found.ports.append(f"{path}: this is no serial port")
    elif not os.access(path, os.R_OK | os.W_OK):
        found.ports.append(f"{path}: no right to read and write it; add the user of the agent to the group dialout")


def _look_at_baud(data: Data, section: str, found: Found, *, used: bool) -> None:
    baud = _section(data, section).get("baud")
    if baud is not None and not used:
        found.warnings.append(f"{section}.baud: ignored, as this is no serial port")
    elif type(baud) is int and baud not in USUAL:
        near = min(USUAL, key=lambda usual: abs(usual - baud))
        found.warnings.append(f"{section}.baud: {baud} is no usual speed; meant {near}?")


def _look_at_address(host: object, found: Found) -> None:
    """Whether datagrams can be listened for there; a port of one's own choice does not disturb an agent that runs."""
    try:
        address = ipaddress.ip_address(host if isinstance(host, str) else "0.0.0.0")  # noqa: S104  # what the settings mean by none
    except ValueError:  # a name, or nonsense, which is told elsewhere
        return
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as ear:
            ear.bind((str(address), 0))
    except OSError as error:
        found.ports.append(f"gnss.host: {address} is no address of this machine now: {error.strerror}")


def _look_at_bluetooth(found: Found) -> None:
    try:
        rfcomm().close()
    except UnavailableError as error:
        found.ports.append(f"obd.bluetooth: {error}; {WAY_ROUND}")
    except OSError as error:
        found.ports.append(f"obd.bluetooth: this kernel has no RFCOMM: {error.strerror}; {WAY_ROUND}")
