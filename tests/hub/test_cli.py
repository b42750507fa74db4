"""The command line: what it does, what it says, how it ends."""

import argparse
import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import cli
from hub.core.access import matches
from tests.hub.conftest import emptied
from wire.ops.main import EXIT

Capture = pytest.CaptureFixture[str]


class Shell:
    """Calls of `odograph-hub` on one data folder."""

    def __init__(self, data: Path, capture: Capture) -> None:
        self.data = data
        self._capture = capture

    def run(self, *words: str) -> tuple[int, str, str]:
        try:
            status = cli.main([*words, "--data", str(self.data)])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = self._capture.readouterr()
        return status, out, err

    def json(self, *words: str) -> Any:
        status, out, err = self.run(*words, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, capsys: Capture) -> Shell:
    return Shell(tmp_path / "data", capsys)


def test_people_and_things_are_added_and_listed(shell: Shell) -> None:
    assert shell.run("fleet", "add", "north") == (0, "fleet north added\n", f"made a new store in {shell.data}\n")
    assert shell.json("fleet", "list") == [{"fleet": "main", "vehicles": 0}, {"fleet": "north", "vehicles": 0}]
    assert shell.json("vehicle", "add", "van-1", "--fleet", "main", "--name", "Van 1", "--tag", "a", "--tag", "b") == {
        "vehicle": "van-1", "fleet": "main", "name": "Van 1", "tags": ["a", "b"],
    }  # fmt: skip
    shell.json("vehicle", "add", "van-2", "--fleet", "main")
    assert [vehicle["name"] for vehicle in shell.json("vehicle", "list")] == ["Van 1", "van-2"]
    made = shell.json("device", "add", "gw-1", "--vehicle", "van-1", "--from", "2025-01-01")
    assert len(made["secret"]) >= 43
    assert shell.json("device", "bind", "gw-1", "--vehicle", "van-2") == {"device": "gw-1", "vehicle": "van-2"}
    shell.json("device", "suspend", "gw-1")
    (device,) = shell.json("device", "list")
    assert (device["vehicle"], device["state"]) == ("van-2", "suspended")
    assert shell.json("device", "resume", "gw-1")["state"] == "active"
    token = shell.json("token", "add", "dash", "--fleet", "main", "--days", "1")
    assert token["expires_ms"] > 0
    assert [one["name"] for one in shell.json("token", "list")] == ["dash"]
    code = shell.json("login-code", "--fleet", "main")
    assert code["code"] not in shell.run("token", "list")[1]
    for words in (
        ("fleet", "list"),
        ("vehicle", "list"),
        ("device", "list"),
        ("token", "list"),
        ("login-code", "--fleet", "main"),
    ):
        status, out, _err = shell.run(*words)
        assert status == 0
        assert out.strip()
        assert token["token"] not in out


