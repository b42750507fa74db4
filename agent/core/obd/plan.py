"""The polling plan: what to ask next, so that the adapter is never idle while something is due.

1. The fast parameters are due every `fast_ms`, the slow ones each in its own period, what the vehicle has not never.
2. After a fast one a slow one has its turn if one is due: a slow adapter starves nobody.
3. Where several parameters fit one request, those of the same control unit that are due, or soon will be, ride along.
4. What goes unanswered several times is asked seldom; what was asked once and answered is done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from agent.core.obd.pids import PIDS

VOLTAGE = "ATRV"
ALLOWED_MISSES = 3
CAN_WAIT_MS = 2_000
SOON = 0.5
"""A fast parameter rides along when so much of its period has passed."""


@dataclass(frozen=True, slots=True)
class Query:
    """One request. `pids` are those of mode 01 that it asks for, in order; empty for everything else."""

    command: str
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Periods in ms. `absent_ms` for what does not answer."""

    fast_ms: int = 200
    voltage_ms: int = 5_000
    absent_ms: int = 60_000


@dataclass(slots=True)
class _Job:
    """`period_ms` None: once. A job of mode 01 has its `pid` and the unit that owns it."""

    command: str
    due_ms: int
    period_ms: int | None = None
    pid: int | None = None
    unit: str = ""
    misses: int = 0

    @property
    def fast(self) -> bool:
        return self.pid is not None and PIDS[self.pid].pace == "fast"


class Plan:
    """Jobs by command."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._jobs: dict[str, _Job] = {}
        self._fast_last = False

    @property
    def empty(self) -> bool:
        return not self._jobs

    @property
    def next_ms(self) -> int:
        """When the next job is due. Only asked of a plan that has one."""
        return min(job.due_ms for job in self._jobs.values())

    def clear(self) -> None:
        """Forget all of it: the vehicle sleeps, or the adapter has restarted."""
        self._jobs = {}

    def poll(self, pid: int, unit: str, now_ms: int) -> None:
        """Ask for a parameter again and again."""
        period_ms = self.config.fast_ms if PIDS[pid].pace == "fast" else PIDS[pid].period_ms
        command = f"01{pid:02X}"
        self._jobs[command] = _Job(command, now_ms, period_ms, pid, unit)

    def repeat(self, command: str, period_ms: int, now_ms: int) -> None:
        """Ask anything else again and again, unless it is planned already."""
        self._jobs.setdefault(command, _Job(command, now_ms, period_ms))

    def once(self, command: str, now_ms: int) -> None:
        """Ask until it is answered."""
        self._jobs[command] = _Job(command, now_ms)

    def drop(self, command: str) -> None:
        """Ask no more."""
        self._jobs.pop(command, None)

    def has(self, command: str) -> bool:
        return command in self._jobs

    def again(self, command: str, now_ms: int) -> None:
        """Ask this at once: what it told waits for a second answer."""
        job = self._jobs.get(command)
        if job is not None:
            job.due_ms = now_ms

    def soon(self, pids: tuple[int, ...], now_ms: int) -> None:
        """The same for parameters."""
        for pid in pids:
            self.again(f"01{pid:02X}", now_ms)

    def choose(self, now_ms: int, group: int = 1) -> Query | None:
        """The request to send now, with up to `group` parameters in it; None if nothing is due."""
        due = sorted((job for job in self._jobs.values() if job.due_ms <= now_ms), key=_urgency)
        first = _turn(due, fast=not self._fast_last)
        if first is None:
            return None
        self._fast_last = first.fast
        riders = [first]
        if group > 1 and first.pid is not None:
            riders += self._riders(first, due, now_ms)[: group - 1]
        for job in riders:
            self._took(job, now_ms)
        if first.pid is None:
            return Query(first.command)
        pids = tuple(job.pid for job in riders if job.pid is not None)
        return Query("01" + "".join(f"{pid:02X}" for pid in pids), pids)

    def _riders(self, first: _Job, due: list[_Job], now_ms: int) -> list[_Job]:
        """Fast ones first, then those due, of the same unit and with no misses behind them."""
        wait_ms = self.config.fast_ms * SOON
        fast = [job for job in self._jobs.values() if job.fast and job.due_ms - now_ms <= wait_ms]
        slow = [job for job in due if not job.fast and job.pid is not None]
        return [job for job in (*fast, *slow) if job is not first and job.unit == first.unit and not job.misses]

    def _took(self, job: _Job, now_ms: int) -> None:
        """The next time is counted from when it was due, as long as the adapter keeps up."""
        if job.period_ms is None:
            job.due_ms = now_ms + self.config.absent_ms
        else:
            job.due_ms = max(job.due_ms + job.period_ms, now_ms + (job.period_ms + 1) // 2 if job.period_ms else now_ms)

    def answered(self, query: Query, now_ms: int) -> None:
        """It went well: what was to be asked once is done, unless it was planned again meanwhile."""
        for job in self._of(query):
            job.misses = 0
            if job.period_ms is None and job.due_ms > now_ms:
                self._jobs.pop(job.command, None)

    def missed(self, query: Query, now_ms: int) -> None:
        """No answer: again, and after some misses seldom."""
        for job in self._of(query):
            job.misses += 1
            if job.misses >= ALLOWED_MISSES:
                job.due_ms = now_ms + self.config.absent_ms
            elif job.period_ms is None:
                job.due_ms = now_ms

    def _of(self, query: Query) -> list[_Job]:
        commands = [f"01{pid:02X}" for pid in query.pids] or [query.command]
        return [job for command in commands if (job := self._jobs.get(command)) is not None]


def _urgency(job: _Job) -> int:
    """Overdue first; codes and facts after values, but not for ever."""
    return job.due_ms if job.command.startswith("01") else job.due_ms + CAN_WAIT_MS


def _turn(due: list[_Job], *, fast: bool) -> _Job | None:
    """The most overdue of the pace whose turn it is, else of the other."""
    whose: Callable[[_Job], bool] = attrgetter("fast")
    return next((job for job in due if whose(job) is fast), due[0] if due else None)
