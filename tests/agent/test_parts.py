"""Parts from settings: each way to an adapter is opened, found and spoken to; each source has its door."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.rig_lines import Port
from agent.adapters.rig_play import Adapter, Vehicle
from agent.core.rig.recording import read
from agent.parts import adapter, receiver
from agent.ports import Line
from agent.settings import AgentSettings
from wire.errors import UnavailableError
from wire.ops.settings import check

LEAST: dict[str, Any] = {
    "device": {"id": "gw-1", "secret_file": "/s"}, "hub": {"url": "mqtt://h"}, "gnss": {"path": "/dev/x"},
}  # fmt: skip


def settings(**sections: object) -> AgentSettings:
    return check({**LEAST, **sections}, AgentSettings, source="x")


@pytest.fixture
async def elm(tmp_path: Path) -> AsyncIterator[Adapter]:
    bus = read("bus.csv", b"ENGINE_RUN_TINE (),ENGINE_RPM ()\n0,800,\n10,800,\n")
    one = Adapter(Port("obd", tmp_path, baud=115_200), Vehicle(bus, None))
    await one.plug()
    yield one
    one.pull()


async def answer(line: Line, question: bytes) -> bytes:
    """What comes up to the prompt."""
    got, chunks = b"", line.chunks()
    pending = asyncio.ensure_future(anext(chunks, b""))
    await asyncio.sleep(0)
    await line.write(question)
    async with asyncio.timeout(5):
        while b">" not in got:
            got += await pending
            pending = asyncio.ensure_future(anext(chunks, b""))
    pending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pending
    return got


async def test_a_serial_adapter_whose_speed_is_found(elm: Adapter, tmp_path: Path) -> None:
    obd = settings(obd={"path": str(tmp_path / "obd")}).obd
    assert obd is not None
    line, found = await adapter(obd)
    assert found == 115_200
    assert b"ELM327" in await answer(line, b"ATI\r")
    line, found = await adapter(obd, known_baud=115_200)
    assert (found, line.place) == (115_200, str(tmp_path / "obd"))


async def test_a_serial_adapter_of_a_known_speed(elm: Adapter, tmp_path: Path) -> None:
    obd = settings(obd={"path": str(tmp_path / "obd"), "baud": 115_200}).obd
    assert obd is not None
    line, found = await adapter(obd)
    assert found is None
    assert b"ELM327" in await answer(line, b"ATI\r")


async def test_a_wifi_adapter(elm: Adapter) -> None:
    obd = settings(obd={"host": "127.0.0.1", "port": await elm.listen(0)}).obd
    assert obd is not None
    line, found = await adapter(obd)
    assert found is None
    assert b"ELM327" in await answer(line, b"ATI\r")
    elm.pull()
    with pytest.raises(UnavailableError, match="is the port right"):
        await adapter(obd)


async def test_a_bluetooth_adapter_that_can_not_be_there() -> None:
    obd = settings(obd={"bluetooth": "00:00:00:00:00:00"}).obd
    assert obd is not None
    with pytest.raises(UnavailableError, match="Bluetooth 00:00:00:00:00:00: "):
        await adapter(obd)


@pytest.mark.parametrize(
    ("gnss", "place", "speaks"),
    [
        ({"path": "/dev/x"}, "/dev/x", "NMEA"),
        ({"source": "gpsd"}, "gpsd at 127.0.0.1:2947", "gpsd"),
        ({"source": "tcp", "host": "router.lan", "port": 8500}, "router.lan:8500", "NMEA"),
        ({"source": "udp", "port": 10110}, "udp 0.0.0.0:10110", "NMEA"),
    ],
)
def test_each_source_has_its_door(gnss: dict[str, object], place: str, speaks: str) -> None:
    door, parser = receiver(settings(gnss=gnss))
    assert door.place == place
    assert speaks in parser.speaks
