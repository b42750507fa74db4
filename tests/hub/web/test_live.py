"""The stream over real sockets: auth, windows, events, limits, slow and rude clients."""

import asyncio
import contextlib
import json
import socket
from dataclasses import replace

import pytest
import websockets

from hub.core.access import digest
from hub.core.frames import MAX_FRAME_BYTES
from hub.core.marks import StoredEvent
from hub.core.registry import Token
from tests.hub.makers import STORE, T0
from tests.hub.web.conftest import FOREIGN, LIVE, TOKEN, Web, Wire
from tests.rigs import eventually
from wire.messages import Event

ALL = {"op": "sub", "id": 1, "topic": "vehicles"}


def names(frame: dict[str, list[dict[str, str]]]) -> list[str]:
    return [vehicle["veh"] for vehicle in frame["vehicles"]]


async def add_event(web: Web, seq: int, kind: str = "sos", fleet: str = "main") -> None:
    told = Event(seq, T0 + seq, kind, 1.0, 2.0, {"n": seq})
    await web.store.add_events([StoredEvent("gw-van-1", STORE, told, fleet, "van-1", T0)])
    events = await web.store.relay(fleet, 10)
    await web.store.published(fleet, events[-1].pos or 0)
    await web.now.ring(fleet, events[-1].pos or 0)


async def test_snapshot_moves_leave(web: Web) -> None:
    await web.start()
    async with web.stream() as wire:
        assert wire.socket.subprotocol == "odograph.v1"
        assert names(await wire.ask(ALL)) == ["van-1", "van-2"]
        box = {"op": "sub", "id": 2, "topic": "vehicles", "where": {"bbox": [-97, 41, -95, 42]}}
        assert names(await wire.ask(box)) == []
        await web.live("van-1", LIVE)
        frames = [await wire.hear(), await wire.hear()]
        assert [(f["op"], f["id"], names(f)) for f in frames] == [("moves", 1, ["van-1"]), ("moves", 2, ["van-1"])]
        web.at_ms += 1000
        await web.live("van-1", replace(LIVE, at_ms=T0 + 1000, lat_deg=50.0))
        frames = [await wire.hear(), await wire.hear()]
        assert [f["op"] for f in frames] == ["moves", "leave"]
        assert frames[1] == {"op": "leave", "id": 2, "veh": ["van-1"]}
        window = {"op": "window", "id": 2, "where": {"near": [50.0, -96.08, 1000]}}
        moved = await wire.ask(window)
        assert (moved["op"], moved["id"], names(moved)) == ("snapshot", 2, ["van-1"])
        await wire.say({"op": "unsub", "id": 1})
        assert (await wire.ask({"op": "ping"})) == {"op": "pong", "at": web.at_ms}
    await eventually(lambda: web.streams.count == 0)


async def test_fleets_are_kept_apart(web: Web) -> None:
    await web.start()
    async with web.stream(FOREIGN) as wire:
        assert names(await wire.ask({**ALL, "where": {"ids": ["van-1", "far"]}})) == ["far"]
        await web.live("van-1", LIVE)
        assert (await wire.ask({"op": "ping"}))["op"] == "pong"


async def test_no_move_falls_between_snapshot_and_moves(web: Web) -> None:
    await web.start()
    stop = asyncio.Event()
    last = [0]

    async def drive() -> None:
        while not stop.is_set():
            last[0] += 1
            web.at_ms += 1
            await web.live("van-1", replace(LIVE, at_ms=T0 + last[0]))
            await asyncio.sleep(0.001)

    driving = asyncio.create_task(drive())
    for _ in range(10):
        async with web.stream() as wire:
            times = [(await wire.ask(ALL))["vehicles"][0]["live"]]
            times = [0 if times[0] is None else times[0]["t"]]
            for _ in range(5):
                times += [vehicle["live"]["t"] for vehicle in (await wire.hear())["vehicles"]]
            assert times == sorted(set(times))
    stop.set()
    await driving
    async with web.stream() as wire:
        shown = await wire.ask(ALL)
        await eventually(lambda: json.loads(web.boards.of("main").vehicles["van-1"].text)["live"]["t"] == T0 + last[0])
        assert shown["vehicles"][0]["live"]["t"] <= T0 + last[0]


@pytest.mark.parametrize(
    "first", [{"op": "auth", "token": "wrong"}, {"op": "ping"}, "junk", b"\x00\x01", {"op": "auth"}]
)
async def test_without_a_token_the_door_closes(web: Web, first: object) -> None:
    await web.start()
    async with web.stream(None) as wire:
        assert (await wire.ask(first))["code"] == "auth"
        assert await wire.closed() == 4001


