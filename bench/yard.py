"""A yard of real processes: one hub, and gateways that are an agent and a rig each. Used by demo, bench and tests."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wire.errors import UnavailableError

READY_S = 40.0
STOP_S = 10.0


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One process with its log in a file. It is ended by its own process id, never by name."""

    def __init__(
        self, name: str, arguments: list[str], *, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; its output goes to the log."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C in the terminal is for us, who stop it in order
            )

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        if self._process is None:
            raise UnavailableError(f"{self.name} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> int:
        """Ask it to end, insist after a while; gives its exit status."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def said(self, text: str, *, within_s: float = READY_S) -> str:
        """The first line of the log that holds the text; UnavailableError with the log's end when it does not come."""
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
            for line in lines:
                if text in line:
                    return line
            if not self.running:
                break
            await asyncio.sleep(0.05)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:] if self.log.exists() else ""
        raise UnavailableError(f"{self.name} did not say {text!r}; its log ends with:\n{tail}")


@dataclass(slots=True)
class Hub:
    """`odograph-hub run` in a folder of its own, and its command line."""

    folder: Path
    settings: str = ""
    process: Process = field(init=False)
    http: str = ""
    mqtt: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self.settings or default_settings(), encoding="utf-8")
        self.process = Process("hub", [sys.executable, "-m", "hub.cli", "run", *self._where()], folder=self.folder)

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.folder / "hub.toml"

    def _where(self) -> list[str]:
        return ["--config", str(self.config), "--data", str(self.folder / "data")]

    async def start(self) -> None:
        """Start and wait until all its parts are up."""
        self.process.log.unlink(missing_ok=True)
        await self.process.start()
        line = await self.process.said("ready http")
        words = line.split()
        self.http = next(word for word in words if word.startswith("http://"))
        self.mqtt = next(word for word in words if word.startswith("mqtt://"))

    async def command(self, *arguments: str) -> str:
        """Run `odograph-hub …` on the same data; gives what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub.cli", *arguments, *self._where(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode != 0:
            raise UnavailableError(f"odograph-hub {' '.join(arguments)}: {err.decode().strip()}")
        return out.decode()

    async def json(self, *arguments: str) -> dict[str, object]:
        """Run a command with --json; gives its object."""
        value: dict[str, object] = json.loads(await self.command(*arguments, "--json"))
        return value


def default_settings(*, http_port: int = 0, mqtt_port: int = 0) -> str:
    """Everything embedded, on loopback; port 0 is a free one."""
    return f'[http]\nhost = "127.0.0.1"\nport = {http_port}\n\n[mqtt]\nhost = "127.0.0.1"\nport = {mqtt_port}\n'


@dataclass(slots=True)
class Gateway:
    """An agent and a rig. `mqtt` is where the agent connects: the broker, or a relay before it; `gnss` replaces its port."""

    identity: str
    vehicle: str
    recording: Path
    folder: Path
    mqtt: str
    obd: Path | None = None
    extra: str = "[sampling]\nupload_s = 2\ncommit_s = 1\n"
    hub_extra: str = "spread_s = 2\nsilent_s = 3\nkeepalive_s = 5\n"
    speed: float = 1.0
    with_obd: bool = True
    gnss: str = ""
    loop: bool = False
    rig: Process = field(init=False)
    agent: Process = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "agent.cli", "rig", str(self.recording), "--link", str(self.line),
                     "--truth", str(self.truth), "--speed", f"{self.speed:g}"]  # fmt: skip
        if self.obd is not None:
            arguments += ["--obd", str(self.obd)]
        if self.loop:
            arguments += ["--loop"]
        self.rig = Process("rig", arguments, folder=self.folder)
        self.agent = Process(
            "agent", [sys.executable, "-m", "agent.cli", "run", "--config", str(self.config)], folder=self.folder
        )

    @property
    def line(self) -> Path:
        """Folder of the links to the rig's ptys."""
        return self.folder / "line"

    @property
    def truth(self) -> Path:
        """What the rig has sent, a JSON line an epoch."""
        return self.folder / "truth.ndjson"

    @property
    def secret(self) -> Path:
        """The device's secret."""
        return self.folder / "secret"

    @property
    def config(self) -> Path:
        """The agent's settings."""
        return self.folder / "agent.toml"

    @property
    def outbox(self) -> Path:
        """The agent's outbox."""
        return self.folder / "outbox.db"

    async def introduce(self, hub: Hub) -> None:
        """Make vehicle and device known to the hub; the secret goes straight into its file."""
        await hub.command("vehicle", "add", self.vehicle, "--name", self.vehicle.replace("-", " ").title())
        await hub.command("device", "add", self.identity, "--vehicle", self.vehicle, "--secret-out", str(self.secret))

    async def start_rig(self) -> None:
        """Start the virtual vehicle and wait for its ports."""
        await self.rig.start()
        deadline = asyncio.get_running_loop().time() + READY_S
        while not (self.line / "gnss").exists():
            if not self.rig.running or asyncio.get_running_loop().time() > deadline:
                raise UnavailableError(
                    f"the rig of {self.vehicle} did not come up:\n{self.rig.log.read_text()[-2000:]}"
                )
            await asyncio.sleep(0.05)

    async def start_agent(self) -> None:
        """Write its settings and start the agent."""
        gnss = self.gnss or f'path = "{self.line / "gnss"}"'
        obd = f'[obd]\npath = "{self.line / "obd"}"\n' if self.with_obd else ""
        self.config.write_text(
            f'[device]\nid = "{self.identity}"\nsecret_file = "{self.secret}"\n\n'
            f'[hub]\nurl = "{self.mqtt}"\n{self.hub_extra}\n'
            f"[gnss]\n{gnss}\n\n{obd}\n{self.extra}\n"
            f'[outbox]\npath = "{self.outbox}"\n',
            encoding="utf-8",
        )
        await self.agent.start()

    async def status(self) -> dict[str, object]:
        """What `odograph-agent status --json` says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.cli", "status", "--config", str(self.config), "--json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if not out:
            raise UnavailableError(f"no status of {self.vehicle}: {err.decode().strip()}")
        value: dict[str, object] = json.loads(out)
        return value

    async def stop(self) -> None:
        """End rig and agent."""
        await self.rig.stop()
        await self.agent.stop()


class Relay:
    """A TCP relay that can cut the link: while cut, nothing passes, and nothing is refused either, as on the road."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """From now on nothing passes."""
        self._open.clear()

    def mend(self) -> None:
        """The link is back."""
        self._open.set()

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = asyncio.ensure_future(self._carry(reader, writer))
        self._ways.add(way)
        way.add_done_callback(self._ways.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            far_reader, far = await asyncio.open_connection(*self._target)
            await asyncio.wait(
                [asyncio.ensure_future(self._pump(reader, far)), asyncio.ensure_future(self._pump(far_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except OSError:
            pass  # the broker is away: the client sees its connection close, as it would without a relay
        finally:
            for side in (writer, far):
                if side is not None:
                    side.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
