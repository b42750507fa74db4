"""Sentences and frames of one epoch become one state, by gpsd's rules, so that both say the same of a recording.

Rules
1. Each message brings news: some values, and a mask that says which of them count.
2. A message of another moment begins a cycle (`CLEAR`): all that was known of the fix is forgotten.
3. Within a cycle the later word wins, except that the quality of a fix only rises.
4. Rates that the receiver did not tell follow from velocities, or from the last two positions (marked as derived).
5. A report (`REPORT`) is what gpsd would tell its clients: the last one of each moment is the epoch. While no message is
   known to end the cycle, each one that says something of position or mode is a report.
"""

import math
from collections.abc import Callable

from agent.core.gnss.epochs import Epoch
from agent.core.gnss.sky import Antenna, Heaven, Sky
from wire.messages import Quality

TIME, LATLON, MODE, STATUS, ALTITUDE, TRACK, SPEED, CLEAR, REPORT = (1 << n for n in range(9))
DOP, SATELLITES, USED, ATTITUDE, ECEF, VNED, VECEF, OTHER, ERRORS = (1 << n for n in range(9, 18))
TELLING = ATTITUDE | LATLON | MODE
SAYING = LATLON | MODE | TIME

MOVED_NS = 9_900_000
"""Times that differ by less are the same moment."""
MOST_MPS = 9999.9
ACCURACY_PER_HDOP_M = 5.0

WGS84_A, WGS84_F = 6_378_137.0, 1 / 298.257223563
WGS84_B = WGS84_A * (1 - WGS84_F)
WGS84_E2 = WGS84_F * (2 - WGS84_F)
WGS84_EP2 = WGS84_E2 / (1 - WGS84_E2)

QUALITIES = {
    0: Quality.NONE, 1: Quality.GNSS, 2: Quality.DGPS, 3: Quality.RTK_FIXED, 4: Quality.RTK_FLOAT,
    5: Quality.ESTIMATED, 6: Quality.ESTIMATED, 7: Quality.MANUAL, 8: Quality.SIMULATED, 9: Quality.PPS,
}  # fmt: skip
"""What gpsd calls status; of two that are told in one cycle the higher number counts."""


class State:
    """A fix while it is put together. Values of the class stand for "not told"."""

    time_ns: int | None = None
    mode: int = 0
    status: int = 0
    lat_deg: float | None = None
    lon_deg: float | None = None
    alt_m: float | None = None
    hae_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    north_mps: float | None = None
    east_mps: float | None = None
    ecef_m: tuple[float, float, float] | None = None
    ecef_mps: tuple[float, float, float] | None = None
    accuracy_m: float | None = None
    counted: int | None = None
    derived: bool = False
    void: bool = False

    @property
    def high(self) -> bool:
        """Whether an altitude is known, of either kind."""
        return self.alt_m is not None or self.hae_m is not None


TRANSFERS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (TIME, ("time_ns",)), (LATLON, ("lat_deg", "lon_deg")), (MODE, ("mode",)), (TRACK, ("course_deg",)),
    (SPEED, ("speed_mps", "derived")), (ECEF, ("ecef_m",)), (VECEF, ("ecef_mps",)), (VNED, ("north_mps", "east_mps")),
)  # fmt: skip
"""What a bit of the mask brings, told or not."""

Moment = tuple[int, int, float | None, float | None, bool]
"""Time, mode, position and whether there was an altitude: what is kept of a fix that has passed."""


def metres(lat_deg: float, lon_deg: float, north_deg: float, east_deg: float) -> float:
    """Distance of two places that are near to each other, on the ellipsoid."""
    middle = math.radians((lat_deg + north_deg) / 2)
    w = 1 - WGS84_E2 * math.sin(middle) ** 2
    radius_ns = WGS84_A * (1 - WGS84_E2) / w**1.5
    radius_ew = WGS84_A / math.sqrt(w) * math.cos(middle)
    wide_deg = (east_deg - lon_deg + 180.0) % 360.0 - 180.0
    return math.hypot(math.radians(north_deg - lat_deg) * radius_ns, math.radians(wide_deg) * radius_ew)


