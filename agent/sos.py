"""What `odograph-agent sos` does: ask the running agent to raise a call for help, and wait for the hub if asked to."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from agent.adapters.state_socket import ask, socket_path
from agent.calling import LONGEST_NOTE
from agent.settings import AgentSettings
from wire.errors import SettingsError, UnavailableError
from wire.ops import clock
from wire.ops.settings import load

LOOK_S = 0.05


def sos(config: Path, *, note: str = "", wait_s: float = 0.0, as_json: bool = False) -> int:
    """Raise it and tell. Raises UnavailableError when no agent runs, the disk refuses, or the hub has not said that it has it."""
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise SettingsError([f"--note: wants one line of at most {LONGEST_NOTE} characters"])
    path = socket_path(load(config, AgentSettings).outbox.path)
    order = {"do": "sos", "note": note}
    said = _asked(path, order)
    if said.get("seq") is None:
        fault = "the disk refuses: the call waits in memory, and goes as soon as it can be written"
        raise UnavailableError(fault if "seq" in said else "this agent does not know the order: is it an older one?")
    told: dict[str, object] = {**said, "committed": True, "at": clock.iso(clock.utc_ms())}
    if not as_json:
        print("\n".join(_lines(told)), flush=True)
    if wait_s:
        told["hub_at"] = asyncio.run(_hub_at(path, said, wait_s))
    if as_json:
        print(json.dumps(told), flush=True)
    elif told.get("hub_at"):
        print(f"the hub has it at {told['hub_at']}", flush=True)
    if wait_s and told["hub_at"] is None:
        raise UnavailableError(f"the hub has not said within {wait_s:g} s that it has it; the agent goes on trying")
    return 0


def _asked(path: Path, order: Mapping[str, object]) -> dict[str, object]:
    said = ask(path, order)
    if said is None:
        raise UnavailableError("no agent runs with these settings: nothing was sent; start it (odograph-agent run)")
    return said


def _lines(told: Mapping[str, object]) -> list[str]:
    place = told["place"]
    where = "no position is known" if not isinstance(place, list) else f"at {place[0]:.6f}, {place[1]:.6f}"
    aged = f" ({told['fix_age_s']} s ago)" if told["fix_age_s"] else ""
    link = "" if told["linked"] else "; there is no link now, it goes first as soon as there is one"
    return [f"SOS committed: seq {told['seq']}, {where}{aged}{link}"]


async def _hub_at(path: Path, said: Mapping[str, object], wait_s: float) -> str | None:
    """When the hub had it: what it has committed it never forgets."""
    order = {"do": "held", "store": said["store"], "seq": said["seq"]}
    until_ms = clock.mono_ms() + wait_s * 1000
    while clock.mono_ms() < until_ms:
        if _asked(path, order).get("held"):
            return clock.iso(clock.utc_ms())
        await asyncio.sleep(LOOK_S)
    return None
