"""What good answers mean: which parameters there are and who has them, values, trouble codes, and what the vehicle is.

Nothing is believed from one answer alone where a fallen bit could have made it: numbers pass a gate, everything else counts
when two answers in a row say the same.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from agent.core.obd import vehicle_facts
from agent.core.obd.bus import BusValue
from agent.core.obd.dtc import Codes, codes, is_generic, meaning
from agent.core.obd.gate import Gate
from agent.core.obd.isotp import Message
from agent.core.obd.memory import Memory
from agent.core.obd.pids import BY_NAME, PIDS, TRACK, Part, Value, supported
from agent.core.obd.plan import VOLTAGE, Plan, Query
from agent.core.obd.words import Readiness
from wire.messages import Rejected

CODE_MODES = {"03": "stored", "07": "pending", "0A": "permanent"}
FREEZE_OWNER = "020200"
FREEZE_PIDS = (0x03, 0x04, 0x05, 0x0C, 0x0D, 0x11, 0x2F, 0x42)
"""What is read of the moment of a fault, where the vehicle has it."""
VOLTS_MAX, VOLTS_FORGET_MS = 40.0, 1_800_000


@dataclass(frozen=True, slots=True)
class BusNote:
    """An answer that is no number: a status, a standard, sensors present. `key` as in `wire.signals`."""

    key: str
    value: str | Readiness
    at_ms: int


@dataclass(frozen=True, slots=True)
class CodesChanged:
    """The vehicle remembers other trouble codes than before."""

    codes: Codes
    appeared: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def detail(self) -> dict[str, object]:
        """For an event: the codes that are new with their meaning, those that are gone, and how many there are."""
        return {
            "new": {code: meaning(code) for code in self.appeared},
            "gone": list(self.gone),
            "maker": [code for code in self.appeared if not is_generic(code)],
            "count": len({*self.codes.stored, *self.codes.pending, *self.codes.permanent}),
        }


Item = BusValue | BusNote | CodesChanged | Rejected


@dataclass(frozen=True, slots=True)
class Wants:
    """Signals to ask for beyond those of the track, by their names in `wire.signals`; how often to read codes."""

    others: tuple[str, ...] = ()
    codes_ms: int = 600_000

    @property
    def pids(self) -> tuple[int, ...]:
        """Those of the track first."""
        return tuple(dict.fromkeys((*TRACK, *(BY_NAME[key].number for key in self.others))))


@dataclass(slots=True)
class Reader:
    """One vehicle."""

    wants: Wants
    plan: Plan
    memory: Memory
    gate: Gate = field(default_factory=Gate)
    owners: dict[int, str] = field(default_factory=dict)
    several: int = 1
    """How many units answered the search without saying who they are."""
    _said: dict[Hashable, object] = field(default_factory=dict)
    _first: dict[Hashable, object] = field(default_factory=dict)

    def _confirmed(self, key: Hashable, value: object) -> bool:
        """Whether two answers in a row say this, or it is what was confirmed before."""
        known = self._said.get(key) == value or self._first.pop(key, None) == value
        if known:
            self._said[key] = value
            self._first.pop(key, None)
        else:
            self._first[key] = value
        return known

    def found(self, base: int, answer: tuple[Message, ...], now_ms: int) -> str | None:
        """The vehicle said which parameters it has: plan those, and ask for the next list. Or the reason why not."""
        if any(len(one.data) != 6 for one in answer):
            return "garbled"
        span = range(base + 1, base + 33)
        have: dict[str, frozenset[int]] = {}
        for one in answer:
            have[one.unit] = have.get(one.unit, frozenset()) | supported(base, one.data[2:])
        for pid in span:
            self.owners.pop(pid, None)
        for unit in sorted(have, reverse=True):
            self.owners.update(dict.fromkeys(have[unit], unit))
        if base == 0:
            self.several = len(answer)
            self.memory.units = tuple(sorted(have))
        self.memory.supported = frozenset(self.owners)
        if not self._confirmed(("list", base), answer):
            self.plan.once(f"01{base:02X}", now_ms)
        self._plan_for(span, now_ms)
        return None

    def _plan_for(self, span: range, now_ms: int) -> None:
        top = span[-1]
        for pid in self.wants.pids:
            command = f"01{pid:02X}"
            if pid in span and (pid not in self.owners or not self.plan.has(command)):
                self.plan.drop(command)
                if pid in self.owners:
                    self.plan.poll(pid, self.owners[pid], now_ms)
        more = top in self.owners and any(pid > top for pid in self.wants.pids)
        if more and ("list", top) not in self._said:
            self.plan.once(f"01{top:02X}", now_ms)
        if 0x42 in self.owners:
            self.plan.drop(VOLTAGE)
        elif not more or top > 0x40:
            self.plan.repeat(VOLTAGE, self.plan.config.voltage_ms, now_ms)

    def begin(self, now_ms: int) -> None:
        """The vehicle has woken up: read its codes, and who it is unless that is known."""
        for command in CODE_MODES:
            self.plan.repeat(command, self.wants.codes_ms, now_ms)
        if not self.memory.vin:
            self.plan.once("0900", now_ms)

    def asleep(self) -> None:
        """Nothing of the last drive confirms what comes after it."""
        self.plan.clear()
        self.owners, self._said, self._first = {}, {}, {}
        self.gate = Gate({key: seen for key, seen in self.gate.believed.items() if key == VOLTAGE})

    def take(self, query: Query, answer: tuple[Message, ...], now_ms: int) -> list[Item] | str:
        """What an answer gives, or the reason why it can't be one."""
        if query.pids:
            return self._values(query, answer, now_ms)
        mode = query.command[:2]
        if mode == "01":
            return self.found(int(query.command, 16) & 0xFF, answer, now_ms) or []
        if mode in CODE_MODES:
            return self._codes(mode, answer, now_ms)
        return self._freeze(query, answer, now_ms) if mode == "02" else self._fact(query.command, answer, now_ms)

    def _owned(self, pid: int, answer: tuple[Message, ...]) -> bytes | str:
        """What the unit said that has the parameter. Without headers the first that answers is taken."""
        owner = self.owners.get(pid, "")
        told = [one.data for one in answer if one.unit == owner]
        if not told:
            return "wrong-unit"
        return told[0] if len(told) <= (1 if owner else max(1, self.several)) else "ambiguous"

    def _values(self, query: Query, answer: tuple[Message, ...], now_ms: int) -> list[Item] | str:
        told = self._owned(query.pids[0], answer)
        if isinstance(told, str):
            return told
        data = _fields(told[1:], query.pids)
        if isinstance(data, str):
            return data
        absent = tuple(pid for pid in query.pids if pid not in data)
        if absent and not (data and self.memory.group.proven):
            return "short"
        for pid in absent:
            self.plan.missed(Query("", (pid,)), now_ms)
        if len(query.pids) > 1 and not self.memory.group.proven:
            return self._tried(data, now_ms)
        out: list[Item] = []
        for pid in data:
            for part, value in PIDS[pid].values(data[pid]):
                item = self._believed(part, value, now_ms)
                if item is None:
                    self.plan.soon((pid,), now_ms)
                else:
                    out.append(item)
        return out

    def _tried(self, data: dict[int, bytes], now_ms: int) -> list[Item]:
        """A request for several that is on trial: its values count only beside those told one by one, and all or none."""
        out: list[Item] = []
        for pid, told in data.items():
            for part, value in PIDS[pid].values(told):
                seen = self.gate.believed.get(part.signal.key)
                if seen is None or not isinstance(value, float):
                    self.plan.soon((pid,), now_ms)
                elif abs(seen.value - value) > part.jump:
                    self.plan.soon(tuple(data), now_ms)
                    return []
                else:
                    out.append(BusValue(part.signal.key, value, now_ms))
        return out

    def _believed(self, part: Part, value: Value, now_ms: int) -> Item | None:
        key = part.signal.key
        if isinstance(value, float):
            return BusValue(key, value, now_ms) if self.gate.passes(key, value, part.jump, now_ms) else None
        if not self._confirmed(key, value):
            return None
        self.memory.notes[key] = value
        return BusNote(key, value, now_ms)

    def volts(self, text: bytes, now_ms: int) -> list[BusValue] | str:
        """What ATRV says. Two readings in a row, as for other values."""
        told = text.removesuffix(b"V")
        if not (told.replace(b".", b"", 1).isdigit() and len(told) <= 5 and float(told) < VOLTS_MAX):
            return "garbled"
        part = PIDS[0x42].parts[0]
        if not self.gate.passes(VOLTAGE, float(told), part.jump, now_ms, VOLTS_FORGET_MS):
            return []
        return [BusValue(part.signal.key, float(told), now_ms)]

    def _codes(self, mode: str, answer: tuple[Message, ...], now_ms: int) -> list[Item] | str:
        lists = [codes(one.data[1:], counted=len(one.data) % 2 == 0) for one in answer]
        if any(one is None for one in lists):
            return "garbled"
        told = tuple(dict.fromkeys(code for one in lists for code in one or ()))
        if not self._confirmed(mode, told):
            self.plan.again(mode, now_ms)
            return []
        before = self.memory.codes or Codes()
        after = self.memory.codes = replace(before, **{CODE_MODES[mode]: told})
        if before == after:
            return []
        old, new = _all(before), _all(after)
        if after.stored and after.stored != before.stored:
            self.memory.freeze = {}
            self.plan.once(FREEZE_OWNER, now_ms)
        return [CodesChanged(after, tuple(c for c in new if c not in old), tuple(c for c in old if c not in new))]

    def _freeze(self, query: Query, answer: tuple[Message, ...], now_ms: int) -> list[Item] | str:
        """Values of the moment when the first code was stored; the code itself comes first."""
        pid = int(query.command[2:4], 16)
        told = next((one.data[3:] for one in answer), b"")
        if len(told) != PIDS[pid].width:
            return "garbled"
        if not self._confirmed(query.command, told):
            self.plan.once(query.command, now_ms)
            return []
        self.memory.freeze.update({part.signal.key: value for part, value in PIDS[pid].values(told)})
        if query.command == FREEZE_OWNER and any(told):
            for other in FREEZE_PIDS:
                if other in self.owners:
                    self.plan.once(f"02{other:02X}00", now_ms)
        return []

    def _fact(self, command: str, answer: tuple[Message, ...], now_ms: int) -> list[Item] | str:
        """Mode 09: which facts there are, then each of them."""
        told = vehicle_facts.payloads(answer)
        if told is None:
            return "disorder"
        if not self._confirmed(command, tuple(told.items())):
            self.plan.once(command, now_ms)
            return []
        if command == "0900":
            self._plan_facts(answer, now_ms)
            return []
        kind = vehicle_facts.INFO[command]
        read = {unit: _fact_of(kind, data) for unit, data in told.items()}
        self.memory.facts[kind] = {unit: facts for unit, facts in read.items() if facts}
        if kind == "VIN":
            self.memory.vin = next((facts[0] for facts in read.values() if facts), "")
        return []

    def _plan_facts(self, answer: tuple[Message, ...], now_ms: int) -> None:
        """The list is four bytes behind the mode and parameter; older buses put a count in between."""
        have: frozenset[int] = frozenset().union(*(supported(0, one.data[-4:]) for one in answer))
        for command in vehicle_facts.INFO:
            if int(command, 16) & 0xFF in have:
                self.plan.once(command, now_ms)


def _all(known: Codes) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known.stored, *known.pending, *known.permanent)))


def _fact_of(kind: str, data: bytes) -> tuple[str, ...]:
    if kind == "VIN":
        vin = vehicle_facts.vin(data)
        return (vin,) if vin else ()
    if kind == "checksum":
        return vehicle_facts.checksums(data)
    return vehicle_facts.calibrations(data) if kind == "calibration" else (vehicle_facts.text(data),)


def _fields(data: bytes, pids: tuple[int, ...]) -> dict[int, bytes] | str:
    """Each parameter that was asked, once, with exactly its bytes; in whatever order the unit likes."""
    out: dict[int, bytes] = {}
    while data:
        pid, data = data[0], data[1:]
        if pid not in pids or pid in out:
            return "garbled"
        width = PIDS[pid].width
        out[pid], data = data[:width], data[width:]
        if len(out[pid]) < width:
            return "short"
    return out
