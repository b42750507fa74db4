"""The doors of the hub's API and stream: each bad request gets one clear refusal, and no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.scene import Scene, frame, scene_at

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    one = scene_at(tmp_path_factory.mktemp("doors"))
    try:
        await one.start()
        yield one
    finally:
        await one.stop()


# REST.

TRACK, NEAR = "/v1/vehicles/driver/track", "/v1/near"
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("GET /v1/vehicles", {"headers": {"Authorization": ""}}, 401, "auth"),
    ("GET /v1/vehicles", {"headers": {"Authorization": "Bearer wrong"}}, 401, "auth"),
    ("GET /v1/vehicles", {"headers": {"Authorization": "Basic YTpi"}}, 401, "auth"),
    ("GET /v1/vehicles", {"headers": {"Authorization": b"Bearer \xff\xfe"}}, 401, "auth"),
    ("GET /v1/vehicles", {"headers": {"Authorization": "Bearer " + "x" * 5000}}, 401, "auth"),
    ("GET /v1/vehicles/nobody", {}, 404, "unknown"),
    ("GET /v1/vehicles/" + "x" * 3000, {}, 404, "unknown"),
    ("GET /v1/vehicles/a%00b", {}, 404, "unknown"),
    ("GET /v1/nothing", {}, 404, "unknown"),
    ("GET /v1/stream", {}, 404, "unknown"),
    ("GET /../../etc/passwd", {}, 404, "unknown"),
    ("GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd", {}, 404, "unknown"),
    ("GET /a%00b", {}, 404, "unknown"),
    ("GET /" + "a" * 3000, {}, 404, "unknown"),
    ("DELETE /v1/vehicles", {}, 405, "http"),
    ("PUT " + TRACK, {}, 405, "http"),
    ("GET /v1/login", {}, 404, "unknown"),
    ("GET " + NEAR, {}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "91", "lon": "0"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "nan", "lon": "0"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "1", "lon": "east"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "1", "lon": "1", "radius_m": "1e12"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "1", "lon": "1", "radius_m": "inf"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "1", "lon": "1", "radius_m": "-1"}}, 422, "invalid"),
    ("GET " + NEAR, {"params": {"lat": "1", "lon": "1", "limit": "0"}}, 422, "invalid"),
    ("GET " + TRACK, {}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "0", "format": "exe"}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "yesterday"}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "9" * 5000}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "-5"}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "٣"}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "2026-01-02", "to": "2026-01-01"}}, 422, "invalid"),
    ("GET " + TRACK, {"params": {"from": "0001-01-01T00:00:00+23:59"}}, 422, "invalid"),
    ("GET /v1/ledger", {}, 422, "invalid"),
    ("GET /v1/ledger", {"params": {"vehicle": "nobody"}}, 404, "unknown"),
    ("POST /v1/login", {"content": b"{"}, 422, "invalid"),
    ("POST /v1/login", {"content": b"\xff\xfe"}, 422, "invalid"),
    ("POST /v1/login", {"json": {}}, 422, "invalid"),
    ("POST /v1/login", {"json": {"code": ""}}, 422, "invalid"),
    ("POST /v1/login", {"json": {"code": "x" * 129}}, 422, "invalid"),
    ("POST /v1/login", {"json": {"code": "x", "more": 1}}, 422, "invalid"),
    ("POST /v1/login", {"json": {"code": {"a": [1]}}}, 422, "invalid"),
    ("POST /v1/login", {"content": b"[" * 16_000}, 422, "invalid"),
    ("POST /v1/login", {"json": {"code": "wrong\0"}}, 401, "auth"),
    ("POST /v1/login", {"content": b" " * (1 << 20)}, 413, "too-long"),
    ("POST /v1/login", {"json": {"code": "x" * (1 << 20)}}, 413, "too-long"),
]


async def test_every_bad_request_gets_the_one_form_of_refusal(scene: Scene) -> None:
    faults = []
    async with scene.client() as client:
        for call, more, status, code in REFUSED:
            method, path = call.split(" ", 1)
            try:
                answer = await client.request(method, path, **more)
                said = answer.json() if answer.headers.get("content-type") == "application/json" else answer.text[:80]
            except httpx.HTTPError as error:
                faults.append(f"{call[:60]} {str(more)[:60]}: {error!r}")
                continue
            if answer.status_code != status or _code(said) != code:
                faults.append(f"{call[:60]} {str(more)[:60]}: wants {status} {code}, got {answer.status_code} {said}")
    assert not faults, "\n".join(faults)
    await scene.undisturbed()


def _code(said: Any) -> str | None:
    """The code of a refusal, if it has the one form of them and nothing else."""
    if not isinstance(said, dict) or set(said) != {"error"} or set(said["error"]) != {"code", "message", "where"}:
        return None
    return str(said["error"]["code"]) if said["error"]["message"] else None


async def test_guessing_login_codes_is_slowed_down(scene: Scene) -> None:
    async with scene.client() as client:
        answers = [(await client.post("/v1/login", json={"code": f"guess-{i}"})).status_code for i in range(8)]
        assert answers[-2:] == [429, 429]
        assert set(answers) <= {401, 429}
        assert (await client.get("/v1/vehicles")).status_code == 200
    assert await scene.counted("login_failed") <= 6


async def test_what_is_no_http_is_thrown_out(scene: Scene) -> None:
    host, port = scene.hub.http.removeprefix("http://").split(":")
    for opening in (b"\x16\x03\x01" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000, b"\r\n" * 50_000,
                    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: nan\r\n\r\n",
                    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):  # fmt: skip
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(opening)
            await writer.drain()
            writer.write_eof()
            said = await asyncio.wait_for(reader.read(4096), 8)
            assert said[:12] in {b"", b"HTTP/1.1 400"}, (opening[:30], said[:60])
        writer.close()
    await scene.undisturbed()


# The stream.


async def opened(scene: Scene, token: str | None = "") -> ClientConnection:
    """A connection to the stream; with the scene's token, with another, or with none."""
    wanted = scene.token if token == "" else token
    headers = {} if wanted is None else {"Authorization": f"Bearer {wanted}"}
    return await connect(f"{scene.ws}/v1/stream", additional_headers=headers, proxy=None, max_size=1 << 22)


