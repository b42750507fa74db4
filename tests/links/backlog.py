"""Weeks offline: a backlog of hours at 1 Hz over 64 kbit/s, and what live position and calls for help feel of it."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.state_socket import ask, socket_path
from agent.core.dating import Moment
from agent.ports import Kind, Record
from bench import live
from bench.demo.measure import percentile
from bench.writes import BUS
from tests.links.line import delay, rate
from tests.links.yard import Yard
from tests.rigs import RECORDINGS, eventually
from wire.codec import dump
from wire.messages import Fix, Reading
from wire.ops import clock
from wire.schema import AT_MS, row_of

DRIVE = RECORDINGS / "nds-drive10.csv.gz"
KBIT_S, ROUND_TRIP_MS = 64.0, 50.0
PUT = 3_000
SAMPLING = "[sampling]\nupload_s = 60\ncommit_s = 5\n"
"""As shipped."""


def bus_of(fix: Fix, at: int) -> Reading:
    """Bus values that move, as those of a drive do: they cost what they cost there."""
    speed = fix.speed_mps or 0.0
    return replace(BUS, rpm=800.0 + 60 * speed + at * 37 % 50, speed_kph=float(round(speed * 3.6)),
                   throttle_pct=float(12 + at * 7 % 9), load_pct=float(30 + at * 11 % 25),
                   voltage_v=14.1 + at % 3 / 10)  # fmt: skip


async def preload(path: Path, count: int) -> None:
    """So many fixes with bus values, one a second, the newest a minute old."""
    rows = [row_of(fix, bus_of(fix, at)) for at, (fix, _) in enumerate(live.drive(DRIVE))]
    start_ms = clock.utc_ms() - (count + 60) * 1000
    outbox = await SqliteOutbox.open(path, now=Moment(start_ms))
    for begin in range(0, count, PUT):
        records = []
        for at in range(begin, min(count, begin + PUT)):
            row: list[object] = [*rows[at % len(rows)]]
            row[AT_MS] = at_ms = start_ms + at * 1000
            records.append(Record(Kind.FIX, Moment(at_ms, "b007", at * 1000), dump(row)))
        await outbox.put(records)
    await outbox.close()


@dataclass(frozen=True, slots=True)
class Drained:
    """How it went. Latencies in seconds; an SOS counts from the command to the dispatcher's stream."""

    fixes: int
    took_s: float
    live: int
    live_p50_s: float
    live_p95_s: float
    sos: tuple[float, ...]
    up_bytes: int

    def wrong(self, *, most_s: float, round_trip_ms: float = ROUND_TRIP_MS, slack_s: float = 0.0) -> list[str]:
        """What was not as promised. `slack_s` is for machines that have much else to do."""
        late = [one for one in self.sos if one > 0.5 + round_trip_ms / 1000 + slack_s]
        return [
            *([f"drained in {self.took_s:.1f} s, wanted {most_s:g}"] if self.took_s > most_s else []),
            *([f"live p95 {self.live_p95_s:.2f} s"] if not self.live_p95_s <= 2.0 + slack_s else []),
            *([f"SOS late: {late}"] if late or not self.sos else []),
        ]


async def drain(
    yard: Yard, fixes: int, *, within_s: float, sos_every_s: float, round_trip_ms: float = ROUND_TRIP_MS
) -> Drained:
    """Start the agent behind the slow line, and wait until the hub has all that was there."""
    delay(yard.line, round_trip_ms)
    rate(yard.line, KBIT_S)
    before = list(getattr(yard.line, "carried", [0, 0]))
    await yard.gateway.start_agent()
    began_ms = await yard.lives_since(0)
    raised: dict[str, int] = {}
    calling = asyncio.create_task(_call(yard, sos_every_s, raised))
    await eventually(lambda: _held(yard, fixes), within_s=within_s, every_s=0.2)
    ended_ms = clock.utc_ms()
    calling.cancel()
    for fault in await asyncio.gather(calling, return_exceptions=True):
        if isinstance(fault, Exception):
            raise fault
    await eventually(lambda: raised.keys() <= yard.sos_at.keys(), within_s=30)
    sent = getattr(yard.line, "carried", [0, 0])[0] - before[0]
    ages = [(at - live.at_ms) / 1000 for at, live in yard.watched.lives if began_ms < at <= ended_ms]
    sos = tuple((yard.sos_at[word] - at) / 1000 for word, at in raised.items())
    return Drained(
        fixes, (ended_ms - began_ms) / 1000, len(ages), percentile(ages, 0.5), percentile(ages, 0.95), sos, sent
    )


async def _state(yard: Yard, order: dict[str, object] | None = None) -> dict[str, object]:
    said = await asyncio.to_thread(ask, socket_path(yard.gateway.outbox), order)
    assert said is not None
    return said


async def _held(yard: Yard, fixes: int) -> bool:
    """Whether the hub has all that was there."""
    held = (await _state(yard))["committed_by_hub"]
    return isinstance(held, int) and held >= fixes


async def _call(yard: Yard, every_s: float, raised: dict[str, int]) -> None:
    """An SOS now and again."""
    await asyncio.sleep(every_s / 4)
    while True:
        at_ms = clock.utc_ms()
        said = await _state(yard, {"do": "sos", "note": "help"})
        assert said["seq"] is not None
        raised[str(said["call"])] = at_ms
        await asyncio.sleep(every_s)
