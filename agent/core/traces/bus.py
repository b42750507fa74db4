"""Recordings of the vehicle's bus alone: rows of carOBD, with engine time and values but without any place."""

import csv
from collections.abc import Iterator, Mapping

from agent.core.traces.tables import number

CAROBD = {
    "ENGINE_RPM": "rp", "VEHICLE_SPEED": "vs", "THROTTLE": "th", "ENGINE_LOAD": "ld", "COOLANT_TEMPERATURE": "ct",
    "FUEL_TANK": "fu", "CONTROL_MODULE_VOLTAGE": "mv",
}  # fmt: skip


def is_alone(text: str) -> bool:
    """Whether the text is such a table."""
    return "ENGINE_RUN_TI" in text[:200]


def read_bus(text: str) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Milliseconds from the start, and values by wire key. Raises ValueError for a clock that is no number.

    The clock is the engine's run time in whole seconds, the rows are evenly spaced within it.
    """
    lines = list(csv.reader(text.splitlines()))
    keys = {at: CAROBD[name] for at, title in enumerate(lines[0]) if (name := title.split(" ")[0]) in CAROBD}
    rows = [row for row in lines[1:] if len(row) > max(keys)]
    if len(rows) < 2:
        return
    step_ms = max(1.0, (float(rows[-1][0]) - float(rows[0][0])) * 1000 / (len(rows) - 1))
    for i, row in enumerate(rows):
        yield round(i * step_ms), {key: value for at, key in keys.items() if (value := number(row[at])) is not None}
