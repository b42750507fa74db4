"""`odograph-agent odometer`: what it shows, and how it is set to what the dashboard shows."""

from agent.adapters.notes import Notes
from agent.adapters.sqlite_file import only_agent
from agent.adapters.state_socket import ask, socket_path
from agent.mileage import FARTHEST_M, NOTE, noted, recalled
from agent.settings import AgentSettings
from wire.errors import RefusedError, SettingsError, UnavailableError


def shown_km(settings: AgentSettings) -> tuple[float, str]:
    """What the running agent says, else what was noted; and what is wrong with the note."""
    state = ask(socket_path(settings.outbox.path))
    told = None if state is None else state.get("odometer_km")
    if state is not None and isinstance(told, int | float):
        return float(told), str(state.get("notes_fault", ""))
    notes = _notes(settings)
    return recalled(notes.record(NOTE)).metres / 1000.0, notes.fault


def set_km(settings: AgentSettings, km: float) -> float:
    """Set it while no agent runs; gives what it showed before. Raises RefusedError, SettingsError or UnavailableError."""
    if not 0.0 <= km <= FARTHEST_M / 1000.0:
        raise SettingsError([f"--set-km: wants kilometres from 0 to {FARTHEST_M / 1000.0:.0f}"])
    path = settings.outbox.path
    if ask(socket_path(path)) is not None:
        raise RefusedError("the agent runs; stop it first: systemctl stop odograph-agent")
    with only_agent(path):
        notes = _notes(settings)
        before = recalled(notes.record(NOTE))
        notes.keep_all({NOTE: noted(before) | {"m": round(km * 1000.0, 1)}})
        if recalled(_notes(settings).record(NOTE)).metres != round(km * 1000.0, 1):
            raise UnavailableError(f"{path.with_suffix('.notes')}: can't be written")
    return before.metres / 1000.0


def _notes(settings: AgentSettings) -> Notes:
    return Notes(settings.outbox.path.with_suffix(".notes"))
