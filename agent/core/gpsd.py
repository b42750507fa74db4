"""The JSON lines of gpsd to fixes. gpsd sends any class at any time; TPV makes a fix, SKY brings the dilutions."""

import json
from datetime import datetime
from typing import Any

from agent.core.epochs import Gate
from agent.core.nmea import ACCURACY_PER_HDOP_M, DOP_LIMIT
from wire.messages import Fix, Mode, Quality, Rejected

WATCH = b'?WATCH={"enable":true,"json":true}\n'
LINE_LIMIT = 65_536
"""A SKY of many satellites has about 10 kB."""

QUALITIES = {
    0: Quality.NONE, 1: Quality.GNSS, 2: Quality.DGPS, 3: Quality.RTK_FIXED, 4: Quality.RTK_FLOAT,
    5: Quality.ESTIMATED, 6: Quality.ESTIMATED, 7: Quality.MANUAL, 8: Quality.SIMULATED, 9: Quality.PPS,
}  # fmt: skip
"""TPV `status`; gpsd leaves it out for a plain fix."""


class Parser:
    """Feed it bytes as they come. A time that gpsd tells twice (one TPV per sentence) is a repeat, the first counts."""

    speaks = "gpsd's JSON"

    def __init__(self) -> None:
        self.heard = 0
        self._tail = b""
        self._skipping = False
        self._gate = Gate()
        self._sky: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> list[Fix | Rejected]:
        out: list[Fix | Rejected] = []
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

    def flush(self) -> list[Fix | Rejected]:
        """A TPV is whole as it comes: nothing waits."""
        return []

    def _line(self, line: bytes, out: list[Fix | Rejected]) -> None:
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            report = None
        if not isinstance(report, dict):
            out.append(Rejected("garbage"))
            return
        self.heard += 1
        if report.get("class") == "TPV":
            out.append(self._tpv(report))
        elif report.get("class") == "SKY":
            self._sky.update({key: report[key] for key in ("hdop", "pdop", "uSat") if key in report})

    def _tpv(self, report: dict[str, Any]) -> Fix | Rejected:
        if report.get("mode") not in {2, 3} or "lat" not in report or "lon" not in report:
            self._sky = {}
            return Rejected("no-fix")
        if "time" not in report:
            return Rejected("no-date")
        try:
            return self._gate.check(_fix(report, self._sky))
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
    return value if value is not None and 0.0 < value < DOP_LIMIT else None


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
    used = _number(sky, "uSat", 0, 1000)
    alt_m = _number(report, "altMSL", -10_000, 100_000)
    return Fix(
        round(moment.timestamp() * 1000), _needed(report, "lat", 90.0), _needed(report, "lon", 180.0),
        alt_m=_number(report, "alt", -10_000, 100_000) if alt_m is None else alt_m,
        speed_mps=_number(report, "speed", 0, 2000), course_deg=_number(report, "track", 0, 360),
        mode=Mode(report["mode"]), quality=QUALITIES.get(report.get("status", 1), Quality.GNSS),
        hdop=hdop, pdop=_dop(sky, "pdop"), accuracy_m=_accuracy_m(report, hdop),
        sats_used=None if used is None else int(used),
    )  # fmt: skip
