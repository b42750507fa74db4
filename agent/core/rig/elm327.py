"""The adapter's side of the ELM327 dialogue, for the rig: commands in, answers out with the delays of a real adapter.

By default it knows what a common v1.5 adapter on a CAN vehicle knows; `GRADES` has better and worse ones. Values come from the
recording at the moment of asking; what the recording does not have is NO DATA. Speed (`vs`) comes from GNSS where the recording
has no bus speed. Two things are invented: who the vehicle is (`Facts`), and ATRV, which says 14.1 V while the engine runs (rpm
or, where rpm is not recorded, speed above zero) and 12.4 V else, unless the recording has a voltage.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.core.obd.commands import CAN, PROTOCOL_NAMES
from agent.core.rig.elm327_faults import ALWAYS, EACH, FAULTS, LOCKS, SPOILS, Context, Mishap
from agent.core.rig.vehicle import Car, Facts, answers, lines

__all__ = ["FAULTS", "GRADES", "Car", "Facts", "Grade", "Mishap", "Responder"]

RESET_MS, WARM_MS, AT_MS = 500, 100, 8
ANSWER_MS, SPREAD_MS, NO_DATA_MS, SEARCH_MS, NOBODY_MS = 50, 31, 200, 1000, 4500
RUNNING_V, RESTING_V = "14.1V", "12.4V"
LINE_LIMIT = 64
DEFAULTS = {"E": True, "S": True, "L": False, "H": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What an adapter is and knows. `wait_ms` it listens on after the last line, unless the request says how many come."""

    banner: str
    description: str = "OBDII to RS232 Interpreter"
    refuses: frozenset[str] = frozenset()
    counts: bool = True
    groups: bool = True
    wait_ms: int = 0


GRADES: Mapping[str, Grade] = {
    "v1.5": Grade(banner="ELM327 v1.5"),
    "genuine": Grade(banner="ELM327 v1.4b", wait_ms=30),
    "clone": Grade(
        banner="ELM327 v2.1", refuses=frozenset({"AT", "@"}), counts=False, groups=False, wait_ms=200
    ),
    "poor": Grade(
        banner="ELM327 v2.1", refuses=frozenset({"AT", "@", "ST", "H1", "S0", "DP"}), counts=False, groups=False, wait_ms=200
    ),
    "stn": Grade(banner="ELM327 v1.4b", description="STN2120 v5.6.19", wait_ms=5),
}  # fmt: skip


