"""The outbox kept within its size: what the hub has had for a day is forgotten, and what no longer fits is thinned or dropped."""

import asyncio
import contextlib

from agent.core import room
from agent.lanes import Uplink
from agent.ports import Outbox
from agent.recorder import unbroken
from wire.errors import UnavailableError

TIDY_EVERY_S = 60.0
FORGET_EVERY = 60
"""So many rounds of tidying to one of forgetting."""


async def keep_tidy(up: Uplink) -> None:
    """Keep the outbox within its size, and tell what has gone; delete acknowledged records of yesterday, once an hour."""
    told, rounds = dict(up.outbox.lost_so_far), 0
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        rounds += 1
        now_ms = up.clock.now().at_ms
        with contextlib.suppress(UnavailableError):
            if rounds % FORGET_EVERY == 0 and now_ms is not None:
                await unbroken(up.outbox.forget(now_ms))
            await keep_within(up.outbox)
        for reason, n in up.outbox.lost_so_far.items():
            if n > told.get(reason, 0):
                up.watch(f"outbox.{reason}", n=n - told.get(reason, 0), so_far=n)
            told[reason] = n


async def keep_within(outbox: Outbox) -> None:
    """Make room while the outbox is larger than it may be; a little more, so that it is not a matter of each minute."""
    most = outbox.limits.max_bytes
    await outbox.see_to_disk()
    if await outbox.used_bytes() <= most:
        return
    while await outbox.used_bytes() > most * room.TO_SHARE:
        if not (await unbroken(outbox.make_room())).more:
            return