class Merger:
    """The state of the receiver's fix over time. `told` takes each epoch (and each new sky) as it is complete.

    `at_once` is for a vehicle: the caller says with `close` when the burst is over, and it is told what is known then,
    without waiting for the next moment.
    """

    def __init__(self, told: Callable[[Epoch | Sky | Antenna], None], *, at_once: bool) -> None:
        self.fix = State()
        self.heaven = Heaven()
        self.hdop: float | None = None
        self.pdop: float | None = None
        self.sats_used = 0
        self.reliable = False
        self.last: Moment | None = None
        self.old: Moment | None = None
        self.closed = at_once
        self.said = False
        self.antenna: str | None = None
        self._told = told
        self.at_once = at_once
        self._report: Epoch | None = None
        self._told_ms: int | None = None

    def merge(self, mask: int, news: State) -> None:
        """Take in one message."""
        if mask & CLEAR:
            self.close()
            self.closed = False
            self.fix = State()
            if not mask & DOP:
                self.hdop = self.pdop = None
        if self.at_once and not news.mode:  # a GSA without a mode says nothing, whatever gpsd makes of it
            mask &= ~MODE
        fix = self.fix
        _transfer(fix, mask, news)
        self._complete(fix)
        if mask & SAYING:
            self.said = True
        if not self.reliable and mask & TELLING:
            mask |= REPORT
        if mask & REPORT and not self.at_once:
            self._reported(fix)

    def _reported(self, fix: State) -> None:
        report = self._epoch(fix)
        before = self._report
        if before is not None and before.at_ms != report.at_ms and before.at_ms is not None:
            self._tell(before)
        self._report = report
        self.said = False

    def close(self) -> None:
        """The epoch is over: tell what it was, if anything was said since the last one."""
        report = self._report
        if report is None and self.said and (self.fix.mode or self.fix.lat_deg is not None):
            report = self._epoch(self.fix)
            if not self.at_once and report.at_ms is not None and report.at_ms == self._told_ms:
                report = None
        self._report = None
        self.said = False
        self.closed = True
        if report is not None:
            self._tell(report)

    def antenna_is(self, status: str | None) -> None:
        """What the receiver says of its antenna; None if it does not know."""
        if status is not None and status != self.antenna:
            self.antenna = status
            self._told(Antenna(status))

    def _tell(self, report: Epoch) -> None:
        self._told_ms = report.at_ms
        seen, cn0_dbhz, sky = self.heaven.ends()
        if sky is not None:
            self._told(sky)
        self._told(
            Epoch(
                report.at_ms, report.mode, report.quality, report.lat_deg, report.lon_deg, report.alt_m,
                report.speed_mps, report.course_deg, report.hdop, report.pdop, report.accuracy_m, report.sats_used,
                seen, cn0_dbhz, report.derived, report.void,
            )
        )  # fmt: skip

    def _epoch(self, fix: State) -> Epoch:
        at_ms = None if not fix.time_ns or fix.time_ns < 1_000_000_000 else (fix.time_ns + 500_000) // 1_000_000
        if fix.mode < 2:
            return Epoch(at_ms, fix.mode)
        accuracy_m = fix.accuracy_m
        if accuracy_m is None and self.hdop is not None:
            accuracy_m = self.hdop * ACCURACY_PER_HDOP_M
        used = max(self.sats_used, fix.counted or 0) or fix.counted
        return Epoch(
            at_ms, fix.mode, _quality(fix), fix.lat_deg, fix.lon_deg,
            fix.alt_m, fix.speed_mps, fix.course_deg, self.hdop, self.pdop, accuracy_m, used,
            derived=("speed_mps",) if fix.derived and fix.speed_mps is not None else (), void=fix.void,
        )  # fmt: skip

    def _complete(self, fix: State) -> None:
        """What follows from what was told; and the moment becomes the last one."""
        delta_ns = -1
        if fix.time_ns:
            last, old = self.last, self.old
            delta_ns = fix.time_ns - (last[0] if last else 0)
            if abs(delta_ns) > MOVED_NS:
                self.old = old = last
            else:
                delta_ns = fix.time_ns - (old[0] if old else 0)
        if fix.ecef_m is not None and fix.lat_deg is None:
            _from_ecef(fix, fix.ecef_m, fix.ecef_mps)
        _from_velocity(fix)
        old = self.old
        if delta_ns > 0 and fix.speed_mps is None and fix.mode >= 2 and old is not None and old[1] >= 2:
            self._derive_speed(fix, old, delta_ns / 1e9)
        if fix.time_ns:
            self.last = (fix.time_ns, fix.mode, fix.lat_deg, fix.lon_deg, fix.high)

    @staticmethod
    def _derive_speed(fix: State, old: Moment, seconds: float) -> None:
        if fix.lat_deg is None or fix.lon_deg is None or old[2] is None or old[3] is None:
            return
        speed_mps = metres(old[2], old[3], fix.lat_deg, fix.lon_deg) / seconds
        if speed_mps <= MOST_MPS:
            fix.speed_mps, fix.derived = speed_mps, True