@contextlib.asynccontextmanager
async def closing(socket: ClientConnection) -> AsyncIterator[ClientConnection]:
    try:
        yield socket
    finally:
        await socket.close()


async def to_the_end(socket: ClientConnection, *, within_s: float = 8) -> tuple[list[dict[str, Any]], int | None]:
    """All frames until the hub closes, and the code that it closes with."""
    got = []
    try:
        async with asyncio.timeout(within_s):
            while True:
                got.append(frame(await socket.recv()))
    except ConnectionClosed as closed:
        return got, None if closed.rcvd is None else closed.rcvd.code


FIRST = {
    "nothing": None,
    "no json": "hello",
    "binary": b"\x00\x01",
    "a wrong token": '{"op":"auth","token":"wrong"}',
    "a number": '{"op":"auth","token":5}',
    "another op first": '{"op":"ping"}',
    "a long token": '{"op":"auth","token":"' + "x" * 5000 + '"}',
}


async def test_without_a_token_the_stream_says_why_and_closes(scene: Scene) -> None:
    async def knock(first: str | bytes | None, token: str | None = None) -> tuple[list[dict[str, Any]], int | None]:
        async with closing(await opened(scene, token)) as socket:
            if first is not None:
                await socket.send(first)
            return await to_the_end(socket)

    before = await scene.counted("stream_closed", reason="auth")
    answers = await asyncio.gather(*(knock(first) for first in FIRST.values()), knock(None, token="wrong"))
    for (said, code), kind in zip(answers, [*FIRST, "a wrong header"], strict=True):
        assert [(word["op"], word["code"]) for word in said] == [("error", "auth")], kind
        assert code == 4001, kind
    assert await scene.counted("stream_closed", reason="auth") == before + len(answers)
    await scene.undisturbed()


