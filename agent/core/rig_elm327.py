"""The adapter's side of the ELM327 dialogue, for the rig: commands in, answers out with the delays of a real adapter.

It knows what a common v1.5 adapter on a CAN vehicle knows. Values come from the recording at the moment of asking; what the
recording does not have is NO DATA. Speed (`vs`) comes from GNSS where the recording has no bus speed. One thing is invented: ATRV says 14.1 V while the engine runs (rpm or, where rpm is not
recorded, speed above zero) and 12.4 V else, unless the recording has a voltage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.core.pids import PIDS, bitmap
from wire.signals import BY_KEY

BANNER = "ELM327 v1.5"
RESET_MS, WARM_MS, AT_MS = 500, 100, 8
ANSWER_MS, SPREAD_MS, NO_DATA_MS, SEARCH_MS = 50, 31, 200, 1000
RUNNING_V, RESTING_V = "14.1V", "12.4V"
LINE_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Car:
    """What the bus would say now: `keys` that the vehicle has at all, and the `values` of this moment."""

    keys: frozenset[str] = frozenset()
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def running(self) -> bool:
        return (self.values["rp"] if "rp" in self.values else self.values.get("vs", 0.0)) > 0


class Responder:
    """Feed it bytes, take bytes when they are due. `now_ms` is a clock that never steps."""

    def __init__(self) -> None:
        self._line = b""
        self._last = ""
        self._due: list[tuple[int, bytes]] = []
        self._busy = False
        self._asked = 0
        self._reset()

    def _reset(self) -> None:
        self._echo = self._spaces = True
        self._linefeeds = self._headers = False
        self._found = False

    @property
    def wake_at(self) -> int | None:
        return self._due[0][0] if self._due else None

    def take(self, now_ms: int) -> bytes:
        """What is to be sent by now."""
        out = b"".join(data for at_ms, data in self._due if at_ms <= now_ms)
        self._due = [(at_ms, data) for at_ms, data in self._due if at_ms > now_ms]
        self._busy = self._busy and bool(self._due)
        return out

    def feed(self, chunk: bytes, now_ms: int, car: Car) -> None:
        """Take in what the host sent. Any byte while a request is under way stops it, as in the real thing."""
        for code in chunk.replace(b"\n", b""):
            byte = bytes((code,))
            if self._busy and any(at_ms > now_ms for at_ms, _ in self._due):
                self._due = [(now_ms, self._text("STOPPED"))]
                self._busy = False
                self._line = b""
                continue
            if self._echo:
                self._due.append((now_ms, byte))
            if byte == b"\r":
                line, self._line = self._line, b""
                self._command(line.decode("latin-1").replace(" ", "").replace("\0", "").upper(), now_ms, car)
            else:
                self._line = (self._line + byte)[-LINE_LIMIT:]

    def _text(self, *lines: str) -> bytes:
        end = "\r\n" if self._linefeeds else "\r"
        return (end.join(lines) + end + end + ">").encode()

    def _say(self, at_ms: int, *lines: str) -> None:
        self._due.append((at_ms, self._text(*lines)))

    def _command(self, command: str, now_ms: int, car: Car) -> None:
        command = command or self._last
        self._last = command
        if command.startswith("AT"):
            self._at(command[2:], now_ms, car)
        elif len(command) in {2, 4, 5} and all(char in "0123456789ABCDEF" for char in command):
            self._obd(command[:4], now_ms, car)
        else:
            self._say(now_ms + AT_MS, "?")

    def _at(self, command: str, now_ms: int, car: Car) -> None:
        if command in {"Z", "WS"}:
            self._reset()
            self._say(now_ms + (RESET_MS if command == "Z" else WARM_MS), "", BANNER)
        elif command == "RV":
            volts = car.values.get("mv")
            self._say(now_ms + AT_MS, f"{volts:.1f}V" if volts else RUNNING_V if car.running else RESTING_V)
        elif command == "I":
            self._say(now_ms + AT_MS, BANNER)
        elif command in {"DP", "DPN"}:
            self._say(now_ms + AT_MS, "AUTO, ISO 15765-4 (CAN 11/500)" if command == "DP" else "A6")
        elif command[:1] in {"E", "L", "H", "S"} and command[1:] in {"0", "1"}:
            self._switch(command[0], command[1] == "1")
            self._say(now_ms + AT_MS, "OK")
        elif command[:2] in {"SP", "AT", "ST", "AL", "D", "M0", "M1", "PC"} or command[:3] == "CAF":
            self._found = self._found and command[:2] != "SP"
            self._say(now_ms + AT_MS, "OK")
        else:
            self._say(now_ms + AT_MS, "?")

    def _switch(self, letter: str, on: bool) -> None:  # noqa: FBT001  # the adapter's own 0 or 1
        if letter == "E":
            self._echo = on
        elif letter == "L":
            self._linefeeds = on
        elif letter == "H":
            self._headers = on
        else:
            self._spaces = on

    def _obd(self, command: str, now_ms: int, car: Car) -> None:
        self._busy = True
        if not self._found:
            self._due.append((now_ms, b"SEARCHING...\r\n" if self._linefeeds else b"SEARCHING...\r"))
            now_ms += SEARCH_MS
            self._found = True
        data = _answer(command, car)
        self._asked += 1
        if data is None:
            self._say(now_ms + NO_DATA_MS, "NO DATA")
            return
        if self._headers:
            data = bytes((len(data),)) + data
        text = (data.hex(" ") if self._spaces else data.hex()).upper()
        if self._headers:
            text = f"7E8 {text}" if self._spaces else f"7E8{text}"
        self._say(now_ms + ANSWER_MS + self._asked * 17 % SPREAD_MS, text + (" " if self._spaces else ""))


def _answer(command: str, car: Car) -> bytes | None:
    """The bytes of an answer to mode 01; the recordings have no trouble codes and no vehicle data (03, 07, 09)."""
    mode, pid = bytes.fromhex(command) if len(command) == 4 else (0, 0)
    if mode != 1:
        return None
    have = {BY_KEY[key].pid for key in car.keys}
    if pid % 0x20 == 0:
        more = {base for base in (0x20, 0x40) if any(known > base for known in have)}
        bits = bitmap(pid, have | more)
        return bytes((0x41, pid)) + bits if pid == 0 or pid in more else None
    if pid not in PIDS or pid not in have:
        return None
    value = car.values.get(PIDS[pid].signal.key)
    return None if value is None else bytes((0x41, pid)) + PIDS[pid].data(value)
