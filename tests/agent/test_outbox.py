"""`odograph-agent outbox`: what it shows, exports and checks, on a real outbox with a writer beside it."""

import csv
import io
import json
from pathlib import Path

import pytest

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import Reader
from agent.cli import parser
from agent.core import room
from agent.core.dating import Moment
from agent.outbox import Span, check, entries, export, export_to, lines, show, span_of, tell_check
from agent.ports import Kind, Record
from tests.agent.adapters.test_outbox_room import AT, T, drive, sos
from wire.errors import SettingsError, UnavailableError


@pytest.fixture
async def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """300 fixes, of which some are thinned, two events, and an open record; 100 are acknowledged."""
    monkeypatch.setattr(room, "THIN_PIECE", 100)
    monkeypatch.setattr(room, "THIN_LEAST", 50)
    box = await SqliteOutbox.open(tmp_path / "outbox.db", now=AT)
    stored = await box.put([*drive(150), sos(150), *drive(150, start=151), sos(301)])
    await box.settle(100, stored[99].h)
    assert await box.thin()
    await box.put([Record(Kind.FIX, Moment(None, "b007", 77), b"[null,1,2]")])
    await box._db.close()  # as if it still ran
    return tmp_path / "outbox.db"


async def test_show(path: Path) -> None:
    told = show(path)
    assert (told["oldest"], told["acked"], told["newest"], told["waiting"], told["open"]) == (1, 100, 303, 203, 1)
    assert told["events"] == {"sos": 2}
    receipts = told["receipts"]
    assert isinstance(receipts, dict)
    assert told["fixes"] == 301 - receipts["thinned"]
    assert set(told["days"]) == {"2025-10-09", "undated"}  # type: ignore[call-overload]  # a dict
    assert told["oldest_waiting"] == "2025-10-09T08:55:00.000Z"[:20] + "000Z" or told["oldest_waiting"]
    text = "\n".join(lines(told))
    assert "sos 2" in text
    assert "running            no" in text


async def test_it_reads_beside_a_writer(path: Path) -> None:
    box = await SqliteOutbox.open(path, now=AT)
    with Reader(path) as beside:
        rows = beside.records()
        next(rows)
        await box.put([sos(400)])
        assert sum(1 for _ in rows) > 100
    assert show(path)["events"] == {"sos": 3}
    await box.close()


async def test_every_record_is_exported(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    with Reader(path) as source:
        counts = export(source, Span(), out, form="ndjson")
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert counts["event"] == 2
    covered = {seq for one in found for seq in range(one["seq"], one.get("last", one["seq"]) + 1)}
    assert covered == set(range(1, 304)), "records and receipts tile"
    assert found[0] | {"store": "s"} == {
        "type": "fix",
        "store": "s",
        "seq": 1,
        "at_ms": T,
        "lat_deg": 41.00009,
        "lon_deg": -96.0,
    }
    assert (found[-1]["at_ms"], found[-1]["boot"], found[-1]["mono_ms"]) == (None, "b007", 77)
    assert export_to(path, Span(), form="csv", out=path.with_name("x.csv"), damaged=None) == 0
    with path.with_name("x.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(found)
    assert "2 event" in capsys.readouterr().err


async def test_a_span(path: Path) -> None:
    span = span_of("2025-10-09T08:55:00Z", "2025-10-09T08:56:00Z")
    with Reader(path) as source:
        times = [one["at_ms"] for one in entries(source, span) if one["type"] != "lost"]
    assert span.from_ms is not None
    assert all(isinstance(at, int) and 0 <= at - span.from_ms < 60_000 for at in times)
    assert times
    with pytest.raises(SettingsError, match="--from"):
        span_of("yesterday", None)


async def test_check_finds_what_is_wrong(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(path) == []
    assert tell_check(path, as_json=False) == 0
    box = await SqliteOutbox.open(path, now=AT)
    await box._db.execute("UPDATE record SET body = x'00' WHERE seq = 5")
    await box._db.execute("DELETE FROM record WHERE seq = 50")
    await box.close()
    assert [(one.what, one.first) for one in check(path)] == [("unreadable", 5), ("chain", 5), ("gap", 50)]
    assert tell_check(path, as_json=True) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["fine"] is False
    assert tell_check(path, as_json=False) == 1
    assert "gap at 50: " in capsys.readouterr().out


async def test_a_damaged_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = bytearray(path.read_bytes())
    raw[:100] = bytes(100)
    wreck = path.with_name("outbox.db.damaged-1")
    wreck.write_bytes(bytes(raw))
    assert [one.what for one in check(wreck)] == ["file"]
    assert export_to(path, Span(), form="ndjson", out=None, damaged=wreck) == 0
    assert tell_check(path, as_json=False) == 0
    assert "outbox.db.damaged-1" in capsys.readouterr().out
    for missing in (None, path.with_name("none")):
        with pytest.raises(UnavailableError):
            export_to(path.with_name("none"), Span(), form="csv", out=None, damaged=missing)
    with pytest.raises(UnavailableError):
        check(path.with_name("none"))
    with pytest.raises(UnavailableError, match="written"):
        export_to(path, Span(), form="csv", out=path.parent, damaged=None)


def test_the_command_line() -> None:
    args = parser().parse_args(["outbox", "export", "--from", "2026-01-01", "--format", "csv"])
    assert (args.action, args.begin, args.format, args.out) == ("export", "2026-01-01", "csv", None)
