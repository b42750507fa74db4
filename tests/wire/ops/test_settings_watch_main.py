"""Settings with all faults at once, secrets that stay secret, counters, clock, and the exit status of a program."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest
from pydantic import Field, ValidationInfo, field_validator

from wire.errors import RefusedError, SettingsError, UnavailableError
from wire.ops import clock, main
from wire.ops.main import call, run, set_up_logging, together
from wire.ops.settings import Settings, load, secret, write_secret
from wire.ops.watch import Happening, Watch


class Part(Settings):
    size: int = Field(ge=1)


class Whole(Settings):
    part: Part
    name: str = "x"


def write(folder: Path, text: str) -> Path:
    path = folder / "a.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_name_every_fault_at_once(tmp_path: Path) -> None:
    assert load(write(tmp_path, "[part]\nsize = 3\n"), Whole).part.size == 3
    with pytest.raises(SettingsError) as told:
        load(write(tmp_path, "nam = 1\n[part]\nsize = 0\nfoo = 1\n"), Whole)
    assert len(told.value.faults) == 3
    assert any("part.size" in fault for fault in told.value.faults)
    assert any("nam: unknown setting" in fault for fault in told.value.faults)


@pytest.mark.parametrize(
    ("text", "said"), [("[part", "not TOML"), ("\udcff", "not TOML"), ("x = " + "[" * 5000, "not TOML")]
)
def test_what_is_not_toml(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=said):
        load(path, Whole)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "b.toml", Whole)
    with pytest.raises(SettingsError, match="can't be read"):
        load(tmp_path, Whole)


def test_secrets(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    write_secret(path, "s3")
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret(path) == "s3"
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        secret(path)
    write_secret(path, "")
    with pytest.raises(SettingsError, match="empty"):
        secret(path)
    with pytest.raises(SettingsError, match="can't be read"):
        secret(tmp_path / "none")


def test_watch_counts_logs_and_renders(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch("agent", [Happening("a.b", "things", logging.INFO, ("why",)), Happening("c", "quiet")])
    watch.gauge("depth", "how deep", lambda: 2.5)
    with caplog.at_level(logging.INFO, "odograph"):
        watch("a.b", why='x"\\\n', extra=1)
        watch("a.b", n=4, why="y")
        watch("c")
    assert (watch.count("a.b"), watch.count("a.b", why="y"), watch.count("c")) == (5, 4, 1)
    assert watch.counts("a.b", "why") == {"y": 4, 'x"\\\n': 1}
    assert len(caplog.records) == 2
    text = watch.render()
    assert 'odograph_agent_a_b_total{why="y"} 4' in text
    assert 'why="x\\"\\\\\\n"' in text
    assert "odograph_agent_c_total 1" in text
    assert "odograph_agent_depth 2.5" in text
    assert "odograph_agent_c_total 0" in Watch("agent", [Happening("c", "quiet")]).render()
    with pytest.raises(KeyError):
        watch("unknown")


def test_the_context_of_a_check_reaches_the_validators(tmp_path: Path) -> None:
    class Strict(Settings):
        size: float = 1

        @field_validator("size")
        @classmethod
        def _told(cls, value: float, info: ValidationInfo) -> float:
            if info.context == {"files": True}:
                raise ValueError("told")
            return value

    path = tmp_path / "x.toml"
    path.write_text("size = 2")
    assert load(path, Strict).size == 2
    with pytest.raises(SettingsError, match="told"):
        load(path, Strict, context={"files": True})
    path.write_text("size = inf")
    with pytest.raises(SettingsError, match="finite"):
        load(path, Strict)


def test_clock() -> None:
    assert clock.utc_ms() > 1_760_000_000_000
    assert clock.mono_ms() <= clock.mono_ms()


def test_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info")

    async def fine() -> None:
        await asyncio.sleep(0)

    async def refused() -> None:
        raise RefusedError("no")

    async def grouped() -> None:
        await together(refused(), asyncio.sleep(60))

    async def signalled() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    async def nested() -> None:
        await together(grouped(), asyncio.sleep(60))

    assert [run(fine), run(refused), run(grouped), run(nested), run(signalled)] == [0, 4, 4, 4, 0]
    assert "error: no" in capsys.readouterr().err


def test_a_second_signal_cuts_no_tidying_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends SIGINT to all in it, and who started the program sends it SIGTERM, too."""
    tidied: list[int] = []

    async def works() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)
                tidied.append(number)

    assert run(works) == 0
    assert tidied == [signal.SIGTERM, signal.SIGINT]
    tidied.clear()
    monkeypatch.setattr(main, "AGAIN_S", -1.0)
    assert run(works) == 0
    assert tidied == [], "much later it is asked anew"


def test_exit_status_of_short_commands(capsys: pytest.CaptureFixture[str]) -> None:
    def unavailable() -> int:
        raise UnavailableError("")

    def faults() -> int:
        raise SettingsError(["a", "b"])

    def stopped() -> int:
        raise KeyboardInterrupt

    assert [call(lambda: None), call(lambda: 7), call(unavailable), call(faults), call(stopped)] == [0, 7, 3, 2, 130]
    assert capsys.readouterr().err.splitlines() == ["error: unavailable", "error: a", "error: b"]


async def test_together_ends_when_one_ends() -> None:
    await asyncio.wait_for(together(asyncio.sleep(0), asyncio.sleep(60)), 1)


async def test_a_work_that_lost_its_cancelling_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "TIDY_S", 0.05)
    asked = 0

    async def deaf() -> None:
        nonlocal asked
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                asked += 1
                if asked == 2:
                    raise

    async with asyncio.timeout(20):
        await together(asyncio.sleep(0.01), deaf())
    assert asked == 2
