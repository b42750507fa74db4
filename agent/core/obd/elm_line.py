"""The line discipline of the ELM327 dialogue: one command open, its prompt, its time limit, and the ladder that finds back.

What an answer means is `agent.core.obd.elm327`, which builds on this.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from agent.core.obd.answers import announces, in_progress, packed, split
from agent.core.obd.elm_rules import GAP_MS, LADDER, PENDING_MS, SEARCH_MS, Phase
from agent.core.obd.memory import Memory
from agent.core.obd.plan import Plan
from agent.core.obd.reader import Item
from wire.messages import Rejected

BUFFER_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class BusState:
    """Said when it changes: `ready` (the vehicle answers), `asleep` (it does not), `lost` (the adapter does not)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Nothing on the line helps: the port is to be closed and opened again."""


Out = Item | BusState | Reopen


class Line(ABC):
    """Bytes in; `_answered` is called with what stands before a prompt, `_blame` with a request that came to nothing."""

    def __init__(self, memory: Memory, plan: Plan, *, quiet_ms: int) -> None:
        self.memory = memory
        self._plan = plan
        self._quiet_ms = quiet_ms
        self._phase = Phase.RESET
        self._open: str | None = None
        self._sent_ms = self._limit_ms = self._start_ms = 0
        self._heard_ms: int | None = None
        self._quiet_until_ms: int | None = None
        self._buffer = b""
        self._steps = self._tries = 0
        self._initialised = self._patient = False
        self._out: list[Out] = []

    @property
    def phase(self) -> Phase:
        return self._phase

    @abstractmethod
    def _answered(self, answer: bytes, now_ms: int) -> None:
        """What stood before a prompt."""

    @abstractmethod
    def _blame(self, now_ms: int, *, silent: bool = False) -> bool:
        """A request came to nothing; whether it was a trick that is given up, and not the adapter."""

    def feed(self, chunk: bytes, now_ms: int) -> list[Out]:
        """Take in what came, also nothing; values and what went wrong come out."""
        if self._quiet_until_ms is not None:
            self._settle(chunk, now_ms)
        elif self._open is None:
            self._unasked(chunk, now_ms)
        else:
            self._listen(chunk, now_ms)
        out, self._out = self._out, []
        return out

    def _unasked(self, chunk: bytes, now_ms: int) -> None:
        """Bytes while nothing is open: wait until the line is silent, so that they do not shift into the next answer."""
        if chunk.strip(b"\r\n> \0"):
            self._reject("unasked")
            if announces(split(chunk)) or b"LVRESET" in packed(chunk):
                self._restarted(now_ms)
            else:
                self._wait_for_silence(now_ms)

    def _listen(self, chunk: bytes, now_ms: int) -> None:
        self._buffer += chunk
        if chunk and self._heard_ms is None:
            self._heard_ms = now_ms
        answer, prompt, rest = self._buffer.partition(b">")
        if prompt:
            self._buffer = b""
            self._answered(answer, now_ms)
            if rest:
                self._late(rest, now_ms)
            return
        if len(self._buffer) > BUFFER_LIMIT:
            self._failed("garbled", now_ms)
            return
        if chunk and in_progress(self._buffer):
            self._limit_ms = now_ms + (SEARCH_MS if b"78" not in self._buffer[-8:] else PENDING_MS)
        elif chunk and self._is_whole():
            self._limit_ms = min(self._limit_ms, now_ms + GAP_MS)
        if now_ms >= self._limit_ms:
            self._failed("timeout" if not self._buffer.strip() else "no-prompt", now_ms)

    def _is_whole(self) -> bool:
        """A line stands there and has ended, so that only the prompt is missing. Echo and banner come slower."""
        text = self._buffer.lstrip(b"\r\n")
        return b"\r" in text and self._phase not in {Phase.RESET, Phase.HELLO, Phase.WARM}

    def _late(self, rest: bytes, now_ms: int) -> None:
        """Behind the prompt."""
        if self._open is None and self._quiet_until_ms is None:
            self._unasked(rest, now_ms)

    def _settle(self, chunk: bytes, now_ms: int) -> None:
        """The line must be silent for a while, else an old answer would shift in."""
        assert self._quiet_until_ms is not None
        if chunk and now_ms >= self._limit_ms:
            self._quiet_until_ms = None
            self._failed("babble", now_ms)
        elif announces(split(chunk)):
            self._quiet_until_ms = None
            self._restarted(now_ms)
        elif chunk:
            self._quiet_until_ms = now_ms + self._quiet_ms
        elif now_ms >= self._quiet_until_ms:
            self._quiet_until_ms = None
            if self._phase is Phase.FLUSH:
                self._resume(now_ms)

    def _resume(self, now_ms: int) -> None:
        """Where the work was."""
        if not self._initialised:
            self._go(Phase.ECHO, now_ms)
        elif self._plan.empty or self.memory.said != "ready":
            self._go(Phase.SEARCH, now_ms)
        else:
            self._go(Phase.POLL, now_ms)

    def _restarted(self, now_ms: int) -> None:
        """Set up again once the line is silent: banners and answers of before may still come."""
        self._initialised = False
        self._plan.clear()
        self._go(Phase.ECHO, now_ms)
        self._wait_for_silence(now_ms)

    def _wait_for_silence(self, now_ms: int) -> None:
        self._quiet_until_ms = now_ms + self._quiet_ms
        self._limit_ms = now_ms + 4 * self._quiet_ms

    def _go(self, phase: Phase, now_ms: int, wait_ms: int = 0) -> None:
        self._phase = phase
        self._open = None
        self._start_ms = now_ms + wait_ms
        self._tries = 0

    def _reject(self, reason: str, detail: str = "") -> None:
        self.memory.faults[reason] += 1
        self._out.append(Rejected(reason, detail))

    def _say(self, kind: str) -> None:
        if self.memory.said != kind:
            self.memory.said = kind
            self._out.append(BusState(kind))

    def _failed(self, reason: str, now_ms: int) -> None:
        """An answer that was not understood or did not come: one step up the ladder."""
        self._reject(reason, self._open or "")
        self._buffer = b""
        if self._phase is Phase.POLL and self._open is not None:
            self._blame(now_ms)
        self._patient = self._patient or self._phase is Phase.SEARCH
        if self._phase is Phase.HELLO:
            self._say("lost")
            self._out.append(Reopen())
            self._steps = 0
            self._go(Phase.RESET, now_ms, 1000)
            return
        at = LADDER.index(self._phase) + 1 if self._phase in LADDER else min(self._steps, 2)
        step = LADDER[max(at, 1 if self.memory.quiet else 0)]
        self._steps += 1
        if step is not Phase.FLUSH:
            self._initialised = False
            self._plan.clear()
            self.memory.group.renewed()
            self.memory.digit.renewed()
        self._go(step, now_ms)