BAD_FRAMES: list[tuple[str | bytes, str, int | None]] = [
    ("hello", "bad_frame", None),
    ("", "bad_frame", None),
    ("[]", "bad_frame", None),
    ("[" * 10_000, "bad_frame", None),
    (b"\x00\xff", "bad_frame", None),
    ("{}", "bad_frame", None),
    ('{"op":5}', "bad_frame", None),
    ('{"op":"dance"}', "unsupported", None),
    ('{"op":"auth","token":"again"}', "bad_frame", None),
    ('{"op":"sub","topic":"vehicles"}', "bad_frame", None),
    ('{"op":"sub","id":-1,"topic":"vehicles"}', "bad_frame", None),
    ('{"op":"sub","id":1e400,"topic":"vehicles"}', "bad_frame", None),
    ('{"op":"sub","id":1,"topic":"secrets"}', "unsupported", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":[]}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"sql":"1=1"}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"bbox":[0,0,1]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"bbox":[0,9,1,1]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"near":[0,0,1e9]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"near":[0,"0",1]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"ids":"driver"}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"ids":[1]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","where":{"ids":[],"near":[0,0,1]}}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"vehicles","tags":"x"}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"events","after":5}', "bad_where", 1),
    ('{"op":"sub","id":1,"topic":"events","kinds":"sos"}', "bad_where", 1),
    ('{"op":"window","id":9,"where":{}}', "bad_frame", 9),
    ('{"op":"unsub","id":9}', "bad_frame", 9),
    ('{"op":"ping","v":NaN}', "bad_frame", None),
]


async def test_a_bad_frame_is_answered_and_the_connection_goes_on(scene: Scene) -> None:
    async with closing(await opened(scene)) as socket:
        assert frame(await socket.recv())["op"] == "hello"
        for text, code, sub in BAD_FRAMES:
            await socket.send(text)
            said = frame(await asyncio.wait_for(socket.recv(), 5))
            assert (said["op"], said["code"], said["id"]) == ("error", code, sub), text
            assert said["message"], text
            await asyncio.sleep(0.01)
        await socket.send('{"op":"sub","id":1,"topic":"vehicles"}')
        assert frame(await socket.recv())["op"] == "snapshot"
    await scene.undisturbed()


async def test_too_many_subscriptions_are_refused_one_by_one(scene: Scene) -> None:
    async with closing(await opened(scene)) as socket:
        got: list[dict[str, Any]] = [frame(await socket.recv())]
        for i in range(60):
            await socket.send(f'{{"op":"sub","id":{i},"topic":"vehicles","where":{{"ids":["nobody"]}}}}')
            got.append(frame(await asyncio.wait_for(socket.recv(), 5)))
            await asyncio.sleep(0.01)
        words = [word.get("code", word["op"]) for word in got]
        assert words == ["hello"] + ["snapshot"] * 16 + ["too_many"] * 44
        await socket.send('{"op":"ping"}')
        assert frame(await socket.recv())["op"] == "pong"


@pytest.mark.parametrize(
    "flood",
    [['{"op":"ping"}'] * 10_000, [f'{{"op":"sub","id":{i},"topic":"vehicles"}}' for i in range(1000)], ["junk"] * 5000],
    ids=["pings", "subscriptions", "junk"],
)
async def test_a_flood_is_told_and_cut_off(scene: Scene, flood: list[str]) -> None:
    socket = await opened(scene)

    async def pour() -> None:
        with contextlib.suppress(ConnectionClosed):
            for text in flood:
                await socket.send(text)

    pouring = asyncio.create_task(pour())
    got, code = await to_the_end(socket)
    await pouring
    assert code == 4009
    assert got[-1]["code"] == "too_many"
    assert len(got) <= 260, "what a client may send in a second, and its echo"
    await scene.undisturbed()


async def test_a_frame_beyond_the_limit_closes_with_1009(scene: Scene) -> None:
    async with closing(await opened(scene)) as socket:
        await socket.recv()
        with contextlib.suppress(ConnectionClosed):
            await socket.send("x" * (1 << 20))
        _, code = await to_the_end(socket)
        assert code == 1009
    await scene.undisturbed()
