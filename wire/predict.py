"""Dead reckoning that agent, hub and pages agree on, to the bit of the vectors in `tests/recordings/predict.json`.

The state is the live message as decoded from the wire: its rounding is part of the contract.
Acceleration and turn rate act for `ACTING_MS`, integrated by the midpoint rule in `STEPS` steps; after that the vehicle
goes straight on at the speed it has then. Speed never falls below zero. A time before the message is not predicted back.
"""

import math

from wire.geo import moved
from wire.messages import Live

ACTING_MS = 2000
STEPS = 4

HEARTBEAT_MOVING_MS = 60_000
HEARTBEAT_PARKED_MS = 300_000
SLACK_MS = 5_000
SILENT_MPS = 40.0


def predict(live: Live, at_ms: int) -> tuple[float, float]:
    """Latitude and longitude in degrees at `at_ms`."""
    lapse_ms = max(0, at_ms - live.at_ms)
    if live.speed_mps == 0.0 and live.accel_mps2 <= 0.0:
        return live.lat_deg, live.lon_deg
    acting_s = min(lapse_ms, ACTING_MS) / 1000.0
    north = east = 0.0
    if live.accel_mps2 != 0.0 or live.turn_dps != 0.0:
        step_s = acting_s / STEPS
        for i in range(STEPS):
            middle_s = (i + 0.5) * step_s
            speed = max(0.0, live.speed_mps + live.accel_mps2 * middle_s)
            course = math.radians(live.course_deg + live.turn_dps * middle_s)
            north += speed * math.cos(course) * step_s
            east += speed * math.sin(course) * step_s
        rest_s = lapse_ms / 1000.0 - acting_s
    else:
        rest_s = lapse_ms / 1000.0
    if rest_s > 0.0:
        speed = max(0.0, live.speed_mps + live.accel_mps2 * (ACTING_MS / 1000.0))
        course = math.radians(live.course_deg + live.turn_dps * (ACTING_MS / 1000.0))
        north += speed * math.cos(course) * rest_s
        east += speed * math.sin(course) * rest_s
    return moved(live.lat_deg, live.lon_deg, north, east)


def usual_heartbeat_ms(speed_mps: float) -> int:
    """The longest silence of a sender that has not said another."""
    return HEARTBEAT_MOVING_MS if speed_mps > 0.0 else HEARTBEAT_PARKED_MS


def bound_m(live: Live, now_ms: int, *, online: bool) -> float:
    """How far the prediction can be off at `now_ms`.

    While the device is linked and its heartbeats come, the sender's ε holds. Without them the vehicle may have
    gone anywhere: the bound grows by `SILENT_MPS` (144 km/h) from the last proof on.
    """
    heartbeat_ms = usual_heartbeat_ms(live.speed_mps) if live.heartbeat_s is None else live.heartbeat_s * 1000
    proven_ms = live.at_ms + (heartbeat_ms + SLACK_MS if online else 0)
    return live.eps_m + SILENT_MPS * max(0, now_ms - proven_ms) / 1000.0
