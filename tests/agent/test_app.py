"""The agent as a process and as a whole: what it does at start, when parts are missing, and when it is told to end."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import look_into, only_agent
from agent.adapters.state_socket import ask, socket_path
from agent.app import run
from agent.core.dating import Moment
from agent.parts import receiver
from agent.settings import AgentSettings
from bench.yard import Gateway, free_port
from tests.e2e.scene import Adapter, Receiver
from tests.rigs import eventually, mosquitto, mosquitto_passwords
from wire import VERSION
from wire.errors import RefusedError, UnavailableError
from wire.ops.settings import check, load, write_secret

LONG = "[sampling]\nupload_s = 600\ncommit_s = 60\n"
SHORT = "[sampling]\nupload_s = 1\ncommit_s = 0.1\n"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mosquitto")
    passwords = mosquitto_passwords(folder, {"gw-1": "s1"})
    with mosquitto(folder, ["allow_anonymous false", f"password_file {passwords}"]) as port:
        yield port


def gateway_at(
    folder: Path, port: int, *, secret: str = "s1", extra: str = SHORT, hub_extra: str = "spread_s = 1\n"
) -> Gateway:
    """A gateway without a rig: receiver and adapter are what a test puts there."""
    one = Gateway("gw-1", "van", Path("none"), folder, f"mqtt://127.0.0.1:{port}", extra=extra, hub_extra=hub_extra)
    write_secret(one.secret, secret)
    return one


async def stopped(gateway: Gateway) -> tuple[int, float]:
    """Exit status after SIGTERM, and how long that took."""
    began = time.monotonic()
    return await gateway.agent.stop(), time.monotonic() - began


def clean(gateway: Gateway) -> bool:
    return "Traceback" not in gateway.agent.log.read_text(encoding="utf-8")


@pytest.fixture
async def lines(tmp_path: Path) -> AsyncIterator[tuple[Receiver, Adapter]]:
    gnss, obd = Receiver(tmp_path / "v" / "line" / "gnss"), Adapter(tmp_path / "v" / "line" / "obd")
    yield gnss, obd
    gnss.close()
    await obd.unplug()


async def test_sigterm_commits_what_waits_and_ends_at_once(
    tmp_path: Path, broker: int, lines: tuple[Receiver, Adapter]
) -> None:
    gateway = gateway_at(tmp_path / "v", broker, extra=LONG)
    await gateway.start_agent()
    await gateway.agent.said("link.up", within_s=10)
    await lines[0].fixes(5)
    await asyncio.sleep(0.3)
    state = await gateway.status()
    waiting = state["waiting"]
    assert isinstance(waiting, int)
    assert waiting >= 5
    assert state["recorded"] == waiting, "nobody acknowledges here"
    assert 0 < state["not_yet_on_disk"] <= waiting  # type: ignore[operator]  # a number
    assert (state["thinned"], state["dropped"]) == (0, 0)
    status, took_s = await stopped(gateway)
    assert (status, clean(gateway)) == (0, True)
    assert took_s < 2.0
    kept = look_into(gateway.outbox)
    assert kept is not None
    assert kept["waiting"] == kept["recorded"] == waiting
    told = gateway.agent.log.read_text().splitlines()
    start = f"(version={VERSION} device=gw-1 hub=mqtt://127.0.0.1:{broker} receiver={gateway.line / 'gnss'})"
    assert told[0].endswith(f"agent.start: the agent runs {start}")
    assert told[-1].endswith(f"agent.stop: the agent has stopped (recorded={waiting} waiting={waiting} not_on_disk=0)")
    assert not socket_path(gateway.outbox).exists()


async def test_sigterm_while_a_broker_does_not_answer(tmp_path: Path) -> None:
    ends: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: ends.append(writer), "127.0.0.1", 0)
    async with silent:
        gateway = gateway_at(tmp_path / "v", silent.sockets[0].getsockname()[1])
        await gateway.start_agent()
        await gateway.agent.said("gnss.away", within_s=10)
        await asyncio.sleep(0.5)
        status, took_s = await stopped(gateway)
        for writer in ends:
            writer.close()
    assert ends, "it has tried"
    assert (status, clean(gateway)) == (0, True)
    assert took_s < 2.0


async def test_a_wrong_secret_is_told_and_not_tried_in_a_loop(tmp_path: Path, broker: int) -> None:
    gateway = gateway_at(tmp_path / "v", broker, secret="b4d-s3cr3t", extra=SHORT + '[log]\nlevel = "debug"\n')
    await gateway.start_agent()
    await gateway.agent.said("link.refused", within_s=10)
    await asyncio.sleep(3)
    told = gateway.agent.log.read_text(encoding="utf-8")
    assert told.count("link.refused") == 1
    assert told.count("link.again") <= 2, "1 to 3 s later, then ever more seldom"
    assert "refuses this credential" in told
    assert "b4d-s3cr3t" not in told, "the secret itself is not told"
    state = await gateway.status()
    assert state["linked"] is False
    assert isinstance(state["link_error"], dict)
    assert "refuses this credential" in state["link_error"]["error"]
    assert 0 <= state["link_error"]["age_s"] < 5
    assert (await stopped(gateway))[0] == 0


async def test_swapped_ports_are_named(tmp_path: Path, broker: int) -> None:
    gateway = gateway_at(tmp_path / "v", broker)
    gnss, obd = Receiver(gateway.line / "obd"), Adapter(gateway.line / "gnss")
    await gateway.start_agent()
    talking = asyncio.create_task(gnss.fixes(60))
    ports = gateway.line
    await gateway.agent.said(f"no ELM327 answers at {ports / 'obd'}: wrong port", within_s=15)
    await gateway.agent.said(f"{ports / 'gnss'} is silent: wrong port", within_s=15)
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    assert (await stopped(gateway))[0] == 0
    gnss.close()
    await obd.unplug()
    told = gateway.agent.log.read_text()
    assert (told.count("obd.away"), told.count("gnss.unheard")) == (1, 1)


async def test_without_receiver_and_adapter_it_says_so_and_waits(tmp_path: Path, broker: int) -> None:
    gateway = gateway_at(tmp_path / "v", broker)
    await gateway.start_agent()
    away = await gateway.agent.said("gnss.away", within_s=10)
    assert "is it plugged in" in away
    assert str(gateway.line / "gnss") in away
    assert "is it plugged in" in await gateway.agent.said("obd.away", within_s=5)
    await gateway.agent.said("link.up", within_s=5)
    state = await gateway.status()
    assert (state["running"], state["linked"], state["fix"], state["bus"]) == (True, True, None, {})
    gnss = Receiver(gateway.line / "gnss")
    await gateway.agent.said("gnss.nofix", within_s=10)
    await gnss.fixes(8)
    await asyncio.sleep(3)
    await gnss.fixes(3)
    await eventually(lambda: "gnss.opened" in gateway.agent.log.read_text())
    assert (await stopped(gateway))[0] == 0
    gnss.close()
    assert clean(gateway)


async def test_a_second_agent_on_the_same_outbox_is_refused(tmp_path: Path, broker: int) -> None:
    first = gateway_at(tmp_path / "v", broker)
    await first.start_agent()
    await first.agent.said("link.up", within_s=10)
    second = gateway_at(tmp_path / "v", broker)
    second.agent.log = tmp_path / "second.log"
    await second.start_agent()
    await second.agent.said("another agent runs on this outbox", within_s=10)
    await eventually(lambda: not second.agent.running)
    assert await second.agent.stop() == RefusedError.exit_status
    assert second.agent.log.read_text().count("\n") == 1
    assert (await first.status())["running"] is True, "it still answers: its socket was not taken away"
    await first.agent.kill()
    await first.start_agent()
    await eventually(lambda: first.agent.log.read_text().count("link.up") == 2)
    assert (await stopped(first))[0] == 0


async def test_a_path_too_long_for_the_socket_costs_only_the_status(tmp_path: Path, broker: int) -> None:
    gateway = gateway_at(tmp_path / "v" / ("long" * 25), broker)
    gnss = Receiver(gateway.line / "gnss")
    await gateway.start_agent()
    away = await gateway.agent.said("status.away", within_s=10)
    assert "outbox.sock: AF_UNIX path too long" in away
    await gateway.agent.said("link.up", within_s=10)
    await gnss.fixes(5)
    await asyncio.sleep(0.5)
    assert gateway.agent.running
    kept = look_into(gateway.outbox)
    assert kept is not None
    assert isinstance(kept["recorded"], int)
    assert kept["recorded"] >= 4
    assert (await stopped(gateway))[0] == 0
    gnss.close()
    assert clean(gateway)


async def test_the_whole_agent_in_this_process(tmp_path: Path, broker: int, lines: tuple[Receiver, Adapter]) -> None:
    gateway = gateway_at(tmp_path / "v", broker)
    await gateway.start_agent()  # the yard writes the settings for a process
    await gateway.agent.kill()
    task = asyncio.create_task(run(load(gateway.config, AgentSettings)))
    path = socket_path(gateway.outbox)
    await eventually(path.exists)
    await lines[0].fixes(6)
    state: dict[str, object] = {}

    async def reads_both() -> bool:
        told = await asyncio.to_thread(ask, path)
        assert told is not None
        state.update(told)
        bus = told["bus"]
        return isinstance(bus, dict) and "rpm" in bus and told["fix"] is not None

    await eventually(reads_both, within_s=15, every_s=0.2)
    fix, bus = state["fix"], state["bus"]
    assert isinstance(fix, dict)
    assert isinstance(bus, dict)
    assert fix["lat_deg"] == pytest.approx(52.0, abs=0.01)
    assert bus["rpm"] == 2000.0
    assert (state["running"], state["linked"], state["rejected"]) == (True, True, {})
    assert state["link_error"] is None
    assert state["recorded"] == state["committed_by_hub"] + state["waiting"]  # type: ignore[operator]  # numbers
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kept = look_into(gateway.outbox)
    assert kept is not None
    assert isinstance(kept["recorded"], int)
    assert kept["recorded"] >= 5


def test_an_outbox_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "outbox.db"
    with only_agent(path), pytest.raises(RefusedError, match="another agent runs"), only_agent(path):
        pass
    with only_agent(path):
        assert not path.exists()


async def test_an_outbox_that_can_not_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="can't be held"), only_agent(tmp_path / "file" / "outbox.db"):
        pass
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(UnavailableError, match="can't be opened"):
        await SqliteOutbox.open(tmp_path / "folder.db", now=Moment(1))


@pytest.mark.parametrize("folder", ["short", "long" * 25])
async def test_no_obd_and_gpsd_as_the_source(tmp_path: Path, folder: str, caplog: pytest.LogCaptureFixture) -> None:
    write_secret(tmp_path / "secret", "s1")
    data = {
        "device": {"id": "gw-1", "secret_file": str(tmp_path / "secret")}, "hub": {"url": f"mqtt://127.0.0.1:{free_port()}"},
        "gnss": {"source": "gpsd", "port": free_port()}, "outbox": {"path": str(tmp_path / folder / "outbox.db")},
    }  # fmt: skip
    settings = check(data, AgentSettings, source="x")
    assert type(receiver(settings)[0]).__name__ == "GpsdDoor"
    task = asyncio.create_task(run(settings))
    path = socket_path(settings.outbox.path)
    if folder == "short":
        await eventually(path.exists)
        state = await asyncio.to_thread(ask, path)
        assert state is not None
        assert (state["linked"], state["linked_for_s"], state["fix"]) == (False, None, None)
    else:
        await eventually(lambda: "status.away" in caplog.text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
