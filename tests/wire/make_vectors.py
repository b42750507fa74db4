"""Writes tests/recordings/predict.json: states, times, and where `wire.predict` says the vehicle is. Run when the contract changes."""

import json
import random
from pathlib import Path

from wire.codec import decode_live, encode_live
from wire.messages import Live
from wire.predict import predict

OUT = Path(__file__).parent.parent / "recordings" / "predict.json"


def vectors() -> list[dict[str, object]]:
    """Random states of a fixed seed, with the corners put in front."""
    chance = random.Random(20_261_122)
    states = [
        Live(1_760_000_000_000, 41.2875786, -96.0888748, 0.0, 128.4),
        Live(1_760_000_000_000, 41.2875786, -96.0888748, 13.41, 271.3),
        Live(1_760_000_000_000, 41.2875786, -96.0888748, 3.0, 90.0, -2.0, 0.0),
        Live(1_760_000_000_000, 41.2875786, -96.0888748, 0.0, 90.0, 1.5, 0.0),
        Live(1_760_000_000_000, 0.0, 179.9999, 30.0, 90.0, 0.5, 10.0),
        Live(1_760_000_000_000, 0.0, -179.9999, 30.0, 270.0),
        Live(1_760_000_000_000, 89.99999, 0.0, 20.0, 0.0),
        Live(1_760_000_000_000, -45.0, 10.0, 20.0, 359.9, -0.3, -20.0),
    ]
    states += [
        Live(
            1_760_000_000_000 + chance.randrange(10**9), chance.uniform(-80, 80), chance.uniform(-180, 180),
            chance.choice([0.0, chance.uniform(0, 45)]), chance.uniform(0, 360),
            chance.choice([0.0, chance.uniform(-6, 4)]), chance.choice([0.0, chance.uniform(-40, 40)]),
        )
        for _ in range(120)
    ]  # fmt: skip
    out: list[dict[str, object]] = []
    for i, state in enumerate(states):
        live = decode_live(encode_live(state))
        lapse_ms = (0, 250, 1000, 1999, 2000, 2001, 5000, 60_000, -500)[i % 9]
        lat, lon = predict(live, live.at_ms + lapse_ms)
        out.append({
            "live": {"t": live.at_ms, "lat": live.lat_deg, "lon": live.lon_deg, "spd": live.speed_mps,
                     "crs": live.course_deg, "a": live.accel_mps2, "w": live.turn_dps, "eps": live.eps_m},
            "at_ms": live.at_ms + lapse_ms, "lat": lat, "lon": lon,
        })  # fmt: skip
    return out


if __name__ == "__main__":
    OUT.write_text("[\n" + ",\n".join(json.dumps(vector) for vector in vectors()) + "\n]\n", encoding="utf-8")
