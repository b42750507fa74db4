"""The faults that can be planted in the rig's receiver: what each does to an epoch, and from when to when."""

import difflib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from agent.core.rig.sentences import antenna, made, made_blind
from wire.messages import Fix, Mode

SILENT, UNPLUGGED = "silent", "unplugged"
FAULTS: Mapping[str, str] = {
    SILENT: "nothing is said; TCP connections stay open and are as good as half open",
    UNPLUGGED: "the port is gone, its link too; TCP connections are closed",
    "garbage": "noise instead of sentences",
    "corrupt": "one character of every third sentence is another one",
    "cut": "every fourth sentence lacks its second half",
    "interleaved": "the halves of neighbouring sentences are mixed",
    "no-fix": "time and satellites, but no position",
    "no-date": "positions with a time of day and without a date, as after a cold start",
    "antenna-open": "no signal; the receiver says that its antenna is not connected",
    "antenna-short": "no signal; the receiver says that its antenna cable has a short circuit",
    "weak": "four satellites at 15 to 20 dB-Hz, a 2D fix and a bad dilution",
    "frozen": "the same position again and again, though time and speed go on",
    "teleport": "every seventh position is half a degree away",
    "null-island": "a valid fix at 0, 0",
    "rollover": "dates 1,024 weeks back",
    "back-in-time": "times an hour back",
    "stale": "the same time again and again, though the position goes on",
}  # fmt: skip
LOW_VOLTAGE, ASLEEP, LOW_V = "low-voltage", "asleep", 11.4
OF_VEHICLE: Mapping[str, str] = {
    UNPLUGGED: "the port is gone, its link too; TCP connections are closed",
    ASLEEP: "nobody answers on the vehicle's bus",
    LOW_VOLTAGE: f"the supply has {LOW_V} V",
}
"""On the adapter's side, besides what the adapter itself does wrong."""
ROLLOVER_MS = 1024 * 7 * 86_400_000
HOUR_MS = 3_600_000
TELEPORT_EACH, TELEPORT_DEG = 7, 0.5
ANTENNA_EACH = 5
BLIND_SEEN, BLIND_DBHZ, WEAK_DBHZ = 6, 20.0, 18.0
PLANTED = re.compile(r"(?:(gnss|obd):)?([a-z0-9][a-z0-9-]*)(?:@(\d+(?:\.\d+)?)(?:\+(\d+(?:\.\d+)?))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault of the receiver, or of the adapter (`obd`), on from `from_s` on until before `until_s`."""

    name: str
    obd: bool
    from_s: float = 0.0
    until_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class State:
    """`held` is where a frozen or stale receiver stands still; `open_antenna` that the antenna was told to be bad."""

    count: int = 0
    held: Fix | None = None
    bad_antenna: bool = False


def planted(text: str, of_adapter: Iterable[str]) -> Planted:
    """`NAME`, `NAME@SECONDS` or `NAME@SECONDS+SECONDS`, with `gnss:` or `obd:` before a name that both have.

    Raises ValueError.
    """
    found = PLANTED.fullmatch(text)
    if found is None:
        raise ValueError("wants NAME, NAME@SECONDS or NAME@SECONDS+SECONDS, as antenna-open@60+30")
    side, name, start, length = found.groups()
    of_adapter = sorted(of_adapter)
    obd = side == "obd" or (side is None and name not in FAULTS)
    if name not in (of_adapter if obd else FAULTS):
        raise ValueError(f"no such fault{_near(name, of_adapter)}")
    from_s = float(start or 0)
    return Planted(name, obd, from_s, from_s + float(length) if length else float("inf"))


def known(of_adapter: Iterable[str]) -> list[str]:
    """All that can be planted, in lines of a screen's width."""
    told = f"known are {', '.join(FAULTS)}; {', '.join(f'obd:{name}' for name in sorted(of_adapter))}"
    return textwrap.wrap(told, 100, break_on_hyphens=False)


def _near(name: str, of_adapter: Iterable[str]) -> str:
    """What may have been meant."""
    all_of_them = {**{each: f"obd:{each}" for each in of_adapter}, **{each: each for each in FAULTS}}
    near = [*difflib.get_close_matches(name, all_of_them, 3), *(each for each in all_of_them if name in each)]
    return f"; meant {' or '.join(all_of_them[each] for each in dict.fromkeys(near[:3]))}?" if near else ""


def names_at(faults: Iterable[Planted], at_s: float, *, obd: bool) -> frozenset[str]:
    """The faults of one side that are on."""
    return frozenset(fault.name for fault in faults if fault.obd == obd and fault.from_s <= at_s < fault.until_s)


def _weak(fix: Fix) -> Fix:
    return replace(
        fix, alt_m=None, mode=Mode.FIX_2D, hdop=8.5, pdop=9.9, accuracy_m=40.0, sats_used=4, sats_seen=9,
        cn0_dbhz=WEAK_DBHZ,
    )  # fmt: skip


def _teleported(fix: Fix, count: int) -> Fix:
    if count % TELEPORT_EACH:
        return fix
    return replace(fix, lat_deg=fix.lat_deg + (TELEPORT_DEG if fix.lat_deg < 0 else -TELEPORT_DEG))


CHANGES: Mapping[str, Callable[[Fix, Fix, int], Fix]] = {
    "frozen": lambda fix, held, _: replace(fix, lat_deg=held.lat_deg, lon_deg=held.lon_deg, alt_m=held.alt_m),
    "stale": lambda fix, held, _: replace(fix, at_ms=held.at_ms),
    "teleport": lambda fix, _, count: _teleported(fix, count),
    "null-island": lambda fix, *_: replace(fix, lat_deg=0.0, lon_deg=0.0),
    "rollover": lambda fix, *_: replace(fix, at_ms=fix.at_ms - ROLLOVER_MS),
    "back-in-time": lambda fix, *_: replace(fix, at_ms=fix.at_ms - HOUR_MS),
    "weak": lambda fix, *_: _weak(fix),
    "no-date": lambda fix, *_: fix,
}
"""What becomes of a fix, from itself, the one that is held, and the number of the epoch."""
BLIND = {"no-fix": None, "antenna-open": "OPEN", "antenna-short": "SHORT"}


def step(state: State, fix: Fix | None, data: bytes, names: frozenset[str]) -> tuple[State, bytes]:
    """What the receiver sends for this epoch, which is `data` where all is well; nothing when it is silent or away."""
    count = state.count + 1
    held = (state.held or fix) if names & {"frozen", "stale"} else None
    status = next((BLIND[name] for name in sorted(names & BLIND.keys(), reverse=True) if BLIND[name]), None)
    new = State(count, held, status is not None)
    if names & {SILENT, UNPLUGGED}:
        return replace(new, bad_antenna=state.bad_antenna), b""
    if fix is not None and names & BLIND.keys():
        data = made_blind(fix.at_ms, seen=BLIND_SEEN, cn0_dbhz=None if status else BLIND_DBHZ)
    elif fix is not None and names & CHANGES.keys():
        for name in sorted(names & CHANGES.keys()):
            fix = CHANGES[name](fix, held or fix, count)
        data = made(fix, dated="no-date" not in names)
    if status is not None and (not state.bad_antenna or count % ANTENNA_EACH == 0):
        data += antenna(status)
    elif status is None and state.bad_antenna:
        data += antenna("OK")
    for name in sorted(names & SPOILS.keys()):
        data = SPOILS[name](data)
    return new, data


def _noise(data: bytes) -> bytes:
    return bytes((byte * 167 + i * 59 + 13) & 255 for i, byte in enumerate(data))


def _corrupt(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    for i in range(0, len(lines), 3):
        middle = len(lines[i]) // 2
        lines[i] = lines[i][:middle] + bytes((lines[i][middle] ^ 2,)) + lines[i][middle + 1 :]
    return b"".join(lines)


def _cut(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line[: len(line) // 2] if i % 4 == 0 else line for i, line in enumerate(lines))


def _interleaved(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    out = b""
    for one, two in zip(lines[::2], [*lines[1::2], b""], strict=False):
        out += one[: len(one) // 2] + two[: len(two) // 2] + one[len(one) // 2 :] + two[len(two) // 2 :]
    return out


SPOILS: Mapping[str, Callable[[bytes], bytes]] = {
    "garbage": _noise, "corrupt": _corrupt, "cut": _cut, "interleaved": _interleaved,
}  # fmt: skip
"""What becomes of the bytes."""
