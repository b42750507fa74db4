"""A stream client that asks for a vehicle by name makes the hub ask its device to be more exact."""

import asyncio
import contextlib

from hub.adapters.memory import MemoryDown, MemoryNow
from hub.boards import Boards
from hub.core.windows import Window
from hub.watching import Watching
from tests.hub.makers import T0, a_registry, a_watch
from wire.codec import decode_command
from wire.messages import CommandOutcome


async def _no_events(_fleet: str) -> int:
    return 0


async def test_asked_told_and_left_alone() -> None:
    watch, down, now_ms = a_watch(), MemoryDown(), [T0]
    boards, registry = Boards(MemoryNow(), _no_events, watch), a_registry()
    watching = Watching(boards, lambda: registry, down=down, watch=watch, utc_ms=lambda: now_ms[0])
    watching.look()
    assert down.sent == []
    viewer = boards.of("main").join(lambda: None)
    viewer.subscribe(1, Window(ids=frozenset({"van-1"})), T0)
    down.up = False
    watching.look()
    assert down.sent == []
    down.up = True
    watching.look()
    topic, payload = down.sent[0][:2]
    assert topic == "odo/1/gw-a/down/cmd"
    command = decode_command(payload)
    assert (command.op, command.eps_m, command.until_ms) == ("watch", 5.0, T0 + 60_000)
    watching.outcome("gw-a", CommandOutcome(command.id, ok=True))
    now_ms[0] += 41_000
    watching.look()
    assert len(down.sent) == 2
    watching.outcome("gw-a", CommandOutcome(command.id, ok=False, why="over-budget"))
    now_ms[0] += 60_000
    watching.look()
    assert len(down.sent) == 2
    assert watch.count("command.outcome", why="over-budget") == 1
    task = asyncio.ensure_future(watching.run())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
