"""The dialogue with an ELM327: what to send next, what an answer means, and how to find back after noise.

Rules
1. One command is open at a time, and ends with the prompt `>`. `SEARCHING...` is progress and renews the time limit.
2. A value counts only if the whole answer is understood: hex digits, the mode and parameter that were asked, the exact
   length. Anything else in it, and no value at all is taken from that answer.
3. After an answer that is not understood, or none in time, find back in steps: carriage return (it ends whatever the
   adapter is doing) and 120 ms of quiet after the prompt, then a warm start, then a reset. A good answer clears the steps.
4. A banner or `LV RESET` without our asking means that the adapter has restarted: initialise again.
5. No answer from the vehicle several times in a row, or no protocol found, means that it sleeps: look for it again later.
6. Bytes are made in one place, which refuses everything that is not on the list: read-only modes and fixed AT commands.

The caller: `feed` what came (b"" when woken), then send what `next_command` says, then sleep until bytes or `wake_at`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from operator import itemgetter
from types import MappingProxyType

from agent.core.bus import BusValue
from agent.core.pids import PIDS, supported
from wire.errors import RefusedError
from wire.messages import Rejected

MODES = frozenset({"01", "02", "03", "07", "09", "0A"})
AT_COMMANDS = frozenset({"ATZ", "ATWS", "ATE0", "ATL0", "ATH0", "ATS0", "ATSP0", "ATRV"})
HEX = frozenset(b"0123456789ABCDEF")
BANNERS = (b"ELM", b"OBD", b"STN")
"""How adapters announce themselves after a start. Answers of before, still under way, must not pass for it."""
BUFFER_LIMIT = 4096
PID_COMMANDS = {f"01{number:02X}": pid for number, pid in PIDS.items()}


class Phase(Enum):
    """Where the dialogue is."""

    RESET = auto()
    ECHO = auto()
    LINEFEEDS = auto()
    HEADERS = auto()
    SPACES = auto()
    PROTOCOL = auto()
    SEARCH = auto()
    POLL = auto()
    FLUSH = auto()
    WARM = auto()
    ASLEEP = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """In a phase: what is sent, how long the prompt may take, and the next phase if it went well or badly."""

    command: str
    limit_ms: int
    good: Phase
    bad: Phase


RULES: Mapping[Phase, Rule] = MappingProxyType(
    {
        Phase.RESET: Rule("ATZ", 2000, Phase.ECHO, Phase.RESET),
        Phase.ECHO: Rule("ATE0", 500, Phase.LINEFEEDS, Phase.FLUSH),
        Phase.LINEFEEDS: Rule("ATL0", 500, Phase.HEADERS, Phase.FLUSH),
        Phase.HEADERS: Rule("ATH0", 500, Phase.SPACES, Phase.FLUSH),
        Phase.SPACES: Rule("ATS0", 500, Phase.PROTOCOL, Phase.FLUSH),
        Phase.PROTOCOL: Rule("ATSP0", 500, Phase.SEARCH, Phase.FLUSH),
        Phase.SEARCH: Rule("0100", 6000, Phase.POLL, Phase.ASLEEP),
        Phase.POLL: Rule("", 1000, Phase.POLL, Phase.FLUSH),
        Phase.FLUSH: Rule("\r", 400, Phase.POLL, Phase.WARM),
        Phase.WARM: Rule("ATWS", 1000, Phase.ECHO, Phase.RESET),
        Phase.ASLEEP: Rule("", 0, Phase.SEARCH, Phase.SEARCH),
    }
)
"""Two cells depend on more than the phase: FLUSH goes back to ECHO if the set-up was not done, and a phase that
fails while finding back goes one step up (FLUSH, WARM, RESET)."""
INITIAL = frozenset({Phase.ECHO, Phase.LINEFEEDS, Phase.HEADERS, Phase.SPACES, Phase.PROTOCOL})

NO_ANSWER = frozenset({b"NODATA", b"UNABLETOCONNECT", b"BUSINIT:ERROR", b"BUSINIT:...ERROR", b"CANERROR"})
"""The vehicle said nothing. Everything else that is not hex is a fault of the line or the adapter."""
REASONS = {
    b"?": "not-understood", b"STOPPED": "stopped", b"BUFFERFULL": "buffer-full", b"BUSERROR": "bus-error",
    b"BUSBUSY": "bus-busy", b"DATAERROR": "data-error", b"<DATAERROR": "data-error", b"<RXERROR": "data-error",
    b"FBERROR": "adapter-error", b"ACTALERT": "adapter-error", b"LPALERT": "adapter-error",
    b"LVRESET": "restarted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BusState:
    """Said when it changes: `ready` (the vehicle answers), `asleep` (it does not), `lost` (the adapter does not)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Config:
    """`slot_ms` apart from command to command; `wanted` are the parameters to ask where the vehicle has them."""

    slot_ms: int = 200
    quiet_ms: int = 120
    asleep_ms: int = 5_000
    misses: int = 6
    absent_ms: int = 60_000
    voltage_ms: int = 5_000
    wanted: tuple[int, ...] = field(default=tuple(PIDS))


