"""`odograph-agent sos` against something that answers on the agent's socket: words, JSON, exit status."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.adapters.state_socket import answer, socket_path
from agent.sos import sos
from wire.errors import SettingsError, UnavailableError

TOLD: dict[str, object] = {"seq": 7, "store": "S", "linked": True, "place": [41.5, -96.5], "fix_age_s": None}


def config(folder: Path) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'[device]\nid = "gw-1"\nsecret_file = "{folder}/s"\n[hub]\nurl = "mqtt://h"\n[gnss]\npath = "/dev/none"\n'
        f'[outbox]\npath = "{folder}/outbox.db"\n'
    )
    return path


class Agent:
    """Answers on the socket: `held` says yes the third time."""

    def __init__(self, told: Mapping[str, object] = TOLD, *, held: bool = True) -> None:
        self.told, self.holds, self.asked = told, held, list[Mapping[str, object]]()

    async def sos(self, request: Mapping[str, object]) -> Mapping[str, object]:
        self.asked.append(request)
        return self.told

    async def held(self, request: Mapping[str, object]) -> Mapping[str, object]:
        self.asked.append(request)
        return {"held": self.holds and len(self.asked) > 3}


async def run(folder: Path, agent: Agent, **options: object) -> int:
    path = socket_path(folder / "outbox.db")
    serving = asyncio.create_task(answer(path, dict, {"sos": agent.sos, "held": agent.held}))
    while not path.exists():  # noqa: ASYNC110  # the file appears with the socket
        await asyncio.sleep(0.005)
    try:
        return await asyncio.to_thread(sos, config(folder), **options)  # type: ignore[arg-type]  # as given
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent()
    assert await run(tmp_path, agent, note="help") == 0
    assert capsys.readouterr().out == "SOS committed: seq 7, at 41.500000, -96.500000\n"
    assert agent.asked == [{"do": "sos", "note": "help"}]
    away = TOLD | {"linked": False, "place": None}
    assert await run(tmp_path, Agent(away)) == 0
    assert capsys.readouterr().out == (
        "SOS committed: seq 7, no position is known; there is no link now, it goes first as soon as there is one\n"
    )
    assert await run(tmp_path, Agent(TOLD | {"fix_age_s": 90}), wait_s=5) == 0
    committed, held = capsys.readouterr().out.splitlines()
    assert committed.endswith("(90 s ago)")
    assert held.startswith("the hub has it at 20")


async def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent()
    assert await run(tmp_path, agent, as_json=True, wait_s=5) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seq"], told["committed"], told["hub_at"][-1]) == (7, True, "Z")
    assert agent.asked[1] == {"do": "held", "store": "S", "seq": 7}


async def test_the_hub_does_not_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnavailableError, match=r"not said within 0\.2 s"):
        await run(tmp_path, Agent(held=False), wait_s=0.2)
    with pytest.raises(UnavailableError, match="goes on trying"):
        await run(tmp_path, Agent(held=False), wait_s=0.2, as_json=True)
    assert '"hub_at": null' in capsys.readouterr().out


@pytest.mark.parametrize(("told", "why"), [(TOLD | {"seq": None}, "the disk refuses"), ({}, "an older one")])
async def test_not_committed(tmp_path: Path, told: dict[str, object], why: str) -> None:
    with pytest.raises(UnavailableError, match=why):
        await run(tmp_path, Agent(told))


def test_no_agent_and_bad_notes(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="nothing was sent"):
        sos(config(tmp_path))
    for note in ("x" * 201, "two\nlines"):
        with pytest.raises(SettingsError, match="--note"):
            sos(config(tmp_path), note=note)
