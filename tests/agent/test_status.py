"""What `status` tells: the agent's own word, or what can be seen without one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.state_socket import answer, socket_path
from agent.core.dating import Moment
from agent.ports import Kind, Record
from agent.settings import AgentSettings
from agent.status import lines, look
from bench.yard import free_port
from wire.codec import dump
from wire.errors import UnavailableError
from wire.ops.settings import check


def settings(folder: Path, **gnss: object) -> AgentSettings:
    data: dict[str, Any] = {
        "device": {"id": "gw-1", "secret_file": str(folder / "s")}, "hub": {"url": "mqtt://h"},
        "gnss": gnss or {"path": "/dev/none"}, "outbox": {"path": str(folder / "out box?#%.db")},
    }  # fmt: skip
    return check(data, AgentSettings, source="x")


async def test_the_running_agents_own_word(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    task = asyncio.create_task(answer(socket_path(chosen.outbox.path), lambda: {"running": True, "recorded": 5}))
    await asyncio.sleep(0.05)
    asking = asyncio.create_task(asyncio.to_thread(asyncio.run, look(chosen)))
    assert await asking == {"running": True, "recorded": 5}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_an_agent_the_outbox_is_looked_into_and_not_changed(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert await look(chosen) == {"running": False, "outbox": None}
    assert list(tmp_path.iterdir()) == []
    box = await SqliteOutbox.open(chosen.outbox.path, now=Moment(1))
    await box.put([Record(Kind.FIX, Moment(1), dump([1, 2, 3]))] * 2)
    await box.close()
    before = chosen.outbox.path.read_bytes()
    state = await look(chosen)
    assert state["outbox"] == {"store": box.store, "recorded": 2, "committed_by_hub": 0, "waiting": 2}
    assert chosen.outbox.path.read_bytes() == before


async def test_an_outbox_that_is_none_is_told(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    chosen.outbox.path.write_bytes(b"no database at all" * 100)
    with pytest.raises(UnavailableError, match="can't be read"):
        await look(chosen)


async def test_gpsd_is_asked_where_it_is_the_source(tmp_path: Path) -> None:
    state = await look(settings(tmp_path, source="gpsd", port=free_port()))
    assert isinstance(state["gpsd"], dict)
    assert "gives no position" in state["gpsd"]["error"]


def test_lines_for_a_person() -> None:
    state: dict[str, object] = {
        "running": False, "linked_for_s": 12.3456, "linked": True, "fix": None, "bus": {},
        "outbox": {"recorded": 12345678.0, "waiting": 0},
    }  # fmt: skip
    assert lines(state) == [
        "the agent does not run",
        "running            no",
        "linked for s       12.3456",
        "linked             yes",
        "fix                -",
        "bus                nothing",
        "outbox             recorded 12345678.0, waiting 0",
    ]
    assert lines({"running": True}) == ["running            yes"]