def test_a_secret_goes_to_a_file_for_its_owner_only(shell: Shell, tmp_path: Path) -> None:
    shell.json("vehicle", "add", "van-1")
    out = tmp_path / "gw-1.secret"
    told = shell.json("device", "add", "gw-1", "--vehicle", "van-1", "--secret-out", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "secret" not in told
    assert stat.S_IMODE(shell.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((shell.data / "odograph.db").stat().st_mode) == 0o600
    assert shell.run("mosquitto", "--out", str(tmp_path / "m"))[0] == 0
    for path in (shell.data / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_never_overwrites_another_and_can_be_made_anew(shell: Shell, tmp_path: Path) -> None:
    shell.json("vehicle", "add", "van-1")
    out = tmp_path / "gw-1.secret"
    shell.json("device", "add", "gw-1", "--vehicle", "van-1", "--secret-out", str(out))
    before = out.read_text()
    for words in (("device", "add", "gw-2", "--vehicle", "van-1"), ("device", "secret", "gw-1")):
        status, _out, err = shell.run(*words, "--secret-out", str(out))
        assert (status, out.read_text()) == (4, before)
        assert "is there already" in err
    assert [device["device"] for device in shell.json("device", "list")] == ["gw-1"], "nothing was added"
    fresh = tmp_path / "gw-1.new"
    assert shell.json("device", "secret", "gw-1", "--secret-out", str(fresh))["secret_file"] == str(fresh)
    assert fresh.read_text() != before
    assert len(shell.json("device", "secret", "gw-1")["secret"]) >= 43
    assert shell.run("device", "secret", "gw-9")[0] == 4


def test_tokens_have_names_of_their_own_and_are_revoked_by_them(shell: Shell) -> None:
    shell.json("fleet", "add", "north")
    for fleet in ("main", "north"):
        shell.json("token", "add", "dash", "--fleet", fleet)
    assert shell.run("token", "add", "dash", "--fleet", "main")[0] == 4
    assert shell.json("token", "revoke", "dash", "--fleet", "main") == {"name": "dash", "fleet": "main"}
    assert [one["fleet"] for one in shell.json("token", "list")] == ["north"]
    status, _out, err = shell.run("token", "revoke", "dash", "--fleet", "main")
    assert status == 4
    assert "no token dash" in err


def test_mosquittos_files(shell: Shell, tmp_path: Path) -> None:
    shell.json("vehicle", "add", "van-1")
    secret = shell.json("device", "add", "gw-1", "--vehicle", "van-1")["secret"]
    shell.json("device", "add", "gw-2", "--vehicle", "van-1")
    shell.json("device", "suspend", "gw-2")
    out = tmp_path / "m"
    told = shell.json("mosquitto", "--out", str(out), "--listener", "1884 0.0.0.0")
    assert told["identities"] == ["gw-1", "hub-1-bulk", "hub-1-fast"]
    hashes = dict(line.split(":", 1) for line in (out / "password_file").read_text().splitlines())
    assert matches(hashes["gw-1"], secret)
    own = Path(told["own"]["hub-1-fast"]).read_text().strip()
    assert matches(hashes["hub-1-fast"], own)
    assert "user gw-2" not in (out / "acl_file").read_text()
    assert "listener 1884 0.0.0.0" in (out / "odograph.conf").read_text()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("vehicle", "add", "van-1", "--fleet", "nowhere"), 4, "there is no fleet nowhere"),
        (("vehicle", "add", "Van 1"), 2, "wants a-z"),
        (("fleet", "add", "main"), 4, "there is a fleet main already"),
        (("fleet", "add", "Ä"), 2, "wants a-z"),
        (("device", "add", "gw-1", "--vehicle", "nothing"), 4, "there is no vehicle nothing"),
        (("device", "add", "ph-1", "--vehicle", "nothing"), 2, "wants gw-"),
        (("device", "add", "gw-1", "--vehicle", "x", "--from", "soon"), 5, "--from"),
        (("device", "suspend", "gw-9"), 4, "there is no device gw-9"),
        (("token", "add", "x", "--scope", "admin"), 2, "unrecognized arguments"),
        (("token", "add", "x", "--days", "nan"), 2, "--days"),
        (("token", "add", "x", "--days", "-1"), 2, "--days"),
        (("token", "add", "x", "--days", "1e9"), 2, "--days"),
        (("run", "--config", "/nowhere.toml"), 2, "there is no such file"),
        (("config", "check", "--config", "/nowhere.toml"), 2, "there is no such file"),
        (("fly",), 2, "invalid choice"),
    ],
)
def test_what_is_wrong_is_said_with_a_status(shell: Shell, words: tuple[str, ...], status: int, said: str) -> None:
    shell.run("vehicle", "add", "van-0")
    got, _out, err = shell.run(*words)
    assert (got, said in err) == (status, True), err
    assert "Traceback" not in err


NEEDS_A_STORE = [
    ("fleet", "list"), ("vehicle", "list"), ("device", "list"), ("device", "bind", "gw-1", "--vehicle", "van-1"),
    ("device", "suspend", "gw-1"), ("device", "resume", "gw-1"), ("token", "add", "x"), ("token", "list"), ("login-code",),
]  # fmt: skip


@pytest.mark.parametrize("words", NEEDS_A_STORE)
def test_in_the_wrong_folder_nothing_is_made(shell: Shell, words: tuple[str, ...]) -> None:
    status, out, err = shell.run(*words)
    assert (status, out) == (4, "")
    assert err == f"error: there is no store in {shell.data} yet; name the hub's folder with --data DIR\n"
    assert not shell.data.exists()


