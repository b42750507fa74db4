"""The pages for installers and fleet ops, done: each command of the hub in order on a real data folder, then the running hub."""

import asyncio
import os
import pwd
import re
import shlex
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bench.yard import Hub, free_port
from hub import cli as hub_cli
from tests.rigs import binary, server
from wire.errors import RefusedError
from wire.ops.mqtt import Connection, login

pytestmark = pytest.mark.e2e
DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("installer.md", "fleet-ops.md")
OF_A_RUNNING_HUB = {"ledger", "quarantine", "backup", "restore"}
"""They want something to have come in: `tests/hub/test_books.py` and `test_backup.py` call them."""


def blocks(page: str, kind: str) -> list[str]:
    """The blocks of a page, with its long lines joined."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [block.replace("\\\n", "") for block in re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)]


def lines(page: str, program: str) -> list[str]:
    """The lines of a page that call a program."""
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.split()[:1] == [program]]


def here(text: str, root: Path) -> str:
    """The paths of an installation as paths below a folder."""
    return re.sub(r"/(?=(?:etc|var/lib)/)", f"{root}/", text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc/odograph", "etc/mosquitto", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/odograph/hub.toml").touch()
    return tmp_path


def call(line: str, root: Path, capture: pytest.CaptureFixture[str]) -> str:
    assert hub_cli.main(shlex.split(here(line, root))[1:]) == 0, f"{line}: {capture.readouterr().err}"
    return capture.readouterr().out


def test_the_commands_of_the_hub_work_in_the_order_of_the_pages(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, str] = {}
    for page in PAGES:
        for line in lines(page, "odograph-hub"):
            if line.split()[1] not in {"run", *OF_A_RUNNING_HUB}:
                said[line] = call(line, root, capsys)
    assert {line.split()[1] for line in said} == {
        "fleet", "vehicle", "device", "token", "login-code", "config", "mosquitto",
    }  # fmt: skip
    data, out = root / "var/lib/odograph-hub", root / "etc/mosquitto/odograph"
    assert {path.name for path in data.glob("gw-*.secret")} == {"gw-000001.secret", "gw-000100.secret"}
    assert "user gw-000001" in (out / "acl_file").read_text()
    assert {path.name for path in out.iterdir()} == {"acl_file", "password_file", "odograph.conf"}
    (listed,) = [text for line, text in said.items() if "device list" in line]
    assert re.search(r"gw-000001 +main .*van-1", listed)
    assert re.search(r"gw-000100 +north .*truck-1", listed)


async def test_the_running_hub_answers_what_the_page_asks(root: Path, tmp_path: Path) -> None:
    hub = Hub(root / "var/lib/odograph-hub")
    vehicle, device = (shlex.split(here(line, root))[1:] for line in lines("installer.md", "odograph-hub"))
    await hub.command(*vehicle[: vehicle.index("--data")])
    await hub.command(*device[: device.index("--data")])
    token = str((await hub.json("token", "add", "dispatch"))["token"])
    await hub.start()
    try:
        asked = [re.findall(r"http://\S+?(?=\")", line)[0] for line in lines("fleet-ops.md", "curl")]
        asked += [
            f"http://127.0.0.1:8080{path}"
            for path in re.findall(r"(?<=`)/[\w/.-]+(?:\?[^`]*)?(?=`)", section("Now and then") + section("Health"))
        ]
        assert len(asked) > 8
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            for url in asked:
                answer = await client.get(url.replace("http://127.0.0.1:8080", hub.http))
                assert answer.status_code == 200, f"{url}: {answer.text}"
            plus = {"from": "2026-11-22T08:00:00+02:00"}
            await client.get(f"{hub.http}/v1/vehicles/van-1/track", params=plus)
            bare = await client.get(f"{hub.http}/v1/vehicles/van-1/track?from=2026-11-22T08:00:00+02:00")
            assert bare.status_code == 422, "a + in a URL is a space"
        assert await first_line(hub, token) == "hello []"
    finally:
        await hub.process.stop()


def section(head: str) -> str:
    """What stands below a heading of the page for fleet ops."""
    text = (DOCS / "fleet-ops.md").read_text(encoding="utf-8")
    return next(part for part in text.split("\n## ") if part.startswith(head))


async def first_line(hub: Hub, token: str) -> str:
    """What the example of the stream prints first."""
    (source,) = blocks("fleet-ops.md", "python stream")
    source = source.replace("ws://127.0.0.1:8080", hub.http.replace("http", "ws", 1))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TOKEN": token},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(10):
            said = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
    finally:
        process.terminate()
        await process.communicate()
    assert said[1] == "snapshot ['van-1']"
    return said[0]


def certify(root: Path, folder: str, name: str) -> None:
    """Make the CA and the hub's certificate as the page does, for a name."""
    for line in lines("fleet-ops.md", "openssl"):
        command = shlex.split(line.replace("hub.example", name))
        subprocess.run(command, check=True, capture_output=True, cwd=root)
    (root / folder).mkdir(exist_ok=True)
    for file in ("hub.pem", "hub.key"):
        (root / file).rename(root / folder / file)


