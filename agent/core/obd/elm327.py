"""The dialogue with an ELM327: what to send next, what an answer means, and how to find back after noise.

Rules
1. One command is open at a time, and ends with the prompt `>`. `SEARCHING...` is progress and renews the time limit.
2. A value counts only if the whole answer is understood (`answers`, `isotp`), and is near one that was told before (`gate`).
3. After an answer that is not understood, or none in time, find back in steps: carriage return (it ends whatever the
   adapter is doing) and 120 ms of quiet after the prompt, then a warm start, then a reset, then the port is opened anew.
   A good answer clears the steps. What the adapter says in words is in step: nothing to mend unless it repeats.
4. A banner or `LV RESET` without our asking means that the adapter has restarted: initialise again.
5. No answer from the vehicle several times in a row, or no protocol found, means that it sleeps: look for it again, more and
   more seldom, and at once when the voltage says that the engine runs.
6. Several parameters in one request, and the digit that counts lines, are used only where they were proven.
7. Quiet: the voltage is measured and nothing else; the bus is left alone.

The caller: `feed` what came (b"" when woken), then send what `next_command` says, then sleep until bytes or `wake_at`.
"""

from dataclasses import dataclass, field

from agent.core.ignition import charging
from agent.core.obd.answers import Answer, Kind, announces, split, understand
from agent.core.obd.commands import CAN, command_bytes
from agent.core.obd.elm_rules import GAP_MS, LADDER, RESET_AGAIN_MS, RULES, SEARCH_MS, SETUP, Phase
from agent.core.obd.elm_setup import SetUp
from agent.core.obd.memory import TRIAL, Memory, Report, report
from agent.core.obd.plan import VOLTAGE, Plan, Query
from agent.core.obd.plan import Config as PlanConfig
from agent.core.obd.reader import Item, Reader, Wants

PATIENCE = 3
"""So often a fault in words may come in a row before the ladder is taken."""
DEAF = 3
"""How many silent answers it is worth that the adapter finds no vehicle at all."""
MEASURED = 30
"""Answers before the time-out of the adapter is set from what was measured."""
SEARCHES_A_PROTOCOL = 4
"""Each so many searches with the known protocol, one goes through all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`quiet_ms` of silence end a flush; a sleeping vehicle is searched after `asleep_ms`, doubled up to `asleep_max_ms`."""

    plan: PlanConfig = field(default_factory=PlanConfig)
    wants: Wants = field(default_factory=Wants)
    quiet_ms: int = 120
    asleep_ms: int = 1_000
    asleep_max_ms: int = 300_000
    asleep_voltage_ms: int = 10_000
    misses: int = 6


