"""What `odograph-agent status` shows: the running agent's own word, or what the outbox holds when none runs."""

from dataclasses import asdict

from agent.adapters import gpsd_poll
from agent.adapters.sqlite_file import look_into
from agent.adapters.state_socket import ask, socket_path
from agent.settings import AgentSettings
from wire.errors import UnavailableError


async def look(settings: AgentSettings) -> dict[str, object]:
    """Ask the agent on its socket; without one, look at the outbox and at gpsd, changing nothing."""
    state = ask(socket_path(settings.outbox.path))
    if state is not None:
        return state
    state = {"running": False, "outbox": look_into(settings.outbox.path)}
    if settings.gnss.source == "gpsd":
        state["gpsd"] = _gpsd(*settings.gnss.address)
    return state


def _gpsd(host: str, port: int) -> dict[str, object]:
    try:
        return asdict(gpsd_poll.look(host, port))
    except UnavailableError as error:
        return {"error": str(error)}


def lines(state: dict[str, object]) -> list[str]:
    """The state for a person; what is not known is left out."""
    out = [] if state["running"] else ["the agent does not run"]
    out += [f"{key.replace('_', ' '):<18} {_words(value)}" for key, value in state.items()]
    return out


def _words(value: object) -> str:
    if isinstance(value, dict):
        known = {name: inner for name, inner in value.items() if inner not in (None, "", {}, [])}
        return ", ".join(f"{name.replace('_', ' ')} {_words(inner)}" for name, inner in known.items()) or "nothing"
    if isinstance(value, list):
        return " ".join(_words(inner) for inner in value)
    return _short(value)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