def test_the_certificates_are_good_for_strict_clients(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certify(root, "etc/odograph", "hub.example")
    (root / "etc/odograph/hub.toml").write_text(here(tls_settings(), root), encoding="utf-8")
    call("odograph-hub config check --config /etc/odograph/hub.toml", root, capsys)
    for name, fine in (("hub.example", True), ("other.example", False)):
        assert shakes_hands(root, name) is fine


def tls_settings() -> str:
    (settings,) = [block for block in blocks("fleet-ops.md", "toml") if "tls_cert" in block]
    return settings


async def only_with_its_secret(url: str, secret: str, ca: Path) -> None:
    """A gateway comes in by TLS, with its own secret and not with another."""
    gateway = await Connection.open(login(url, "gw-000001", secret=secret, ca_file=str(ca)), lambda _topic, _data: None)
    await gateway.publish("odo/1/gw-000001/up/live", b"{}")
    await gateway.close()
    with pytest.raises(RefusedError):
        await Connection.open(login(url, "gw-000001", secret="wrong", ca_file=str(ca)), lambda _topic, _data: None)


async def introduced(hub: Hub) -> str:
    """The secret of a gateway that the hub knows now."""
    await hub.command("vehicle", "add", "van-1")
    return str((await hub.json("device", "add", "gw-000001", "--vehicle", "van-1"))["secret"])


async def test_a_vehicle_comes_in_by_the_embedded_broker(root: Path) -> None:
    certify(root, "etc/odograph", "localhost")
    port = free_port()
    settings = here(tls_settings(), root).replace("8883", str(port)).replace("0.0.0.0", "127.0.0.1")
    hub = Hub(root / "var/lib/odograph-hub", settings=settings + "\n[http]\nport = 0\n")
    secret = await introduced(hub)
    await hub.process.start()
    try:
        assert f" mqtts://127.0.0.1:{port}" in await hub.process.said("ready http")
        await only_with_its_secret(f"mqtts://localhost:{port}", secret, root / "ca.pem")
    finally:
        await hub.process.stop()


async def test_a_vehicle_comes_in_by_mosquitto(root: Path) -> None:
    certify(root, "etc/mosquitto/certs", "localhost")
    hub, out = Hub(root / "var/lib/odograph-hub"), root / "etc/mosquitto/odograph"
    secret = await introduced(hub)
    inside, outside = free_port(), free_port()
    await hub.command("mosquitto", "--out", str(out), "--listener", f"{inside} 127.0.0.1")
    (listener,) = blocks("fleet-ops.md", "conf")
    (out / "vehicles.conf").write_text(here(listener, root).replace("8883", str(outside)), encoding="utf-8")
    user = f"user {pwd.getpwuid(os.getuid()).pw_name}"
    (root / "mosquitto.conf").write_text(f"{user}\ninclude_dir {out}\n", encoding="utf-8")
    command = [binary("mosquitto"), "-c", str(root / "mosquitto.conf")]
    with server(*command, port=outside, log=root / "mosquitto.log"):
        await only_with_its_secret(f"mqtts://localhost:{outside}", secret, root / "ca.pem")
        heard = re.findall(r"listen socket on port (\d+)", (root / "mosquitto.log").read_text())
        assert {int(port) for port in heard} == {inside, outside}, "nothing listens that the files do not name"


def shakes_hands(root: Path, name: str) -> bool:
    """Whether a client that knows the CA believes the hub's certificate, as strictly as Python 3.13 looks."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(root / "etc/odograph/hub.pem", root / "etc/odograph/hub.key")
    client = ssl.create_default_context(cafile=str(root / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    waiting = 1
    for step in range(8):
        try:
            ends[step % 2].do_handshake()
            waiting = 0
        except ssl.SSLWantReadError:
            waiting = 1
        except ssl.SSLCertVerificationError:
            return False
    return waiting == 0
