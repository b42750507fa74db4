"""The set-up of an ELM327: its banner, the settings it takes or refuses, and the protocol that it has found."""

from abc import abstractmethod

from agent.core.obd.answers import announces, split, written
from agent.core.obd.commands import PROTOCOL_NAMES
from agent.core.obd.elm_line import Line
from agent.core.obd.elm_rules import RULES, Phase
from agent.core.obd.memory import Memory
from agent.core.obd.plan import Plan, Query

PROTOCOLS = frozenset(PROTOCOL_NAMES)
UNIT_NAMES = {2: frozenset("12345"), 3: frozenset("68BC"), 4: frozenset("79BC")}
"""How long the name of a unit is on which protocols."""


class SetUp(Line):
    """From the reset to the first request of the plan."""

    def __init__(self, memory: Memory, plan: Plan, *, quiet_ms: int) -> None:
        super().__init__(memory, plan, quiet_ms=quiet_ms)
        self._query = Query("")
        self._headers = self._auto = False
        self._named = ""

    @abstractmethod
    def _ready(self) -> None:
        """The vehicle has answered."""

    def _started(self, answer: bytes, now_ms: int) -> None:
        """After a reset: the banner, or again; a prompt without banner ends something of before."""
        banner = next((line for line in written(answer) if announces(split(line.encode()))), None)
        if banner is not None:
            self.memory.banner = banner
            self._go(RULES[self._phase].good, now_ms)
        elif self._tries < 2:
            tries = self._tries + 1
            self._go(self._phase, now_ms)
            self._tries = tries
            self._wait_for_silence(now_ms)
        else:
            self._failed("no-banner", now_ms)

    def _set_up(self, command: str, answer: bytes, now_ms: int) -> None:
        rule = RULES[self._phase]
        lines = [line for line in split(answer) if line != command.encode()]
        if announces(lines) and self._phase is not Phase.WHO:
            self._reject("restarted")
            self._restarted(now_ms)
        elif lines == [b"?"] and (
            rule.optional or self._phase is Phase.POLL or (self._phase is Phase.PROTOCOL and command != "ATSP0")
        ):
            self._refused(command, now_ms)
        elif self._phase is Phase.NAME:
            self._name(lines, now_ms)
        elif self._is_fine(command, lines):
            if self._phase is Phase.WHO:
                self.memory.description = " ".join(line for line in written(answer) if line != command)[:40]
            self._next(rule.good, now_ms)
        else:
            self._failed("garbled", now_ms)

    def _refused(self, command: str, now_ms: int) -> None:
        """`?` twice: it does not know the command. Once may be noise."""
        if self._phase is Phase.POLL:
            self.memory.refused.add("ATST")
            self._next(Phase.POLL, now_ms)
        elif not self._tries:
            self._go(self._phase, now_ms)
            self._tries = 1
        elif self._phase is Phase.PROTOCOL:
            self._auto = True
            self._go(Phase.PROTOCOL, now_ms)
        else:
            self.memory.refused.add(command)
            self._next(RULES[self._phase].good, now_ms)

    def _name(self, lines: list[bytes], now_ms: int) -> None:
        """The protocol, told twice and such that its units have names like theirs."""
        digit = lines[0].decode("ascii", "replace")[-1] if len(lines) == 1 and len(lines[0]) <= 2 else ""
        known = self.memory.units[0] if self.memory.units else ""
        if digit not in UNIT_NAMES.get(len(known), PROTOCOLS):
            self._failed("garbled", now_ms)
        elif self._named != digit:
            self._named = digit
            self._go(Phase.NAME, now_ms)
        else:
            self.memory.protocol = digit
            self._next(Phase.POLL, now_ms)

    def _is_fine(self, command: str, lines: list[bytes]) -> bool:
        """OK, or who it is."""
        if self._phase is Phase.WHO:
            return bool(lines)
        self._headers = command == "ATH1" or (self._headers and command != "ATE0")
        return lines == [b"OK"]

    def _next(self, phase: Phase, now_ms: int) -> None:
        """The next phase of the set-up, past what the adapter does not know or has told already."""
        if self._phase is Phase.POLL:
            self._plan.drop(self._query.command)
            self._go(Phase.POLL, now_ms)
            return
        while RULES[phase].command in self.memory.refused or (phase is Phase.WHO and self.memory.description):
            phase = RULES[phase].good
        self._initialised = self._initialised or phase is Phase.SEARCH
        if phase is Phase.POLL:
            self._ready()
        self._go(phase, now_ms)
