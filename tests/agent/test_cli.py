"""The command line of the agent: help with an example, exit status, and a clear word for each fault; never a traceback."""

import gzip
import json
import os
import sys
from pathlib import Path

import pytest

from agent import cli
from tests.rigs import RECORDINGS
from wire import VERSION

PLUG = "is it plugged in, and is the path right (see /dev/serial/by-id)?"
DRIVE = RECORDINGS / "nds-drive06.csv"


class Shell:
    """Runs the command line in this process; gives status, output and error output."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._patch.setattr(sys, "argv", ["odograph-agent", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = self._capture.readouterr()
        status = end.value.code
        assert isinstance(status, int | None)
        return status or 0, said.out, said.err


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return written(tmp_path)


def written(folder: Path, *, hub: str = 'url = "mqtt://127.0.0.1:1"', outbox: str = "") -> Path:
    path, key = folder / "agent.toml", folder / "secret"
    key.write_text("s3cret\n")
    key.chmod(0o600)
    path.write_text(
        f'[device]\nid = "gw-1"\nsecret_file = "{key}"\n[hub]\n{hub}\n[gnss]\npath = "{folder / "gnss"}"\n'
        f'[outbox]\npath = "{outbox or folder / "outbox.db"}"\n'
    )
    return path


@pytest.mark.parametrize("command", [(), ("run",), ("rig",), ("status",), ("config",)])
def test_help_has_an_example_and_the_exit_status(shell: Shell, command: tuple[str, ...]) -> None:
    status, out, err = shell(*command, "--help")
    assert (status, err) == (0, "")
    assert f"example:\n  odograph-agent {command[0] if command else 'run'} " in out
    assert "exit status:" in out


def test_the_version(shell: Shell) -> None:
    assert shell("--version") == (0, f"odograph-agent {VERSION}\n", "")


@pytest.mark.parametrize("wrong", [(), ("dance",), ("rig",), ("rig", DRIVE), ("config", "mend"), ("run", "--fast")])
def test_wrong_arguments_are_status_2(shell: Shell, wrong: tuple[object, ...]) -> None:
    status, out, err = shell(*wrong)
    assert (status, out) == (2, "")
    assert "usage: odograph-agent" in err


def test_a_good_file_is_fine(shell: Shell, config: Path) -> None:
    status, out, err = shell("config", "check", "--config", config)
    assert (status, out) == (0, f"{config}: fine, for gw-1 at mqtt://127.0.0.1:1\n")
    assert err == f"warning: {config.parent}/gnss: no such port now; {PLUG}\n", "adapters come and go"


def test_what_the_file_names_is_looked_at_and_all_is_told_at_once(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = written(
        tmp_path, hub=f'url = "mqtts://h"\nca_file = "{tmp_path}/ca.pem"', outbox=f"{tmp_path}/file/outbox.db"
    )
    (tmp_path / "secret").chmod(0o644)
    (tmp_path / "gnss").write_text("")
    path.write_text(path.read_text() + "[cloud]\n")
    for command in (("config", "check"), ("run",)):
        status, out, err = shell(*command, "--config", path)
        assert (status, out) == (2, "")
        assert err.splitlines() == [
            f"error: {path}: cloud: unknown setting; remove it or mend its name",
            f"error: {tmp_path}/secret: others may read this secret; do: chmod 600 {tmp_path}/secret",
            f"error: {tmp_path}/ca.pem: no certificate can be read: No such file or directory",
            f"error: {tmp_path}/file/outbox.db: the outbox can't be kept: {tmp_path}/file is no folder",
            f"error: {tmp_path}/gnss: this is no serial port",
        ]


@pytest.mark.parametrize("command", [("run",), ("status",), ("config", "check")])
def test_all_faults_of_a_file_are_named_by_each_command(shell: Shell, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        '[device]\nid = "GW"\n[hub]\nurl = "mqtt://u:p@h"\n[gnss]\n[obd]\nrate_hz = 0\n[cloud]\n[outbox]\npath = "o.db"\n'
    )
    status, out, err = shell(*command, "--config", path)
    assert (status, out) == (2, "")
    places = ["device.id", "device.secret_file", "hub.url", "gnss.path", "obd.path", "obd.rate_hz", "cloud"]
    assert [line.removeprefix(f"error: {path}: ").split(": ")[0] for line in err.splitlines()] == places


def test_no_file(shell: Shell, tmp_path: Path) -> None:
    status, _, err = shell("config", "check", "--config", tmp_path / "none.toml")
    assert status == 2
    assert (
        err
        == f"error: {tmp_path}/none.toml: there is no such file; make one (examples: firmware-configs/), or name another with --config\n"
    )


def test_status_without_an_agent(shell: Shell, config: Path) -> None:
    status, out, _ = shell("status", "--config", config)
    assert status == 3
    assert out.splitlines()[0] == "the agent does not run"
    status, out, _ = shell("status", "--config", config, "--json")
    assert (status, json.loads(out)) == (3, {"running": False, "outbox": None})


def test_run_without_a_secret(shell: Shell, config: Path) -> None:
    key = config.parent / "secret"
    key.chmod(0o640)
    assert shell("run", "--config", config)[::2] == (
        2, f"error: {key}: others may read this secret; do: chmod 600 {key}\n",
    )  # fmt: skip
    key.chmod(0o600)
    key.write_text("\n")
    assert shell("run", "--config", config)[::2] == (2, f"error: {key}: the secret is empty\n")
    key.unlink()
    assert shell("run", "--config", config)[::2] == (
        2, f"error: {key}: the secret can't be read: No such file or directory\n",
    )  # fmt: skip


def test_run_with_a_certificate_that_is_none(shell: Shell, tmp_path: Path) -> None:
    for content in (None, b"no certificate\n"):
        ca = tmp_path / "ca.pem"
        if content is not None:
            ca.write_bytes(content)
        path = written(tmp_path, hub=f'url = "mqtts://127.0.0.1:1"\nca_file = "{ca}"')
        status, _, err = shell("run", "--config", path)
        assert status == 2
        assert err.startswith(f"error: {ca}: no certificate can be read: ")


def test_run_where_no_outbox_can_be(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    for path, cause in (
        (tmp_path / "file" / "o.db", f"{tmp_path}/file is no folder"),
        (tmp_path / "folder.db", "a folder"),
    ):
        (tmp_path / "file").write_text("")
        status, _, err = shell("run", "--config", written(tmp_path, outbox=str(path)))
        assert (status, err.count("\n")) == (2, 1)
        assert err.startswith(f"error: {path}: the outbox can't be kept: ")
        assert cause in err


def broken(folder: Path) -> dict[str, tuple[Path, int, str]]:
    """Recordings that are none: status and what is said."""
    packed = gzip.compress(DRIVE.read_bytes())
    files = {
        "none": (None, 2, "No such file"),
        "picture.png": (b"\x89PNG\r\n\x1a\n" + os.urandom(500), 5, "format"),
        "empty.csv": (b"", 5, ""),
        "words.csv": (b"a,b\nhello,world\n", 5, ""),
        "bytes.csv": (b"\xff\xfe\x00" * 100, 5, ""),
        "noise.nmea": (os.urandom(5000), 5, ""),
        "cut.csv.gz": (packed[: len(packed) // 2], 2, "cut.csv.gz"),
        "damaged.csv.gz": (packed[:200] + bytes(200) + packed[400:], 2, "damaged.csv.gz"),
        "plain.csv.gz": (b"no gzip", 2, "plain.csv.gz"),
        "bad.gpx": (b"<gpx><trk>", 5, ""),
        "bomb.gpx": (b'<!DOCTYPE a [<!ENTITY b "b">]><gpx>&b;</gpx>', 5, ""),
    }
    out = {}
    for name, (content, status, text) in files.items():
        if content is not None:
            (folder / name).write_bytes(content)
        out[name] = (folder / name, status, text)
    return out | {"folder": (folder, 2, "directory")}


def test_recordings_that_are_none_are_told(shell: Shell, tmp_path: Path) -> None:
    for kind, (path, wanted, text) in broken(tmp_path).items():
        status, out, err = shell("rig", path, "--link", tmp_path / "line")
        assert (status, out) == (wanted, ""), (kind, err)
        assert err.startswith("error: "), kind
        assert text in err, kind
        assert not (tmp_path / "line").exists(), kind


@pytest.mark.parametrize(
    ("option", "value"),
    [("--speed", "0"), ("--speed", "nan"), ("--speed", "inf"), ("--speed", "-1"), ("--duration", "-1"), ("--duration", "nan"),
     ("--start", "later"), ("--start", "nan"), ("--start", "1e9"), ("--truth", "/nowhere/truth"), ("--obd", "/nowhere/x.csv")],
)  # fmt: skip
def test_options_of_the_rig_that_can_not_be(shell: Shell, tmp_path: Path, option: str, value: str) -> None:
    status, out, err = shell("rig", DRIVE, "--link", tmp_path / "line", f"{option}={value}")
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert value.rpartition("/")[2] in err


def test_the_rig_tells_as_json(shell: Shell, tmp_path: Path) -> None:
    status, out, err = shell("rig", DRIVE, "--link", tmp_path / "line", "--duration", 1, "--speed", 20, "--json")
    assert (status, err) == (0, "")
    ports, end = map(json.loads, out.splitlines())
    assert ports["gnss"].startswith("/dev/pts/")
    assert ports["obd"].startswith("/dev/pts/")
    assert ports["link"] == str(tmp_path / "line")
    assert end["sent"] > 0


def test_a_file_where_the_links_should_be(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "line").write_text("")
    status, _, err = shell("rig", DRIVE, "--link", tmp_path / "line")
    assert status == 3
    assert err.startswith(f"error: --link {tmp_path}/line: ")
