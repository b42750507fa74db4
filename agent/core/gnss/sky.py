"""The satellites that a receiver sees, put together from what comes piece by piece: NMEA GSV and GSA, UBX NAV-SAT."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

STRONGEST = 4
"""So many satellites make a fix: their mean C/N0 says whether the antenna hears anything."""
KEPT_EPOCHS = 12
"""A system that was not told for so long is gone; some receivers spread their satellites over several seconds."""

SYSTEMS = {
    b"GP": "GPS", b"GL": "GLONASS", b"GA": "Galileo", b"GB": "BeiDou", b"BD": "BeiDou", b"GQ": "QZSS", b"QZ": "QZSS",
    b"GI": "NavIC",
}  # fmt: skip
BY_NUMBER = {1: "GPS", 2: "GLONASS", 3: "Galileo", 4: "BeiDou", 5: "QZSS", 6: "NavIC"}
"""System ids of NMEA 4.10."""
BY_UBX = {0: "GPS", 1: "SBAS", 2: "Galileo", 3: "BeiDou", 4: "IMES", 5: "QZSS", 6: "GLONASS", 7: "NavIC"}
RANGES = (
    (1, 32, "GPS", 0), (33, 64, "SBAS", -87), (65, 96, "GLONASS", 64), (101, 119, "Galileo", 100),
    (120, 158, "SBAS", 0), (159, 163, "BeiDou", 158), (173, 182, "IMES", 172), (193, 202, "QZSS", 192),
    (203, 264, "BeiDou", 200), (301, 399, "Galileo", 300), (401, 499, "BeiDou", 400), (500, 518, "NavIC", 500),
    (901, 918, "NavIC", 900),
)  # fmt: skip
"""What the numbers of satellites mean where the sentence does not say the system: first, last, system, offset."""
OWN_OFFSETS = {
    "GLONASS": (64, 64), "Galileo": (300, 100), "BeiDou": (400, 200, 100), "QZSS": (192, 192), "NavIC": (500, 500),
}  # fmt: skip

NAMES_LIMIT = 2000

Name = tuple[str, int]
Fields = list[bytes]


@dataclass(frozen=True, slots=True)
class Satellite:
    """One satellite: its system, its number in that system, where it stands and how strong it is."""

    system: str
    id: int
    elevation_deg: int | None = None
    azimuth_deg: int | None = None
    cn0_dbhz: float | None = None
    used: bool = False


Row = Satellite | Fields
"""A satellite, or the fields of a GSV."""


@dataclass(frozen=True, slots=True)
class Sky:
    """All satellites that the receiver told of: its rows as they came, read when somebody asks."""

    rows: tuple[Row, ...] = ()
    used: frozenset[Name] = frozenset()

    @property
    def satellites(self) -> tuple[Satellite, ...]:
        """One entry for each satellite: of its signals the strongest."""
        best: dict[Name, Satellite] = {}
        for row in self.rows:
            for each in (row,) if isinstance(row, Satellite) else _read(row):
                key = each.system, each.id
                before = best.get(key)
                if before is None or (each.cn0_dbhz or 0) > (before.cn0_dbhz or 0):
                    best[key] = replace(each, used=True) if key in self.used else each
        return tuple(best[key] for key in sorted(best))


@dataclass(frozen=True, slots=True)
class Antenna:
    """What the receiver says of its antenna: `ok`, `open` (not connected), `short` or `off`."""

    status: str


def name(talker: bytes, number: int, system: int | None) -> Name | None:
    """System and number of a satellite as NMEA tells it; None for a number that means none."""
    known = BY_NUMBER.get(system or 0) or (SYSTEMS.get(talker) if talker != b"GP" else None)
    if known is None or known == "GPS":
        for first, last, told, offset in RANGES:
            if first <= number <= last:
                return told, number - offset
        return None
    for offset in OWN_OFFSETS[known]:
        if number > offset:
            return known, number - offset
    return known, number


def _read(row: Fields) -> Iterator[Satellite]:
    """The satellites of one GSV: number, elevation, azimuth and C/N0 of each."""
    talker, system = row[0][:2], system_of(row)
    for at in range(4, len(row) - 3, 4):
        named = name(talker, int(row[at]), system) if row[at].isdigit() else None
        if named is not None:
            elevation, azimuth, cn0 = row[at + 1], row[at + 2], row[at + 3]
            yield Satellite(
                named[0], named[1], int(elevation) if elevation.isdigit() else None,
                int(azimuth) % 360 if azimuth.isdigit() else None, float(cn0) if cn0.isdigit() else None,
            )  # fmt: skip


def system_of(row: Fields) -> int:
    """Quectel's GSV has the system behind the signal; 0 if it is not told."""
    return int(row[-1]) if len(row) % 4 == 2 and row[-1].isdigit() else 0


