"""What `odograph-agent outbox` does: show what the outbox holds, export it, check it. Read only, beside a running agent or without."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TextIO

from agent.adapters.sqlite_file import FullDiskError, Reader
from agent.adapters.sqlite_salvage import Damaged, aside
from agent.adapters.state_socket import ask, socket_path
from agent.core.audit import CURES, Fault, marks, tiling
from agent.core.salvage import EVENT, OPEN, UNDATED, Facts, Found, number, sound
from wire.errors import SettingsError, UnavailableError
from wire.iso import from_iso, iso
from wire.schema import NAMES, named

DAY_MS = 86_400_000
SAY_EVERY = 50_000
FAULTS_MOST = 1_000
SHOWN_MOST = 20
FIRST = ("type", "store", "seq")
LAST = ("kind", "detail", "boot", "mono_ms", "last", "reason")


@dataclass(frozen=True, slots=True)
class Span:
    """Which records are wanted, by their time."""

    from_ms: int | None = None
    until_ms: int | None = None

    def holds(self, at_ms: int | None) -> bool:
        """Whether a time is wanted. A record that has none is, unless a span is asked for."""
        if self.from_ms is None and self.until_ms is None:
            return True
        if at_ms is None:
            return False
        return (self.from_ms or 0) <= at_ms < (1 << 62 if self.until_ms is None else self.until_ms)


def span_of(begin: str | None, end: str | None) -> Span:
    """The span from the command line."""
    return Span(_time("--from", begin), _time("--to", end))


def _time(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else from_iso(text)
    except (ValueError, OverflowError):
        raise SettingsError([f"{name}: no time as 2026-01-31 or 2026-01-31T08:00:00Z: {text}"]) from None


def show(path: Path) -> dict[str, object]:
    """What the outbox holds."""
    with Reader(path) as box:
        facts = box.facts()
        acked, store = number(facts, "acked"), facts.meta.get("store", "")
        oldest, newest = box.rows("SELECT min(seq), max(seq) FROM record")[0]
        days: dict[str, dict[str, int]] = {}
        sql = (
            f"SELECT CASE WHEN at_ms > 0 THEN at_ms / {DAY_MS} END, kind, count(*) FROM record GROUP BY 1, 2 ORDER BY 1"  # noqa: S608  # a constant
        )
        for day, kind, n in box.rows(sql):
            name = "undated" if day is None else iso(day * DAY_MS)[:10]
            days.setdefault(name, {})["events" if kind == EVENT else "fixes"] = n
        waiting = box.rows("SELECT min(at_ms) FROM record WHERE seq > ? AND at_ms > 0", acked)[0][0]
        (opened,) = box.rows("SELECT count(*) FROM record WHERE at_ms < 0")[0]
        kinds = box.rows("SELECT body FROM record WHERE kind = 'e'")
        events: dict[str, int] = {}
        for (body,) in kinds:
            kind = _kind(body)
            events[kind] = events.get(kind, 0) + 1
    receipts: dict[str, int] = {}
    for first, (last, reason) in facts.lost.items():
        receipts[reason] = receipts.get(reason, 0) + last - first + 1
    files = [path, *(path.with_name(path.name + end) for end in ("-wal",))]
    return {
        "file": str(path), "running": ask(socket_path(path)) is not None, "store": store,
        "oldest": oldest, "acked": acked, "newest": newest or 0, "waiting": max(0, (newest or 0) - acked),
        "oldest_waiting": None if waiting is None else iso(waiting), "open": opened,
        "fixes": sum(day.get("fixes", 0) for day in days.values()), "events": dict(sorted(events.items())),
        "days": days, "receipts": receipts, "bytes": sum(one.stat().st_size for one in files if one.exists()),
        "damaged": [one.name for one in aside(path)],
    }  # fmt: skip


def _kind(body: bytes) -> str:
    with contextlib.suppress(ValueError, IndexError, TypeError, KeyError):
        return str(json.loads(body)[1])
    return "unreadable"


def lines(told: dict[str, object]) -> list[str]:
    """`show` for a person."""
    out = []
    for key, value in told.items():
        if key == "days" and isinstance(value, dict):
            for day, counts in value.items():
                out.append(f"{'  ' + day:<18} " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
        elif isinstance(value, dict):
            out.append(f"{key:<18} " + (", ".join(f"{name} {n}" for name, n in value.items()) or "none"))
        elif isinstance(value, list):
            out.append(f"{key:<18} {' '.join(value) or 'none'}")
        else:
            word = (
                {True: "yes", False: "no", None: "-"}.get(value) if value is None or isinstance(value, bool) else value
            )
            out.append(f"{key.replace('_', ' '):<18} {word}")
    return out


class Source(Protocol):
    """Where records come from: an outbox, or a damaged one."""

    def records(self) -> Iterator[Found]:
        """All of them, by rising seq."""

    def facts(self) -> Facts:
        """The small tables."""


class Wreck:
    """A damaged outbox as a source: what counts in it."""

    def __init__(self, path: Path) -> None:
        try:
            self._damaged = Damaged(path)
        except OSError as error:
            raise UnavailableError(f"{path}: can't be read: {error.strerror}") from None
        self._damaged.survey(1, self._damaged.count)

    def records(self) -> Iterator[Found]:
        """Those that count."""
        return self._damaged.believed(1 << 53)

    def facts(self) -> Facts:
        """What could be read of the small tables."""
        return self._damaged.facts

    def close(self) -> None:
        """Close."""
        self._damaged.close()


def entries(source: Source, span: Span) -> Iterator[dict[str, object]]:
    """Records and receipts as they are exported, in the order of their seqs. A receipt goes with the record before it."""
    facts = source.facts()
    store, lost, wanted = facts.meta.get("store", ""), sorted(facts.lost.items()), span == Span()
    at = 0
    for one in source.records():
        while at < len(lost) and lost[at][0] < one.seq:
            if wanted:
                yield _receipt(store, *lost[at])
            at += 1
        wanted = span.holds(None if one.at_ms in {OPEN, UNDATED} else one.at_ms)
        if wanted:
            yield _entry(store, one, facts)
    if wanted:
        yield from (_receipt(store, *each) for each in lost[at:])


def _receipt(store: str, first: int, rest: tuple[int, str]) -> dict[str, object]:
    return {"type": "lost", "store": store, "seq": first, "last": rest[0], "reason": rest[1]}


def _entry(store: str, one: Found, facts: Facts) -> dict[str, object]:
    at: dict[str, object] = {"at_ms": one.at_ms if one.at_ms > 0 else None}
    if one.at_ms <= 0:
        at |= {"boot": facts.boots.get(one.boot, ""), "mono_ms": one.mono_ms}
    if not sound(one.kind, one.at_ms, one.body):
        return {"type": "unreadable", "store": store, "seq": one.seq, "detail": one.body.hex()} | at
    told = json.loads(one.body)
    if one.kind == EVENT:
        _, kind, lat, lon, detail = told
        event = {"type": "event", "store": store, "seq": one.seq, "kind": kind, "lat_deg": lat, "lon_deg": lon}
        return event | {"detail": detail} | at
    row = (told[0] or 0, *told[1:], *[None] * (len(NAMES) - len(told)))
    return {"type": "fix", "store": store, "seq": one.seq} | named(row) | at


def export(source: Source, span: Span, out: TextIO, *, form: str) -> dict[str, int]:
    """Write all of it, streamed; gives how many of each type."""
    counts: dict[str, int] = {}
    table = csv.DictWriter(out, [*FIRST, *NAMES, *LAST], lineterminator="\n")
    if form == "csv":
        table.writeheader()
    for done, entry in enumerate(entries(source, span), 1):
        if form == "csv":
            table.writerow({k: json.dumps(v) if isinstance(v, dict) else v for k, v in entry.items()})
        else:
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")
        counts[str(entry["type"])] = counts.get(str(entry["type"]), 0) + 1
        if done % SAY_EVERY == 0:
            print(f"{done} written", file=sys.stderr, flush=True)
    return counts


def export_to(path: Path, span: Span, *, form: str, out: Path | None, damaged: Path | None) -> int:
    """The command: to a file or standard output, the counts on standard error."""
    with contextlib.ExitStack() as stack:
        source: Source
        if damaged is not None:
            source = stack.enter_context(contextlib.closing(Wreck(damaged)))
        else:
            source = stack.enter_context(Reader(path))
        try:
            file = sys.stdout if out is None else stack.enter_context(out.open("w", encoding="utf-8", newline=""))
            counts = export(source, span, file, form=form)
        except BrokenPipeError:
            return 0
        except OSError as error:
            raise UnavailableError(f"{out or 'standard output'}: can't be written: {error.strerror}") from None
    print(", ".join(f"{n} {kind}" for kind, n in counts.items()) or "nothing", file=sys.stderr)
    return 0


def check(path: Path) -> list[Fault]:
    """Everything that is wrong, the file itself first."""
    try:
        with Reader(path) as box:
            faults = [Fault("file", 0, 0, about) for about in box.integrity()]
            facts = box.facts()
            lost = [(first, last) for first, (last, _) in sorted(facts.lost.items())]
            for fault in tiling(box.records(), lost):
                faults.append(fault)
                if len(faults) >= FAULTS_MOST:
                    break
            newest = box.rows("SELECT max(seq) FROM record")[0][0] or 0
            at_mark = box.rows("SELECT h FROM record WHERE seq = ?", number(facts, "acked"))
            return [*faults, *marks(facts, newest, at_mark[0][0] if at_mark else None)]
    except UnavailableError as error:
        if isinstance(error, FullDiskError) or not path.is_file():
            raise
        return [Fault("file", 0, 0, str(error))]


def tell_check(path: Path, *, as_json: bool) -> int:
    """The command: what is wrong, where, and what to do. 1 if anything is."""
    faults = check(path)
    if as_json:
        told = [asdict(fault) | {"do": CURES[fault.what]} for fault in faults]
        print(json.dumps({"file": str(path), "fine": not faults, "faults": told}))
        return int(bool(faults))
    for fault in faults[:SHOWN_MOST]:
        place = f" at {fault.first}" + (f"–{fault.last}" if fault.last > fault.first else "") if fault.first else ""
        print(f"{fault.what}{place}: {fault.about + '; ' if fault.about else ''}{CURES[fault.what]}")
    if len(faults) > SHOWN_MOST:
        print(f"… and {len(faults) - SHOWN_MOST} more; --json tells them all")
    print(f"{path}: {'fine' if not faults else 'damaged'}")
    for one in aside(path):
        print(
            f"{one}: a damaged outbox that waits for the hub's word; `outbox export --damaged {one}` tells what it holds"
        )
    return int(bool(faults))
