"""The hub put together, in this process: it runs, it looks after its parts, it ends."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.yard import free_port
from hub import admin, app
from hub.ground import open_store
from hub.settings import Hub
from tests.hub.makers import a_batch
from tests.rigs import binary, eventually, server
from wire.codec import decode_ack
from wire.errors import RefusedError, UnavailableError
from wire.messages import Ack
from wire.ops.mqtt import Connection, login
from wire.ops.settings import check, secret
from wire.track import encode_batch

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


async def test_without_redis_vehicles_are_served_and_the_start_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that is not there at the start is told once, delays neither store nor ack, and may come later."""
    port, ready = free_port(), tmp_path / "ready"
    data = {"http": {"port": 0}, "mqtt": {"port": 0}, "redis": {"url": f"redis://127.0.0.1:{port}/0"}}
    settings = check(data, Hub, source="test")
    store = open_store(settings, tmp_path / "data")
    await store.open()
    await store.add_fleet("main", 1)
    await admin.vehicle_add(store, "van", fleet=None, title=None, tags=[])
    await admin.device_add(store, "gw-a", vehicle="van", start="0", secret_out=str(tmp_path / "gw-a"))
    await store.close()
    with caplog.at_level(logging.INFO, "odograph"):
        running = asyncio.create_task(app.run(settings, tmp_path / "data", ready))
        await eventually(ready.exists)
        _word, http, mqtt = ready.read_text().split()
        acks: list[Ack] = []
        where = login(mqtt, "gw-a", secret=secret(tmp_path / "gw-a"))
        gateway = await Connection.open(where, lambda _t, payload: acks.append(decode_ack(payload)))
        await gateway.subscribe("odo/1/gw-a/down/ack")
        await gateway.publish("odo/1/gw-a/up/track", encode_batch(a_batch(1, 10, start_ms=1_760_000_000_000)))
        await eventually(lambda: [ack.upto for ack in acks] == [10], within_s=3)
        await gateway.close()
        async with httpx.AsyncClient(base_url=http) as asking:

            async def parts() -> dict[str, str]:
                answer = await asking.get("/health/ready")
                said: dict[str, str] = answer.json()["parts"]
                assert answer.status_code == (200 if set(said.values()) == {"ok"} else 503)
                return said

            assert {name for name, why in (await parts()).items() if why != "ok"} == {"redis", "stream"}
            await asyncio.sleep(1.2)  # a second try, and a third
            assert [record.levelname for record in caplog.records if "redis.down" in record.getMessage()] == ["WARNING"]
            command = [
                binary("redis-server"),
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                str(tmp_path),
            ]
            with server(*command, port=port, log=tmp_path / "redis.log"):

                async def is_ready() -> bool:
                    return set((await parts()).values()) == {"ok"}

                await eventually(is_ready)
                assert "odograph_hub_redis_down_total 1" in (await asking.get("/metrics")).text
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
    assert sum("redis.up" in record.getMessage() for record in caplog.records) == 1


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
    made: Any = (await admin.token_add(store, "test", fleet=None, days=None)).data
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