def _transfer(fix: State, mask: int, news: State) -> None:
    for bit, names in TRANSFERS:
        if mask & bit:
            for each in names:
                setattr(fix, each, getattr(news, each))
    if mask & STATUS and news.status > fix.status:
        fix.status = news.status
    if mask & ALTITUDE:
        fix.hae_m = fix.hae_m if news.hae_m is None else news.hae_m
        fix.alt_m = fix.alt_m if news.alt_m is None else news.alt_m
    if news.accuracy_m is not None:
        fix.accuracy_m = news.accuracy_m
    if news.counted is not None:
        fix.counted = news.counted
    fix.void = fix.void or news.void


def _quality(fix: State) -> Quality:
    """How the fix was made; no way at all where a sentence calls it not valid."""
    return Quality.NONE if fix.void else QUALITIES.get(fix.status, Quality.GNSS) or Quality.GNSS


def _from_velocity(fix: State) -> None:
    north_mps, east_mps = fix.north_mps, fix.east_mps
    if north_mps is not None and east_mps is not None:
        if fix.speed_mps is None:
            fix.speed_mps = math.hypot(north_mps, east_mps)
        if fix.course_deg is None:
            fix.course_deg = math.degrees(math.atan2(east_mps, north_mps))
    if fix.course_deg is not None and not 0.0 <= fix.course_deg < 360.0:
        fix.course_deg %= 360.0


def _from_ecef(
    fix: State, place_m: tuple[float, float, float], velocity_mps: tuple[float, float, float] | None
) -> None:
    """Earth-centred to geographic (Bowring's closed form)."""
    x, y, z = place_m
    if abs(x) + abs(y) + abs(z) <= 10.0:
        return
    lon = math.atan2(y, x)
    p = math.hypot(x, y)
    theta = math.atan2(z * WGS84_A, p * WGS84_B)
    lat = math.atan2(z + WGS84_EP2 * WGS84_B * math.sin(theta) ** 3, p - WGS84_E2 * WGS84_A * math.cos(theta) ** 3)
    fix.lat_deg, fix.lon_deg = math.degrees(lat), math.degrees(lon)
    fix.hae_m = p / math.cos(lat) - WGS84_A / math.sqrt(1 - WGS84_E2 * math.sin(lat) ** 2)
    if velocity_mps is not None:
        vx, vy, vz = velocity_mps
        fix.north_mps = -vx * math.sin(lat) * math.cos(lon) - vy * math.sin(lat) * math.sin(lon) + vz * math.cos(lat)
        fix.east_mps = -vx * math.sin(lon) + vy * math.cos(lon)
