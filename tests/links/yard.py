"""Real processes at both ends of a bad line: hub, broker, agent and a rig that drives; what a client of the stream sees of it."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.demo.measure import Watched, count
from bench.yard import Gateway, Hub, Process, free_port
from hub.clients.stream import Stream
from tests.e2e.parts import drained, exported, token_of
from tests.links.line import Line, ProxyLine
from tests.links.tun import TunLine, possible
from tests.rigs import RECORDINGS, eventually, mosquitto
from wire.ops import clock

BROKERS = ("mosquitto", "embedded")
SAMPLING = "[sampling]\nupload_s = 1\ncommit_s = 0.5\neps_m = 1\nheartbeat_moving_s = 1\nheartbeat_parked_s = 1\n"
IDENTITY, VEHICLE = "gw-line-1", "line-1"


@dataclass(slots=True)
class Yard:
    """One vehicle behind a line. `sos_at` is when each SOS reached the stream, by the word that it carries."""

    line: Line
    hub: Hub
    gateway: Gateway
    token: str = ""
    watched: Watched = field(default_factory=Watched)
    sos_at: dict[str, int] = field(default_factory=dict)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def follow_vehicle(self) -> None:
        """What the live map would show."""
        async with Stream(self.hub.http.replace("http", "ws", 1), self.token) as stream:
            await stream.subscribe(1, {"ids": [VEHICLE]})
            async for frame in stream:
                for vehicle in frame.get("vehicles", ()):
                    self.watched.take(vehicle, clock.utc_ms())

    async def follow_events(self) -> None:
        """What a dispatcher would see."""
        async with Stream(self.hub.http.replace("http", "ws", 1), self.token) as stream:
            await stream.send({"op": "sub", "id": 2, "topic": "events", "kinds": ["sos"]})
            async for frame in stream:
                if frame.get("op") == "event":
                    self.sos_at.setdefault(str(frame["detail"].get("call")), clock.utc_ms())

    async def lives_since(self, at_ms: int, *, made_ms: int | None = None, within_s: float = 90.0) -> int:
        """When the first live message came after a time, made after it too (but for a little)."""
        made_ms = at_ms - 1500 if made_ms is None else made_ms

        def came() -> int | None:
            return next((at for at, live in self.watched.lives if at >= at_ms and live.at_ms >= made_ms), None)

        await eventually(came, within_s=within_s, every_s=0.01)
        return came() or 0

    def rss(self) -> dict[str, int]:
        """Resident bytes of agent and hub."""
        return {"agent": _rss(self.gateway.agent), "hub": _rss(self.hub.process)}

    async def proven(self) -> tuple[int, int, int]:
        """Stop driving, let all drain: recorded, lost and doubled fixes, by outbox and store."""
        self.line.up()
        await self.gateway.rig.stop()
        await drained(self.gateway, within_s=90)
        began = asyncio.get_running_loop().time()
        assert await self.gateway.agent.stop() == 0, "it ends by itself"
        assert asyncio.get_running_loop().time() - began < 5, "and at once: no task is stuck"
        for process in (self.gateway.agent, self.hub.process):
            assert "Traceback" not in process.log.read_text(encoding="utf-8", errors="replace"), process.name
        outcome = count(self.gateway.outbox, await exported(self.hub, VEHICLE, self.token))
        return outcome.recorded, outcome.lost + outcome.recorded - outcome.committed, outcome.duplicates


def _rss(process: Process) -> int:
    return int(psutil.Process(process.pid).memory_info().rss)


def a_line(kind: str, chance: random.Random) -> Line:
    """`tun` or `proxy`; `best` is what this machine can do."""
    if kind == "tun" or (kind == "best" and possible()):
        line = TunLine(chance)
        line.prepare()
        return line
    return ProxyLine(chance)


def _hub(broker: str, folder: Path, host: str, port: int) -> Hub:
    mqtt = f'host = "{host}"' if broker == "embedded" else f'url = "mqtt://127.0.0.1:{port}"'
    return Hub(folder / "hub", settings=f'insecure = true\n\n[http]\nhost = "127.0.0.1"\nport = 0\n\n[mqtt]\n{mqtt}\n')


async def _broker(broker: str, hub: Hub, folder: Path, *, host: str, port: int, stack: ExitStack) -> int:
    """The port at the line's end; Mosquitto listens on the loopback too, for the hub."""
    if broker == "embedded":
        return 0
    files = folder / "mosquitto"
    await hub.command("mosquitto", "--out", str(files))
    lines = ["allow_anonymous false", f"password_file {files / 'password_file'}", f"acl_file {files / 'acl_file'}",
             "max_inflight_messages 200", "max_queued_messages 0", "set_tcp_nodelay true"]  # fmt: skip
    outer = port
    if host != "127.0.0.1":
        outer = free_port()
        lines.append(f"listener {outer} {host}")
    stack.enter_context(mosquitto(folder, lines, port))
    return outer


@contextlib.asynccontextmanager
async def yard(
    folder: Path, *, broker: str, line: Line, sampling: str = SAMPLING, patience: str = "spread_s = 1\n", **more: Any
) -> AsyncIterator[Yard]:
    """Everything up; the agent is not started yet if `more` says `agent=False`."""
    folder.chmod(0o755)
    start_agent, prepared = more.pop("agent", True), more.pop("prepared", None)
    port = free_port()
    hub = _hub(broker, folder, line.broker_host, port)
    gateway = Gateway(
        IDENTITY, VEHICLE, RECORDINGS / "nds-drive33.csv.gz", folder / "v", "", extra=sampling, hub_extra=patience,
        loop=True, with_obd=False, **more,
    )  # fmt: skip
    gateway.agent = Process(
        "agent", [*line.prefix, sys.executable, "-m", "agent.cli", "run", "--config", str(gateway.config)],
        folder=gateway.folder,
    )  # fmt: skip
    made = Yard(line, hub, gateway)
    with ExitStack() as stack:
        try:
            await hub.command("vehicle", "add", VEHICLE)
            await hub.command(
                "device",
                "add",
                IDENTITY,
                "--vehicle",
                VEHICLE,
                "--secret-out",
                str(gateway.secret),
                "--from",
                "2020-01-01",
            )
            outer = await _broker(broker, hub, folder, host=line.broker_host, port=port, stack=stack)
            await hub.start()
            gateway.mqtt = await line.start(outer or int(hub.mqtt.rpartition(":")[2]))
            made.token = await token_of(hub)
            made.tasks = [asyncio.create_task(made.follow_vehicle()), asyncio.create_task(made.follow_events())]
            await gateway.start_rig()
            if prepared is not None:
                await prepared(made)
            if start_agent:
                await gateway.start_agent()
                await made.lives_since(0)
            yield made
        finally:
            for task in made.tasks:
                task.cancel()
            await asyncio.gather(*made.tasks, return_exceptions=True)
            await gateway.stop()
            await hub.process.stop()
            await line.stop()
