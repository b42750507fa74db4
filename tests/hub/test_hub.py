"""The hub as a process with real parts: a device's way in, kills, other parts by URL, rights that end."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets

from bench.yard import Hub, default_settings, free_port
from hub import cli
from tests import rigs
from tests.hub.conftest import emptied
from tests.hub.makers import STORE, a_batch, h_at
from tests.rigs import eventually
from wire.codec import decode_ack, decode_command, encode_event, encode_live, encode_outcome, encode_status
from wire.errors import LinkDownError, OdographError
from wire.messages import Ack, Command, CommandOutcome, Event, Live, Status
from wire.ops.clock import utc_ms
from wire.ops.mqtt import Connection, Will, login
from wire.track import encode_batch

pytestmark = pytest.mark.e2e


class Gateway:
    """A device that speaks the wire, and remembers what the hub said."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.name = hub, name
        self.secret = ""
        self.acks: list[Ack] = []
        self.commands: list[Command] = []
        self.seq = 0
        self.link: Connection | None = None

    async def add(self, vehicle: str) -> None:
        await self.hub.command("vehicle", "add", vehicle)
        made = await self.hub.json("device", "add", self.name, "--vehicle", vehicle, "--from", "2020-01-01")
        self.secret = str(made["secret"])

    def topic(self, name: str, way: str = "up") -> str:
        return f"odo/1/{self.name}/{way}/{name}"

    def hear(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/cmd"):
            self.commands.append(decode_command(payload))
        else:
            self.acks.append(decode_ack(payload))

    async def connect(self) -> None:
        """As an agent does: until the hub lets it in."""

        async def tried() -> bool:
            try:
                will = Will(self.topic("status"), encode_status(Status(False, f"c{len(self.acks)}")))
                where = login(self.hub.mqtt, self.name, secret=self.secret)
                self.link = await Connection.open(where, self.hear, will=will)
            except OdographError:
                return False
            return True

        connection = f"c{len(self.acks)}"
        await eventually(tried)
        assert self.link is not None
        await self.link.subscribe(self.topic("ack", "down"), self.topic("cmd", "down"))
        on = Status(True, connection, "0.1", STORE, self.seq, self.seq, 2.0)
        await self.link.publish(self.topic("status"), encode_status(on), retain=True)

    async def say(self, name: str, payload: bytes, *, retain: bool = False) -> None:
        assert self.link is not None
        await self.link.publish(self.topic(name), payload, retain=retain)

    async def live(self, lat: float = 41.0) -> int:
        at_ms = utc_ms()
        await self.say("live", encode_live(Live(at_ms, lat, -96.0, 5.0, 90.0)), retain=True)
        return at_ms

    async def batch(self, n: int = 10) -> None:
        """The next rows, sent until they are acked."""
        batch = a_batch(self.seq + 1, n, start_ms=1_760_000_000_000)
        for _ in range(20):
            with contextlib.suppress(OdographError):
                await self.say("track", encode_batch(batch))
            with contextlib.suppress(AssertionError):
                await eventually(lambda: any(ack.upto == batch.last for ack in self.acks), within_s=1)
                break
            with contextlib.suppress(OdographError, AssertionError):
                if self.link is None or self.link.lost.done():
                    await self.connect()
        else:
            raise AssertionError("never acked")
        self.seq = batch.last

    async def close(self) -> None:
        if self.link is not None:
            await self.link.close()


class Site:
    """A hub process with its devices and a token."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.hub = Hub(folder, settings)
        self.devices: list[Gateway] = []
        self.token = ""

    async def start(self) -> None:
        if not self.token:
            self.token = str((await self.hub.json("token", "add", "test"))["token"])
        await self.hub.start()
        for device in self.devices:
            await device.connect()

    async def stop(self) -> int:
        for device in self.devices:
            await device.close()
        return await self.hub.process.stop()

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.hub.http, headers={"Authorization": f"Bearer {self.token}"}) as http:
            return await http.get(path)

    async def seqs(self, vehicle: str = "van-1") -> list[int]:
        text = (await self.get(f"/v1/vehicles/{vehicle}/track?from=0&format=ndjson")).text
        return [json.loads(line)["seq"] for line in text.splitlines()]

    async def shows(self, check: Callable[[Any], bool], vehicle: str = "van-1") -> None:
        async def fits() -> bool:
            return check((await self.get(f"/v1/vehicles/{vehicle}")).json())

        await eventually(fits)

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[websockets.ClientConnection]:
        url = self.hub.http.replace("http", "ws") + "/v1/stream"
        async with websockets.connect(url, close_timeout=0.2) as socket:
            await socket.send(json.dumps({"op": "auth", "token": self.token}))
            await socket.send('{"op":"sub","id":1,"topic":"vehicles"}')
            yield socket


@pytest.fixture(scope="session")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two vehicles, their devices and a token, made once by the command line."""
    folder = tmp_path_factory.mktemp("peopled")
    known: dict[str, str] = {}
    for i in range(2):
        for words in (
            ["vehicle", "add", f"van-{i + 1}"],
            [
                "device",
                "add",
                f"gw-{i}",
                "--vehicle",
                f"van-{i + 1}",
                "--from",
                "2020-01-01",
                "--secret-out",
                str(folder / f"gw-{i}"),
            ],
        ):
            assert cli.main([*words, "--data", str(folder / "data")]) == 0
        known[f"gw-{i}"] = (folder / f"gw-{i}").read_text().strip()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["token", "add", "test", "--json", "--data", str(folder / "data")]) == 0
    known["token"] = json.loads(out.getvalue())["token"]
    (folder / "known.json").write_text(json.dumps(known))
    return folder


