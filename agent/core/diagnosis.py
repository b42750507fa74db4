"""What the doctor makes of what was seen: facts in, lines out, each passed, failed or skipped, with the cure in plain words.

Knowledge is the table `core.cures.FAULTS`; the rules say which of them it is. One fault a line: the first that explains the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.core.cures import FAULTS
from agent.core.ignition import batteries


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the doctor. `fault` is a key of `FAULTS` when it failed."""

    check: str
    outcome: Outcome
    text: str
    fault: str = ""

    @property
    def cure(self) -> str:
        """What to do."""
        return FAULTS[self.fault] if self.fault else ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """What came from the receiver. `error` says why the line can't be used; `hunting` that any speed was tried.

    `watched_s` is how long it was watched after its first fix, `same_place` how many fixes in a row told a speed and the same place.
    """

    place: str
    error: str = ""
    speed: int | None = None
    hunting: bool = False
    heard: int = 0
    noise: bool = False
    sentences: Mapping[str, int] = field(default_factory=dict)
    fixes: int = 0
    fresh: bool = True
    first_fix_s: float | None = None
    watched_s: float = 0.0
    same_place: int = 0
    mode: int = 1
    hdop: float | None = None
    accuracy_m: float | None = None
    sats_used: int | None = None
    sats_seen: int | None = None
    cn0_dbhz: float | None = None
    antenna: str = ""
    rejected: Mapping[str, int] = field(default_factory=dict)
    redated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What came from the OBD adapter and through it. `banner` is empty while no ELM327 has answered.

    `resting`: the vehicle is parked and its bus is left alone. `garbled` counts answers that nobody understood.
    """

    place: str
    error: str = ""
    banner: str = ""
    grade: str = ""
    reasons: tuple[str, ...] = ()
    ready: bool = False
    resting: bool = False
    garbled: int = 0
    hunting: bool = True
    protocol: str = ""
    vin: str = ""
    parameters: int = 0
    round_trip_ms: float | None = None
    voltage_v: float | None = None
    faults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Storage:
    """The disk under the outbox."""

    path: str
    error: str = ""
    full: bool = False
    fsync_p99_ms: float = 0.0
    free_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Uplink:
    """How far the way to the hub was gone: `stage` is the last that was tried, `error` why it ended there."""

    place: str
    stage: str = "hub"
    error: str = ""
    connect_ms: float | None = None
    ack_ms: float | None = None
    linked_s: float | None = None
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """Who has told the time, how far the system's clock is off what the receiver says, and whether NTP vouches for it."""

    basis: str
    system_off_s: float | None = None
    confirmed: bool = False


LEAST_SATS, LEAST_CN0_DBHZ, HEARD_DBHZ, MOST_HDOP = 5, 25.0, 12.0, 5.0
SHARE_OF_NOISE, SHARE_OF_REFUSED = 0.05, 0.3
SILENT = " is silent"
"""What the doors say of a line that is open."""
SAME_PLACES = 5
STALE_S, LEAST_RATE_HZ = 5.0, 0.2
"""A receiver that is watched for so long and gives fewer positions a second says the same ones again."""
LEAST_PARAMETERS = 5
LOW_V = 11.8
SLOW_FSYNC_MS, LEAST_FREE_MB = 250.0, 100.0
SLOW_ACK_MS = 5_000.0
CLOCK_OFF_S = 5.0


def judge(*, receiver: Receiver, adapter: Adapter | None, storage: Storage, uplink: Uplink, clock: Clock) -> list[Line]:
    """All lines, in the order in which an installer would look. What follows from another fault is skipped."""
    gnss = _receiver(receiver)
    timeless = any(line.outcome is Outcome.FAILED for line in gnss) and clock.basis == "nobody"
    return [
        *gnss,
        *_adapter(adapter),
        _storage(storage),
        *_uplink(uplink),
        _skip("clock", "no time without the receiver, and no NTP") if timeless else _clock(clock),
    ]


def _fail(check: str, fault: str, text: str) -> Line:
    return Line(check, Outcome.FAILED, text, fault)


def _pass(check: str, text: str) -> Line:
    return Line(check, Outcome.PASSED, text)


def _skip(check: str, text: str) -> Line:
    return Line(check, Outcome.SKIPPED, text)


def _receiver(seen: Receiver) -> list[Line]:
    line = _receiver_line(seen)
    if line.outcome is Outcome.FAILED and not seen.fixes:
        return [line, _skip("position", "nothing can be heard")]
    return [line, _position(seen)]


