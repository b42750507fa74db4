"""gpsd as the door: rig, a real gpsd on its pty, agent, hub."""

import asyncio
from pathlib import Path

import pytest

from bench.demo.measure import count, truths
from bench.yard import Gateway, Hub, free_port
from tests.e2e.parts import drained, exported
from tests.rigs import RECORDINGS, binary, server

pytestmark = pytest.mark.e2e


async def test_the_pipe_through_gpsd(tmp_path: Path) -> None:
    hub, port = Hub(tmp_path / "hub"), free_port()
    await hub.start()
    source = f'source = "gpsd"\nport = {port}\n'
    gateway = Gateway(
        "gw-gpsd", "gpsd-1", RECORDINGS / "nds-drive06.csv", tmp_path / "v", hub.mqtt,
        gnss=source, with_obd=False, extra="[sampling]\nupload_s = 1\ncommit_s = 0.5\n",
    )  # fmt: skip
    try:
        await gateway.introduce(hub)
        await gateway.start_rig()
        device = (gateway.line / "gnss").resolve()
        device.chmod(0o666)  # gpsd drops its privileges before it opens the port
        command = [binary("gpsd"), "-N", "-n", "-S", str(port), str(device)]
        with server(*command, port=port, log=tmp_path / "gpsd.log"):
            await gateway.start_agent()
            await asyncio.sleep(15)
            await gateway.rig.stop()
            await drained(gateway)
            outcome = count(gateway.outbox, await exported(hub, "gpsd-1"))
    finally:
        await gateway.stop()
        await hub.process.stop()
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert outcome.recorded >= len(truths(gateway.truth)) - 6, "gpsd needs a moment to find the receiver"
