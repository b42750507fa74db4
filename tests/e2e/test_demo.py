"""`make demo SECONDS=60`, as a newcomer runs it: the last line is measured, and it is good."""

import asyncio
import json
import signal
import sys

import psutil
import pytest

from bench.demo.__main__ import cut_of
from bench.demo.screen import lane_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


async def test_the_demo_keeps_its_promises() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.demo", "--seconds", "60",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == 0, err.decode()[-3000:]
    outcome = json.loads(out.decode().splitlines()[-1])
    assert outcome["vehicles"] == 3
    assert outcome["fixes_recorded"] >= 150
    assert outcome["fixes_committed"] == outcome["fixes_recorded"]
    assert (outcome["lost"], outcome["duplicates"]) == (0, 0)
    assert 0 < outcome["live_error_p95_m"] <= 10.0
    assert outcome["live_messages"] < outcome["fixes_recorded"] / 2
    assert outcome["ws_moves"] > outcome["live_messages"]
    assert outcome["outage"]["seconds"] == pytest.approx(15, abs=1)
    assert outcome["outage"]["now_after_s"] <= 2.0
    assert outcome["outage"]["backlog_after_s"] >= outcome["outage"]["now_after_s"]
    told = err.decode()
    assert "/#code=" in told
    assert "cutting the link" in told
    assert "now first, then the backlog" in told


def test_the_cut_fits_into_a_short_demo_and_is_shown() -> None:
    assert [cut_of(seconds) for seconds in (0, 60, 30, 12)] == [(20, 35), (20, 35), (10, 17), (4, 7)]
    assert lane_of({}, online=True, cut=True) == "link cut, last known state"
    assert lane_of({}, online=False, cut=True) == "link cut, offline"
    assert lane_of({"catching_up": True, "q": 7}, online=True) == "catching up, 7 fixes to go"


async def test_an_interrupted_demo_leaves_nothing_behind() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.demo",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    while b"starting three gateways" not in await asyncio.wait_for(process.stderr.readline(), 30):
        pass
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.wait(), 30)
    _gone, alive = psutil.wait_procs(family, timeout=3)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
