"""Decides which fixes go out on the live lane: those at which the hub's prediction would be off by more than ε.

The basis is what the hub predicts from: the message in flight, else the last one acknowledged. It is the message as
decoded from its own bytes, so rounding counts. A message also goes out on a heartbeat, on `force` (an event, a
reconnect, watch), and when the hub turns out to hold something older than the basis.
Below `STANDING_MPS` the position is held with speed 0; a held vehicle is released by `RELEASE_AFTER` fixes in a row
that are farther away than max(ε, 3 × accuracy), so receiver noise drives no phantom metres.
"""

from dataclasses import dataclass, replace

from agent.core.motion import Motion, standing
from wire.codec import decode_live, encode_live
from wire.geo import distance_m
from wire.messages import Fix, Live, Reading
from wire.predict import HEARTBEAT_MOVING_MS, HEARTBEAT_PARKED_MS, predict

RELEASE_AFTER = 3


@dataclass(frozen=True, slots=True)
class Config:
    """ε in metres and the longest silences."""

    eps_m: float = 10.0
    heartbeat_moving_ms: int = HEARTBEAT_MOVING_MS
    heartbeat_parked_ms: int = HEARTBEAT_PARKED_MS


@dataclass(frozen=True, slots=True)
class State:
    """`sent` is in flight, `acked` was acknowledged; `away` counts fixes in a row off a held position."""

    sent: Live | None = None
    acked: Live | None = None
    away: int = 0
    force: bool = True

    @property
    def basis(self) -> Live | None:
        """What the hub predicts from, as far as we know."""
        return self.sent or self.acked


def live_of(fix: Fix, reading: Reading, config: Config, *, waiting: int, held: Live | None = None) -> Live:
    """The live message of a fix, as the hub will decode it. A `held` one keeps its place."""
    stands = standing(fix, reading)
    keep = held is not None and stands and held.speed_mps == 0.0
    place = (held.lat_deg, held.lon_deg) if held is not None and keep else (fix.lat_deg, fix.lon_deg)
    course = fix.course_deg if fix.course_deg is not None else (held.course_deg if held else 0.0)
    live = Live(
        at_ms=fix.at_ms,
        lat_deg=place[0],
        lon_deg=place[1],
        speed_mps=0.0 if stands or fix.course_deg is None else (fix.speed_mps or 0.0),
        course_deg=course,
        alt_m=fix.alt_m,
        accuracy_m=fix.accuracy_m,
        eps_m=config.eps_m,
        rpm=reading.rpm,
        ignition=reading.ignition,
        waiting=waiting,
    )
    return decode_live(encode_live(live))


def step(
    state: State, fix: Fix, reading: Reading, motion: Motion, config: Config, *, waiting: int = 0
) -> tuple[State, Live | None]:
    """The next state, and the message to send if one is due; the caller tells what became of it."""
    basis = state.basis
    if basis is None or state.force:
        return replace(state, away=0), live_of(fix, reading, config, waiting=waiting, held=basis)
    lat, lon = predict(basis, fix.at_ms)
    error_m = distance_m(lat, lon, fix.lat_deg, fix.lon_deg)
    if error_m > config.eps_m:
        held = basis.speed_mps == 0.0 and standing(fix, reading)
        if not held:
            return replace(state, away=0), live_of(fix, reading, config, waiting=waiting)
        if error_m > max(config.eps_m, 3.0 * (fix.accuracy_m or 0.0)):
            if state.away + 1 >= RELEASE_AFTER:
                return replace(state, away=0), live_of(fix, reading, config, waiting=waiting)
            return replace(state, away=state.away + 1), None
    silence_ms = config.heartbeat_parked_ms if motion is Motion.PARKED else config.heartbeat_moving_ms
    if fix.at_ms - basis.at_ms >= silence_ms:
        return replace(state, away=0), live_of(fix, reading, config, waiting=waiting, held=basis)
    return replace(state, away=0), None


def sending(state: State, live: Live) -> State:
    """The message is on its way: it counts as the basis."""
    return replace(state, sent=live, force=False)


def acknowledged(state: State, live: Live) -> State:
    """The broker has taken it."""
    return replace(state, acked=live, sent=None if state.sent == live else state.sent)


def unlinked(state: State) -> State:
    """The link is gone: what was in flight may be lost, and the first thing after the reconnect is a message."""
    return replace(state, sent=None, force=True)


def hub_holds(state: State, live_ms: int) -> State:
    """The hub says which message it has; if it is older than the one acknowledged, the basis is not true."""
    if state.acked is not None and live_ms < state.acked.at_ms:
        return replace(state, acked=None, force=True)
    return state
