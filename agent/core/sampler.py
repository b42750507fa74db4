"""Decides which fixes go out on the live lane: those at which the hub's prediction would be off by more than ε.

The basis is what the hub predicts from: the message in flight, else the last one acknowledged. It is the message as
decoded from its own bytes, so rounding counts. A message also goes out on a heartbeat, when the ignition changes, on
`force` (an event, a reconnect), and when the hub turns out to hold something older than the basis.

What a message says of the motion is chosen so that it stays true for long: acceleration and turn rate act for 2 s in
`wire.predict`, so they are worth what they will have done by then. The gains are measured (docs/performance.md): brakes go
on for longer than they were seen, most turns end sooner.

A standing vehicle is held at its place with speed 0; it is released by fixes in a row that are farther away than
max(ε, 3 × accuracy): by 2 s of them while it settles, for receivers catch up after a stop, or when they are twice as far, as
of one that is pushed or towed slowly; by 5 min of them otherwise, for receivers wander and come back; and at once after a
gap, for nobody knows. So noise drives no phantom metres. Until then such a fix is `held`: it is kept in the history, and it
does not count as the truth of the live lane. Nothing else moves a held vehicle: no event, no new link.
"""

from dataclasses import dataclass, replace

from agent.core.dynamics import Trend
from agent.core.motion import Motion, standing
from wire.codec import decode_live, encode_live
from wire.geo import distance_m
from wire.messages import Fix, Live, Reading
from wire.predict import HEARTBEAT_MOVING_MS, HEARTBEAT_PARKED_MS, predict, usual_heartbeat_ms

SETTLING_MS = 10_000
RELEASE_SOON_MS, RELEASE_MS = 2_000, 300_000
FAR = 2.0
GAP_MS, GAP_LAPSES = 10_000, 3
"""After so long without a fix, and longer than usual, a vehicle that stood may have been anywhere, and settles again."""
ACCURACY_M = 5.0
"""Of a receiver that tells neither its accuracy nor, as a factor of this, its HDOP."""
BRAKING, SPEEDING, TURNING = 1.5, 1.1, 0.85
"""What of the rates seen in the last second goes into the message."""
TOWN_MPS, ROAD_MPS, ON_THE_ROAD = 12.0, 32.0, 0.5
"""Who goes fast changes speed for a moment, in town for good: the gains for acceleration fade from the one to the other."""
MOST_MPS2 = 7.0
MOST_MPS, LOWEST_M, HIGHEST_M, WORST_M = 1000.0, 10_000.0, 100_000.0, 1_000_000.0
"""What the live message can carry: a receiver that tells nonsense must not stop the lane."""
STILL = Trend()


@dataclass(frozen=True, slots=True)
class Config:
    """ε in metres and the longest silences."""

    eps_m: float = 10.0
    heartbeat_moving_ms: int = HEARTBEAT_MOVING_MS
    heartbeat_parked_ms: int = HEARTBEAT_PARKED_MS


@dataclass(frozen=True, slots=True)
class State:
    """`sent` is in flight, `acked` was acknowledged.

    The vehicle has been held since `stays_ms`, was seen so at `seen_ms`, `lapse_ms` after the time before, and has seemed
    to be elsewhere since `away_ms`.
    `held` says that the last fix was beyond ε and not believed.
    """

    sent: Live | None = None
    acked: Live | None = None
    force: bool = True
    held: bool = False
    stays_ms: int | None = None
    seen_ms: int = 0
    lapse_ms: int = 0
    away_ms: int | None = None

    @property
    def basis(self) -> Live | None:
        """What the hub predicts from, as far as we know."""
        return self.sent or self.acked


def live_of(
    fix: Fix, reading: Reading, config: Config, *, waiting: int, keep: Live | None = None, trend: Trend = STILL
) -> Live:
    """The live message of a fix, as the hub will decode it; at the place of `keep` if that is given."""
    goes = fix.course_deg is not None and not standing(fix, reading)
    place = fix if keep is None else keep
    speed_mps = min(fix.speed_mps or 0.0, MOST_MPS) if goes else 0.0
    heartbeat_ms = config.heartbeat_moving_ms if speed_mps > 0.0 else config.heartbeat_parked_ms
    live = Live(
        at_ms=fix.at_ms,
        lat_deg=place.lat_deg,
        lon_deg=place.lon_deg,
        speed_mps=speed_mps,
        course_deg=fix.course_deg if fix.course_deg is not None else keep.course_deg if keep else 0.0,
        accel_mps2=_accel(trend, fix.speed_mps or 0.0) if goes else 0.0,
        turn_dps=TURNING * trend.turn_dps if goes else 0.0,
        alt_m=None if fix.alt_m is None else max(-LOWEST_M, min(HIGHEST_M, fix.alt_m)),
        accuracy_m=None if fix.accuracy_m is None else min(fix.accuracy_m, WORST_M),
        eps_m=config.eps_m,
        rpm=reading.rpm,
        ignition=reading.ignition,
        waiting=waiting,
        heartbeat_s=None if heartbeat_ms == usual_heartbeat_ms(speed_mps) else max(1, round(heartbeat_ms / 1000)),
    )
    return decode_live(encode_live(live))


