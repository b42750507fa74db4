"""What the odometer keeps: over restarts, power cuts and damaged notes; and how it is set by hand."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.notes import Notes
from agent.adapters.sqlite_file import only_agent
from agent.adapters.state_socket import answer, socket_path
from agent.cli import main
from agent.core import ignition
from agent.core.obd import bus
from agent.core.obd.bus import BusValue
from agent.flow import Senses, take
from agent.mileage import NOTE, Mileage, coast, due, keep_mileage
from tests.agent.test_flow import Clock, fix, senses


async def drive(s: Senses, seconds: int, *, start: int = 0) -> None:
    for second in range(start, start + seconds):
        s.clock.ms += 1000  # type: ignore[attr-defined]  # the clock of the test
        await take(replace(fix(second, north=0.0001 * second), speed_mps=11.0), s)


async def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    path, s = tmp_path / "outbox.notes", senses()
    mileage = Mileage.of(s, Notes(path))
    await drive(s, 21)
    assert s.vehicle.driven.metres == pytest.approx(220.0)
    assert due(mileage) is True
    mileage.keep()
    assert due(mileage) is False
    again = senses()
    resumed = Mileage.of(again, Notes(path))
    assert again.vehicle.driven.metres == pytest.approx(220.0)
    assert not resumed.fault
    await take(replace(fix(600, north=0.0001 * 60), speed_mps=11.0), again)
    assert again.vehicle.driven.metres == pytest.approx(220.0 + 40 * 11.12, abs=1.0), "the way that nobody saw"


async def test_it_is_noted_by_way_by_time_and_when_the_ignition_goes_off(tmp_path: Path) -> None:
    s = senses()
    mileage = Mileage.of(s, Notes(tmp_path / "outbox.notes"))
    await drive(s, 4)
    assert due(mileage) is False, "33 m, 4 s"
    s.vehicle.ignition_state = ignition.State(on=True)
    assert due(mileage) is False
    s.vehicle.ignition_state = ignition.State(on=False)
    assert due(mileage) is True
    mileage.keep()
    await drive(s, 2, start=4)
    assert due(mileage) is False
    s.clock.ms += 10_000  # type: ignore[attr-defined]  # the clock of the test
    assert due(mileage) is True
    mileage.keep()
    s.clock.ms += 60_000  # type: ignore[attr-defined]  # the clock of the test
    assert due(mileage) is False, "it stands: nothing to note"


async def test_the_bus_counts_while_no_fix_comes(tmp_path: Path) -> None:
    clock = Clock()
    s = senses(clock)
    mileage = Mileage.of(s, Notes(tmp_path / "outbox.notes"))
    coast(mileage)
    assert s.vehicle.driven.metres == 0.0
    await drive(s, 2)
    before = s.vehicle.driven.metres
    coast(mileage)
    assert s.vehicle.driven.metres == before, "the fix is fresh"
    for _ in range(10):
        clock.ms += 1000
        s.vehicle.signals = bus.step(s.vehicle.signals, BusValue("vs", 36.0, clock.ms), clock.ms)
        coast(mileage)
    assert s.vehicle.driven.metres == pytest.approx(before + 100.0)


@pytest.mark.parametrize(
    "note", ['{"odometer": {"m": -5}}', '{"odometer": {"m": 5, "bus_m": 0, "true_m": 0, "lat": 99}}']
)
def test_a_note_that_is_none_is_told_and_not_taken_for_nothing(tmp_path: Path, note: str) -> None:
    path, s = tmp_path / "outbox.notes", senses()
    path.write_text(note, encoding="utf-8")
    mileage = Mileage.of(s, Notes(path))
    assert mileage.fault.startswith("the odometer begins at 0: ")
    assert s.watch.count("notes.damaged") == 1  # type: ignore[attr-defined]  # a Watch


def test_a_damaged_file_is_told_and_the_note_before_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "outbox.notes"
    notes = Notes(path)
    for metres in (1000.0, 1100.0):
        notes.keep(NOTE, {"m": metres, "bus_m": 0, "true_m": 0})
    path.write_bytes(path.read_bytes()[:20])
    s = senses()
    mileage = Mileage.of(s, Notes(path))
    assert s.vehicle.driven.metres == 1000.0
    assert "damaged" in mileage.fault


class Kept:
    """Notes in memory that tell when they were written."""

    fault = ""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}
        self.written = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def record(self, key: str) -> Mapping[str, object] | None:
        value = self.kept.get(key)
        return value if isinstance(value, dict) else None

    def keep_all(self, values: Mapping[str, object], *, later: bool = False) -> None:
        self.kept |= values
        self.loop.call_soon_threadsafe(self.written.set)


async def test_the_task_notes_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.mileage.LOOK_EVERY_S", 0.001)
    s, notes = senses(), Kept()
    mileage = Mileage.of(s, notes)
    await drive(s, 12)
    task = asyncio.ensure_future(keep_mileage(mileage))
    async with asyncio.timeout(10):
        await notes.written.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert notes.kept[NOTE]["m"] == pytest.approx(121.0)  # type: ignore[index]  # a note


def settings_in(folder: Path) -> Path:
    secret = folder / "secret"
    secret.write_text("s", encoding="utf-8")
    secret.chmod(0o600)
    path = folder / "agent.toml"
    path.write_text(
        f'[device]\nid = "gw-1"\nsecret_file = "{secret}"\n[hub]\nurl = "mqtt://127.0.0.1:1"\n'
        f'[gnss]\npath = "{folder}/gnss"\n[outbox]\npath = "{folder}/outbox.db"\n',
        encoding="utf-8",
    )
    return path


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["odograph-agent", "odometer", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def test_it_is_set_by_hand_while_no_agent_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(settings_in(tmp_path))
    assert status_of(monkeypatch, "--config", config) == 0
    assert capsys.readouterr().out == "0.000 km\n"
    assert status_of(monkeypatch, "--config", config, "--set-km", "120345.6") == 0
    assert capsys.readouterr().out == "120345.600 km; before: 0.000 km\n"
    assert status_of(monkeypatch, "--config", config) == 0
    assert capsys.readouterr().out == "120345.600 km\n"
    assert status_of(monkeypatch, "--config", config, "--set-km", "-1") == 2
    assert status_of(monkeypatch, "--config", config, "--set-km", "nan") == 2
    with only_agent(tmp_path / "outbox.db"):
        assert status_of(monkeypatch, "--config", config, "--set-km", "1") == 4
    (tmp_path / "outbox.notes-new").mkdir()
    assert status_of(monkeypatch, "--config", config, "--set-km", "1") == 3, "a disk that refuses is told"


async def test_a_running_agent_is_asked_and_must_be_stopped_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(settings_in(tmp_path))
    socket = socket_path(tmp_path / "outbox.db")
    serving = asyncio.ensure_future(answer(socket, lambda: {"odometer_km": 7.5}))
    while not socket.exists():  # noqa: ASYNC110  # it comes at once
        await asyncio.sleep(0.01)
    assert await asyncio.to_thread(status_of, monkeypatch, "--config", config) == 0
    assert capsys.readouterr().out == "7.500 km\n"
    assert await asyncio.to_thread(status_of, monkeypatch, "--config", config, "--set-km", "1") == 4
    assert "systemctl stop" in capsys.readouterr().err
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
