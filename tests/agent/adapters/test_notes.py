"""What the agent remembers over a restart, and that a damaged file gives way to the copy before it and is told."""

import json
from pathlib import Path

import pytest

from agent.adapters.notes import LARGEST_BYTES, Notes


def test_a_number_is_kept_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.notes"
    notes = Notes(path)
    assert notes.number("rest_v", 8, 32) is None
    notes.keep("rest_v", 12.6)
    written = path.stat().st_mtime_ns
    notes.keep("rest_v", 12.6)
    assert path.stat().st_mtime_ns == written, "no news, no write"
    assert Notes(path).number("rest_v", 8, 32) == 12.6
    assert Notes(path).number("rest_v", 20, 32) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b'{"rest_v": "x"}', b'{"rest_v": true}', b"[" * LARGEST_BYTES * 2, b"\xff\xfe"]
)
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "outbox.notes"
    path.write_bytes(text)
    notes = Notes(path)
    assert notes.number("rest_v", 8, 32) is None
    notes.keep("rest_v", 12.5)
    assert Notes(path).number("rest_v", 8, 32) == 12.5


def test_a_disk_that_refuses_costs_only_the_memory(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "away" / "outbox.notes")
    notes.keep("rest_v", 12.6)
    assert notes.number("rest_v", 8, 32) == 12.6


def test_a_damaged_file_is_told_and_the_copy_before_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "outbox.notes"
    notes = Notes(path)
    assert notes.fault == ""
    notes.keep("odo", {"m": 100.0})
    notes.keep_all({"odo": {"m": 200.0}, "rest_v": 12.5})
    again = Notes(path)
    assert (again.fault, again.record("odo"), again.record("rest_v")) == ("", {"m": 200.0}, None)
    path.write_text('{"odo": {"m": 2', encoding="utf-8")
    hurt = Notes(path)
    assert hurt.record("odo") == {"m": 100.0}
    assert hurt.fault.endswith("damaged; the copy before it serves")
    (tmp_path / "outbox.notes-old").write_bytes(b"")
    assert Notes(path).fault.endswith("damaged; what it held is lost")


def test_cut_between_two_renames_the_copy_serves(tmp_path: Path) -> None:
    path = tmp_path / "outbox.notes"
    (tmp_path / "outbox.notes-old").write_text(json.dumps({"odo": {"m": 7}}), encoding="utf-8")
    notes = Notes(path)
    assert (notes.record("odo"), notes.fault) == ({"m": 7}, "")


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.notes").mkdir()
    assert "can't be read" in Notes(tmp_path / "outbox.notes").fault


def test_what_may_wait_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "outbox.notes"
    notes = Notes(path)
    notes.keep_all({"budget": {"n": 1}}, later=True)
    assert notes.record("budget") == {"n": 1}
    assert not path.exists()
    notes.keep_all({})
    assert Notes(path).record("budget") == {"n": 1}
