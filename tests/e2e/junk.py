"""What no gateway sends: bad words for the lanes of a device, each with the reason that it is counted under."""

import json
import random

from tests.e2e.scene import live_of

NOISE = random.Random(1)  # no secret


def text(data: object) -> bytes:
    """JSON that may hold what JSON may not: NaN, infinity."""
    return json.dumps(data).encode()


def bad_words() -> list[tuple[str, bytes, str]]:
    """Topic, payload, and the reason that it is counted under."""
    event = {"v": 1, "s": "AAAAAAAAAAE", "n": 1, "t": 1, "k": "sos"}
    status = {"v": 1, "on": True, "conn": "c1", "ver": "1", "store": "AAAAAAAAAAE", "seq": 1, "rec": 1, "up_s": 1}
    return [
        ("live", b"{", "not-json"),
        ("live", b"\xff\xfe\x00", "not-json"),
        ("live", b"[" * 1000, "not-json"),
        ("live", b"[1]", "not-an-object"),
        ("live", text(live_of(lat=float("nan"))), "not-finite"),
        ("live", text(live_of(spd=float("inf"))), "not-finite"),
        ("live", b'{"v":1,"t":1,"lat":1e999,"lon":1,"spd":0,"crs":0,"eps":1}', "out-of-range"),
        ("live", text(live_of(lat=91)), "out-of-range"),
        ("live", text(live_of(lon="13")), "not-a-number"),
        ("live", text(live_of(spd=None)), "missing"),
        ("live", text(live_of(t=1.5)), "not-an-integer"),
        ("live", text(live_of(t=-1)), "out-of-range"),
        ("live", text(live_of(v=2)), "unknown-version"),
        ("live", b" " * 1025, "too-long"),
        ("live", NOISE.randbytes(60_000), "too-long"),
        ("event", b"null", "not-an-object"),
        ("event", text(event | {"n": 0}), "out-of-range"),
        ("event", text(event | {"k": "x" * 33}), "not-a-text"),
        ("event", text(event | {"d": [1]}), "not-an-object"),
        ("event", b'{"v":1,"s":"AAAAAAAAAAE","n":1,"t":1,"k":"\\ud800"}', "not-json"),
        ("event", text(event | {"s": "../../x"}), "not-a-store-id"),
        ("event", b'{"a":' * 800, "not-json"),
        ("event", b"x" * 4097, "too-long"),
        ("status", text(status | {"on": "yes"}), "not-a-boolean"),
        ("status", text(status | {"store": 5}), "not-a-text"),
        ("status", text(status | {"seq": 1 << 60}), "out-of-range"),
        ("status", text({"v": 1}), "missing"),
        ("status", b"9" * 2000, "not-an-object"),
        ("status", b"x" * 2049, "too-long"),
        ("track", NOISE.randbytes(65_537), "too-long"),
    ]
