"""The live page on the real hub, in a real browser: vehicles on rigs, a link that is cut and comes back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.yard import Gateway, Hub, Relay
from tests.hub.pages.visitor import Visitor, browsing, visitor
from tests.rigs import RECORDINGS
from wire.geo import distance_m

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True)
class Yard:
    """A hub, a vehicle behind a relay, and one that is linked all the time."""

    hub: Hub
    relay: Relay
    away: Gateway
    steady: Gateway


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    hub = Hub(tmp_path / "hub")
    await hub.start()
    relay = Relay("127.0.0.1", int(hub.mqtt.rpartition(":")[2]))
    await relay.start()
    away = Gateway("gw-1", "van-1", RECORDINGS / "nds-drive10.csv.gz", tmp_path / "a", f"mqtt://127.0.0.1:{relay.port}")
    steady = Gateway("gw-2", "van-2", RECORDINGS / "nds-drive11.csv.gz", tmp_path / "b", hub.mqtt, with_obd=False)
    for gateway in (away, steady):
        await gateway.introduce(hub)
        await gateway.start_rig()
        await gateway.start_agent()
    yield Yard(hub, relay, away, steady)
    for gateway in (away, steady):
        await gateway.stop()
    await relay.stop()
    await hub.process.stop()


async def says(visit: Visitor, vehicle: str, *texts: str, within_s: float = 20) -> str:
    """The row's text once it holds one of the texts."""
    row = ""
    for _ in range(int(within_s * 10)):
        row = await visit.row(vehicle)
        if any(text in row for text in texts):
            return row
        await asyncio.sleep(0.1)
    raise AssertionError(f"{vehicle} says {row!r}")


async def place(visit: Visitor, vehicle: str) -> tuple[float, float]:
    pose = (await visit.vehicle(vehicle))["predicted"]
    return pose["lat"], pose["lon"]


async def glided_m(visit: Visitor, vehicle: str, *, at_least_m: float = 10, within_s: float = 40) -> float:
    """How far the vehicle has moved on the page, looked at twice a second; no step is longer than a drive allows."""
    start = last = await place(visit, vehicle)
    for _ in range(int(within_s * 2)):
        await asyncio.sleep(0.5)
        here = await place(visit, vehicle)
        assert distance_m(*last, *here) < 60, "it glides, it does not jump"
        last = here
        if distance_m(*start, *here) > at_least_m:
            break
    return distance_m(*start, *last)


async def test_what_a_dispatcher_sees(yard: Yard) -> None:
    code = str((await yard.hub.json("login-code"))["code"])
    async with browsing() as browser:
        visit = await visitor(browser, yard.hub.http)
        await visit.enter(code)
        assert "code" not in visit.page.url
        row = await says(visit, "van-1", "rpm")
        assert "Van 1" in row
        assert "live" in row
        assert "± 10 m" in await says(visit, "van-2", "km/h")

        assert await glided_m(visit, "van-2") > 10

        yard.relay.cut()
        await says(visit, "van-1", "offline since")
        assert "live" in await visit.row("van-2"), "others are not disturbed"
        yard.relay.mend()
        assert "live" in await says(visit, "van-1", "caught up", "catching up", within_s=5)
        assert "± 10 m" in await says(visit, "van-1", "± 10 m")

        assert await visit.complaints() == []
        again = await visitor(browser, yard.hub.http)
        await again.page.goto(f"{yard.hub.http}/#code={code}")
        await again.page.wait_for_selector("#sign-in")
        assert "code" not in again.page.url, "a code works once"
