"""gpsd as the door: rig, a real gpsd on its pty, agent, hub."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest

from agent.core.gnss.gpsd import WATCH, Parser
from bench import agree
from bench.demo.measure import count, truths
from bench.yard import Gateway, Hub, free_port
from tests.e2e.parts import drained, exported
from tests.rigs import RECORDINGS, binary, server
from wire.messages import Fix

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


def through_gpsd(data: bytes, folder: Path) -> bytes:
    """What a real gpsd says of the bytes of a receiver that it hears over TCP."""
    port, answer = free_port(), b""
    with socket.create_server(("127.0.0.1", 0)) as feeder:
        feeder.settimeout(10)
        source = f"tcp://127.0.0.1:{feeder.getsockname()[1]}"
        with (
            server(binary("gpsd"), "-N", "-n", "-b", "-S", str(port), source, port=port, log=folder / "gpsd.log"),
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            client.sendall(WATCH)
            receiver, _ = feeder.accept()
            with receiver:
                time.sleep(0.3)  # gpsd throws away what comes before it has set up the line
                receiver.sendall(data)
                client.settimeout(1.5)
                with contextlib.suppress(TimeoutError):
                    while chunk := client.recv(65_536):
                        answer += chunk
    return answer


@pytest.mark.parametrize("name", ["mt3339", "ublox-neo-m8t", "haicom-305N"])
def test_what_a_real_gpsd_says_becomes_the_same_fixes(name: str, tmp_path: Path) -> None:
    said = through_gpsd(agree.content(RECORDINGS / "gpsd" / f"{name}.log"), tmp_path)
    parser = Parser()
    told = {item.at_ms: item for item in [*parser.feed(said), *parser.flush()] if isinstance(item, Fix)}
    theirs = {at_ms: report for at_ms, report in agree.theirs(said).items() if "lat" in report}
    assert len(theirs) >= 20
    assert theirs.keys() == told.keys()
    for at_ms, report in theirs.items():
        fix = told[at_ms]
        assert (fix.lat_deg, fix.lon_deg, fix.mode, fix.speed_mps, fix.course_deg) == (
            report["lat"], report["lon"], report["mode"], report.get("speed"), report.get("track"),
        )  # fmt: skip
