"""The same pipe on Mosquitto, Redis and PostgreSQL: from the serial byte to REST and the stream."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bench.demo.measure import Watched, count, live_errors_m, percentile, truths
from bench.yard import Gateway, Hub, free_port
from hub.clients.stream import Stream
from tests.e2e.parts import drained, exported, token_of
from tests.rigs import RECORDINGS, mosquitto, postgres, redis_server
from wire.ops import clock

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the other parts are."""

    folder: Path
    redis: str
    postgres: str


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path))
        store = stack.enter_context(postgres(tmp_path))
        yield Parts(tmp_path, redis, store)


async def watch(hub: Hub, watched: Watched) -> None:
    async with Stream(hub.http.replace("http", "ws", 1), await token_of(hub)) as stream:
        await stream.subscribe(1, {"ids": ["bus-1"]})
        async for frame in stream:
            for vehicle in frame.get("vehicles", ()):
                watched.take(vehicle, clock.utc_ms())


async def test_serial_byte_to_browser_on_mosquitto_redis_and_postgres(parts: Parts) -> None:
    port = free_port()
    hub = Hub(
        parts.folder / "hub",
        settings=f'[http]\nport = 0\n\n[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\n\n[redis]\nurl = "{parts.redis}"\n\n'
        f'[store]\nurl = "{parts.postgres}"\n',
    )
    gateway = Gateway(
        "gw-bus-1", "bus-1", RECORDINGS / "nds-drive10.csv.gz", parts.folder / "bus", f"mqtt://127.0.0.1:{port}",
        extra="[sampling]\nupload_s = 1\ncommit_s = 0.5\n",
    )  # fmt: skip
    await gateway.introduce(hub)
    files = parts.folder / "mosquitto"
    await hub.command("mosquitto", "--out", str(files))
    lines = ["allow_anonymous false", f"password_file {files / 'password_file'}", f"acl_file {files / 'acl_file'}"]
    with mosquitto(parts.folder, lines, port):
        await hub.start()
        watched = Watched()
        watching = asyncio.ensure_future(watch(hub, watched))
        try:
            await gateway.start_rig()
            await gateway.start_agent()
            await asyncio.sleep(15)
            await gateway.rig.stop()
            await drained(gateway)
            export = await exported(hub, "bus-1")
            await _rest_agrees(hub)
        finally:
            watching.cancel()
            await gateway.stop()
            await hub.process.stop()
    outcome = count(gateway.outbox, export)
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert outcome.recorded >= 12
    rows = [json.loads(line) for line in export.splitlines()]
    assert any("rpm" in row for row in rows), "the bus travels with the fixes"
    errors = live_errors_m(watched, truths(gateway.truth), [])
    assert len(errors) >= 10
    assert percentile(errors, 0.95) <= 10.0


async def _rest_agrees(hub: Hub) -> None:
    headers = {"Authorization": f"Bearer {await token_of(hub)}"}
    async with httpx.AsyncClient(base_url=hub.http, headers=headers, trust_env=False) as client:
        (vehicle,) = (await client.get("/v1/vehicles")).raise_for_status().json()["vehicles"]
        assert vehicle["veh"] == "bus-1"
        live = vehicle["live"]
        near = {"lat": live["lat"], "lon": live["lon"], "radius_m": 500}
        found = (await client.get("/v1/near", params=near)).raise_for_status().json()["vehicles"]
        assert [v["veh"] for v in found] == ["bus-1"]
        assert (await client.get("/health/ready")).status_code == 200
        gpx = (await client.get("/v1/vehicles/bus-1/track", params={"format": "gpx", "from": "0"})).raise_for_status()
        assert "<trkpt" in gpx.text
        geo = (
            await client.get("/v1/vehicles/bus-1/track", params={"format": "geojson", "from": "0"})
        ).raise_for_status()
        assert geo.json()["geometry"]["type"] == "MultiLineString"
        assert (await client.get("/v1/vehicles", headers={"Authorization": "Bearer wrong"})).status_code == 401
