"""Asking an ELM327 for its speed, on lines that garble at every other speed."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.adapters.rig_lines import Port
from agent.adapters.rig_play import Adapter, Vehicle
from agent.adapters.serial_probe import WHO, adapter_rate
from agent.core.gnss.baud import ADAPTER_RATES
from agent.core.rig.recording import read
from wire.errors import UnavailableError

BUS = read("bus.csv", b"ENGINE_RUN_TINE (),ENGINE_RPM ()\n0,800,\n10,800,\n")


@asynccontextmanager
async def elm(baud: int) -> AsyncIterator[str]:
    port = Port("obd", None, baud=baud)
    adapter = Adapter(port, Vehicle(BUS, None))
    await adapter.plug()
    try:
        yield port.path
    finally:
        adapter.pull()


@pytest.mark.parametrize("baud", ADAPTER_RATES)
async def test_found(baud: int) -> None:
    async with elm(baud) as path:
        assert await adapter_rate(path, answer_s=0.15) == baud


async def test_the_last_good_one_is_asked_first() -> None:
    async with elm(500_000) as path, asyncio.timeout(1.0):
        assert await adapter_rate(path, first=500_000, answer_s=0.9) == 500_000


async def test_nobody_answers_and_only_the_one_question_was_asked() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with pytest.raises(UnavailableError, match=r"no ELM327 answers at /dev/pts/\d+: .* 9600, 38400 Bd"):
            await adapter_rate(os.ttyname(slave), first=9600, rates=(38_400, 9600), answer_s=0.02)
        assert os.read(master, 1000) == WHO * 4
    finally:
        os.close(master)
        os.close(slave)


async def test_who_speaks_something_else_is_none() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        os.write(master, b"$GPTXT,01,01,02,hello*00\r\n")
        with pytest.raises(UnavailableError, match="no ELM327 answers"):
            await adapter_rate(os.ttyname(slave), rates=(9600,), answer_s=0.05)
    finally:
        os.close(master)
        os.close(slave)


async def test_no_port() -> None:
    with pytest.raises(UnavailableError, match="is it plugged in"):
        await adapter_rate("/dev/serial/by-id/none")