class Heaven:
    """Collects satellites in groups (a talker and its signal) and forgets groups that are no longer told."""

    def __init__(self) -> None:
        self.used: set[Name] = set()
        self._groups: dict[bytes, tuple[int, list[Row]]] = {}
        self._open: list[Row] = []
        self._epoch = 0
        self._changed = False
        self._seen: int | None = None
        self._cn0_dbhz: float | None = None
        self._names: dict[tuple[bytes, bytes, int], Name | None] = {}

    def part(self, group: bytes, row: Fields, *, first: bool, last: bool) -> None:
        """One GSV of a group."""
        if first:
            self._open = []
        self._open.append(row)
        if last:
            self._groups[group] = (self._epoch, self._open)
            self._open = []
            self._changed = True

    def whole(self, satellites: list[Satellite]) -> None:
        """A message that tells of all satellites."""
        self._groups = {b"": (self._epoch, [*satellites])}
        self.used = {(each.system, each.id) for each in satellites if each.used}
        self._changed = True

    def named(self, talker: bytes, field: bytes, system: int) -> Name | None:
        """As `name`, remembered: the same few satellites come all day."""
        key = talker, field, system
        try:
            return self._names[key]
        except KeyError:
            if len(self._names) > NAMES_LIMIT:
                self._names.clear()
            found = self._names[key] = name(talker, int(field), system) if field.isdigit() else None
            return found

    def ends(self) -> tuple[int | None, float | None, Sky | None]:
        """An epoch ends: satellites seen, C/N0 of the strongest, and the sky if it was told anew."""
        self._epoch += 1
        if not self._changed:
            return self._seen, self._cn0_dbhz, None
        self._changed = False
        rows: list[Row] = []
        for group, (epoch, members) in list(self._groups.items()):
            if self._epoch - epoch > KEPT_EPOCHS:
                del self._groups[group]
            else:
                rows += members
        strengths = _strengths(rows)
        self._seen = len(strengths)
        strongest = [cn0 for cn0 in sorted(strengths, reverse=True)[:STRONGEST] if cn0]
        self._cn0_dbhz = round(sum(strongest) / len(strongest), 1) if strongest else None
        return self._seen, self._cn0_dbhz, Sky(tuple(rows), frozenset(self.used))


def _strengths(rows: list[Row]) -> list[float]:
    """C/N0 of each satellite, of its signals the strongest; 0 without one. Digits are compared as they were written."""
    best: dict[object, bytes] = {}
    known: list[float] = []
    for row in rows:
        if isinstance(row, Satellite):
            known.append(row.cn0_dbhz or 0.0)
            continue
        lead = row[0][:2] + (row[-1] if len(row) % 4 == 2 else b"")
        for number, cn0 in zip(row[4::4], row[7::4], strict=False):
            if number:
                key = lead + number
                before = best.get(key)
                if before is None or cn0 > before:
                    best[key] = cn0
    return known + [float(cn0) if cn0.isdigit() else 0.0 for cn0 in best.values()]
