"""A dialogue and the rig's adapter on a clock of their own: what the tests of the vehicle bus run in."""

from collections.abc import Callable

from agent.core.obd.bus import BusValue
from agent.core.obd.elm327 import Config, Elm327
from agent.core.obd.elm_line import BusState, Out, Reopen
from agent.core.obd.memory import Memory
from agent.core.obd.pids import PIDS, TRACK
from agent.core.rig.elm327 import Responder
from agent.core.rig.vehicle import Car
from wire.messages import Rejected

CAR = Car(
    frozenset({"rp", "vs", "ct", "th", "ld", "fu", "mv"}),
    {"rp": 1726.0, "vs": 50.0, "ct": 83.0, "th": 20.0, "ld": 40.0, "fu": 60.0, "mv": 13.9},
)
TRUE = {PIDS[pid].signal.key: PIDS[pid].value(PIDS[pid].data(CAR.values[PIDS[pid].signal.key])) for pid in TRACK}
REOPENING_MS = 100


class World:
    """Steps from wake to wake. `spoil` may change what the adapter says on its way; `deaf` cuts our own line."""

    def __init__(self, adapter: Responder | None = None, *, car: Car = CAR, config: Config | None = None) -> None:
        self.config = config
        self.memory = Memory()
        self.elm = Elm327(config, self.memory)
        self.adapter = adapter or Responder()
        self.car = car
        self.now_ms = 0
        self.sent: list[tuple[int, bytes]] = []
        self.items: list[tuple[int, Out]] = []
        self.spoil: Callable[[bytes, int], bytes] = lambda data, _now: data
        self.deaf = False
        self.steps = 0

    def run(self, until_ms: int) -> "World":
        while self.now_ms < until_ms:
            self.steps += 1
            self._hear()
            command = self.elm.next_command(self.now_ms)
            if command is not None:
                self.sent.append((self.now_ms, command))
                if not self.deaf:
                    self.adapter.feed(command, self.now_ms, self.car)
            wakes = [at for at in (self.elm.wake_at, self.adapter.wake_at) if at is not None]
            self.now_ms = min(until_ms, max(self.now_ms + 1, min(wakes)))
        return self

    def _hear(self) -> None:
        data = self.spoil(self.adapter.take(self.now_ms), self.now_ms)
        for item in self.elm.feed(data, self.now_ms):
            self.items.append((self.now_ms, item))
            if isinstance(item, Reopen):
                self.adapter.reopen()
                self.elm = Elm327(self.config, self.memory)
                self.now_ms += REOPENING_MS

    def values(self, since_ms: int = 0) -> list[BusValue]:
        return [item for at_ms, item in self.items if isinstance(item, BusValue) and at_ms >= since_ms]

    def said(self) -> list[str]:
        return [item.kind for _, item in self.items if isinstance(item, BusState)]

    def reasons(self) -> list[str]:
        return [item.reason for _, item in self.items if isinstance(item, Rejected)]

    def commands(self, since_ms: int = 0) -> list[bytes]:
        return [command for at_ms, command in self.sent if at_ms >= since_ms]
