"""At which speed an ELM327 answers on a serial port: asked who it is, at one speed after the other."""

import asyncio
import contextlib

from agent.adapters.serial import SerialDoor
from agent.core.gnss.baud import ADAPTER_RATES, answers, ordered
from wire.errors import UnavailableError

WHO = b"ATI\r"
"""Never a lone carriage return: that would make the adapter do its last command again, whoever gave it."""
ANSWER_S = 0.4
LAPS = 2
"""An adapter that was reset by the opening of the port says nothing for most of a second."""


async def adapter_rate(
    path: str, *, first: int | None = None, rates: tuple[int, ...] = ADAPTER_RATES, answer_s: float = ANSWER_S
) -> int:
    """The speed; `first` was good the last time. Raises UnavailableError when the port is away or nobody answers."""
    order = ordered(rates, first)
    for rate in order * LAPS:
        if await _answered(SerialDoor(path, baud=rate), answer_s):
            return rate
    told = ", ".join(str(rate) for rate in order)
    raise UnavailableError(f"no ELM327 answers at {path}: wrong port, or an adapter without power? Asked at {told} Bd")


async def _answered(door: SerialDoor, answer_s: float) -> bool:
    heard, whole = bytearray(), asyncio.Event()

    async def listen() -> None:
        async with contextlib.aclosing(door.chunks()) as chunks:  # type: ignore[type-var]  # a generator behind its protocol
            async for chunk in chunks:
                heard.extend(chunk)
                if answers(bytes(heard)):
                    whole.set()

    listening = asyncio.create_task(listen())
    waiting = asyncio.create_task(whole.wait())
    try:
        await asyncio.sleep(0)  # opens the port
        if not listening.done():
            await door.write(WHO)
        await asyncio.wait({listening, waiting}, timeout=answer_s, return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()  # says why the port can't be opened
        return whole.is_set()
    finally:
        listening.cancel()
        waiting.cancel()
        await asyncio.gather(listening, waiting, return_exceptions=True)