def test_what_introduces_makes_a_store_and_says_so_once(shell: Shell, tmp_path: Path) -> None:
    for number, words in enumerate(
        (("fleet", "add", "north"), ("vehicle", "add", "van-1"), ("mosquitto", "--out", str(tmp_path / "m")))
    ):
        shell.data = tmp_path / str(number)
        assert shell.run(*words)[::2] == (0, f"made a new store in {shell.data}\n")
        assert shell.run("device", "list")[::2] == (0, "")
        assert shell.run("vehicle", "add", "van-2", "--fleet", "main")[::2] == (0, "")
    shell.data = tmp_path / "device"
    status, _out, err = shell.run("device", "add", "gw-1", "--vehicle", "van-1")
    assert (status, err.splitlines()[0]) == (4, f"made a new store in {shell.data}")


def test_a_data_folder_that_can_be_none(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shell.data = tmp_path / "file" / "data"
    for words in (("vehicle", "add", "van-1"), ("run",)):
        status, _out, err = shell.run(*words)
        assert (status, "can't be" in err, len(err.splitlines())) == (4, True, 1), err


def test_postgresql_is_told_without_its_password(shell: Shell, tmp_path: Path, postgres_url: str) -> None:
    asyncio.run(emptied(postgres_url))
    config = tmp_path / "hub.toml"
    config.write_text(f'[store]\nurl = "{postgres_url.replace("odograph@", "odograph:geheim@")}"\n')
    status, _out, err = shell.run("token", "add", "x", "--config", str(config))
    assert (status, "store.url" in err) == (4, True)
    status, _out, err = shell.run("vehicle", "add", "van-1", "--config", str(config))
    assert (status, err) == (0, f"made a new store in {postgres_url.replace('odograph@', '')}\n")
    assert shell.run("mosquitto", "--out", str(tmp_path / "m"), "--config", str(config))[0] == 0
    own = (shell.data / "secrets" / "hub-1-fast").read_text()
    shell.data = tmp_path / "elsewhere"  # one store, another folder: the running hub must not be shut out
    status, _out, err = shell.run("mosquitto", "--out", str(tmp_path / "m"), "--config", str(config))
    assert (status, "--data DIR" in err) == (4, True)
    assert shell.run("token", "add", "x", "--config", str(config))[0] == 0
    assert not shell.data.exists()
    hashes = dict(line.split(":", 1) for line in (tmp_path / "m" / "password_file").read_text().splitlines())
    assert matches(hashes["hub-1-fast"], own.strip())


def test_with_several_fleets_one_has_to_say_which(shell: Shell) -> None:
    shell.run("fleet", "add", "north")
    status, _out, err = shell.run("vehicle", "add", "van-1")
    assert (status, "--fleet: main, north" in err) == (4, True)


def test_config_check(shell: Shell, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[http]\nport = 0\n")
    bad.write_text("[http]\nport = -1\nhots = 'x'\n")
    assert shell.run("config", "check", "--config", str(good))[0] == 0
    status, _out, err = shell.run("config", "check", "--config", str(bad))
    assert (status, err.count("error: ")) == (2, 2)


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from commands(sub)
    yield parser


def test_every_command_has_an_example_that_parses() -> None:
    import shlex

    found = list(commands(cli.parser()))
    assert len(found) == 24 + 6 + 1  # commands, their groups, and the whole
    for command in found:
        assert (command.epilog or "").endswith(EXIT), command.prog
        example = (command.epilog or "").splitlines()[1]
        words = shlex.split(example)
        assert " ".join(words).startswith(command.prog), command.prog
        assert words[0] == "odograph-hub", command.prog
        assert cli.parser().parse_args(words[1:]).work
        assert command.format_help()


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hub import admin

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert admin.data_folder(None) == tmp_path / "odograph-data"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/x")
    assert admin.data_folder(None) == Path("/var/lib/x/odograph")
    assert admin.data_folder("there") == tmp_path / "there"