async def test_a_client_that_says_nothing_is_closed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.live.AUTH_S", 0.2)
    await web.start()
    async with web.stream(None) as wire:
        assert await wire.closed(2) == 4001


async def test_the_token_may_come_in_the_header_and_not_in_the_url(web: Web) -> None:
    await web.start()
    async with web.stream(None, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as wire:
        assert (await wire.hear())["op"] == "hello"
        assert (await wire.ask({"op": "auth", "token": TOKEN}))["code"] == "bad_frame"
    url = web.url.replace("http", "ws") + f"/v1/stream?token={TOKEN}"
    async with websockets.connect(url) as socket:
        assert socket.subprotocol is None
        await socket.send('{"op":"ping"}')
        assert json.loads(await socket.recv())["code"] == "auth"


async def test_a_token_that_ends_closes_the_stream(web: Web) -> None:
    await web.start()
    async with web.stream() as wire:
        web.registry = replace(web.registry, tokens={})
        assert (await wire.hear())["code"] == "auth"
        assert await wire.closed() == 4001


@pytest.mark.parametrize(
    ("frame", "code", "sub"),
    [
        ("{", "bad_frame", None), ("[]", "bad_frame", None), (b"\x00", "bad_frame", None), ({"op": "fly"}, "unsupported", None),
        ({"op": "sub", "id": 1, "topic": "weather"}, "unsupported", 1), ({"op": "unsub", "id": 7}, "bad_frame", 7),
        ({**ALL, "where": {"bbox": [1]}}, "bad_where", 1), ({"op": "window", "id": 9, "where": {}}, "bad_frame", 9),
        ({**ALL, "tags": "x"}, "bad_where", 1),
    ],
)  # fmt: skip
async def test_bad_frames_are_answered_and_nothing_else_is_disturbed(
    web: Web, frame: object, code: str, sub: int | None
) -> None:
    await web.start()
    async with web.stream() as wire, web.stream() as other:
        answer = await wire.ask(frame)
        assert (answer["op"], answer["code"], answer["id"]) == ("error", code, sub)
        assert web.watch.count("stream.refused", code=code) == 1
        assert names(await wire.ask({**ALL, "id": 5})) == ["van-1", "van-2"]
        assert names(await other.ask(ALL)) == ["van-1", "van-2"]


async def test_a_token_made_a_moment_ago_opens_the_stream(web: Web) -> None:
    await web.start()
    for fresh, headers in (("in-a-frame", {}), ("in-the-header", {"Authorization": "Bearer in-the-header"})):
        await web.store.add_token(Token(digest(fresh), fresh, "main", "read"), T0)
        async with web.stream(None, additional_headers=headers) as wire:
            if not headers:
                await wire.say({"op": "auth", "token": fresh})
            assert (await wire.hear())["op"] == "hello"


@pytest.mark.parametrize("flood", [{"op": "ping"}, "junk", {**ALL, "id": 1}], ids=["pings", "junk", "subscriptions"])
async def test_the_last_word_to_a_flood_is_that_it_was_too_much(web: Web, flood: object) -> None:
    """Whatever the writer had still to say when it was stopped."""
    await web.start()
    for _ in range(5):
        async with web.stream() as wire:
            pouring = asyncio.create_task(pour(wire, flood, 1000))
            said = await wire.rest()
            await pouring
            assert (wire.socket.close_code, said[-1].get("code")) == (4009, "too_many")


async def pour(wire: Wire, frame: object, n: int) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        for _ in range(n):
            await wire.say(frame)


async def test_limits(web: Web) -> None:
    web.client_rate = 30
    await web.start()
    async with web.stream() as wire:
        for sub in range(16):
            assert (await wire.ask({**ALL, "id": sub}))["op"] == "snapshot"
        assert (await wire.ask({**ALL, "id": 99}))["code"] == "too_many"
        for _ in range(30):
            await wire.say({"op": "ping"})
        assert await wire.closed() == 4009
    async with web.stream() as wire:
        await wire.say("x" * (MAX_FRAME_BYTES + 1))
        assert await wire.closed() == 1009
    await eventually(lambda: web.streams.count == 0)
    web.at_ms += 10_000


async def test_the_hub_has_room_for_so_many(web: Web) -> None:
    await web.start()
    async with web.stream(), web.stream(), web.stream(), web.stream(), web.stream(None) as fifth:
        await fifth.say({"op": "auth", "token": TOKEN})
        assert (await fifth.hear())["code"] == "too_many"
        assert await fifth.closed() == 4013
    await eventually(lambda: web.streams.count == 0)
    async with web.stream() as wire:
        assert (await wire.ask({"op": "ping"}))["op"] == "pong"


async def test_strangers_that_say_nothing_shut_nobody_out(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.live.MOST_UNSIGNED", 6)
    await web.start()
    async with contextlib.AsyncExitStack() as stack:
        strangers = [await stack.enter_async_context(web.stream(None)) for _ in range(6)]
        clients = [await stack.enter_async_context(web.stream()) for _ in range(4)]
        for wire in clients:  # each has taken the place of the stranger that waited longest
            assert (await wire.ask({"op": "ping"}))["op"] == "pong"
        assert web.streams.count == 4
        assert (await strangers[0].hear())["code"] == "too_many"
        assert await strangers[0].closed() == 4013
        assert strangers[5].socket.close_code is None
        late = await stack.enter_async_context(web.stream(None))
        await late.say({"op": "auth", "token": TOKEN})
        assert await late.closed() == 4013
    await eventually(lambda: web.streams.count == 0)


async def test_a_slow_client_gets_the_newest_and_a_stuck_one_is_closed(web: Web) -> None:
    web.client_silent_s = 0.5
    for i in range(200):
        await web.store.add_vehicle(f"bus-{i}", "main", name="x" * 80, tags=[], now_ms=T0)
    await web.refresh()
    await web.start()
    host, port = web.url.removeprefix("http://").split(":")
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    stuck.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stuck, (host, int(port)))
    await loop.sock_sendall(
        stuck,
        b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n",
    )
    await eventually(lambda: web.streams.count == 1)
    for number in range(8):  # masked with zeros: the payload stands in clear
        payload = json.dumps({**ALL, "id": number}).encode()
        await loop.sock_sendall(stuck, b"\x81" + bytes([0x80 | len(payload)]) + bytes(4) + payload)
    async with web.stream() as healthy:
        await healthy.say(ALL)
        await healthy.hear()
        for i in range(500):
            web.at_ms += 1
            for vehicle in web.registry.vehicles:
                web.views.live(vehicle, replace(LIVE, at_ms=T0 + i), web.at_ms)
            await web.show()
            await healthy.hear()
            if web.watch.count("stream.closed", reason="slow"):
                break
        await eventually(lambda: web.watch.count("stream.closed", reason="slow") == 1)
        assert (await healthy.ask({"op": "ping"}))["op"] in {"moves", "pong"}
    stuck.close()


async def test_events_come_after_the_cursor_without_a_gap(web: Web) -> None:
    await web.start()
    await add_event(web, 1)
    await add_event(web, 2, "tow")
    async with web.stream() as wire:
        now = await wire.ask({"op": "sub", "id": 2, "topic": "events"})
        assert now == {"op": "recovered", "id": 2, "ok": True, "cursor": "1:2"}
        await add_event(web, 3)
        event = await wire.hear()
        assert (event["op"], event["cursor"], event["kind"], event["detail"]) == ("event", "1:3", "sos", {"n": 3})
        await wire.say({"op": "sub", "id": 3, "topic": "events", "after": "1:0", "kinds": ["tow"]})
        assert (await wire.hear())["ok"] is True
        assert (await wire.hear())["cursor"] == "1:2"
        assert (await wire.ask({"op": "sub", "id": 3, "topic": "events"}))["code"] == "bad_frame"
        assert (await wire.ask({**ALL, "id": 3}))["code"] == "bad_frame"
        for cursor in ("9:1", "1:99", "junk"):
            fresh = await wire.ask({"op": "sub", "id": 4, "topic": "events", "after": cursor})
            assert fresh == {"op": "recovered", "id": 4, "ok": False, "cursor": "1:3"}
            await wire.say({"op": "unsub", "id": 4})


async def test_events_wait_while_the_store_is_down(web: Web) -> None:
    await web.start()
    await add_event(web, 1)
    async with web.stream() as wire:
        await wire.ask({"op": "sub", "id": 1, "topic": "events", "after": "1:1"})
        await add_event(web, 2)
        assert (await wire.hear())["cursor"] == "1:2"
        web.store.down = True
        web.boards.of("main").rang(5)
        assert (await wire.ask({"op": "sub", "id": 2, "topic": "events"}))["code"] == "unavailable"
        web.store.down = False
        await add_event(web, 3)
        assert (await wire.hear())["cursor"] == "1:3"


async def test_a_hub_that_goes_says_bye(web: Web) -> None:
    await web.start()
    async with web.stream() as wire:
        going = asyncio.create_task(web.streams.bye())
        assert await wire.hear() == {"op": "bye", "retry_ms": 1000}
        assert await wire.closed() == 1001
        await going
        assert web.streams.count == 0