def command_bytes(command: str) -> bytes:
    """The one place where bytes for the adapter are made; raises RefusedError for what is not on the list."""
    if command == "\r":
        return b"\r"
    if command not in AT_COMMANDS:
        hexadecimal = len(command) in {2, 4} and HEX.issuperset(command.encode())
        if not hexadecimal or command[:2] not in MODES:
            raise RefusedError(f"{command!r} is not on the list of commands for the vehicle bus")
    return command.encode() + b"\r"


class Elm327:
    """One adapter. `now_ms` is a clock that never steps."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config()
        self._phase = Phase.RESET
        self._open: str | None = None
        self._limit_ms = 0
        self._start_ms = 0
        self._quiet_until_ms: int | None = None
        self._buffer = b""
        self._searched = 0
        self._steps = 0
        self._initialised = False
        self._silent = 0
        self._said = ""
        self._due: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._fast_last = False
        self._out: list[BusValue | Rejected | BusState] = []

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def wake_at(self) -> int | None:
        """When to call `feed(b"")` and `next_command` again if no bytes come."""
        if self._open is not None:
            return self._limit_ms
        if self._quiet_until_ms is not None:
            return self._quiet_until_ms
        if self._phase is Phase.POLL:
            return max(self._start_ms, min(self._due.values()))
        return self._start_ms

    def next_command(self, now_ms: int) -> bytes | None:
        """The bytes to send now, or None if the adapter is busy or nothing is due."""
        if self._open is not None or self._quiet_until_ms is not None or now_ms < self._start_ms:
            return None
        if self._phase is Phase.ASLEEP:
            self._phase = Phase.SEARCH
        rule = RULES[self._phase]
        command = rule.command or self._chosen(now_ms)
        if command is None:
            return None
        self._open = command
        self._limit_ms = now_ms + rule.limit_ms
        self._start_ms = now_ms + (self._config.slot_ms if self._phase is Phase.POLL else 0)
        self._searched = 0
        return command_bytes(command)

    def feed(self, chunk: bytes, now_ms: int) -> list[BusValue | Rejected | BusState]:
        """Take in what came, also nothing; values and what went wrong come out."""
        if self._quiet_until_ms is not None:
            self._quiet(chunk, now_ms)
        elif self._open is None:
            if chunk.strip(b"\r\n> \0"):
                self._out.append(Rejected("unasked"))
                self._restarted(chunk, now_ms)
        else:
            self._listen(chunk, now_ms)
        out, self._out = self._out, []
        return out

    def _listen(self, chunk: bytes, now_ms: int) -> None:
        self._buffer += chunk
        answer, prompt, rest = self._buffer.partition(b">")
        if prompt:
            self._buffer = b""
            self._answered(answer, now_ms)
            if rest.strip(b"\r\n> \0"):
                self._out.append(Rejected("unasked"))
            return
        if len(self._buffer) > BUFFER_LIMIT:
            self._buffer = b""
            self._failed("garbled", now_ms)
            return
        progress = self._buffer.count(b"SEARCHING")
        if progress > self._searched:
            self._searched = progress
            self._limit_ms = now_ms + RULES[Phase.SEARCH].limit_ms
        if now_ms >= self._limit_ms:
            self._buffer = b""
            self._failed("timeout", now_ms)

    def _quiet(self, chunk: bytes, now_ms: int) -> None:
        """After the prompt that ends a flush: the line must be silent for a while, else an old answer would shift in."""
        assert self._quiet_until_ms is not None
        if chunk and now_ms >= self._limit_ms:
            self._quiet_until_ms = None
            self._failed("babble", now_ms)
        elif chunk:
            self._quiet_until_ms = now_ms + self._config.quiet_ms
        elif now_ms >= self._quiet_until_ms:
            self._quiet_until_ms = None
            self._phase = Phase.POLL if self._initialised else Phase.ECHO
            if self._initialised and not self._due:
                self._phase = Phase.SEARCH

    def _restarted(self, text: bytes, now_ms: int) -> None:
        packed = _packed(text)
        if packed.startswith(BANNERS) or packed == b"LVRESET":
            self._initialised = False
            self._go(Phase.ECHO, now_ms)

    def _go(self, phase: Phase, now_ms: int, wait_ms: int = 0) -> None:
        self._phase = phase
        self._open = None
        self._start_ms = now_ms + wait_ms

    def _failed(self, reason: str, now_ms: int) -> None:
        """An answer that was not understood or did not come: one step up, or sleep if it was the search."""
        self._out.append(Rejected(reason, self._open or ""))
        steps = (Phase.FLUSH, Phase.WARM, Phase.RESET)
        at_least = {Phase.FLUSH: 1, Phase.WARM: 2, Phase.RESET: 2}.get(self._phase, 0)
        step = steps[max(at_least, min(self._steps, 2))]
        self._steps += 1
        if self._phase is Phase.POLL and self._open is not None:
            self._missing(self._open, now_ms)
        if step is not Phase.FLUSH:
            self._initialised = False
            self._due = {}
        if self._phase is Phase.RESET:
            self._say("lost")
        self._go(step, now_ms, 1000 if self._phase is Phase.RESET else 0)

    def _say(self, kind: str) -> None:
        if self._said != kind:
            self._said = kind
            self._out.append(BusState(kind))

    def _answered(self, answer: bytes, now_ms: int) -> None:
        command, phase = self._open, self._phase
        assert command is not None
        if phase is Phase.FLUSH:
            self._open = None
            self._quiet_until_ms = now_ms + self._config.quiet_ms
            self._limit_ms = now_ms + RULES[Phase.FLUSH].limit_ms
            return
        lines = [
            line
            for raw in answer.replace(b"\n", b"\r").split(b"\r")
            if (line := _packed(raw).removeprefix(b"SEARCHING..."))
        ]
        lines = [line for line in lines if line != command.encode()]
        if phase in {Phase.RESET, Phase.WARM}:
            if any(line.startswith(BANNERS) for line in lines):
                self._go(RULES[phase].good, now_ms)
        elif phase in INITIAL:
            if lines != [b"OK"] and not (phase is Phase.SPACES and lines == [b"?"]):
                self._failed("garbled", now_ms)
                return
            self._go(RULES[phase].good, now_ms)
            self._initialised = self._phase is Phase.SEARCH
        elif command == "ATRV":
            self._voltage(lines, now_ms)
        else:
            self._data(command, lines, now_ms)

    def _data(self, command: str, lines: list[bytes], now_ms: int) -> None:
        """The answer to a parameter request: values, silence of the vehicle, or noise."""
        if lines and all(line in NO_ANSWER for line in lines):
            self._nothing(command, now_ms)
            return
        known = next((REASONS[line] for line in lines if line in REASONS), None)
        if known == "restarted" or any(line.startswith(BANNERS) for line in lines):
            self._out.append(Rejected("restarted"))
            self._initialised = False
            self._go(Phase.ECHO, now_ms)
            return
        pid = int(command[2:4], 16)
        width = PIDS[pid].width if pid in PIDS else 4
        head = b"41" + command[2:4].encode()
        for line in lines:
            if known is None and not (line.startswith(head) and len(line) == 4 + 2 * width and HEX.issuperset(line)):
                known = "short" if head.startswith(line[:4]) and len(line) < 4 + 2 * width else "garbled"
        if known is not None or not lines:
            self._failed(known or "empty", now_ms)
            return
        self._steps = self._silent = 0
        self._missed.pop(command, None)
        values = [bytes.fromhex(line[4:].decode()) for line in lines]
        self._open = None
        if pid in PIDS:
            self._out.append(BusValue(PIDS[pid].signal.key, PIDS[pid].value(values[0]), now_ms))
        else:
            self._found(pid, values, now_ms)

    def _found(self, base: int, bitmaps: list[bytes], now_ms: int) -> None:
        """The vehicle said which parameters it has: plan those, and ask for the next 32 if it has them."""
        have: frozenset[int] = frozenset().union(*(supported(base, bits) for bits in bitmaps))
        self._due.pop(f"01{base:02X}", None)
        following = base + 32
        if following in have and any(pid > following for pid in self._config.wanted):
            self._due[f"01{following:02X}"] = now_ms
        elif 0x42 not in have:
            self._due["ATRV"] = now_ms
        self._due.update({f"01{pid:02X}": now_ms for pid in self._config.wanted if pid in have})
        self._phase = Phase.POLL
        self._say("ready")

    def _nothing(self, command: str, now_ms: int) -> None:
        self._out.append(Rejected("no-data", command))
        self._silent += 1
        self._open = None
        if self._phase is Phase.SEARCH or self._silent >= self._config.misses:
            self._silent = 0
            self._due = {}
            self._missed = {}
            self._say("asleep")
            self._go(Phase.ASLEEP, now_ms, self._config.asleep_ms)
        else:
            self._missing(command, now_ms)

    def _missing(self, command: str, now_ms: int) -> None:
        """A command that fails again and again is asked seldom; without the list of parameters, ask the adapter."""
        missed = self._missed[command] = self._missed.get(command, 0) + 1
        if missed >= 3:
            self._due[command] = now_ms + self._config.absent_ms
            if command not in PID_COMMANDS:
                self._due.setdefault("ATRV", now_ms)

    def _voltage(self, lines: list[bytes], now_ms: int) -> None:
        text = lines[0].removesuffix(b"V") if len(lines) == 1 else b""
        if not (text.replace(b".", b"", 1).isdigit() and len(text) <= 5 and float(text) < 40.0):
            self._failed("garbled", now_ms)
            return
        self._open = None
        self._steps = 0
        self._out.append(BusValue("mv", float(text), now_ms))

    def _chosen(self, now_ms: int) -> str | None:
        """The most overdue command; after a fast one a slow one has its turn, if one is due."""
        due = sorted(((at_ms, command) for command, at_ms in self._due.items() if at_ms <= now_ms), key=itemgetter(0))
        slow = [command for _, command in due if not _is_fast(command)]
        fast = [command for _, command in due if _is_fast(command)]
        for commands in (slow, fast) if self._fast_last else (fast, slow):
            if commands:
                command = commands[0]
                self._fast_last = _is_fast(command)
                self._due[command] = now_ms + self._period_ms(command)
                return command
        return None

    def _period_ms(self, command: str) -> int:
        pid = PID_COMMANDS.get(command)
        return self._config.voltage_ms if pid is None else pid.period_ms


def _is_fast(command: str) -> bool:
    pid = PID_COMMANDS.get(command)
    return pid is not None and pid.pace == "fast"


def _packed(text: bytes) -> bytes:
    return bytes(c for c in text if c not in b" \r\n\0").upper()