@pytest.fixture
async def site(tmp_path: Path, peopled: Path) -> AsyncIterator[Site]:
    shutil.copytree(peopled / "data", tmp_path / "site" / "data")
    made = Site(tmp_path / "site")
    known = json.loads((peopled / "known.json").read_text())
    made.token = known["token"]
    for name in ("gw-0", "gw-1"):
        device = Gateway(made.hub, name)
        device.secret = known[name]
        made.devices.append(device)
    await made.start()
    yield made
    await made.stop()


def valkeys(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "valkey" in child.name()]


async def test_from_the_device_to_the_stream(site: Site) -> None:
    van, other = site.devices
    async with site.stream() as socket:
        frames = [json.loads(await socket.recv()) for _ in range(2)]
        assert [frame["op"] for frame in frames] == ["hello", "snapshot"]
        at_ms = await van.live()
        while (frame := json.loads(await asyncio.wait_for(socket.recv(), 5)))["vehicles"][0]["live"] is None:
            pass
        assert (frame["vehicles"][0]["veh"], frame["vehicles"][0]["live"]["t"]) == ("van-1", at_ms)
    await van.batch(10)
    await van.batch(10)
    assert van.acks[-1] == Ack(STORE, 20, h_at(20), live_ms=at_ms)
    assert await site.seqs() == list(range(1, 21))
    assert await site.seqs("van-2") == []
    await van.say("event", encode_event(STORE, Event(21, at_ms, "sos", 41.0, -96.0)))
    await eventually(lambda: van.acks[-1].events == (21,))
    near = (await site.get("/v1/near?lat=41&lon=-96")).json()
    assert [vehicle["veh"] for vehicle in near["vehicles"]] == ["van-1"]
    assert other.acks
    assert other.link is not None
    other.link.drop(LinkDownError("cut"))
    await site.shows(lambda vehicle: vehicle["on"] is False, "van-2")
    await site.shows(lambda vehicle: vehicle["on"] is True)


async def test_who_is_followed_by_name_is_asked_to_be_exact(site: Site) -> None:
    van, other = site.devices
    async with site.stream() as socket:
        assert van.commands == [], "all vehicles are on a list"
        await socket.send('{"op":"sub","id":2,"topic":"vehicles","where":{"ids":["van-1"]}}')
        await eventually(lambda: bool(van.commands))
        command = van.commands[0]
        assert (command.op, command.eps_m) == ("watch", 5.0)
        assert command.until_ms is not None
        assert 50_000 < command.until_ms - utc_ms() <= 60_000
        await van.say("cmd", encode_outcome(CommandOutcome(command.id, ok=False, why="over-budget")))

        async def counted() -> bool:
            return 'command_outcome_total{why="over-budget"} 1' in (await site.get("/metrics")).text

        await eventually(counted)
        assert (len(van.commands), other.commands) == (1, [])


async def test_nobody_is_disturbed_by_junk_on_every_door(site: Site) -> None:
    van, other = site.devices
    for name in ("live", "track", "event", "status", "pair"):
        for junk in (b"", b"junk", b"{}", b"\xff" * 40, b"[" * 900, b'{"v":1}\n'):
            await van.say(name, junk)
    assert van.link is not None
    van.link.publish("odo/1/gw-1/up/live", b"forged")
    van.link.publish("odo/1/gw-1/down/ack", b"forged")
    _reader, writer = await asyncio.open_connection("127.0.0.1", int(site.hub.mqtt.rsplit(":", 1)[1]))
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 50)
    await other.live(42.0)
    await other.batch(10)
    await van.batch(10)
    await site.shows(lambda vehicle: (vehicle["live"] or {}).get("lat") == 42, "van-2")
    metrics = (await site.get("/metrics")).text
    assert 'odograph_hub_ingest_refused_total{topic="live"' in metrics
    assert "odograph_hub_track_bad_total 5" in metrics
    writer.close()


async def test_a_killed_hub_has_everything_that_it_acked_once(site: Site) -> None:
    van = site.devices[0]
    for _ in range(3):
        await van.batch(10)
        at_ms = await van.live()
        old = valkeys(site.hub.process.pid)
        await site.hub.process.kill()
        await eventually(lambda gone=old: not any(process.is_running() for process in gone))
        await site.hub.start()
        await van.connect()
    await van.batch(10)
    assert await site.seqs() == list(range(1, 41))
    await van.live()
    await site.shows(lambda vehicle: (vehicle["live"] or {}).get("t", 0) > at_ms)