def _receiver_line(seen: Receiver) -> Line:
    if seen.error and SILENT not in seen.error:
        fault = "receiver.unusable" if seen.place.startswith("/") else "receiver.unreachable"
        return _fail("receiver", fault, seen.error)
    if seen.heard == 0 and seen.noise:
        fault = "receiver.garbage" if seen.hunting else "receiver.wrong-speed"
        return _fail("receiver", fault, f"{seen.place} gives bytes, but nothing that a receiver says")
    if seen.heard == 0:
        return _fail("receiver", "receiver.silent", seen.error or f"{seen.place} is silent")
    damaged = sum(seen.rejected.get(reason, 0) for reason in ("checksum", "cut", "garbage", "field"))
    told = ", ".join(f"{name} {count}" for name, count in sorted(seen.sentences.items()))
    speed = f" at {seen.speed} baud" if seen.speed else ""
    if damaged > SHARE_OF_NOISE * (seen.heard + damaged):
        return _fail("receiver", "receiver.line-noise", f"{damaged} of {seen.heard + damaged} sentences are damaged")
    return _pass("receiver", f"{seen.place}{speed}: {seen.heard} sentences" + (f" ({told})" if told else ""))


def _position(seen: Receiver) -> Line:
    if seen.antenna in {"open", "short"}:
        return _fail("position", f"receiver.antenna-{seen.antenna}", f"the receiver says: antenna {seen.antenna}")
    here = seen.fixes and seen.fresh
    undated = not here and (seen.redated.get("wrong-date") or seen.rejected.get("no-date"))
    named = "" if undated else _odd_position(seen)
    if named:
        return _fail("position", f"receiver.{named}", _refused(seen))
    return _good_position(seen) if here else _no_position(seen)


def _no_position(seen: Receiver) -> Line:
    if seen.redated.get("wrong-date"):
        return _fail("position", "receiver.wrong-date", "the date that it tells can't be right")
    if seen.rejected.get("no-date"):
        return _fail("position", "receiver.no-date", "a position without a date")
    if seen.fixes and not seen.rejected.get("no-fix"):
        return _fail("position", "receiver.stale", _refused(seen))
    heard = (seen.cn0_dbhz or 0.0) >= HEARD_DBHZ
    return _fail("position", "receiver.no-fix" if heard else "receiver.no-signal", _sky(seen) or "no position")


def _good_position(seen: Receiver) -> Line:
    weak = [
        "no altitude" if seen.mode < 3 else "",
        f"HDOP {seen.hdop:g}" if (seen.hdop or 0.0) > MOST_HDOP else "",
        f"{seen.sats_used} satellites" if seen.sats_used is not None and seen.sats_used < LEAST_SATS else "",
        f"{seen.cn0_dbhz:g} dB-Hz" if seen.cn0_dbhz is not None and seen.cn0_dbhz < LEAST_CN0_DBHZ else "",
    ]
    if any(weak):
        return _fail("position", "receiver.weak", ", ".join(word for word in weak if word))
    after = "" if seen.first_fix_s is None else f" after {seen.first_fix_s:.0f} s"
    repaired = "; its date is a week rollover behind, and is repaired" if seen.redated.get("week-rollover") else ""
    return _pass("position", f"{seen.mode}D{after}, {_sky(seen)}{repaired}")


ODD = (
    ("null-island", "null-island"), ("frozen", "frozen"), ("same-place", "frozen"), ("repeated", "stale"), ("back-in-time", "back-in-time"),
    ("time-leap", "back-in-time"), ("jump", "jumps"),
)  # fmt: skip
"""Reasons of refusal, and the fault that a share of them above `SHARE_OF_REFUSED` (jumps: `SHARE_OF_NOISE`) means."""


def _odd_position(seen: Receiver) -> str:
    for reason, fault in ODD:
        refused = seen.rejected.get(reason, 0)
        share, least = (SHARE_OF_NOISE, 1) if reason == "jump" else (SHARE_OF_REFUSED, 2)
        if refused >= least and refused > share * (seen.fixes + refused):
            return fault
    if seen.same_place >= SAME_PLACES:
        return "frozen"
    few = seen.fixes < LEAST_RATE_HZ * seen.watched_s
    return "stale" if seen.fixes and seen.watched_s > STALE_S and few else ""


def _refused(seen: Receiver) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(seen.rejected.items()))
    return f"{seen.fixes} positions taken; refused: {told}"


def _sky(seen: Receiver) -> str:
    words = [
        None if seen.sats_used is None else f"{seen.sats_used} satellites used",
        None if seen.sats_seen is None else f"{seen.sats_seen} seen",
        None if seen.cn0_dbhz is None else f"{seen.cn0_dbhz:.0f} dB-Hz",
        None if seen.hdop is None else f"HDOP {seen.hdop:g}",
        None if seen.accuracy_m is None else f"± {seen.accuracy_m:.1f} m",
    ]
    return ", ".join(word for word in words if word)


def _adapter(seen: Adapter | None) -> list[Line]:
    if seen is None:
        return [_skip(check, "no [obd] in the settings") for check in ("adapter", "vehicle", "battery")]
    line = _adapter_line(seen)
    if seen.error or not seen.banner:
        return [line, _skip("vehicle", "no adapter"), _skip("battery", "no adapter")]
    return [line, _vehicle(seen), _battery(seen)]


