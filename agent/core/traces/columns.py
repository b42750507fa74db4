"""The columns of tables: what people call a time, a place, a speed, and in which units. Names are matched as words."""

import re
from dataclasses import dataclass

KPH, MPH, KNOT, FOOT = 1 / 3.6, 0.44704, 1852 / 3600, 0.3048
SPEED = {"": 1.0, "mps": 1.0, "m_s": 1.0, "ms": 1.0, "kmh": KPH, "kph": KPH, "km_h": KPH, "kmph": KPH, "kmhr": KPH,
         "mph": MPH, "mi_h": MPH, "knots": KNOT, "knot": KNOT, "kn": KNOT, "kt": KNOT, "kts": KNOT}  # fmt: skip
LENGTH = {"": 1.0, "m": 1.0, "metres": 1.0, "meters": 1.0, "ft": FOOT, "feet": FOOT}
PLAIN: dict[str, float] = {"": 1.0}
ANGLE = PLAIN | {"deg": 1.0, "degrees": 1.0, "e7": 1e-7, "semicircles": 180.0 / (1 << 31)}
SHARE = PLAIN | {"pct": 1.0, "percent": 1.0}
BUS_SPEED = {unit: factor / KPH for unit, factor in SPEED.items()} | {"": 1.0}
TIME = {"": 0.0, "s": 1000.0, "sec": 1000.0, "seconds": 1000.0, "ms": 1.0, "millis": 1.0, "us": 0.001, "ns": 1e-6,
        "utc": 0.0, "iso": 0.0}  # fmt: skip
"""Milliseconds a unit; 0 is told by the size of the number, or by the text."""
ROTATION = PLAIN | {"rpm": 1.0, "u_min": 1.0, "1_min": 1.0, "min": 1.0}
WARMTH = PLAIN | {"c": 1.0, "degc": 1.0, "celsius": 1.0}
VOLTAGE = PLAIN | {"v": 1.0, "volt": 1.0, "mv": 0.001}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A field of ours: its names in the order in which they are believed, and what its units are worth.

    `spoken` is the unit of a name that tells none; `low` and `high` bound what is believed, after conversion.
    """

    names: tuple[str, ...]
    units: dict[str, float]
    low: float = float("-inf")
    high: float = float("inf")
    spoken: tuple[tuple[str, str], ...] = ()


TIMES = Meaning(
    ("time_utc", "utc_time", "utc", "at", "timestamp", "datetime", "date_time", "time", "tst", "epoch", "unix_time", "t",
     "recorded_at", "received_at", "fix_time", "date"), TIME,
)  # fmt: skip
DATES = Meaning(("date", "day"), PLAIN)
LATITUDES = Meaning(("lat", "latitude", "y"), ANGLE, -90.0, 90.0)
LONGITUDES = Meaning(("lon", "lng", "long", "longitude", "x"), ANGLE, -180.0, 180.0)
FIX: dict[str, Meaning] = {
    "speed_mps": Meaning(
        ("gps_speed", "gnss_speed", "speed_over_ground", "ground_speed", "sog", "speed", "spd", "velocity", "vel"),
        SPEED, 0.0, 600.0, spoken=(("vel", "kmh"), ("sog", "knots")),
    ),
    "course_deg": Meaning(
        ("heading_raw", "course_over_ground", "course", "cog", "crs", "heading", "bearing", "track", "azimuth"), ANGLE,
        -3600.0, 3600.0,
    ),
    "alt_m": Meaning(("altitude", "alt", "elevation", "ele", "height"), LENGTH, -10_000.0, 100_000.0),
    "hdop": Meaning(("hdop",), PLAIN | {"precision": 1.0}, 0.0, 100.0),
    "pdop": Meaning(("pdop",), PLAIN | {"precision": 1.0}, 0.0, 100.0),
    "accuracy_m": Meaning(
        ("accuracy", "acc", "horizontal_accuracy", "hacc", "h_accuracy", "eph"), LENGTH, 0.0, 1_000_000.0
    ),
    "sats_used": Meaning(
        ("sats_used", "sats", "sat", "satellites", "num_sats", "nsat", "satellites_used"), PLAIN, 0.0, 255.0
    ),
    "mode": Meaning(("mode", "fix", "fix_type"), PLAIN),
}  # fmt: skip
BUS: dict[str, Meaning] = {
    "rp": Meaning(("engine_rpm", "obd_rpm", "rpm", "engine_speed"), ROTATION, 0.0, 16_383.75),
    "vs": Meaning(("obd_speed", "vehicle_speed", "wheel_speed", "can_speed", "speed"), BUS_SPEED, 0.0, 255.0),
    "ct": Meaning(
        ("coolant_temperature", "coolant_temp", "engine_coolant_temperature", "coolant"), WARMTH, -40.0, 215.0
    ),
    "th": Meaning(("engine_throttle", "throttle_position", "throttle"), SHARE, 0.0, 100.0),
    "ld": Meaning(("engine_load", "calculated_engine_load", "load"), SHARE, 0.0, 100.0),
    "fu": Meaning(("fuel_level", "fuel_tank", "fuel"), SHARE, 0.0, 100.0),
    "mv": Meaning(("control_module_voltage", "battery_voltage", "voltage"), VOLTAGE, 0.0, 65.0),
    "ig": Meaning(("ignition", "ign", "engine_on"), PLAIN, 0.0, 1.0),
}
VEHICLES = Meaning(
    ("vehicle_id", "vehicle", "device_id", "device", "user_id", "user", "uid", "imei", "driver_id", "tid"), PLAIN
)
TRIPS = Meaning(
    ("trip_id", "trip", "journey_id", "trajectory_id", "traj_id", "track_id", "ride_id", "drive", "session"), PLAIN
)
BEFORE = ("gps_", "gnss_", "location_", "position_", "coords_", "pos_")
"""What may stand before a name."""
_BRACKETS = re.compile(r"[(\[]([^)\]]*)[)\]]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APART = re.compile(r"[^a-z0-9]+")


def _word(text: str) -> str:
    return _APART.sub("_", _HUMP.sub("_", text).lower()).strip("_")


def heads(titles: list[str]) -> list[tuple[str, str]]:
    """Each title as a name and the unit in its brackets; `%` is told in letters."""
    out = []
    for title in titles:
        found = _BRACKETS.search(title)
        unit = _word(found[1].replace("%", "pct")) if found else ""
        out.append((_word(_BRACKETS.sub("", title)), unit))
    return out


def find(meaning: Meaning, named: list[tuple[str, str]], taken: set[int]) -> tuple[int, float] | None:
    """The column of a field that nobody has taken yet, and what its unit is worth."""
    spoken = dict(meaning.spoken)
    for wanted in meaning.names:
        for at, (name, unit) in enumerate(named):
            if at in taken:
                continue
            for lead in ("", *BEFORE):
                ending = name.removeprefix(lead) if lead else name
                told = _unit(ending, wanted, unit, meaning)
                if told is not None and (not lead or name.startswith(lead)):
                    return at, meaning.units[told or spoken.get(wanted, "")]
    return None


def _unit(name: str, wanted: str, unit: str, meaning: Meaning) -> str | None:
    """The unit of a column that has this name, else None. A unit that nobody knows is taken for ours."""
    if name == wanted:
        return unit if unit in meaning.units else ""
    rest = name.removeprefix(wanted + "_")
    return rest if rest != name and rest in meaning.units else None
