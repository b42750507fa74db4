"""The doors of both settings files: every fault is named at once, and nothing secret is told."""

import asyncio
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

AGENT = """
[device]
id = "van"
secret_file = "HERE/s"
[hub]
url = "http://x"
keepalive_s = 1
[gnss]
source = "serial"
baudrate = 9600
[outbox]
path = "HERE/outbox.db"
[sampling]
eps_m = nan
[log]
level = "loud"
"""
HUB = """
fleet = "Not A Name"
log_level = "loud"
surprise = 1
[http]
port = 70000
[mqtt]
url = "http://x"
tls_cert = "only.pem"
[redis]
url = "memcached://x"
[store]
url = "mysql://x"
[limits]
client_rate = -1
"""
URL = """
[mqtt]
url = "mqtt://user:secret@127.0.0.1"
ca_file = "/nowhere/ca.pem"
[redis]
url = "redis://:secret@127.0.0.1:abc"
[store]
url = "postgresql://u:secret@127.0.0.1:abc/db"
[page]
tile_url = "https://[x/{z}/{x}/{y}.png"
"""
PORT = """
[http]
host = "a..b"
[mqtt]
url = "mqtt://127.0.0.1:99999"
tls_key = "/nowhere/key.pem"
[redis]
url = "redis://127.0.0.1:0"
[store]
url = "postgresql://u:se/cret@127.0.0.1/db"
"""
OPTION = """
[mqtt]
url = "mqtt://127.0.0.1?keepalive=1"
[redis]
url = "redis://:secret@127.0.0.1?foo=1"
[store]
url = "postgresql://u:secret@127.0.0.1/db?foo=1"
[limits]
client_rate = inf
"""
FAULTS = {
    "agent": ("device.id", "hub.url", "hub.keepalive_s", "gnss.path", "gnss.baudrate", "sampling.eps_m", "log.level"),
    "hub": (
        "fleet",
        "log_level",
        "surprise",
        "http.port",
        "mqtt.url",
        "mqtt.tls_cert",
        "mqtt.tls_key",
        "redis.url",
        "store.url",
        "limits.client_rate",
    ),
    "url": ("mqtt.url", "mqtt.ca_file", "redis.url", "store.url", "page.tile_url"),
    "port": ("http.host", "mqtt.url", "mqtt.tls_key", "redis.url", "store.url"),
    "option": ("mqtt.url", "redis.url", "store.url", "limits.client_rate"),
}


async def ended(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _out, err = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, err.decode()


@pytest.mark.parametrize("command", ["run", "config check"])
@pytest.mark.parametrize(
    ("case", "settings"), [("agent", AGENT), ("hub", HUB), ("url", URL), ("port", PORT), ("option", OPTION)]
)
async def test_every_fault_of_a_settings_file_is_named_at_once(
    tmp_path: Path, case: str, settings: str, command: str
) -> None:
    program = "agent" if case == "agent" else "hub"
    (tmp_path / "s").write_text("secret")
    (tmp_path / "s").chmod(0o600)
    (tmp_path / "x.toml").write_text(settings.replace("HERE", str(tmp_path)))
    status, err = await ended(f"{program}.cli", *command.split(), "--config", str(tmp_path / "x.toml"))
    assert status == 2, err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    for place in FAULTS[case]:
        assert any(f"x.toml: {place}: " in line for line in lines), f"{place} is not named:\n{err}"
    assert len(lines) == len(err.splitlines()) == len(FAULTS[case])
    assert "secret" not in err


@pytest.mark.parametrize("program", ["agent", "hub"])
@pytest.mark.parametrize("content", [b"[device\n", b"\xff\xfe", b"a = 1\na = 2\n", None])
async def test_a_file_that_is_no_settings_file_is_told(tmp_path: Path, program: str, content: bytes | None) -> None:
    path = tmp_path / "x.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    status, err = await ended(f"{program}.cli", "config", "check", "--config", str(path))
    assert status == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