async def test_a_killed_valkey_is_filled_again_and_no_ack_waits_for_it(site: Site) -> None:
    van = site.devices[0]
    at_ms = await van.live()
    await site.shows(lambda vehicle: vehicle["live"] is not None)
    (valkey,) = valkeys(site.hub.process.pid)
    valkey.kill()
    await van.batch(10)
    new_ms = await van.live(43.0)

    async def near() -> bool:
        answer = await site.get("/v1/near?lat=43&lon=-96")
        return answer.status_code == 200 and [v["veh"] for v in answer.json()["vehicles"]] == ["van-1"]

    await eventually(near)
    await site.shows(lambda vehicle: vehicle["live"]["t"] == new_ms and vehicle["on"])
    assert new_ms > at_ms
    assert len(valkeys(site.hub.process.pid)) == 1

    async def ready() -> bool:
        return (await site.get("/health/ready")).status_code == 200

    await eventually(ready)


async def test_a_suspended_device_is_out_within_two_seconds_and_may_come_back(site: Site) -> None:
    van, other = site.devices
    await site.hub.command("device", "suspend", "gw-0")
    assert van.link is not None
    assert other.link is not None
    await asyncio.wait_for(asyncio.shield(van.link.lost), 2)
    with pytest.raises(OdographError):
        await Connection.open(login(site.hub.mqtt, "gw-0", secret=van.secret), lambda _t, _p: None)
    await site.shows(lambda vehicle: vehicle["on"] is False)
    assert not other.link.lost.done()
    await site.hub.command("device", "resume", "gw-0")
    await van.connect()
    await van.batch(10)


async def test_one_hub_on_one_data_folder_and_a_clean_end(site: Site) -> None:
    second = await asyncio.create_subprocess_exec(
        *site.hub.process._arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _out, err = await asyncio.wait_for(second.communicate(), 20)
    assert second.returncode == 4
    assert b"another hub runs" in err
    servers = valkeys(site.hub.process.pid)
    async with site.stream() as socket:
        await socket.recv()
        os.kill(site.hub.process.pid, signal.SIGTERM)
        frames = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                frames.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
        assert frames[-1] == {"op": "bye", "retry_ms": 1000}
    assert await site.stop() == 0
    assert not any(process.is_running() for process in servers)
    log = site.hub.process.log.read_text()
    assert "Traceback" not in log
    assert "Task" not in log


async def test_secrets_are_in_no_log(site: Site) -> None:
    van = site.devices[0]
    await van.batch(10)
    code = str((await site.hub.json("login-code"))["code"])
    async with httpx.AsyncClient(base_url=site.hub.http) as http:
        token = (await http.post("/v1/login", json={"code": code})).json()["token"]
        assert (await http.get("/v1/vehicles", headers={"Authorization": f"Bearer {token}"})).status_code == 200
        await http.post("/v1/login", json={"code": code})
    with pytest.raises(OdographError):
        await Connection.open(login(site.hub.mqtt, "gw-0", secret="wrong-secret"), lambda _t, _p: None)
    log = site.hub.process.log.read_text()
    assert "login.failed" in log
    for secret in (van.secret, site.token, code, token, "wrong-secret"):
        assert secret not in log


async def test_mosquitto_redis_and_postgresql_by_url(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    """The same with all three parts replaced, and each of them restarted."""
    await emptied(postgres_url)
    port = free_port()
    settings = (
        default_settings()
        + f'url = "mqtt://127.0.0.1:{port}"\n[redis]\nurl = "{redis_url}"\n[store]\nurl = "{postgres_url}"\n'
    )
    site = Site(tmp_path / "site", settings)
    devices = [Gateway(site.hub, "gw-0"), Gateway(site.hub, "gw-1")]
    for device, vehicle in zip(devices, ("van-1", "van-2"), strict=True):
        await device.add(vehicle)
    files = tmp_path / "mosquitto"
    await site.hub.command("mosquitto", "--out", str(files))
    lines = [line for line in (files / "odograph.conf").read_text().splitlines() if not line.startswith("listener")]
    with rigs.mosquitto(tmp_path, lines, port):
        site.devices = devices
        await site.start()
        assert site.hub.mqtt == f"mqtt://127.0.0.1:{port}"
        van = devices[0]
        await van.batch(10)
        await van.live()
        await site.shows(lambda vehicle: vehicle["on"] and vehicle["live"] is not None)
        await site.hub.process.kill()
        await site.hub.start()
        await site.shows(lambda vehicle: vehicle["on"])  # from the retained status
        await van.batch(10)
    with rigs.mosquitto(tmp_path, lines, port):  # a broker that comes back empty
        await van.batch(10)
        await van.live(44.0)
        await site.shows(lambda vehicle: vehicle["live"]["lat"] == 44)
        assert await site.seqs() == list(range(1, 31))
        assert await site.stop() == 0
    assert "Traceback" not in site.hub.process.log.read_text()
