"""The live page with a tile server: its tiles are shown, its words are said, and nobody else is asked."""

import io
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Response
from playwright.async_api import Browser, expect

from tests.hub.pages.stub import CODE, Stub, fleet, listening, serving
from tests.hub.pages.visitor import browsing, visitor

pytestmark = pytest.mark.e2e
COLOUR = (212, 40, 180)
SIDE = 256


def png(colour: tuple[int, int, int]) -> bytes:
    """A tile of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * SIDE) * SIDE
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixels(image: bytes) -> Counter[tuple[int, ...]]:
    """How often each colour is in a screenshot: a PNG of 8 bits a channel, not interlaced."""
    file, data, width, channels = io.BytesIO(image[8:]), b"", 0, 0
    while head := file.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length + 4)[:-4]
        if kind == b"IHDR":
            width, channels = struct.unpack(">I", body[:4])[0], {2: 3, 6: 4}[body[9]]
        if kind == b"IDAT":
            data += body
    raw, size, before, seen = (
        zlib.decompress(data),
        width * channels,
        bytes(width * channels),
        Counter[tuple[int, ...]](),
    )
    for start in range(0, len(raw), size + 1):
        row = bytearray(raw[start + 1 : start + 1 + size])
        for i in range(size):
            left, above, corner = (
                (row[i - channels], before[i], before[i - channels]) if i >= channels else (0, before[i], 0)
            )
            row[i] = (row[i] + guess(raw[start], left, above, corner)) & 255
        seen.update(zip(*(row[n::channels] for n in range(3)), strict=True))
        before = bytes(row)
    return seen


def guess(form: int, left: int, above: int, corner: int) -> int:
    """What a PNG filter takes a byte to be."""
    if form < 4:
        return (0, left, above, (left + above) // 2)[form]
    far = {left: abs(above - corner), above: abs(left - corner), corner: abs(left + above - 2 * corner)}
    return min((left, above, corner), key=lambda one: far[one])


class TileServer:
    """Answers with one colour, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/tiles/{z}/{x}/{y}.png")
        async def tile(z: int, x: int, y: int) -> Response:
            self.asked.append((z, x, y))
            return Response(png(COLOUR), media_type="image/png", headers={"Access-Control-Allow-Origin": "*"})

        return app


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


@pytest.mark.parametrize("host", ["127.0.0.1", "{s}.localhost"])
async def test_tiles_are_asked_for_shown_and_credited(browser: Browser, host: str) -> None:
    server, stub = TileServer(), Stub(fleet())
    async with listening(server.app()) as port, serving(stub) as base_url:
        stub.tile_url, stub.attribution = (
            f"http://{host}:{port}/tiles/{{z}}/{{x}}/{{y}}.png",
            "© the test's cartographers",
        )
        visit = await visitor(browser, base_url, (700, 600))
        await visit.enter(CODE)
        await expect(visit.page.locator("#map")).to_contain_text("© the test's cartographers")
        await visit.page.wait_for_timeout(1500)
        assert server.asked
        assert all(0 <= x < 2**z and 0 <= y < 2**z for z, x, y in server.asked)
        assert max(z for z, _x, _y in server.asked) >= 12, "the fleet's own streets"
        box = await visit.page.locator("#map").bounding_box()
        assert box is not None
        seen = pixels(await visit.page.screenshot(clip={"x": box["x"], "y": box["y"], "width": 300, "height": 300}))
        assert seen[COLOUR] > 0.5 * seen.total(), seen.most_common(3)
        others = {urlsplit(url).hostname for url in visit.strangers}
        wanted = {"127.0.0.1"} if host == "127.0.0.1" else {"a.localhost", "b.localhost", "c.localhost"}
        assert others
        assert others <= wanted
        assert {urlsplit(url).port for url in visit.strangers} == {port}
        assert visit.errors == []
        assert await visit.page.evaluate("window.violations") == []


async def test_the_policy_stops_every_other_host(browser: Browser) -> None:
    named, other, stub = TileServer(), TileServer(), Stub(fleet())
    async with listening(named.app()) as port, listening(other.app()) as elsewhere, serving(stub) as base_url:
        stub.tile_url = f"http://127.0.0.1:{port}/tiles/{{z}}/{{x}}/{{y}}.png"
        visit = await visitor(browser, base_url)
        await visit.enter(CODE)
        ask = "url => fetch(url).then(answer => answer.status, () => 'stopped')"
        assert await visit.page.evaluate(ask, f"http://127.0.0.1:{port}/tiles/0/0/0.png") == 200
        assert await visit.page.evaluate(ask, f"http://127.0.0.1:{elsewhere}/tiles/0/0/0.png") == "stopped"
        assert other.asked == []
        assert named.asked
        violations = await visit.page.evaluate("window.violations")
        assert [violation.split(":")[0] for violation in violations] == ["connect-src"]
