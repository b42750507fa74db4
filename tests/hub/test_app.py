"""The hub put together, in this process: it runs, it looks after its parts, it ends."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub import admin, app
from hub.ground import open_store
from hub.settings import Hub
from tests.rigs import eventually
from wire.errors import RefusedError, UnavailableError
from wire.ops.mqtt import Connection, login
from wire.ops.settings import check, secret

SETTINGS = check({"http": {"port": 0}, "mqtt": {"port": 0}}, Hub, source="test")


async def test_it_runs_and_ends(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    running = asyncio.create_task(app.run(SETTINGS, tmp_path / "data", ready))
    await eventually(ready.exists)
    word, http, mqtt = ready.read_text().split()
    assert (word, http.startswith("http://127.0.0.1:"), mqtt.startswith("mqtt://127.0.0.1:")) == ("ready", True, True)
    with pytest.raises(RefusedError, match="another hub"):
        await app.run(SETTINGS, tmp_path / "data")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    async with app.assembled(SETTINGS, tmp_path / "data") as parts:
        assert parts.ingest.registry.fleets == ("main",)


async def test_a_broker_that_stops_serving_is_started_again_at_its_port(tmp_path: Path) -> None:
    async with app.assembled(SETTINGS, tmp_path / "data") as parts:
        assert parts.broker is not None
        keeper = asyncio.create_task(app._watch_broker(parts, SETTINGS))
        link = asyncio.create_task(parts.links[0].run())
        await eventually(lambda: parts.links[0].up)
        before, inner = parts.place.public, parts.broker._broker
        assert inner is not None
        assert inner._broadcast_task is not None
        inner._broadcast_task.cancel()
        await eventually(lambda: parts.watch.count("broker.died") == 1)
        await eventually(lambda: parts.links[0].up and parts.watch.count("mqtt.up") == 2)
        assert parts.broker.serves
        assert parts.place.public == before
        for task in (keeper, link):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_what_was_added_a_moment_ago_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every door, by another process, and without the half second that the registry may be old."""
    monkeypatch.setattr("hub.upkeep.TICK_S", 60.0)
    data, ready = tmp_path / "data", tmp_path / "ready"
    running = asyncio.create_task(app.run(SETTINGS, data, ready))
    await eventually(ready.exists)
    _word, http, mqtt = ready.read_text().split()
    store = open_store(SETTINGS, data)
    await store.open()
    await admin.vehicle_add(store, "van", fleet=None, title=None, tags=[])
    for name in ("gw-a", "gw-b"):
        added = await admin.device_add(store, name, vehicle="van", start="0", secret_out=str(tmp_path / name))
        assert added.data
        client = await Connection.open(login(mqtt, name, secret=secret(tmp_path / name)), lambda _t, _p: None)
        await client.close()
    made: Any = (await admin.token_add(store, "test", fleet=None, scope="read", days=None)).data
    async with httpx.AsyncClient(base_url=http, headers={"Authorization": f"Bearer {made['token']}"}) as asking:
        assert [vehicle["veh"] for vehicle in (await asking.get("/v1/vehicles")).json()["vehicles"]] == ["van"]
    await store.close()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_taken_port_ends_the_start(tmp_path: Path) -> None:
    async with app.assembled(SETTINGS, tmp_path / "one") as parts:
        taken = check({"http": {"port": parts.http.port}, "mqtt": {"port": 0}}, Hub, source="test")
        with pytest.raises(UnavailableError, match="can't listen"):
            async with app.assembled(taken, tmp_path / "two"):
                pass
