"""Asks the devices of vehicles that somebody looks at closely to be more exact, again and again while that lasts."""

import asyncio
from collections.abc import Callable

from hub.boards import Boards
from hub.core import watching
from hub.core.registry import Registry
from hub.ports import Down
from wire.codec import encode_command
from wire.messages import CommandOutcome
from wire.ops.watch import WatchCall
from wire.topics import Way, build

LOOK_S = 1.0


class Watching:
    """Looks at the boards; `outcome` is told what devices answer."""

    def __init__(
        self,
        boards: Boards,
        registry: Callable[[], Registry],
        *,
        down: Down,
        watch: WatchCall,
        utc_ms: Callable[[], int],
    ) -> None:
        self._boards, self._registry, self._down = boards, registry, down
        self._watch, self._utc_ms = watch, utc_ms
        self._state = watching.State()

    async def run(self) -> None:
        """Look every second, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Ask who is to be asked now."""
        if not self._down.up:
            return
        registry, now_ms = self._registry(), self._utc_ms()
        wanted: list[str] = []
        for fleet in registry.fleets:
            vehicles = self._boards.of(fleet).watched(watching.MOST_IDS)
            wanted += watching.devices_of(vehicles, fleet, registry, now_ms)
        self._state, commands = watching.step(self._state, wanted, now_ms)
        for device, command in commands.items():
            self._down.send(build(device, Way.DOWN, "cmd"), encode_command(command))
            self._watch("command.sent", op=command.op)

    def outcome(self, device: str, told: CommandOutcome) -> None:
        """What a device says to a command."""
        self._watch("command.outcome", why="done" if told.ok else told.why, device=device)
        if not told.ok:
            self._state = watching.refused(self._state, device, self._utc_ms())
