"""Whether the ignition is on, from what the vehicle bus says: engine speed, voltage, and how the voltage changes.

Rules, the first that applies:
1. Engine speed above zero: on.
2. Engine speed zero, while it was on: on for `STOP_START_MS` more (the engine stops at a red light), then off.
   Engine speed zero, while it was off or unknown: off at once if unknown; who was off stays off.
3. No engine speed, and a voltage that only an alternator or converter makes (`CHARGING_V` per 12 V battery), or one that has
   risen by `RISE_V` above rest: on. Smart alternators let the voltage fall to that of the battery while the engine runs, so a
   voltage at rest alone never means off.
4. Nothing but a resting voltage, or nothing at all, for `SILENT_MS` while it was on: off.
A change counts when it has lasted `DEBOUNCE_MS`; the first knowledge counts at once.
"""

from dataclasses import dataclass, replace

from wire.messages import Reading

CHARGING_V = 13.2
RISE_V = 0.5
TRUCK_V = 18.0
"""A voltage above this is that of two batteries in series."""
STOP_START_MS = 180_000
SILENT_MS = 30_000
DEBOUNCE_MS = 2_000


@dataclass(frozen=True, slots=True)
class State:
    """`on` is the debounced word, None while nothing is known. `rest_v` is the resting voltage if it is known."""

    on: bool | None = None
    doubted_since_ms: int | None = None


def batteries(voltage_v: float) -> int:
    """How many 12 V batteries in series have such a voltage."""
    return 2 if voltage_v > TRUCK_V else 1


def charging(voltage_v: float) -> bool:
    """Whether only an alternator, a converter or a charger makes such a voltage."""
    return voltage_v > CHARGING_V * batteries(voltage_v)


def step(state: State, reading: Reading, now_ms: int, *, rest_v: float | None = None) -> tuple[State, str | None]:
    """The next state, and `ignition-on` or `ignition-off` when that has just become certain."""
    seen = _seen(reading, rest_v)
    if state.on is None:
        return State(on=seen), "ignition-on" if seen else None
    wanted, patience_ms = (seen, DEBOUNCE_MS) if seen is not None else (False, SILENT_MS)
    if reading.rpm == 0.0 and state.on:
        patience_ms = STOP_START_MS
    if wanted == state.on:
        return replace(state, doubted_since_ms=None), None
    if state.doubted_since_ms is None:
        return replace(state, doubted_since_ms=now_ms), None
    if now_ms - state.doubted_since_ms < patience_ms:
        return state, None
    return State(on=wanted), "ignition-on" if wanted else "ignition-off"


def _seen(reading: Reading, rest_v: float | None) -> bool | None:
    """What this moment alone says."""
    if reading.rpm is not None:
        return reading.rpm > 0.0
    voltage_v = reading.voltage_v
    if voltage_v is None:
        return None
    risen = rest_v is not None and voltage_v > rest_v + RISE_V * batteries(voltage_v)
    return True if charging(voltage_v) or risen else None
