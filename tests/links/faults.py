"""The faults of a line, each for a while: what goes on meanwhile, and how soon the vehicle is back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bench.demo.measure import percentile
from tests.links.line import Line, delay, loss
from tests.links.yard import Yard
from tests.rigs import eventually
from wire.ops import clock

BACK_S = 3.0
"""So soon after the line is back the vehicle must be."""
MEMORY_GROWS = 32 << 20
SILENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`linked`: the vehicle must be seen while it lasts. `lasts_s` for the short and for the full form."""

    name: str
    about: str
    begin: Callable[[Line], None]
    lasts_s: tuple[float, ...]
    linked: bool = False
    cuts: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen: the age of live messages meanwhile, when the first came after the end, links lost, growth in memory."""

    fault: str
    lasted_s: float
    live_p50_s: float
    live_p95_s: float
    back_s: float
    links_lost: int
    grown: int


def _shape(**values: float) -> Callable[[Line], None]:
    def begin(line: Line) -> None:
        for name, value in values.items():
            setattr(line.shape, name, value)

    return begin


def _bad(line: Line) -> None:
    loss(line, 0.3)
    delay(line, 600)


FAULTS: tuple[Fault, ...] = (
    Fault("loss", "30 % of the packets go, each way", lambda line: loss(line, 0.3), (30,), linked=True),
    Fault("delay", "600 ms round trip", lambda line: delay(line, 600), (20,), linked=True),
    Fault("loss and delay", "both", _bad, (40,)),
    Fault("dead", "nothing passes, nothing is refused", _shape(dead=True), (4, 7, 13, 45, 200), cuts=True),
    Fault("half open", "what the vehicle says arrives, no answer does", _shape(mute=True), (8, 30), cuts=True),
    Fault("resets", "a reset every 0.5 s on average", _shape(resets_per_s=2.0), (15,)),
    Fault("refused", "every connection is reset, every new one refused", _shape(refuse=True), (10,), cuts=True),
    Fault("slow reader", "200 bytes a second are taken", _shape(deaf_bps=200.0), (20,)),
)


async def suffer(yard: Yard, fault: Fault, lasts_s: float) -> Outcome:
    """One fault from its beginning to the vehicle's return. A fault that cuts lasts until the agent has seen it, too."""
    before, lost = yard.rss(), links_lost(yard)
    began_ms = clock.utc_ms()
    fault.begin(yard.line)
    await asyncio.sleep(lasts_s)
    if fault.cuts and lasts_s > SILENT_S + 2:
        await eventually(lambda: links_lost(yard) > lost, within_s=30)
    up_ms = clock.utc_ms()
    yard.line.up()
    back_ms = await yard.lives_since(up_ms)
    ages = sorted(at - live.at_ms for at, live in yard.watched.lives if began_ms < at <= up_ms)
    after = yard.rss()
    return Outcome(
        fault.name, (up_ms - began_ms) / 1000, percentile([a / 1000 for a in ages], 0.5),
        percentile([a / 1000 for a in ages], 0.95), (back_ms - up_ms) / 1000, links_lost(yard) - lost,
        max(after[name] - before[name] for name in before),
    )  # fmt: skip


def links_lost(yard: Yard) -> int:
    """How often the agent has told that its link went."""
    return yard.gateway.agent.log.read_text(encoding="utf-8", errors="replace").count("link.down")


def judge(outcome: Outcome, fault: Fault, *, spread_s: float, slack_s: float = 0.0) -> list[str]:
    """What was not as it must be. `slack_s` is for machines that have much else to do."""
    limit_s = BACK_S + slack_s + (spread_s if fault.name in {"resets", "refused"} else 0.0)
    wrong = []
    if outcome.back_s > limit_s:
        wrong.append(f"{fault.name}: back after {outcome.back_s:.2f} s, wanted {limit_s:g}")
    if outcome.grown > MEMORY_GROWS:
        wrong.append(f"{fault.name}: memory grew by {outcome.grown >> 20} MB")
    if fault.linked and not outcome.live_p95_s < 60:
        wrong.append(f"{fault.name}: nothing was seen meanwhile")
    return wrong
