"""The staircase of the agent, on the way in from the vehicle bus: commands out, answers into the vehicle's state."""

import asyncio
import contextlib

from agent.core.obd import bus
from agent.core.obd.bus import BusValue
from agent.core.obd.elm327 import Elm327
from agent.core.obd.elm_line import BusState, Out, Reopen
from agent.core.obd.reader import BusNote, CodesChanged
from agent.flow import Senses, present
from agent.ports import Line
from wire.errors import UnavailableError
from wire.messages import Rejected

LOOK_S = 1.0
"""How soon it is seen at the latest that somebody wants the bus quiet, or to speak again."""


async def ask(line: Line, elm: Elm327, senses: Senses) -> None:
    """Bus to the vehicle's state: a command out when its time has come, answers in. Ends with UnavailableError."""
    chunks = line.chunks()
    pending = asyncio.ensure_future(anext(chunks, b""))
    await asyncio.sleep(0)  # opens the line
    if pending.done():
        pending.result()  # says why it can't be opened
    senses.watch("obd.opened")
    chunk = b""
    try:
        while True:
            now_ms = senses.clock.mono_ms()
            await _hear(elm.feed(chunk, now_ms), line.place, senses, now_ms)
            rest_ms = senses.vehicle.rest_ms
            elm.quiet(rest_ms is not None, voltage_ms=rest_ms)
            command = elm.next_command(now_ms)
            if command is not None:
                await line.write(command)
            wake_ms = elm.wake_at
            wait_s = min(LOOK_S, max(0.001, (wake_ms - senses.clock.mono_ms()) / 1000.0))
            await asyncio.wait({pending}, timeout=wait_s)
            chunk = b""
            if pending.done():
                chunk = pending.result()
                if not chunk:
                    raise UnavailableError("the adapter's line has ended")
                pending = asyncio.ensure_future(anext(chunks, b""))
    finally:
        pending.cancel()
        with contextlib.suppress(asyncio.CancelledError, UnavailableError, StopAsyncIteration):
            await pending


async def _hear(items: list[Out], place: str, senses: Senses, now_ms: int) -> None:
    for item in items:
        if isinstance(item, BusValue):
            senses.vehicle.signals = bus.step(senses.vehicle.signals, item, now_ms)
            await present("obd", senses)
            senses.watch("obd.value")
        elif isinstance(item, BusNote):
            senses.watch("obd.value")
        elif isinstance(item, CodesChanged):
            await senses.recorder.add_event("dtc", senses.vehicle.fix, item.detail)
        elif isinstance(item, BusState) and item.kind == "lost":
            senses.watch("obd.lost", error=f"no ELM327 answers at {place}: wrong port or baud?")
        elif isinstance(item, BusState):
            senses.watch("obd.state", state=item.kind)
        elif isinstance(item, Reopen):
            raise UnavailableError(f"the adapter at {place} does not answer; opening the port anew")
        else:
            assert isinstance(item, Rejected)
            senses.watch("obd.rejected", reason=item.reason)
