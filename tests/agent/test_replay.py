"""`odograph-agent replay`: real files through real cores, one object, lines as sent, exit statuses."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import replay
from agent.core.profiles import PROFILES
from agent.core.replay_keys import KEYS
from agent.replay import Options, sampling_of
from wire.codec import decode_live
from wire.errors import DecodeError, SettingsError, UnavailableError

RECORDINGS = Path(__file__).parents[1] / "recordings"
DRIVES = tuple(str(RECORDINGS / name) for name in ("nds-drive06.csv", "nds-drive10.csv.gz"))


def told(capsys: pytest.CaptureFixture[str], *files: str, status: int = 0, **options: Any) -> dict[str, Any]:
    assert replay.replay(Options(files, as_json=True, **options)) == status
    whole: dict[str, Any] = json.loads(capsys.readouterr().out)
    return whole


def run(*arguments: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", "replay", *arguments], input=data, capture_output=True, check=False
    )


def test_two_drives_pooled(capsys: pytest.CaptureFixture[str]) -> None:
    whole = told(capsys, *DRIVES)
    first, second = whole["files"]
    assert [each["file"] for each in whole["files"]] == list(DRIVES)
    assert (first["fixes"], second["fixes"], whole["fixes"]) == (547, 686, 1233)
    assert whole["live_messages"] == first["live_messages"] + second["live_messages"]
    assert whole["hours"] == pytest.approx(first["hours"] + second["hours"], abs=1e-3)
    assert whole["km"] == pytest.approx(11.3, abs=0.2)
    assert whole["odometer_m"] == pytest.approx(11_250, rel=0.02)
    error = whole["live_error_m"]
    assert 0 < error["p50"] < error["p95"] < error["p99"] <= error["max"] <= 10.0
    assert min(first["live_error_m"]["max"], second["live_error_m"]["max"]) <= error["max"]
    assert whole["track_sed_max_m"] < 0.02
    assert whole["thinned"]["eps_m"] == 5.0
    assert whole["thinned"]["sed_max_m"] <= 5.0
    assert whole["thinned"]["points"] < 110
    assert whole["bytes"]["track_per_fix"] < 14
    assert whole["refused_or_held_share_going"] <= 0.03
    assert "failed" not in whole


def test_a_profile_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    fine = told(capsys, DRIVES[0], profile="courier")
    coarse = told(capsys, DRIVES[0], profile="courier", sets=("eps_m=30", "sampling.upload_s = 600"))
    assert (fine["settings"]["eps_m"], fine["settings"]["upload_s"]) == (5.0, 30.0)
    assert (coarse["settings"]["eps_m"], coarse["settings"]["upload_s"]) == (30.0, 600.0)
    assert coarse["settings"]["heartbeat_moving_s"] == PROFILES["courier"].sampling["heartbeat_moving_s"]
    assert coarse["live_messages"] < fine["live_messages"] / 2
    assert fine["live_error_m"]["max"] <= 5.0 < coarse["live_error_m"]["max"] <= 30.0
    assert coarse["bytes"]["track"] < fine["bytes"]["track"]


@pytest.mark.parametrize(
    ("profile", "sets", "said"),
    [
        ("citty", (), "did you mean city"),
        (None, ("eps_m",), "wants key=value"),
        (None, ("eps_m=fine", "eps=3"), "(?s)eps_m: must be a valid number.*eps: unknown setting"),
        (None, ("budget.month_mb=30",), "keys of .sampling. alone"),
        (None, ("eps_m=0",), "greater than or equal to 1"),
        ("city", ("profile=zzz",), "no profile 'zzz'; there are city"),
    ],
)
def test_wrong_settings(profile: str | None, sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        sampling_of(profile, sets)


def test_lines_as_sent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    live, track = tmp_path / "live.jsonl", tmp_path / "track.jsonl"
    whole = told(capsys, *DRIVES, live=live, track=track)
    lines = live.read_bytes().splitlines()
    assert len(lines) == whole["live_messages"]
    assert sum(map(len, lines)) == whole["bytes"]["live"]
    assert decode_live(lines[0]).at_ms == 1_558_903_549_000
    rows = [json.loads(line) for line in track.read_text().splitlines()]
    assert len(rows) == whole["fixes"]
    assert sum(row["held"] for row in rows) == whole["held"]
    again = told(capsys, str(track))
    assert again["read"] == whole["fixes"], "what it writes it reads"
    assert [each["drives"] for each in again["files"]] == [2]
    assert again["live_messages"] == pytest.approx(whole["live_messages"], abs=4)


def test_the_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    whole = told(capsys, *DRIVES, compare=True)
    rows = {row["rule"]: row for row in whole["compare"]}
    assert list(rows) == ["odograph", "fixed_1s", "fixed_5s_30s", "teltonika", "traccar", "owntracks", "linear"]
    ours = rows["odograph"]
    assert ours["messages"] == whole["live_messages"]
    assert ours["messages"] <= rows["linear"]["messages"]
    assert rows["linear"]["extrapolate_m"]["max"] <= 10.0
    assert rows["fixed_5s_30s"]["hold_m"]["p95"] > 5 * ours["extrapolate_m"]["p95"]
    assert [row["rule"] for row in whole["files"][0]["compare"]] == list(rows)
    assert replay.replay(Options(DRIVES[:1], compare=True)) == 0
    assert "OwnTracks move mode" in capsys.readouterr().out


def test_files_that_fail_are_told_and_the_others_count(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    binary = tmp_path / "x.bin"
    binary.write_bytes(bytes(range(256)) * 9)
    whole = told(capsys, str(binary), DRIVES[0], str(tmp_path / "none.csv"), str(tmp_path), status=5)
    assert [each["file"] for each in whole["files"]] == [DRIVES[0]]
    assert [each["file"] for each in whole["failed"]] == [str(binary), str(tmp_path / "none.csv"), str(tmp_path)]
    assert replay.replay(Options((str(tmp_path),))) == 3
    assert capsys.readouterr().err == f"error: {tmp_path}: Is a directory\n"


def test_a_message_that_no_hub_takes_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DecodeError("out-of-range", "spd")

    monkeypatch.setattr(replay, "drive_through", refuse)
    assert replay.replay(Options(DRIVES[:1])) == 5
    assert "makes a message that can't be read (spd: out-of-range)" in capsys.readouterr().err


def test_a_file_that_is_too_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(replay, "MAX_BYTES", 1000)
    assert replay.replay(Options(DRIVES[:1])) == 5
    assert "too-long" in capsys.readouterr().err


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="can't be written"):
        replay.replay(Options(DRIVES[:1], live=tmp_path / "no" / "live"))


def test_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "TOLD_EVERY", 500)
    assert replay.replay(Options(DRIVES[:1], progress=True)) == 0
    assert capsys.readouterr().err.splitlines() == [f"1 of 1: {DRIVES[0]}", "… 500 fixes"]


def test_broken_lines_and_refused_fixes_are_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{10 + n},{52 + n * 1e-4},5,11,0" for n in range(5)] + ["15,,5,11,0", "16,60,5,11,0", "14,52.0004,5,11,0"]
    path.write_text("time,lat,lon,speed,course\n" + "\n".join(rows) + "\n")
    whole = told(capsys, str(path))
    assert whole["rejected"] == {"no-position": 1, "jump": 1, "repeated": 1}
    assert (whole["read"], whole["fixes"]) == (7, 5)
    assert whole["refused_or_held_share"] == pytest.approx(2 / 7, abs=1e-5)


def test_vehicles_of_one_file_begin_anew(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{name},{10 + n},{lat + n * 1e-4},5" for n in range(9) for name, lat in (("a", 52), ("b", -33))]
    path.write_text("uid,time,lat,lon\n" + "\n".join(rows) + "\n")
    whole = told(capsys, str(path))
    assert whole["files"][0]["drives"] == 2
    assert (whole["fixes"], whole["rejected"]) == (18, {})


def test_the_command_reads_standard_input_and_tells_statuses() -> None:
    good = run("-", "--json", data=gzip.compress(Path(DRIVES[0]).read_bytes()))
    assert good.returncode == 0
    assert json.loads(good.stdout)["files"][0]["file"] == "-"
    wrong = run("x.csv", "--profile", "cty")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines() == [b"error: --profile: no profile 'cty', did you mean city? there are city, highway, "
                                         b"courier, trailer, low-data"]  # fmt: skip
    assert run("-", data=b"nothing").returncode == 5


def test_a_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "replay", DRIVES[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 0


def test_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert replay.replay(Options(DRIVES, plot=path)) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()


def test_every_key_has_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    whole = told(capsys, DRIVES[0], "/no/such/file", status=3, compare=True)
    inner = {"thinned", "bytes", "parked"}
    keys = [key for key in whole if key not in inner] + [f"{key}.{name}" for key in inner for name in whole[key]]
    assert set(keys) == set(KEYS)
    assert set(whole["files"][0]) - set(whole) == {"file", "format", "drives"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--live", "in.csv"), "a file to be read"), (("--plot", "in.csv"), "a file to be read"),
        (("--live", "x", "--track", "x"), "the file of --live"), (("--live", "-"), "wants the name of a file"),
    ],
)  # fmt: skip
def test_no_file_is_written_over_another(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = Path(DRIVES[0]).read_bytes()
    (tmp_path / "in.csv").write_bytes(before)
    options = {key.removeprefix("--"): Path(value) for key, value in zip(words[::2], words[1::2], strict=True)}
    with pytest.raises(SettingsError, match=said):
        replay.replay(Options(("in.csv",), **options))  # type: ignore[arg-type]  # three of the paths
    assert (tmp_path / "in.csv").read_bytes() == before


def test_a_full_disk_and_a_place_that_cannot_be_written_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnavailableError, match="No space left"):
        replay.replay(Options(DRIVES[:1], live=Path("/dev/full")))
    with pytest.raises(UnavailableError, match="can't be written"):
        replay.replay(Options(DRIVES[:1], plot=Path("/proc/drive.png")))
    assert capsys.readouterr().out == ""


def test_a_profile_thins_as_its_disk_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, DRIVES[1])["thinned"]["eps_m"] == 5.0
    assert told(capsys, DRIVES[1], profile="trailer")["thinned"]["eps_m"] == 20.0
