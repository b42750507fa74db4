"""The doctor on the rig: a gateway in order, and each planted fault told by its right name. Many at once: they mostly wait."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.adapters.state_socket import ask, socket_path
from agent.doctor import examine, passed
from agent.settings import AgentSettings
from bench.yard import free_port
from tests.rigs import eventually, mosquitto, mosquitto_passwords
from wire.ops.settings import load

pytestmark = pytest.mark.e2e
DRIVE = Path(__file__).parents[1] / "recordings" / "nds-drive10.csv.gz"
AT_ONCE = 10
PLANTED: dict[str, tuple[str, ...]] = {
    "receiver.unusable": ("--fault", "unplugged"),
    "receiver.silent": ("--fault", "silent"),
    "receiver.garbage": ("--fault", "garbage"),
    "receiver.line-noise": ("--fault", "corrupt"),
    "receiver.antenna-open": ("--fault", "antenna-open"),
    "receiver.antenna-short": ("--fault", "antenna-short"),
    "receiver.no-fix": ("--fault", "no-fix"),
    "receiver.no-date": ("--fault", "no-date"),
    "receiver.weak": ("--fault", "weak"),
    "receiver.null-island": ("--fault", "null-island"),
    "receiver.stale": ("--fault", "gnss:stale"),
    "receiver.jumps": ("--fault", "teleport"),
    "receiver.frozen": ("--fault", "frozen"),
    "receiver.wrong-speed": ("--baud", "115200"),
    "adapter.mute": ("--fault", "obd:locked"),
    "vehicle.asleep": ("--fault", "obd:unable-to-connect"),
    "vehicle.can-error": ("--fault", "obd:can-error"),
    "vehicle.bus-init": ("--fault", "obd:bus-init-error"),
    "adapter.poor": ("--obd-grade", "poor"),
}


@contextlib.asynccontextmanager
async def rig(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.mkdir()
    line = [sys.executable, "-m", "agent.cli", "rig", str(DRIVE), "--link", str(folder / "v"), "--loop", *words]
    with (folder / "rig.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*line, stdout=log, stderr=log)
        try:
            async with asyncio.timeout(20):
                while b"epochs" not in (folder / "rig.log").read_bytes():  # noqa: ASYNC110  # a small file; nothing else tells it
                    await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def settings_in(
    folder: Path, *, gnss: str = "", obd: bool = True, url: str = "", secret: str = "x" * 20
) -> AgentSettings:
    """A gateway on the rig in this folder; without a URL its hub is away."""
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(0o600)
    config = folder / "agent.toml"
    config.write_text(
        f'[device]\nid = "gw-doc"\nsecret_file = "{folder}/secret"\n[hub]\nurl = "{url or f"mqtt://127.0.0.1:{free_port()}"}"\n'
        f'[gnss]\npath = "{folder}/v/gnss"\n{gnss}\n'
        + (f'[obd]\npath = "{folder}/v/obd"\n' if obd else "")
        + f'[outbox]\npath = "{folder}/outbox.db"\n'
    )
    return load(config, AgentSettings)


async def faults_of(folder: Path, *words: str, seconds: float = 16.0) -> list[str]:
    gnss = "baud = 9600" if "--baud" in words else ""
    async with rig(folder, *words):
        lines = await examine(settings_in(folder, gnss=gnss), seconds=seconds, say=lambda _text: None)
    assert not passed(lines)
    return [line.fault for line in lines if line.fault and not line.fault.startswith("uplink")]


async def test_each_planted_fault_is_told_by_its_right_name(tmp_path: Path) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(fault: str) -> tuple[str, list[str]]:
        async with turns:
            return fault, await faults_of(tmp_path / fault, *PLANTED[fault])

    told = dict(await asyncio.gather(*(one(fault) for fault in PLANTED)))
    wrong = {fault: names for fault, names in told.items() if fault not in names}
    assert wrong == {}
    also = {fault: sorted(set(names) - {fault}) for fault, names in told.items()}
    assert {fault: names for fault, names in also.items() if names} == {}, "and nothing else is blamed"


async def test_a_gateway_in_order_is_found_so_and_the_hub_is_named(tmp_path: Path) -> None:
    said: list[str] = []
    async with rig(tmp_path / "v1"):
        settings = settings_in(tmp_path / "v1")
        lines = await examine(settings, seconds=40, say=said.append)
    failed = [(line.check, line.fault) for line in lines if line.fault]
    assert failed == [("connect", "uplink.connect")]
    assert any("receiver: fix" in text for text in said), "it tells how far it is"


async def test_how_far_the_way_to_the_hub_goes(tmp_path: Path) -> None:
    """A name that nobody knows, a wrong secret, a broker behind which no hub is; each told alone."""
    passwords = mosquitto_passwords(tmp_path, {"gw-doc": "x" * 20})
    told = {}
    with mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"]) as port:
        for name, url, secret in (
            ("uplink.dns", "mqtt://no-such-host.invalid:1883", "x" * 20),
            ("uplink.login", f"mqtt://127.0.0.1:{port}", "y" * 20),
            ("uplink.no-hub", f"mqtt://127.0.0.1:{port}", "x" * 20),
            ("uplink.wrong-port", f"mqtts://127.0.0.1:{port}", "x" * 20),
        ):
            folder = tmp_path / name
            folder.mkdir()
            settings = settings_in(folder, obd=False, url=url, secret=secret)
            lines = await examine(settings, seconds=0.2, say=lambda _text: None)
            told[name] = [line.fault for line in lines if line.fault.startswith("uplink")]
    assert told == {name: [name] for name in told}


async def test_a_running_agent_is_asked_and_not_disturbed(tmp_path: Path) -> None:
    """While all is well, and after receiver and adapter have failed: what was good before does not hide it."""
    folder = tmp_path / "v3"
    async with rig(folder) as vehicle:
        settings = settings_in(folder)
        line = [sys.executable, "-m", "agent.cli", "run", "--config", str(folder / "agent.toml")]
        agent = await asyncio.create_subprocess_exec(
            *line, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await eventually(lambda: ready(settings), within_s=40, every_s=0.5)
            said: list[str] = []
            lines = await examine(settings, seconds=5, say=said.append)
            vehicle.terminate()  # both ports go at once, and not before the first look is over
            await eventually(lambda: gone(settings), within_s=60, every_s=0.5)
            later = await examine(settings, seconds=5, say=said.append)
        finally:
            agent.terminate()
            await agent.wait()
    assert set(said) == {"the agent runs: asking it"}
    assert [(line.check, line.fault) for line in lines if line.fault] == [("connect", "uplink.connect")]
    assert "RMC" in lines[0].text, "the kinds of sentences are told here too"
    told = {line.fault for line in later}
    assert {"receiver.unusable", "adapter.unusable"} <= told


def ready(settings: AgentSettings) -> bool:
    """Whether the running agent has a fix and has met the vehicle."""
    state = ask(socket_path(settings.outbox.path))
    adapter = state.get("adapter") if state else None
    if state is None or not isinstance(adapter, dict) or not isinstance(state["receiver"], dict):
        return False
    return (
        bool(state["receiver"]["fixes"])
        and state["receiver"]["heard"] > 0
        and adapter["parameters"] > 0
        and not adapter["error"]
    )


def gone(settings: AgentSettings) -> bool:
    """Whether the running agent has noticed that receiver and adapter have failed."""
    state = ask(socket_path(settings.outbox.path))
    if state is None or not isinstance(state["adapter"], dict) or not isinstance(state["receiver"], dict):
        return False
    return state["receiver"]["heard"] == 0 and bool(state["adapter"]["error"])


async def test_the_command_says_it_in_words_and_in_json(tmp_path: Path) -> None:
    folder = tmp_path / "v2"
    folder.mkdir()
    settings_in(folder, obd=False)
    line = [sys.executable, "-m", "agent.cli", "doctor", "--config", str(folder / "agent.toml"), "--seconds", "1"]
    outcomes = []
    for words in ([], ["--json"]):
        process = await asyncio.create_subprocess_exec(
            *line, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 1
        outcomes.append(out.decode())
    assert "receiver.unusable: see the reason" in outcomes[0]
    data = json.loads(outcomes[1])
    assert data["passed"] is False
    assert {line["check"]: line["outcome"] for line in data["lines"]}["adapter"] == "skipped"
