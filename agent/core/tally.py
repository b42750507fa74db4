"""The figures of a replay: what a profile cost, and what the hub saw, over a file or over many."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.core import cost, journey, thinning
from agent.core.motion import Motion, standing
from agent.core.thinning import Point
from wire.codec import decode_live
from wire.geo import distance_m
from wire.messages import Fix, Live, Reading
from wire.predict import predict
from wire.topics import Way, build, known
from wire.track import decode_batch

VEHICLE = "gw-000001"
"""An identity of usual length: topics are paid for."""
LIVE, TRACK, ACK = (
    len(build(VEHICLE, way, name)) for way, name in ((Way.UP, "live"), (Way.UP, "track"), (Way.DOWN, "ack"))
)
ACK_QOS = known(Way.DOWN, "ack").qos
PARKED_AFTER_MS = 30_000
"""Who has stood for so long counts as parked here, whatever the engine does: nothing should be sent or shown to move."""
GAP_MS = 300_000
"""A longer silence of the receiver is no driving time."""
UNSEEN_MS = 120_000
"""After so long without a fix a standstill is another one: nobody knows where the vehicle was meanwhile."""
SCALE = 1e-7
Figures = dict[str, object]


def percentiles(errors: Sequence[float]) -> dict[str, float | None]:
    """The value below which that share of all seconds stays; null without any."""
    ordered = sorted(errors)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None, "max": None}
    ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    told: dict[str, float | None] = {
        name: round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 3) for name, q in ranks.items()
    }
    return told | {"max": round(ordered[-1], 3)}


def per(amount: float, hours: float, digits: int = 3) -> float | None:
    """So much an hour; null where no time has passed."""
    return round(amount / hours, digits) if hours > 0.0 else None


@dataclass(slots=True)
class Sums:
    """What can be added up over drives and files."""

    read: int = 0
    fixes: int = 0
    driven_ms: int = 0
    way_m: float = 0.0
    messages: int = 0
    errors: "array[float]" = field(default_factory=lambda: array("d"))
    live_bytes: int = 0
    track_bytes: int = 0
    live_air_bytes: int = 0
    track_air_bytes: int = 0
    track_sed_m: float = 0.0
    thinned: int = 0
    thinned_sed_m: float = 0.0
    odometer_m: float = 0.0
    parked_ms: int = 0
    parked_messages: int = 0
    parked_beyond: int = 0
    phantom_m: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    held: int = 0
    going: int = 0
    going_refused: int = 0
    going_held: int = 0

    def add(self, other: "Sums") -> None:
        """Pool another file: sums are added, all its seconds count, of the worst the worse one."""
        for name in ("read", "fixes", "driven_ms", "way_m", "messages", "live_bytes", "track_bytes", "live_air_bytes", "track_air_bytes",
                     "thinned", "odometer_m", "parked_ms", "parked_messages", "parked_beyond", "phantom_m", "refused",
                     "held", "going", "going_refused", "going_held"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors.extend(other.errors)
        self.rejected.update(other.rejected)
        self.track_sed_m = max(self.track_sed_m, other.track_sed_m)
        self.thinned_sed_m = max(self.thinned_sed_m, other.thinned_sed_m)

    def figures(self, *, thinned_eps_m: float) -> Figures:
        """The JSON object; what nothing can be said about is null."""
        hours, parked_h = self.driven_ms / 3.6e6, self.parked_ms / 3.6e6
        given, going = self.fixes + self.refused, self.going
        return {
            "read": self.read, "fixes": self.fixes, "hours": round(hours, 4), "km": round(self.way_m / 1000.0, 3),
            "live_messages": self.messages, "live_per_hour": per(self.messages, hours, 1),
            "live_error_m": percentiles(self.errors), "track_sed_max_m": round(self.track_sed_m, 3),
            "thinned": {
                "eps_m": thinned_eps_m, "points": self.thinned, "sed_max_m": round(self.thinned_sed_m, 3),
            },
            "bytes": {
                "live": self.live_bytes, "track": self.track_bytes,
                "track_per_fix": round(self.track_bytes / self.fixes, 2) if self.fixes else None,
                "live_per_hour_tls": per(self.live_air_bytes, hours, 0),
                "total_per_hour_tls": per(self.live_air_bytes + self.track_air_bytes, hours, 0),
            },
            "odometer_m": round(self.odometer_m, 1),
            "parked": {
                "hours": round(parked_h, 4), "fixes_per_hour": per(self.parked_messages, parked_h, 1),
                "beyond_heartbeats": self.parked_beyond, "phantom_m": round(self.phantom_m, 2),
            },
            "rejected": dict(self.rejected.most_common()), "held": self.held,
            "refused_or_held_share": round((self.refused + self.held) / given, 5) if given else None,
            "refused_or_held_share_going": round((self.going_refused + self.going_held) / going, 5) if going else None,
        }  # fmt: skip


@dataclass(slots=True)
class Stop:
    """The standstill under way: since when, where the receiver saw it begin, how far the hub saw it move."""

    since_ms: int
    seen_ms: int = 0
    start: Fix | None = None
    end: Fix | None = None
    shown_m: float = 0.0


class DriveTally:
    """Looks at one drive, fix by fix, as the hub sees it; `end` gives the sums."""

    def __init__(self, config: journey.Config, *, thinned_eps_m: float) -> None:
        self.sums = Sums()
        self.passed: list[Point] = []
        self.kept: list[Point] = []
        self.sent: list[Live] = []
        self.seconds: list[tuple[int, float]] = []
        self._config, self._thinned_eps_m = config, thinned_eps_m
        self._told: list[Point] = []
        self._newest: Live | None = None
        self._before: Fix | None = None
        self._place: Fix | None = None
        self._stop: Stop | None = None

    def refused(self, reason: str, fix: Fix, reading: Reading) -> None:
        """A fix that the agent did not take."""
        going = not standing(fix, reading)
        self.sums.rejected[reason] += 1
        self.sums.refused += 1
        self.sums.going += going
        self.sums.going_refused += going

    def passes(self, passed: journey.Passed) -> None:
        """A fix that it took, and what it sent."""
        sums, fix, before = self.sums, passed.fix, self._before
        lapse_ms = 0 if before is None else fix.at_ms - before.at_ms
        counted_ms = lapse_ms if 0 < lapse_ms <= GAP_MS else 0
        sums.fixes += 1
        sums.driven_ms += counted_ms
        sums.held += passed.held
        sums.going += not passed.standing
        sums.going_held += passed.held and not passed.standing
        self._go(passed)
        self.passed.append(Point(fix.at_ms, fix.lat_deg, fix.lon_deg))
        hub = self._newest
        if passed.live is not None:
            self._newest = decode_live(passed.live)
            self.sent.append(self._newest)
            sums.messages += 1
            sums.live_bytes += len(passed.live)
            sums.live_air_bytes += cost.publish_bytes(LIVE, len(passed.live))
        if self._newest is not None:
            place = predict(self._newest, fix.at_ms)
            if not passed.held:
                error_m = distance_m(*place, fix.lat_deg, fix.lon_deg)
                sums.errors.append(error_m)
                self.seconds.append((fix.at_ms, error_m))
            self._stand(passed, place, counted_ms, hub or self._newest)
        self.uploads(passed.uploads)
        self._before = fix

    def _go(self, passed: journey.Passed) -> None:
        """The way over the fixes that do not stand: receiver noise at stops is no way."""
        if passed.standing:
            return
        if self._place is not None:
            self.sums.way_m += distance_m(
                self._place.lat_deg, self._place.lon_deg, passed.fix.lat_deg, passed.fix.lon_deg
            )
        self._place = passed.fix

    def _stand(self, passed: journey.Passed, place: tuple[float, float], lapse_ms: int, hub: Live) -> None:
        """Parked time, what is sent in it, and how far the hub's belief moves in it.

        `hub` is what the hub had before this second. Until it has been told that the vehicle stands, a message ends the
        way that the vehicle really came: it is neither a phantom nor too much.
        """
        if not passed.standing and passed.motion is not Motion.PARKED:
            self._leave()
            return
        if self._stop is not None and passed.fix.at_ms - self._stop.seen_ms > UNSEEN_MS:
            self._leave()  # nobody knows where it was meanwhile
        if self._stop is None:
            self._stop = Stop(passed.fix.at_ms)
        stop = self._stop
        stop.seen_ms = passed.fix.at_ms
        if passed.fix.at_ms - stop.since_ms < PARKED_AFTER_MS:
            return
        if stop.start is None:
            stop.start = passed.fix
        else:
            self.sums.parked_ms += lapse_ms
        stop.end = passed.fix
        self.sums.parked_messages += passed.live is not None
        if hub.speed_mps == 0.0:
            stop.shown_m += distance_m(*predict(hub, passed.fix.at_ms), *place)
            due = passed.fix.at_ms - hub.at_ms >= self._heartbeat_ms(passed.motion)
            event = self._newest is not None and self._newest.ignition != hub.ignition
            self.sums.parked_beyond += passed.live is not None and not due and not event

    def _heartbeat_ms(self, motion: Motion) -> int:
        sampling = self._config.sampling
        return sampling.heartbeat_parked_ms if motion is Motion.PARKED else sampling.heartbeat_moving_ms

    def _leave(self) -> None:
        """The vehicle goes on. What it was really moved by while it stood, a tow, is no phantom."""
        stop, self._stop = self._stop, None
        if stop is None or stop.start is None or stop.end is None:
            return
        went_m = distance_m(stop.start.lat_deg, stop.start.lon_deg, stop.end.lat_deg, stop.end.lon_deg)
        sure_m = max(self._config.sampling.eps_m, 3.0 * (stop.end.accuracy_m or 0.0))
        self.sums.phantom_m += max(0.0, stop.shown_m - (went_m if went_m > sure_m else 0.0))

    def uploads(self, uploads: Iterable[journey.Upload]) -> None:
        """Track messages, read back from their bytes, and the hub's answers."""
        for upload in uploads:
            self.sums.track_bytes += len(upload.payload)
            self.sums.track_air_bytes += cost.publish_bytes(TRACK, len(upload.payload))
            self.sums.track_air_bytes += cost.publish_bytes(ACK, len(upload.ack), qos=ACK_QOS)
            self._told += [
                Point(row[0] or 0, (row[1] or 0) * SCALE, (row[2] or 0) * SCALE)
                for _, row in decode_batch(upload.payload).rows
            ]

    def end(self, odometer_m: float) -> Sums:
        """Nothing more comes on this drive."""
        self._leave()
        self.sums.odometer_m = odometer_m
        self.sums.track_sed_m = sed_max_m(self.passed, self._told)
        self.kept = [self.passed[i] for i in thinning.kept(self.passed, self._thinned_eps_m)]
        self.sums.thinned = len(self.kept)
        self.sums.thinned_sed_m = sed_max_m(self.passed, self.kept)
        return self.sums


def sed_max_m(points: Sequence[Point], told: Sequence[Point]) -> float:
    """How far a place is at most from where the told line is at its time. What is told is some of the points, in order."""
    if not told:
        return 0.0
    worst_m, at = 0.0, 0
    for point in points:
        if at < len(told) and told[at].at_ms == point.at_ms:
            here = told[at]
            worst_m = max(worst_m, distance_m(here.lat_deg, here.lon_deg, point.lat_deg, point.lon_deg))
            at += 1
        else:
            worst_m = max(worst_m, thinning.sed_m(told[max(0, at - 1)], told[min(at, len(told) - 1)], point))
    return worst_m
