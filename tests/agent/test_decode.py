"""`odograph-agent decode`: a real process on real recordings, pipes, archives, damage."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent import decode
from bench import agree
from wire.errors import DecodeError, SettingsError, UnavailableError

GPSD = Path(__file__).parents[1] / "recordings" / "gpsd"


def run(*arguments: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", "decode", *arguments], input=data, capture_output=True, check=False
    )


def records(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, object]], str]:
    assert decode.decode(str(path), as_json=True) == 0
    told = capsys.readouterr()
    return [json.loads(row) for row in told.out.splitlines()], told.err


def test_from_standard_input() -> None:
    told = run("-", "--json", data=gzip.compress(agree.content(GPSD / "gr8013-w.log")))
    assert told.returncode == 0
    rows = [json.loads(row) for row in told.stdout.splitlines()]
    assert [row["time"] for row in rows] == [f"2015-06-19T18:11:4{n}.000Z" for n in (1, 2, 3)]
    assert rows[0]["mode"] == 3
    assert b"3 epochs, 3 of them with a fix" in told.stderr


def test_a_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "decode", str(GPSD / "bundg_zeus_9.log.gz")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 0


def test_exit_statuses() -> None:
    missing = run("/no/such/file")
    assert (missing.returncode, missing.stdout) == (3, b""), "no header of a table that does not come"
    assert run("-", data=b"\xa0\xa2\x00\x02xx\x00\x6b\xb0\xb3").returncode == 5
    assert run("-", "--floor", "soon").returncode == 2, "--floor alone repairs, too"


def test_the_keys_and_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    rows, summary = records(GPSD / "garmin25lp.log.gz", capsys)
    assert {row["mode"] for row in rows} == {1, 2, 3}
    assert all("lat" not in row for row in rows if row["mode"] == 1)
    assert "epochs" in summary
    rows, _ = records(GPSD / "ublox8-uniqid-monhw.log.gz", capsys)
    assert rows[3].keys() >= {
        "time", "mode", "lat", "lon", "alt_m", "speed_mps", "course_deg", "hdop", "pdop", "accuracy_m", "quality", "sats_used",
        "sats_seen", "cn0_dbhz",
    }  # fmt: skip


def test_steps_back_are_told_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows, summary = records(GPSD / "bt451.log.gz", capsys)
    times = [str(row["time"]) for row in rows if "time" in row]
    assert times != sorted(times)
    assert "back-in-time" in summary
    assert "in the order of the file, whose times step back 1 times" in summary
    assert {"back-in-time": 1} in [row.get("rejected") for row in rows]


def test_dates_are_repaired_only_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(GPSD / "tn204.log.gz")
    decode.decode(path, as_json=True)
    assert "2002-10-26" in capsys.readouterr().out
    decode.decode(path, as_json=True, floor_ms=decode.floor_of("2005-03-18"))
    told = capsys.readouterr()
    assert "2022-06-11" in told.out
    assert "dates repaired: " in told.err
    assert "rejected" not in told.err
    assert json.loads(told.out.splitlines()[-1])["repaired"] is True
    decode.decode(path, as_json=True, floor_ms=decode.floor_of("2099-01-01"))
    assert '"date": 1' in capsys.readouterr().out
    assert decode.floor_of(None) > 0
    with pytest.raises(SettingsError):
        decode.floor_of("soon")


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert decode.decode(str(GPSD / "com-1289.log.gz"), as_json=False) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[:3] == ["time", "mode", "lat"]
    assert any("checksum 1" in row for row in rows)


def test_a_damaged_archive_gives_what_it_can(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "drive.nmea.gz"
    path.write_bytes(gzip.compress(agree.content(GPSD / "mt3339.log"))[:-200])
    with pytest.raises(DecodeError, match="damaged"):
        decode.decode(str(path), as_json=True)
    assert len(capsys.readouterr().out.splitlines()) > 3
    with pytest.raises(UnavailableError):
        decode.decode(str(tmp_path), as_json=True)


def test_other_binary_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"\xa0\xa2\x00\x02xx\x00\x6b\xb0\xb3" * 3)
    with pytest.raises(DecodeError, match="SiRF binary; gpsd reads that"):
        decode.decode(str(path), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"mode": 0, "rejected": {"foreign": 3}}, "told on standard output too"
    path.write_bytes(b"$GPTXT,01,01,02,HELLO*0F\r\n" + b"\xa0\xa2\x00\x02xx\x00\x6b\xb0\xb3" * 3)
    with pytest.raises(DecodeError, match="SiRF binary; gpsd reads that"):
        decode.decode(str(path), as_json=False)
    assert capsys.readouterr().out.splitlines()[1].split() == ["-"] * 12 + ["foreign", "3"]
    path.write_bytes(b"nothing")
    with pytest.raises(DecodeError, match="wrong baud"):
        decode.decode(str(path), as_json=True)
    drive = str(GPSD.parent / "nds-drive10.csv.gz")
    with pytest.raises(DecodeError, match=r"a drive for the rig: odograph-agent rig \S+nds-drive10.csv.gz"):
        decode.decode(drive, as_json=True)


def test_progress_where_a_person_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    source = io.BytesIO(b"x" * 100 * decode.CHUNK)
    source.seek(50 * decode.CHUNK)
    decode._progress(source, 100 * decode.CHUNK, done=False)
    decode._progress(source, 100 * decode.CHUNK, done=True)
    decode._progress(source, 100, done=False)
    assert screen.getvalue() == "\r 50 %\r100 %\n"
