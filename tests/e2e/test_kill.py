"""kill -9 of each part during a run: what the outbox has committed is in the store exactly once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from bench.demo.measure import count
from bench.yard import Gateway, Hub, default_settings, free_port
from tests.e2e.parts import drained, exported
from tests.rigs import RECORDINGS, mosquitto

pytestmark = pytest.mark.e2e

SAMPLING = "[sampling]\nupload_s = 0.5\ncommit_s = 0.3\n"
PATIENCE = "spread_s = 1\nsilent_s = 2\n"


@contextlib.asynccontextmanager
async def driving(hub: Hub, folder: Path, *, mqtt: str | None = None) -> AsyncIterator[Gateway]:
    """One vehicle at four times the pace of a real drive, until the hub has seen it."""
    gateway = Gateway(
        "gw-kill-1", "kill-1", RECORDINGS / "nds-drive33.csv.gz", folder / "v", mqtt or hub.mqtt,
        extra=SAMPLING, hub_extra=PATIENCE, speed=4.0,
    )  # fmt: skip
    await gateway.introduce(hub)
    await gateway.start_rig()
    await gateway.start_agent()
    try:
        await asyncio.sleep(4)
        yield gateway
    finally:
        await gateway.stop()


async def proven(hub: Hub, gateway: Gateway, *, at_least: int) -> None:
    """Stop the drive, let everything drain, and hold the outbox against the store, fix by fix."""
    await gateway.rig.stop()
    await drained(gateway)
    await gateway.agent.stop()
    outcome = count(gateway.outbox, await exported(hub, gateway.vehicle))
    assert outcome.lost == 0
    assert outcome.duplicates == 0
    assert outcome.recorded == outcome.committed >= at_least


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    one = Hub(tmp_path / "hub", settings=default_settings(http_port=free_port(), mqtt_port=free_port()))
    await one.start()
    yield one
    await one.process.stop()


async def test_the_agent_is_killed(hub: Hub, tmp_path: Path) -> None:
    async with driving(hub, tmp_path) as gateway:
        for _ in range(3):
            await gateway.agent.kill()
            await gateway.start_agent()
            await asyncio.sleep(3)
        await proven(hub, gateway, at_least=30)


async def test_the_hub_is_killed(hub: Hub, tmp_path: Path) -> None:
    async with driving(hub, tmp_path) as gateway:
        for _ in range(2):
            servers = {p.pid for p in psutil.Process(hub.process.pid).children(recursive=True)}
            await hub.process.kill()
            await asyncio.sleep(1)
            assert not [pid for pid in servers if alive(pid)], "its Valkey goes with it"
            await hub.start()
            await asyncio.sleep(4)
        await proven(hub, gateway, at_least=40)


async def test_valkey_is_killed(hub: Hub, tmp_path: Path) -> None:
    async with driving(hub, tmp_path) as gateway:
        for _ in range(2):
            servers = [p for p in psutil.Process(hub.process.pid).children(recursive=True) if "valkey" in p.name()]
            assert len(servers) == 1
            servers[0].kill()
            await asyncio.sleep(3)
        assert await exported(hub, gateway.vehicle), "the store does not need it"
        await proven(hub, gateway, at_least=30)


async def test_the_broker_is_killed(tmp_path: Path) -> None:
    port = free_port()
    hub = Hub(
        tmp_path / "hub",
        settings=f'[http]\nport = {free_port()}\n\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n',
    )
    tmp_path.chmod(0o755)
    gateway = Gateway(
        "gw-kill-1", "kill-1", RECORDINGS / "nds-drive33.csv.gz", tmp_path / "v", f"mqtt://127.0.0.1:{port}",
        extra=SAMPLING, hub_extra=PATIENCE, speed=4.0,
    )  # fmt: skip
    await gateway.introduce(hub)
    files = tmp_path / "mosquitto"
    await hub.command("mosquitto", "--out", str(files))
    lines = ["allow_anonymous false", f"password_file {files / 'password_file'}", f"acl_file {files / 'acl_file'}"]
    for round_ in range(3):
        broker = contextlib.ExitStack()
        broker.enter_context(mosquitto(tmp_path, lines, port))
        if round_ == 0:
            await hub.start()
            await gateway.start_rig()
            await gateway.start_agent()
        await asyncio.sleep(4)
        if round_ < 2:
            brokers = [process for process in psutil.Process().children() if process.name() == "mosquitto"]
            assert len(brokers) == 1
            brokers[0].kill()
            broker.close()
            await asyncio.sleep(0.5)
    try:
        await proven(hub, gateway, at_least=30)
    finally:
        await gateway.stop()
        await hub.process.stop()
        broker.close()
