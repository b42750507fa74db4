"""What the demo measures: live error against the rig's truth, the outage, and whether every fix arrived exactly once."""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.core.packing import unpacked
from wire.codec import decode_live, dump
from wire.geo import distance_m
from wire.messages import Live
from wire.predict import predict

JUDGED_AFTER_MS = 1000
"""A truth fix is judged by what the hub had published this long after it was sent: before the next fix, that is."""


@dataclass(slots=True)
class Watched:
    """What the stream has told of one vehicle: each new live state with the time of its arrival, and the lane state."""

    lives: list[tuple[int, Live]] = field(default_factory=list)
    moves: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    lanes: list[tuple[int, int, int]] = field(default_factory=list)

    def take(self, vehicle: dict[str, Any], arrived_ms: int, *, op: str = "moves") -> None:
        """One vehicle of a snapshot or moves frame."""
        self.moves += op == "moves"
        self.state = vehicle
        self.lanes.append((arrived_ms, vehicle.get("q") or 0, vehicle.get("through") or 0))
        if vehicle.get("live"):
            live = decode_live(dump(vehicle["live"]))
            if not self.lives or live != self.lives[-1][1]:
                self.lives.append((arrived_ms, live))


@dataclass(frozen=True, slots=True)
class Outage:
    """When the link was cut and mended, in wall milliseconds; what the stream showed of the way back."""

    cut_ms: int
    mended_ms: int
    now_ms: int | None
    backlog_ms: int | None

    def report(self) -> dict[str, float | None]:
        """Seconds, as the last line of the demo shows them."""
        return {
            "seconds": round((self.mended_ms - self.cut_ms) / 1000, 1),
            "now_after_s": None if self.now_ms is None else round((self.now_ms - self.mended_ms) / 1000, 2),
            "backlog_after_s": None if self.backlog_ms is None else round((self.backlog_ms - self.mended_ms) / 1000, 2),
        }


def outage_of(watched: Watched, cut_ms: int, mended_ms: int) -> Outage:
    """The first live state made after the link was back, and when everything up to then was committed."""
    now_ms = next((at for at, live in watched.lives if at >= mended_ms and live.at_ms >= mended_ms - 1500), None)
    backlog_ms = next((at for at, _, through in watched.lanes if at >= mended_ms and through >= mended_ms - 1000), None)
    return Outage(cut_ms, mended_ms, now_ms, backlog_ms)


def truths(path: Path) -> list[dict[str, Any]]:
    """Epochs that the rig has sent; a last line that is cut is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def live_errors_m(watched: Watched, truth: list[dict[str, Any]], unlinked: list[tuple[int, int]]) -> list[float]:
    """For each second of truth while linked: how far off the hub's belief for that very time was."""
    errors, newest = [], 0
    for epoch in truth:
        judged_ms = epoch["wall_ms"] + JUDGED_AFTER_MS
        while newest < len(watched.lives) and watched.lives[newest][0] <= judged_ms:
            newest += 1
        held = [live for _, live in watched.lives[:newest] if live.at_ms <= epoch["at_ms"]]
        if not held or any(start <= epoch["wall_ms"] <= end for start, end in unlinked):
            continue
        belief = max(held, key=lambda live: live.at_ms)
        errors.append(distance_m(*predict(belief, epoch["at_ms"]), epoch["lat"], epoch["lon"]))
    return errors


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all stay at or below (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, min(len(ranked) - 1, round(share * len(ranked)) - 1))] if ranked else float("nan")


@dataclass(frozen=True, slots=True)
class Count:
    """Fixes of one vehicle: in the outbox, in the hub's store, missing there, and there more than once."""

    recorded: int
    committed: int
    lost: int
    duplicates: int


def count(outbox: Path, export: str) -> Count:
    """Hold the outbox against the hub's NDJSON export, fix by fix: store, seq, time and place."""
    with sqlite3.connect(f"file:{outbox}?mode=ro", uri=True) as db:
        (store,) = db.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()
        kept = {
            (store, seq): json.loads(unpacked(body))[:3]
            for seq, body in db.execute("SELECT seq, body FROM record WHERE kind = 'f'")
        }
    rows = [json.loads(line) for line in export.splitlines() if line]
    seen = Counter((row["store"], row["seq"]) for row in rows)
    held = {
        (row["store"], row["seq"]): [row["at_ms"], round(row["lat_deg"] * 1e7), round(row["lon_deg"] * 1e7)]
        for row in rows
    }
    lost = sum(1 for seq, place in kept.items() if held.get(seq) != place)
    doubled = len(rows) - len({row["at_ms"] for row in rows})
    return Count(len(kept), len(seen), lost, max(doubled, len(rows) - len(seen)))


def unrecorded(truth: list[dict[str, Any]], export: str) -> int:
    """Epochs that the rig has sent after the first one that arrived, and that the hub does not have."""
    times = {json.loads(line)["at_ms"] for line in export.splitlines() if line}
    return sum(1 for epoch in truth if times and epoch["at_ms"] > min(times) and epoch["at_ms"] not in times)
