"""Hostile requests and frames at the real door of the web part: refused in the protocol's own words, never a bug, and the next good one is served."""

import json
import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import websockets

from tests.fuzz import corpus
from tests.fuzz.mutate import Mutator
from tests.hub.web.conftest import LIVE, TOKEN, Web

REQUESTS, FRAMES = 150, 300
PATHS = (
    b"/v1/vehicles/van-1", b"/v1/near?lat=41.2&lon=-96.1&radius_m=5000&limit=3", b"/v1/ledger?from=2026-01-01&vehicle=van-1",
    b"/v1/vehicles/van-1/track?from=0&to=1760000000000&format=gpx", b"/v1/events?after=1:5", b"/v1/login", b"/health/ready",
)  # fmt: skip
BODIES = (b'{"code":"abcdefghijkl"}', b"", b"code=1")
ENDS = {1000, 1001, 1002, 1003, 1006, 1007, 1009, 4001, 4008, 4009, 4013}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    made = Web(tmp_path)
    made.client_rate = 5000.0
    await made.people()
    await made.start()
    await made.live("van-1", LIVE)
    yield made
    await made.stop()


async def test_requests(web: Web) -> None:
    seed = secrets.randbelow(1 << 31)
    chance = random.Random(seed)
    paths, bodies = Mutator(chance, PATHS), Mutator(chance, BODIES)
    async with web.http() as client:
        for _ in range(REQUESTS):
            path = quote(paths.one()[:1500], safe="/?&=%:")
            if not path.startswith("/"):
                path = "/v1/" + path
            try:
                method = chance.choice(("GET", "GET", "POST", "PUT", "DELETE"))
                told = await client.request(method, path, content=bodies.one() if method != "GET" else None)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                continue
            assert told.status_code < 500 or told.status_code == 503, f"--seed {seed}: {path!r}: {told.text[:300]}"
        assert (await client.get("/v1/vehicles/van-1")).json()["veh"] == "van-1"


async def test_frames(web: Web) -> None:
    seed = secrets.randbelow(1 << 31)
    chance = random.Random(seed)
    frames, sent = Mutator(chance, corpus.FRAMES), 0
    while sent < FRAMES:
        async with web.stream() as wire:
            try:
                for _ in range(20):
                    frame = frames.one()[:20_000]
                    sent += 1
                    await wire.socket.send(frame if chance.random() < 0.1 else frame.decode("utf-8", "replace"))
                await wire.say({"op": "ping"})
                while (await wire.hear())["op"] != "pong":
                    pass
            except websockets.ConnectionClosed as end:
                code = None if end.rcvd is None else end.rcvd.code
            else:
                code = 1000
        assert code in ENDS, f"--seed {seed}: the hub ends with {code}"
    async with web.stream(TOKEN) as wire:
        await wire.say({"op": "sub", "id": 1, "topic": "vehicles"})
        snapshot = await wire.hear()
        assert snapshot["op"] == "snapshot"
        assert "van-1" in json.dumps(snapshot)
