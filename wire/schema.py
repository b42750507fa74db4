"""Schema version 1 of the track: which columns a row has, their scale, and how each is coded."""

from dataclasses import dataclass

from wire.messages import Fix, Reading, Row

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Column:
    """`key` on the wire, `name` in exports; a stored integer times `scale` is the value in `unit`.

    `order` is how often differences are taken: 1 for differences, 2 for differences of differences.
    """

    key: str
    name: str
    unit: str
    scale: float
    order: int
    low: int
    high: int
    about: str


COLUMNS: tuple[Column, ...] = (
    Column("t", "at_ms", "ms", 1, 2, 0, 1 << 43, "UTC time of the fix since 1970"),
    Column("la", "lat_deg", "°", 1e-7, 2, -900_000_000, 900_000_000, "latitude, WGS 84"),
    Column("lo", "lon_deg", "°", 1e-7, 2, -1_800_000_000, 1_800_000_000, "longitude, WGS 84"),
    Column("al", "alt_m", "m", 0.1, 1, -100_000, 1_000_000, "altitude above mean sea level"),
    Column("sp", "speed_mps", "m/s", 0.01, 1, 0, 100_000, "speed over ground, from the receiver"),
    Column("co", "course_deg", "°", 0.1, 1, 0, 3600, "course over ground, from true north"),
    Column("mo", "mode", "", 1, 1, 0, 99, "10 × dimension (1 none, 2, 3) + quality of NMEA GGA"),
    Column("hd", "hdop", "", 0.01, 1, 0, 9999, "horizontal dilution of precision"),
    Column("ac", "accuracy_m", "m", 0.1, 1, 0, 1_000_000, "estimated horizontal accuracy"),
    Column("sa", "sats_used", "", 1, 1, 0, 255, "satellites used"),
    Column("ig", "ignition", "", 1, 1, 0, 1, "ignition on"),
    Column("rp", "rpm", "1/min", 0.25, 1, 0, 65_535, "engine speed"),
    Column("vs", "obd_speed_kph", "km/h", 1, 1, 0, 255, "vehicle speed from the bus"),
    Column("ct", "coolant_c", "°C", 1, 1, -40, 215, "coolant temperature"),
    Column("th", "throttle_pct", "%", 0.1, 1, 0, 1000, "throttle position"),
    Column("ld", "load_pct", "%", 0.1, 1, 0, 1000, "calculated engine load"),
    Column("fu", "fuel_pct", "%", 0.1, 1, 0, 1000, "fuel level"),
    Column("mv", "voltage_v", "V", 0.001, 1, 0, 65_535, "control module voltage"),
)
NAMES = tuple(column.name for column in COLUMNS)
AT_MS, LAT, LON = 0, 1, 2


def _scaled(value: float | None, column: Column) -> int | None:
    return None if value is None else min(column.high, max(column.low, round(value / column.scale)))


def row_of(fix: Fix, reading: Reading | None = None) -> Row:
    """A fix and the bus values of its second as a row; values beyond a column's range are held at its edge."""
    bus = reading or Reading()
    values: tuple[float | None, ...] = (
        fix.at_ms, fix.lat_deg, fix.lon_deg, fix.alt_m, fix.speed_mps,
        None if fix.course_deg is None else fix.course_deg % 360.0,
        10 * fix.mode + fix.quality, fix.hdop, fix.accuracy_m, fix.sats_used, bus.ignition,
        bus.rpm, bus.speed_kph, bus.coolant_c, bus.throttle_pct, bus.load_pct, bus.fuel_pct, bus.voltage_v,
    )  # fmt: skip
    return tuple(_scaled(value, column) for value, column in zip(values, COLUMNS, strict=True))


def named(row: Row) -> dict[str, float | int | None]:
    """The row by exported names in units, for people and exports; absent values are left out."""
    out: dict[str, float | int | None] = {}
    for value, column in zip(row, COLUMNS, strict=True):
        if value is not None:
            out[column.name] = value if column.scale == 1 else round(value * column.scale, 7)
    return out
