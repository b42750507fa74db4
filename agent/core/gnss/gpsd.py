"""The JSON lines of gpsd to fixes. gpsd sends any class at any time; TPV makes a fix, SKY the sky and the dilutions.

gpsd may tell one moment several times, each time knowing more. The last one counts: a fix is given out when the moment has
been told as often as the last two were, when the line falls silent, or when another moment is told.
"""

import json
import re
from datetime import datetime
from typing import Any

from agent.core.gnss.epochs import Gate
from agent.core.gnss.merging import ACCURACY_PER_HDOP_M, QUALITIES
from agent.core.gnss.nmea import DOP_RANGE
from agent.core.gnss.sky import BY_UBX, STRONGEST, Antenna, Satellite, Sky
from wire.messages import Fix, Mode, Quality, Rejected

WATCH = b'?WATCH={"enable":true,"json":true}\n'
LINE_LIMIT = 65_536
"""A SKY of many satellites has about 10 kB."""

ANTENNA = {1: "ok", 2: "open", 3: "short"}
"""TPV `ant`."""

REPORTS = ("TPV", "SKY")
"""What tells of a receiver. The rest (VERSION, DEVICES, WATCH, TOFF …) comes from a gpsd that hears none, too."""
CLASS = re.compile(rb'\s*\{"class":"(\w+)"', re.ASCII)
Item = Fix | Rejected | Sky | Antenna


class Sieve:
    """Leaves out what gpsd says of itself, so that a gpsd without a receiver is as silent as its receiver."""

    def __init__(self) -> None:
        self.error = ""
        self._tail = b""

    def feed(self, chunk: bytes) -> bytes:
        """What remains: reports, and what is no line of gpsd at all."""
        *lines, self._tail = (self._tail + chunk).split(b"\n")
        out = b"".join(line + b"\n" for line in lines if not self._housekeeping(line))
        if len(self._tail) > LINE_LIMIT:  # the parser's to judge
            out, self._tail = out + self._tail, b""
        return out

    def _housekeeping(self, line: bytes) -> bool:
        found = CLASS.match(line)
        if found is None or found[1].decode() in REPORTS:
            return False
        if found[1] == b"ERROR":
            self.error = _message(line)
        return True


def _message(line: bytes) -> str:
    try:
        return str(json.loads(line)["message"])[:120]
    except (ValueError, KeyError, RecursionError):
        return "an error"


class Parser:
    """Feed it bytes as they come; call `flush` after some 400 ms of silence on the line."""

    speaks = "gpsd's JSON"

    def __init__(self) -> None:
        self.heard = 0
        self._tail = b""
        self._skipping = False
        self._gate = Gate()
        self._sky: dict[str, Any] = {}
        self._antenna: object = None
        self._held: Fix | None = None
        self._at_ms: int | None = None
        self._times = 0
        self._usual = (0, 0)

    def feed(self, chunk: bytes) -> list[Item]:
        out: list[Item] = []
        lines = (self._tail + chunk).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line.strip():
                self._line(line, out)
        if len(self._tail) > LINE_LIMIT:
            self._tail = b""
            if not self._skipping:
                out.append(Rejected("too-long"))
            self._skipping = True
        return out

    def pause(self) -> list[Item]:
        """A moment of silence says nothing: gpsd's reports are whole."""
        return []

    def flush(self) -> list[Item]:
        """The line is silent: the moment that was told last has been told for good."""
        out: list[Item] = []
        self._give(out)
        return out

    def _line(self, line: bytes, out: list[Item]) -> None:
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            report = None
        if not isinstance(report, dict):
            out.append(Rejected("garbage"))
            return
        if report.get("class") not in REPORTS:
            return
        self.heard += 1
        if report["class"] == "TPV":
            told = position(report, self._sky)
            if told == Rejected("no-fix"):
                self._sky = {}
            self._hold(told, out)
            if report.get("ant", self._antenna) != self._antenna:
                self._antenna = report["ant"]
                out += [Antenna(ANTENNA[self._antenna])] if self._antenna in (1, 2, 3) else []
        else:
            self._sky.update({key: report[key] for key in ("hdop", "pdop", "uSat", "nSat") if key in report})
            satellites = _satellites(report)
            if satellites:
                self._sky["cn0"] = _strength(satellites)
                out.append(Sky(satellites, frozenset((each.system, each.id) for each in satellites if each.used)))

    def _hold(self, told: Fix | Rejected, out: list[Item]) -> None:
        """Keep what is told until it is clear that this moment is not told again."""
        if isinstance(told, Rejected):
            self._give(out)
            out.append(told)
            return
        if told.at_ms != self._at_ms:
            self._give(out)
            self._usual = (self._usual[1], self._times)
            self._times, self._at_ms = 0, told.at_ms
        self._held = told
        self._times += 1
        if self._usual[0] == self._usual[1] == self._times:
            self._give(out)

    def _give(self, out: list[Item]) -> None:
        if self._held is not None:
            out.append(self._gate.check(self._held))
            self._held = None


