"""An hour of backlog over 64 kbit/s between real processes: the scaled form of the 72 hours of `python -m tests.links --full`."""

import random
from pathlib import Path

import pytest

from tests.links import backlog
from tests.links.yard import Yard, a_line, yard

HOUR, SLACK_S = 3600, 7.0


@pytest.mark.e2e
async def test_an_hour_of_backlog_over_64_kbit_s_with_calls_for_help_meanwhile(tmp_path: Path) -> None:
    async def prepared(one: Yard) -> None:
        await backlog.preload(one.gateway.outbox, HOUR)

    line = a_line("best", random.Random(1))
    async with yard(
        tmp_path, broker="embedded", line=line, sampling=backlog.SAMPLING, agent=False, prepared=prepared
    ) as one:
        drained = await backlog.drain(one, HOUR, within_s=60, sos_every_s=2)
        recorded, lost, doubled = await one.proven()
    assert drained.wrong(most_s=30, slack_s=SLACK_S) == []
    assert (lost, doubled) == (0, 0)
    assert recorded >= HOUR
