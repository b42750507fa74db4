"""The HTTP server at its end: it is asked once or again, and takes the time that good-byes need."""

import asyncio
from typing import Any

import httpx
import pytest

from hub.web.server import HttpServer
from tests.rigs import eventually


async def _application(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.mark.parametrize("more", [0, 1, 3])
async def test_who_asks_again_cuts_no_good_bye_short(more: int) -> None:
    """The socket must not be closed under a server that serves: that was a traceback in the log of a clean end."""
    begun, may, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def bye() -> None:
        begun.set()
        await may.wait()
        over.set()

    server = HttpServer("127.0.0.1", 0)
    running = asyncio.create_task(server.run(_application, bye))
    await eventually(lambda: server.serves)
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{server.port}/x")).text == "/x"
    running.cancel()
    await begun.wait()
    for _ in range(more):
        running.cancel()
        await asyncio.sleep(0)
        assert not running.done()
    may.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert over.is_set()
    assert not server.serves
    assert server._socket.fileno() == -1, "the server itself closed it, at its end"
    server.close()


async def test_what_good_byes_fail_with_comes_out_and_the_server_ends() -> None:
    async def bye() -> None:
        raise ZeroDivisionError

    server = HttpServer("127.0.0.1", 0)
    running = asyncio.create_task(server.run(_application, bye))
    await eventually(lambda: server.serves)
    running.cancel()
    with pytest.raises(ZeroDivisionError):
        await running
    assert not server.serves
    server.close()