def position(report: dict[str, Any], sky: dict[str, Any]) -> Fix | Rejected:
    """The fix that a TPV tells, with the dilutions of the SKY before it; the parser's gate may still refuse it."""
    if report.get("mode") not in (2, 3) or "lat" not in report or "lon" not in report:
        return Rejected("no-fix")
    if "time" not in report:
        return Rejected("no-date")
    try:
        return _fix(report, sky)
    except (ValueError, TypeError, KeyError, OverflowError):
        return Rejected("field", "TPV")


def _number(report: dict[str, Any], key: str, low: float, high: float) -> float | None:
    value = report.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not low <= value <= high:
        raise ValueError(key)
    return float(value)


def _needed(report: dict[str, Any], key: str, limit: float) -> float:
    value = _number(report, key, -limit, limit)
    if value is None:
        raise ValueError(key)
    return value


def _dop(sky: dict[str, Any], key: str) -> float | None:
    value = _number(sky, key, 0, 1000)
    return value if value is not None and DOP_RANGE[0] <= value <= DOP_RANGE[1] else None


def _satellites(report: dict[str, Any]) -> tuple[Satellite, ...]:
    """The satellites of a SKY; what is not told as gpsd does is left out."""
    told = report.get("satellites")
    out = []
    for each in told if isinstance(told, list) else ():
        try:
            cn0_dbhz = _number(each, "ss", 0, 100)
            elevation, azimuth = _number(each, "el", -90, 90), _number(each, "az", 0, 360)
            out.append(
                Satellite(
                    BY_UBX.get(each.get("gnssid", -1), "?"), int(each.get("svid", each["PRN"])),
                    None if elevation is None else round(elevation), None if azimuth is None else round(azimuth),
                    cn0_dbhz or None, bool(each.get("used")),
                )
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            continue
    return tuple(out)


def _strength(satellites: tuple[Satellite, ...]) -> float | None:
    strongest = sorted((each.cn0_dbhz for each in satellites if each.cn0_dbhz), reverse=True)[:STRONGEST]
    return round(sum(strongest) / len(strongest), 1) if strongest else None


def _accuracy_m(report: dict[str, Any], hdop: float | None) -> float | None:
    """One standard deviation: gpsd's own estimates are 95 % figures, half of which is near enough."""
    east, north = _number(report, "epx", 0, 1e7), _number(report, "epy", 0, 1e7)
    if east is not None and north is not None:
        return float((east * east + north * north) ** 0.5 / 2)
    error = _number(report, "eph", 0, 1e7)
    if error is not None:
        return error / 2
    return None if hdop is None else hdop * ACCURACY_PER_HDOP_M


def _fix(report: dict[str, Any], sky: dict[str, Any]) -> Fix:
    moment = datetime.fromisoformat(report["time"])
    if moment.tzinfo is None:
        raise ValueError("time")
    hdop = _dop(sky, "hdop")
    used, seen = _number(sky, "uSat", 0, 1000), _number(sky, "nSat", 0, 1000)
    alt_m = _number(report, "altMSL", -10_000, 100_000)
    return Fix(
        round(moment.timestamp() * 1000), _needed(report, "lat", 90.0), _needed(report, "lon", 180.0),
        alt_m=_number(report, "alt", -10_000, 100_000) if alt_m is None else alt_m,
        speed_mps=_number(report, "speed", 0, 2000), course_deg=_number(report, "track", 0, 360),
        mode=Mode(report["mode"]), quality=QUALITIES.get(report.get("status", 1), Quality.GNSS),
        hdop=hdop, pdop=_dop(sky, "pdop"), accuracy_m=_accuracy_m(report, hdop),
        sats_used=None if used is None else int(used), sats_seen=None if seen is None else int(seen),
        cn0_dbhz=sky.get("cn0"),
    )  # fmt: skip