def _adapter_line(seen: Adapter) -> Line:
    if seen.error:
        fault = "adapter.unusable" if seen.place.startswith("/") else "adapter.unreachable"
        return _fail("adapter", fault, seen.error)
    if not seen.banner and seen.garbled and not seen.hunting:
        return _fail("adapter", "adapter.wrong-speed", f"{seen.place} gives bytes, but nothing that an ELM327 says")
    if not seen.banner:
        return _fail("adapter", "adapter.mute", f"nothing that an ELM327 says comes from {seen.place}")
    trip = "" if seen.round_trip_ms is None else f", {seen.round_trip_ms:.0f} ms an answer"
    why = f" ({'; '.join(seen.reasons)})" if seen.reasons else ""
    text = f"{seen.banner} at {seen.place}, {seen.grade or 'not graded'}{why}{trip}"
    return _fail("adapter", "adapter.poor", text) if seen.grade == "poor" else _pass("adapter", text)


BUS_FAULTS = (
    ("can-error", "vehicle.can-error"),
    ("bus-init", "vehicle.bus-init"),
    ("bus-error", "vehicle.can-error"),
)


def _vehicle(seen: Adapter) -> Line:
    if seen.resting:
        return _skip("vehicle", f"it is parked and its bus is left alone; VIN {seen.vin or 'not told'}")
    if not seen.ready and seen.grade == "poor":
        return _skip("vehicle", "the adapter works badly")
    if not seen.ready:
        fault = next((fault for reason, fault in BUS_FAULTS if seen.faults.get(reason)), "vehicle.asleep")
        return _fail("vehicle", fault, "no control unit answers")
    told = f"{seen.protocol or 'bus'}, VIN {seen.vin or 'not told'}, {seen.parameters} parameters"
    if seen.parameters < LEAST_PARAMETERS:
        return _fail("vehicle", "vehicle.few-parameters", told)
    return _pass("vehicle", told)


def _battery(seen: Adapter) -> Line:
    if seen.voltage_v is None:
        return _skip("battery", "the adapter tells no voltage")
    text = f"{seen.voltage_v:.1f} V"
    if seen.voltage_v < LOW_V * batteries(seen.voltage_v):
        return _fail("battery", "battery.low", text)
    return _pass("battery", text)


def _storage(seen: Storage) -> Line:
    if seen.error:
        return _fail("storage", "storage.full" if seen.full else "storage.refused", seen.error)
    text = f"{seen.path}: fsync {seen.fsync_p99_ms:.1f} ms (p99), {seen.free_mb:,.0f} MB free"
    if seen.free_mb < LEAST_FREE_MB:
        return _fail("storage", "storage.full", text)
    return _fail("storage", "storage.slow", text) if seen.fsync_p99_ms > SLOW_FSYNC_MS else _pass("storage", text)


STAGES = (
    ("dns", "uplink.dns"),
    ("connect", "uplink.connect"),
    ("tls", "uplink.tls"),
    ("login", "uplink.login"),
    ("hub", "uplink.no-hub"),
)


def _uplink(seen: Uplink) -> list[Line]:
    """One line a stage: those before the last passed, those behind it were not reached."""
    lines = []
    reached = [name for name, _ in STAGES].index(seen.stage)
    for at, (name, fault) in enumerate(STAGES):
        if name == "tls" and not seen.tls:
            lines.append(_skip("tls", "hub.url is mqtt://, without TLS"))
        elif at > reached:
            lines.append(_skip(name, "not reached"))
        elif at == reached and seen.error:
            lines.append(_fail(name, "uplink.wrong-port" if "mqtt" in seen.error else fault, seen.error))
        else:
            lines.append(_uplink_passed(name, seen))
    return lines


def _uplink_passed(name: str, seen: Uplink) -> Line:
    if name == "hub" and seen.ack_ms is not None:
        text = f"the hub answers in {seen.ack_ms:.0f} ms"
        return _fail("hub", "uplink.slow", text) if seen.ack_ms > SLOW_ACK_MS else _pass("hub", text)
    if name == "hub" and seen.linked_s is not None:
        return _pass("hub", f"linked for {seen.linked_s:.0f} s")
    if name == "connect" and seen.connect_ms is not None:
        return _pass("connect", f"{seen.place} in {seen.connect_ms:.0f} ms")
    return _pass(name, seen.place)


def _clock(seen: Clock) -> Line:
    if seen.basis == "nobody":
        return _fail("clock", "clock.unknown", "neither the receiver nor NTP has told the time")
    if seen.system_off_s is not None and abs(seen.system_off_s) > CLOCK_OFF_S:
        off = f"the system's clock is {seen.system_off_s:+.0f} s off the receiver's"
        if seen.confirmed:
            return _fail("clock", "receiver.wrong-time", f"{off}, and NTP vouches for the system's")
        return _fail("clock", "clock.off", off)
    off = "" if seen.system_off_s is None else f"; the system's is {seen.system_off_s:+.1f} s off"
    return _pass("clock", f"told by {seen.basis}{off}")