class Elm327(SetUp):
    """One adapter. `now_ms` is a clock that never steps. `memory` is kept by the caller while the port is reopened."""

    def __init__(self, config: Config | None = None, memory: Memory | None = None) -> None:
        self._config = config or Config()
        plan = Plan(self._config.plan)
        super().__init__(Memory() if memory is None else memory, plan, quiet_ms=self._config.quiet_ms)
        self._reader = Reader(self._config.wants, plan, self.memory)
        self._silent = self._worded = self._searches = 0
        self._voltage_due_ms = self._search_due_ms = 0
        self._volts = 0.0

    @property
    def report(self) -> Report:
        """What is known of adapter and vehicle."""
        return report(self.memory)

    def quiet(self, on: bool, *, voltage_ms: int | None = None) -> None:  # noqa: FBT001  # on or off is the whole of it
        """From the next command on: nothing but the voltage, every `voltage_ms`, or everything again."""
        self.memory.quiet = on
        if voltage_ms is not None:
            self.memory.quiet_voltage_ms = voltage_ms

    @property
    def wake_at(self) -> int:
        """When to call `feed(b"")` and `next_command` again if no bytes come."""
        if self._open is not None:
            return self._limit_ms
        if self._quiet_until_ms is not None:
            return self._quiet_until_ms
        if self.memory.quiet is (self._phase is not Phase.QUIET):
            return self._start_ms
        if self._phase is Phase.POLL:
            return max(self._start_ms, self._plan.next_ms)
        if self._phase is Phase.ASLEEP:
            return max(self._start_ms, min(self._voltage_due_ms, self._search_due_ms))
        return self._voltage_due_ms if self._phase is Phase.QUIET else self._start_ms

    def next_command(self, now_ms: int) -> bytes | None:
        """The bytes to send now, or None if the adapter is busy or nothing is due."""
        if self._open is not None or self._quiet_until_ms is not None or now_ms < self._start_ms:
            return None
        self._hush(now_ms)
        command = self._command(now_ms)
        if command is None:
            return None
        self._open = command
        self._sent_ms, self._heard_ms = now_ms, None
        self._limit_ms = now_ms + self._patience_ms()
        self._start_ms = now_ms
        return command_bytes(command)

    def _hush(self, now_ms: int) -> None:
        busy = self._phase in {Phase.SEARCH, Phase.NAME, Phase.POLL, Phase.ASLEEP}
        if self.memory.quiet and busy:
            self._reader.asleep()
            self._phase, self._voltage_due_ms = Phase.QUIET, now_ms
        elif not self.memory.quiet and self._phase is Phase.QUIET:
            self._phase, self._searches = Phase.SEARCH, 0

    def _command(self, now_ms: int) -> str | None:
        if self._phase is Phase.PROTOCOL:
            return f"ATSP{self.memory.protocol if self.memory.protocol and not self._auto else 0}"
        if self._phase is Phase.QUIET:
            return self._voltage(now_ms, self.memory.quiet_voltage_ms)
        if self._phase is Phase.ASLEEP:
            if now_ms >= self._search_due_ms:
                self._phase = Phase.SEARCH
            else:
                return self._voltage(now_ms, self._config.asleep_voltage_ms)
        if self._phase is not Phase.POLL:
            return RULES[self._phase].command
        group = self.memory.group
        together = group.size if self.memory.protocol in CAN and not group.refused and self.memory.answers > 5 else 1
        query = self._plan.choose(now_ms, together)
        if query is None:
            return None
        self._query = query
        lines = self.memory.lines.get(query.command, 0)
        counted = query.pids and 0 < lines < 16 and not self.memory.digit.refused
        return f"{query.command}{lines:X}" if counted else query.command

    def _voltage(self, now_ms: int, period_ms: int) -> str | None:
        if now_ms < self._voltage_due_ms:
            return None
        self._voltage_due_ms = now_ms + period_ms
        return VOLTAGE

    def _patience_ms(self) -> int:
        limit_ms = RULES[self._phase].limit_ms
        if self._phase is Phase.SEARCH and self._patient:
            return SEARCH_MS
        if self._phase is Phase.RESET and self._steps:
            return RESET_AGAIN_MS
        trips = self.memory.round_trips_ms
        if self._phase is Phase.POLL and self._query.pids and len(trips) > 8:
            return min(limit_ms, max(GAP_MS, 100 + 3 * max(trips)))
        return limit_ms

    def _blame(self, now_ms: int, *, silent: bool = False) -> bool:
        """An unanswered request: what was not proven yet is suspected first; else the parameters were missed.

        A vehicle that is `silent` says nothing against what was proven.
        """
        query, memory = self._query, self.memory
        counted, grouped = self._open != query.command, len(query.pids) > 1
        suspected = False
        for trick, used in ((memory.digit, counted), (memory.group, grouped)):
            if used and not (silent and trick.proven):
                suspected = suspected or not trick.proven
                trick.failed()
        if counted:
            memory.lines.pop(query.command, None)
        if suspected or grouped:
            self._plan.soon(query.pids, now_ms)
        else:
            self._plan.missed(query, now_ms)
        return suspected

    def _answered(self, answer: bytes, now_ms: int) -> None:
        command, phase = self._open, self._phase
        assert command is not None
        if phase is Phase.FLUSH:
            self._open = None
            self._quiet_until_ms = now_ms + self._config.quiet_ms
            self._limit_ms = now_ms + RULES[Phase.FLUSH].limit_ms
            return
        if command == VOLTAGE:
            self._measured(answer, now_ms)
        elif phase in LADDER:
            self._started(answer, now_ms)
        elif phase in SETUP or command.startswith("ATST"):
            self._set_up(command, answer, now_ms)
        else:
            self._told(command, answer, now_ms)

    def _ready(self) -> None:
        if not self.memory.protocol and self.memory.units and self.memory.units[0].startswith("7E"):
            self.memory.protocol = "6"
        self._searches, self._patient, self._silent = 0, False, 0
        self._say("ready")

    def _measured(self, raw: bytes, now_ms: int) -> None:
        lines = [line for line in split(raw) if line != VOLTAGE.encode()]
        if announces(lines) or b"LVRESET" in lines:
            self._reject("restarted")
            self._restarted(now_ms)
            return
        told = self._reader.volts(lines[0], now_ms) if len(lines) == 1 else "garbled"
        if isinstance(told, str):
            self._failed(told, now_ms)
            return
        self._open = None
        self._steps = 0
        self._plan.answered(Query(VOLTAGE), now_ms)
        self._out += told
        if not told:  # a second reading decides
            self._voltage_due_ms = now_ms
            self._plan.again(VOLTAGE, now_ms)
        for item in told:
            if self._phase is Phase.ASLEEP and charging(item.value) and not charging(self._volts):
                self._search_due_ms, self._searches = now_ms, 0
            self._volts = item.value

    def _told(self, command: str, raw: bytes, now_ms: int) -> None:
        """The answer to a reading of the vehicle."""
        protocol = self.memory.protocol if self._phase is Phase.POLL else ""
        answer = understand(raw, command, protocol, headers=self._headers)
        if answer.kind is Kind.RESTARTED:
            self._reject("restarted")
            self._restarted(now_ms)
        elif answer.kind is Kind.FAULT:
            self._failed(answer.reason, now_ms)
        elif self._phase is Phase.SEARCH:
            self._searched(answer, now_ms)
        elif answer.kind is Kind.GOOD:
            self._good(answer, now_ms)
        else:
            self._refusal(answer, now_ms)
        if answer.echo and self._phase is Phase.POLL:
            self._reject("echo")
            self._mend_echo(now_ms)

    def _mend_echo(self, now_ms: int) -> None:
        """Settings were lost: set up again, once; an adapter that goes on echoing is understood anyway."""
        if "ATE0" not in self.memory.refused:
            self.memory.refused.add("ATE0")
            self._restarted(now_ms)

    def _searched(self, answer: Answer, now_ms: int) -> None:
        if answer.kind is Kind.GOOD:
            self._open = None
            wrong = self._reader.found(0, answer.messages, now_ms)
            if wrong is not None:
                self._failed(wrong, now_ms)
            else:
                self._reader.begin(now_ms)
                self._next(Phase.NAME, now_ms)
        elif answer.kind in {Kind.UNKNOWN, Kind.AGAIN}:
            self._failed(answer.reason, now_ms)
        else:
            self._reject(answer.reason, "0100")
            self._sleep(now_ms)

    def _sleep(self, now_ms: int) -> None:
        """The vehicle does not answer. A protocol that was found before is given up for a search of all now and then."""
        self._searches += 1
        fixed = self.memory.protocol and not self._auto
        if fixed and self._searches % SEARCHES_A_PROTOCOL == (1 if self.memory.said != "ready" else 0):
            self._auto = True
            self._go(Phase.PROTOCOL, now_ms)
            return
        wait_ms = self._config.asleep_ms << min(self._searches - 1, 10)
        self._search_due_ms = now_ms + min(self._config.asleep_max_ms, wait_ms)
        self._voltage_due_ms = now_ms
        self._silent = 0
        self._reader.asleep()
        self._say("asleep")
        self._go(Phase.ASLEEP, now_ms)

    def _good(self, answer: Answer, now_ms: int) -> None:
        query, memory = self._query, self.memory
        self._plan.answered(query, now_ms)
        told = self._reader.take(query, answer.messages, now_ms)
        if isinstance(told, str):
            if not query.pids and not self._plan.has(query.command):
                self._plan.once(query.command, now_ms)
            if len(query.pids) > 1 and not memory.group.proven:  # understood, but not all that was asked for
                self._refusal(Answer(Kind.NEGATIVE, told), now_ms)
            else:
                self._failed(told, now_ms)
            return
        counted = self._open != query.command
        self._open = None
        self._steps = self._silent = self._worded = 0
        memory.answers += 1
        if query.pids:
            memory.round_trips_ms.append(now_ms - self._sent_ms)
            memory.first_byte_ms.append((self._heard_ms or now_ms) - self._sent_ms)
            self._shorten(now_ms)
            memory.lines[query.command] = answer.lines
            if counted:
                memory.digit.worked()
            if len(query.pids) > 1:
                self._judge_group(told)
        self._out += told

    def _shorten(self, now_ms: int) -> None:
        """An adapter that neither counts lines nor adapts waits 200 ms behind each answer: set twice what it needs."""
        memory = self.memory
        if not memory.timed and memory.answers >= MEASURED and memory.digit.refused and "ATAT1" in memory.refused:
            memory.timed = True
            wait = -(-(2 * max(memory.first_byte_ms) + 20) // 4)
            if wait <= 0x32:
                self._plan.once(f"ATST{max(0x0A, wait):02X}", now_ms)

    def _judge_group(self, told: list[Item]) -> None:
        """Proven by values that are near those told one by one."""
        group = self.memory.group
        if told:
            group.worked()
        elif not group.proven:
            group.failed()

    def _refusal(self, answer: Answer, now_ms: int) -> None:
        """The vehicle or the adapter says, in words, that there is nothing."""
        silent = answer.kind is Kind.NO_DATA
        command = self._open or ""
        suspected = self._blame(now_ms, silent=silent)
        self._reject(TRIAL if suspected else answer.reason, command)
        self._open = None
        if silent and not suspected:
            self._silent += 1 if answer.reason == "no-data" else DEAF
            if self._silent >= self._config.misses:
                self._searches = 0
                self._sleep(now_ms)
        elif answer.kind is Kind.PENDING:
            self._wait_for_silence(now_ms)
        elif answer.kind in {Kind.AGAIN, Kind.UNKNOWN}:
            self._worded += 1
            if self._worded >= PATIENCE:
                self._worded = 0
                self._failed(answer.reason, now_ms)
