"""What the settings name is looked at before the start: each fault alone, and what passes."""

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import checks
from agent.adapters.bluetooth import rfcomm
from agent.checks import load_whole, look
from tests.rigs import binary
from wire.errors import SettingsError


@pytest.fixture
def data(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Settings of a gateway where all is well; the receiver's port is a pty."""
    master, slave = os.openpty()
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "gnss").symlink_to(os.ttyname(slave))
    yield {
        "device": {"id": "gw-1", "secret_file": str(tmp_path / "secret")}, "hub": {"url": "mqtt://h"},
        "gnss": {"path": str(tmp_path / "gnss")}, "outbox": {"path": str(tmp_path / "deep" / "er" / "o.db")},
    }  # fmt: skip
    os.close(master)
    os.close(slave)


@pytest.fixture
def no_right(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Paths that the agent has no right to; the tests may run as root, who has every right."""
    closed: set[Path] = set()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in closed and access(path, mode))
    return closed


def test_all_is_well_and_nothing_is_made(data: dict[str, Any], tmp_path: Path) -> None:
    assert look(data) == checks.Found()
    assert not (tmp_path / "deep").exists()


def test_secret(data: dict[str, Any], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.chmod(0o640)
    assert look(data).faults == [f"{secret}: others may read this secret; do: chmod 600 {secret}"]
    secret.chmod(0o600)
    secret.write_text(" \n")
    assert look(data).faults == [f"{secret}: the secret is empty"]
    secret.write_bytes(b"\xff\xfe")
    assert look(data).faults == [f"{secret}: the secret is no text"]
    secret.unlink()
    assert look(data).faults == [f"{secret}: the secret can't be read: No such file or directory"]


def test_speeds_that_mean_nothing_or_are_mistyped(data: dict[str, Any]) -> None:
    data["gnss"]["baud"] = 9601
    data["obd"] = {"host": "192.0.2.7", "baud": 38_400}
    assert look(data).warnings == [
        "gnss.baud: 9601 is no usual speed; meant 9600?", "obd.baud: ignored, as this is no serial port",
    ]  # fmt: skip
    data["gnss"] = {"source": "gpsd", "baud": "auto"}
    data["obd"] = {"path": data["device"]["secret_file"], "baud": 115_200}
    assert look(data).warnings == ["gnss.baud: ignored, as this is no serial port"]


def test_a_file_that_is_not_there_names_examples(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no such file; make one \(examples: firmware-configs/\), or name another"):
        load_whole(tmp_path / "agent.toml")


def test_ca_file(data: dict[str, Any], tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    data["hub"]["ca_file"] = str(ca)
    assert look(data).faults == [f"{ca}: no certificate can be read: No such file or directory"]
    ca.write_text("hello")
    assert look(data).faults[0].startswith(f"{ca}: no certificate can be read: ")
    command = [binary("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=x", "-keyout", f"{ca}.key", "-out", str(ca)]
    subprocess.run(command, check=True, capture_output=True)
    assert look(data).faults == []


def test_outbox(data: dict[str, Any], tmp_path: Path, no_right: set[Path]) -> None:
    box = tmp_path / "deep" / "er" / "o.db"
    no_right.add(tmp_path)
    assert look(data).faults == [f"{box}: the outbox can't be kept: no right to write in {tmp_path}"]
    no_right.clear()
    (tmp_path / "deep").write_text("")
    assert look(data).faults == [f"{box}: the outbox can't be kept: {tmp_path}/deep is no folder"]
    (tmp_path / "deep").unlink()
    box.mkdir(parents=True)
    assert look(data).faults == [f"{box}: the outbox can't be kept: this is a folder; outbox.path names a file"]
    box.rmdir()
    box.write_text("")
    assert look(data).faults == []
    no_right.add(box)
    assert look(data).faults == [f"{box}: the outbox can't be kept: no right to read and write it"]


def test_ports(data: dict[str, Any], tmp_path: Path, no_right: set[Path]) -> None:
    gnss, obd = tmp_path / "gnss", tmp_path / "obd"
    data["obd"] = {"path": str(obd)}
    found = look(data)
    assert (found.faults, found.ports, len(found.warnings)) == ([], [], 1)
    assert found.warnings[0].startswith(f"{obd}: no such port now; is it plugged in")
    obd.write_text("")
    assert look(data).ports == [f"{obd}: this is no serial port"]
    obd.unlink()
    obd.symlink_to(obd)
    assert look(data).ports == [f"{obd}: Too many levels of symbolic links"]
    obd.unlink()
    obd.symlink_to(gnss)
    no_right.add(gnss)
    assert look(data).ports == [
        f"{gnss}: no right to read and write it; add the user of the agent to the group dialout",
        f"{obd}: gnss.path and obd.path are the same port",
    ]
    data["gnss"] |= {"source": "gpsd"}
    assert look(data) == checks.Found(), "gpsd holds the port then"


def test_an_address_to_listen_at(data: dict[str, Any]) -> None:
    for host in ({}, {"host": "127.0.0.1"}, {"host": "gw.lan"}, {"host": 5}):
        data["gnss"] = {"source": "udp", "port": 10110, **host}
        assert look(data) == checks.Found(), host
    data["gnss"] = {"source": "udp", "port": 10110, "host": "192.0.2.1"}
    assert look(data).ports == [
        "gnss.host: 192.0.2.1 is no address of this machine now: Cannot assign requested address"
    ]


def test_bluetooth_where_there_is_none(data: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data["obd"] = {"bluetooth": "00:1D:A5:68:98:8B"}
    monkeypatch.setattr(checks, "rfcomm", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    assert look(data).ports == []
    monkeypatch.delattr(socket, "AF_BLUETOOTH", raising=False)
    monkeypatch.setattr(checks, "rfcomm", rfcomm)
    assert look(data).ports == [
        "obd.bluetooth: this Python was built without Bluetooth; bind the adapter with rfcomm, and set obd.path to "
        "/dev/rfcomm0 instead"
    ]
    monkeypatch.setattr(checks, "rfcomm", lambda: socket.socket(12345))
    assert look(data).ports[0].startswith("obd.bluetooth: this kernel has no RFCOMM: Address family not supported")


def test_what_is_no_path_is_told_by_the_file_and_a_nul_here() -> None:
    strange: dict[str, Any] = {"device": 5, "hub": {"ca_file": 7}, "gnss": {"path": "a\0b"}, "outbox": {"path": "o.db"}}
    assert look(strange) == checks.Found(["gnss.path: a path can't hold a NUL"])


def written(folder: Path, data: dict[str, Any], more: str = "") -> Path:
    path = folder / "agent.toml"
    sections = (
        f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()) for name, keys in data.items()
    )
    path.write_text("".join(sections) + more)
    return path


def test_a_port_that_refuses_us_stops_the_check_and_not_the_start(
    data: dict[str, Any], tmp_path: Path, no_right: set[Path]
) -> None:
    no_right.add(tmp_path / "gnss")
    path = written(tmp_path, data)
    with pytest.raises(SettingsError, match="dialout"):
        load_whole(path)
    settings, warnings = load_whole(path, starting=True)
    assert settings.device.id == "gw-1"
    assert len(warnings) == 1
    (tmp_path / "secret").unlink()
    for starting in (False, True):
        with pytest.raises(SettingsError) as told:
            load_whole(written(tmp_path, data, "[cloud]\n"), starting=starting)
        assert len(told.value.faults) == 3, "of the file, of the secret, of the port"


def test_a_pty_is_a_port(data: dict[str, Any], tmp_path: Path) -> None:
    assert stat.S_ISCHR((tmp_path / "gnss").stat().st_mode)
    assert load_whole(written(tmp_path, data))[1] == []