class Responder:
    """Feed it bytes, take bytes when they are due. `now_ms` is a clock that never steps.

    `faults` are names of the table, there from now on; it may be set at any time. `mishaps` are faults at chosen places.
    """

    def __init__(self, *, grade: str = "v1.5", protocol: str = "6", units: int = 1, facts: Facts | None = None,
                 delay_ms: int | None = None, faults: Iterable[str] = (), mishaps: Iterable[Mishap] = ()) -> None:  # fmt: skip
        self.grade = GRADES[grade]
        self.protocol = protocol
        self.units = units
        self.facts = facts or Facts()
        self.delay_ms = delay_ms
        self.faults = frozenset(faults)
        self.mishaps = list(mishaps)
        self.asleep = False
        """The vehicle: nobody answers on its bus."""
        self._line = b""
        self._last = ""
        self._due: list[tuple[int, bytes]] = []
        self._busy = False
        self._asked = self._counted = self._listens_ms = 0
        self._seen: dict[int, int] = {}
        self._lock: frozenset[str] | None = None
        self._before = b""
        self._reset()

    def _reset(self) -> None:
        self._on = dict(DEFAULTS)
        self._chosen = "0"
        self._wait_ms = self.grade.wait_ms
        self._found = False

    def reopen(self) -> None:
        """The port was closed and opened: whatever it was stuck in is over."""
        self._lock, self._due, self._busy, self._line = None, [], False, b""

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
            if self._lock is None and self._busy and any(at_ms > now_ms for at_ms, _ in self._due):
                self._due = [(now_ms, self._text("STOPPED"))]
                self._busy = False
                self._line = b""
                continue
            if self._on["E"] and self._lock is None:
                self._due.append((now_ms, byte))
            if byte == b"\r":
                line, self._line = self._line, b""
                self._command(line.decode("latin-1").replace(" ", "").replace("\0", "").upper(), now_ms, car)
            else:
                self._line = (self._line + byte)[-LINE_LIMIT:]

    def _text(self, *told: str) -> bytes:
        end = "\r\n" if self._on["L"] else "\r"
        return (end.join(told) + end + end + ">").encode()

    def _command(self, command: str, now_ms: int, car: Car) -> None:
        if self._lock is not None:
            if command not in self._lock:
                return
            self._lock = None
            if not command:
                self._due.append((now_ms + AT_MS, self._text("STOPPED")))
                return
        command = command or self._last
        self._last = command
        if command.startswith("AT"):
            wait_ms, told = self._at(command[2:], car)
        elif 2 <= len(command) <= 15 and all(char in "0123456789ABCDEF" for char in command):
            wait_ms, told = self._obd(command, now_ms, car)
        else:
            wait_ms, told = AT_MS, ["?"]
        self._emit(command, now_ms + wait_ms, self._text(*told), car)

    def _fault(self, command: str) -> str | None:
        """Which fault befalls this answer, if any."""
        for i, mishap in enumerate(self.mishaps):
            if command.startswith(mishap.prefix):
                seen = self._seen[i] = self._seen.get(i, 0) + 1
                if mishap.skip < seen <= mishap.skip + mishap.times:
                    return mishap.fault
        if command.startswith("AT") or not self.faults:
            return None
        self._counted += 1
        name = sorted(self.faults)[self._counted % len(self.faults)]
        return name if name in ALWAYS or self._counted % EACH == 0 else None

    def _emit(self, command: str, at_ms: int, text: bytes, car: Car) -> None:
        name = self._fault(command)
        if name is None:
            early_ms, self._listens_ms = self._listens_ms, 0
            self._due += [(at_ms - early_ms, text[:-1]), (at_ms, text[-1:])] if early_ms else [(at_ms, text)]
        else:
            context = Context(command, self._before, self._other(command, car), self._asked)
            self._due += [(at_ms + wait_ms, data) for wait_ms, data in SPOILS[name](text, context)]
            self._lock = LOCKS.get(name)
            if name in {"lv-reset", "restart"}:
                self._reset()
            self._on["E"] = self._on["E"] or name == "echo-on"
        self._due.sort(key=lambda part: part[0])
        if not command.startswith("AT"):
            self._before = text

    def _other(self, command: str, car: Car) -> bytes:
        """What a unit that was not asked would say: all bits turned, from the next address."""
        if not self._is_reading(command) or command[:2] != "01":
            return b""
        data = answers(bytes.fromhex(command[:4]), car, self.facts, 0)
        turned = None if data is None else data[:2] + bytes(255 - c for c in data[2:])
        return b"" if turned is None else self._text(*self._written(turned, 1))

    def _is_reading(self, command: str) -> bool:
        return len(command) // 2 * 2 >= 2 and not command.startswith("AT") and command[0] in "0123456789ABCDEF"

    def _at(self, command: str, car: Car) -> tuple[int, list[str]]:
        """How long it takes, and what it says."""
        if command in {"Z", "WS"}:
            self._reset()
            return (RESET_MS if command == "Z" else WARM_MS), ["", self.grade.banner]
        if any(command.startswith(refused) for refused in self.grade.refuses):
            return AT_MS, ["?"]
        if command == "RV":
            volts = car.values.get("mv")
            return AT_MS, [f"{volts:.1f}V" if volts else RUNNING_V if car.running else RESTING_V]
        told = {
            "I": self.grade.banner, "@1": self.grade.description,
            "DP": f"AUTO, {PROTOCOL_NAMES[self.protocol]}",
            "DPN": f"A{self.protocol}" if self._chosen == "0" else self._chosen,
        }.get(command)  # fmt: skip
        if told is not None:
            return AT_MS, [told]
        if command[:1] in self._on and command[1:] in {"0", "1"}:
            self._on[command[0]] = command[1] == "1"
        elif command[:2] == "SP":
            self._chosen, self._found = command[2:].lstrip("A") or "0", False
        elif command[:2] == "ST":
            self._wait_ms = min(self.grade.wait_ms, 4 * int(command[2:] or "0", 16))
        elif command[:2] not in {"AT", "AL", "D", "M0", "M1", "PC"} and command[:3] != "CAF":
            return AT_MS, ["?"]
        return AT_MS, ["OK"]

    def _obd(self, command: str, now_ms: int, car: Car) -> tuple[int, list[str]]:
        """The same for a request to the vehicle. The digit behind says how many lines to wait for."""
        self._busy = True
        count = int(command[-1], 16) if len(command) % 2 else 0
        if count and not self.grade.counts:
            return AT_MS, ["?"]
        wait_ms = 0
        if self.asleep or (self._chosen not in {"0", self.protocol}):
            self._found = False
            if self._chosen == "0":
                self._due.append((now_ms, b"SEARCHING...\r"))
                return NOBODY_MS, ["UNABLE TO CONNECT"]
            return NO_DATA_MS, ["CAN ERROR" if self._chosen in CAN else "BUS INIT: ...ERROR"]
        if not self._found:
            if self._chosen == "0":
                self._due.append((now_ms, b"SEARCHING...\r\n" if self._on["L"] else b"SEARCHING...\r"))
                wait_ms = SEARCH_MS
            self._found = True
        told = self._told(bytes.fromhex(command[: len(command) // 2 * 2]), car)
        self._asked += 1
        if not told:
            return wait_ms + NO_DATA_MS, ["NO DATA"]
        answer_ms = self.delay_ms if self.delay_ms is not None else ANSWER_MS + self._asked * 17 % SPREAD_MS
        listens_on_ms = 0 if count and count <= len(told) else self._wait_ms
        self._listens_ms = listens_on_ms
        return wait_ms + answer_ms + listens_on_ms, told[: count or None]

    def _told(self, request: bytes, car: Car) -> list[str]:
        """The lines of all units. Those that take one parameter only leave the others out."""
        if request[0] == 1 and len(request) > 2 and not (self.grade.groups and self.protocol in CAN):
            request = request[:2]
        out: list[str] = []
        for unit in range(self.units):
            data = answers(request, car, self.facts, unit)
            out += [] if data is None else self._written(data, unit)
        return out

    def _written(self, data: bytes, unit: int) -> list[str]:
        out = []
        for front, body in lines(data, self.protocol, unit, headers=self._on["H"]):
            text = (body.hex(" ") if self._on["S"] else body.hex()).upper()
            gap = " " if self._on["S"] and body else ""
            out.append(f"{front}{gap if front else ''}{text}{gap}")
        return out
