"""What the agent remembers over a restart, and that a damaged file is only an empty one."""

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