def _accel(trend: Trend, speed_mps: float) -> float:
    share = max(0.0, min(1.0, (speed_mps - TOWN_MPS) / (ROAD_MPS - TOWN_MPS)))
    gain = (BRAKING if trend.accel_mps2 < 0.0 else SPEEDING) * (1.0 - share * (1.0 - ON_THE_ROAD))
    return max(-MOST_MPS2, min(MOST_MPS2, gain * trend.accel_mps2))


def _off_m(basis: Live, fix: Fix) -> float:
    lat_deg, lon_deg = predict(basis, fix.at_ms)
    return distance_m(lat_deg, lon_deg, fix.lat_deg, fix.lon_deg)


def first(state: State, fix: Fix, reading: Reading, config: Config, *, waiting: int, trend: Trend = STILL) -> Live:
    """What goes out without asking, as on a new link: a vehicle that stands where it stood keeps its place."""
    basis = state.basis
    keep = None if basis is None or not _seen(state, basis, fix, reading, config).stays else basis
    return live_of(fix, reading, config, waiting=waiting, keep=keep, trend=trend)


def step(
    state: State, fix: Fix, reading: Reading, motion: Motion, config: Config, *, waiting: int = 0, trend: Trend = STILL
) -> tuple[State, Live | None]:
    """The next state, and the message to send if one is due; the caller tells what became of it."""
    basis = state.basis
    if basis is None:
        return state, live_of(fix, reading, config, waiting=waiting, trend=trend)
    seen = _seen(state, basis, fix, reading, config)
    state = seen.state
    if not seen.runs_away and not state.force and not _due(basis, fix, reading, motion, config):
        return state, None
    return state, live_of(fix, reading, config, waiting=waiting, keep=basis if seen.stays else None, trend=trend)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a fix means beside the basis: the place is to be kept, or the hub is off by more than it may be."""

    state: State
    stays: bool
    runs_away: bool


def _seen(state: State, basis: Live, fix: Fix, reading: Reading, config: Config) -> _Seen:
    error_m = _off_m(basis, fix)
    bound_m = min(basis.eps_m, config.eps_m)  # the hub was promised the one, and is to have the other
    stands = basis.speed_mps == 0.0 and standing(fix, reading)
    if stands:
        state = _hold(state, basis, fix, error_m=error_m, bound_m=bound_m)
    elif state.stays_ms is not None:
        state = replace(state, held=False, stays_ms=None, away_ms=None)
    runs_away = error_m > bound_m and not state.held
    return _Seen(state, stands and not runs_away, runs_away)


def _hold(state: State, basis: Live, fix: Fix, *, error_m: float, bound_m: float) -> State:
    """How long it has stood and seemed to be elsewhere; `held` as long as that is not believed."""
    lapse_ms = fix.at_ms - max(state.seen_ms, basis.at_ms)
    gap = lapse_ms > max(GAP_MS, GAP_LAPSES * state.lapse_ms)
    stays_ms = fix.at_ms if gap or state.stays_ms is None else state.stays_ms
    accuracy_m = fix.accuracy_m if fix.accuracy_m is not None else ACCURACY_M * (fix.hdop or 1.0)
    doubted_m = max(bound_m, 3.0 * accuracy_m)
    away_ms, held = None, error_m > bound_m
    if error_m > doubted_m:
        away_ms = fix.at_ms if state.away_ms is None else state.away_ms
        soon = away_ms - stays_ms <= SETTLING_MS or error_m > FAR * doubted_m
        held = not gap and fix.at_ms - away_ms < (RELEASE_SOON_MS if soon else RELEASE_MS)
    return replace(
        state, held=held, stays_ms=stays_ms, seen_ms=fix.at_ms, lapse_ms=lapse_ms, away_ms=away_ms if held else None
    )


def _due(basis: Live, fix: Fix, reading: Reading, motion: Motion, config: Config) -> bool:
    """Whether a message is due although the prediction holds."""
    if reading.ignition is not None and reading.ignition != basis.ignition:
        return True
    if round(config.eps_m, 1) < basis.eps_m:
        return True
    silence_ms = config.heartbeat_parked_ms if motion is Motion.PARKED else config.heartbeat_moving_ms
    return fix.at_ms - basis.at_ms >= silence_ms


def sending(state: State, live: Live) -> State:
    """The message is on its way: it counts as the basis."""
    return replace(state, sent=live, force=False)


def acknowledged(state: State, live: Live) -> State:
    """The broker has taken it."""
    return replace(state, acked=live, sent=None if state.sent == live else state.sent)


def forced(state: State) -> State:
    """Something has happened: the next fix goes out whatever the prediction says."""
    return replace(state, force=True)


def unlinked(state: State) -> State:
    """The link is gone: what was in flight may be lost, and the first thing after the reconnect is a message."""
    return replace(state, sent=None, force=True)


def hub_holds(state: State, live_ms: int) -> State:
    """The hub says which message it has; if it is older than the one acknowledged, the basis is not true."""
    if state.acked is not None and live_ms < state.acked.at_ms:
        return replace(state, acked=None, force=True)
    return state
