"""Readable messages to bytes and back: live, event, ack, status, command. Raises DecodeError and nothing else.

Every message is one flat JSON object with a version. Unknown keys are ignored, so that a newer sender can add some.
Numbers are checked for range; NaN and infinity do not pass. The track batch has a file of its own, `wire.track`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from wire.errors import DecodeError
from wire.messages import Ack, Command, CommandOutcome, Event, Live, Status

VERSION = 1
MAX_TIME_MS = 1 << 43
MAX_SEQ = 1 << 53
MOST_DAYS = 62
_STORE_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _constant(name: str) -> NoReturn:
    raise DecodeError("not-finite", "json", name)


def load_object(payload: bytes, *, max_bytes: int) -> dict[str, Any]:
    """One JSON object in UTF-8, bounded in size; nesting and number bombs end in DecodeError too."""
    if len(payload) > max_bytes:
        raise DecodeError("too-long", "json", f"{len(payload)} > {max_bytes} bytes")
    try:
        value = json.loads(payload.decode(), parse_constant=_constant)  # bytes would pass as UTF-16, or with half pairs
        if b"\\ud" in payload.lower():  # half of a surrogate pair is no text: it could not be written again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DecodeError("not-json", "json", str(error)[:80]) from None
    if not isinstance(value, dict):
        raise DecodeError("not-an-object", "json")
    return value


def dump(value: Mapping[str, object] | list[object]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def number(data: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """A finite number within [low, high]."""
    value = data.get(key)
    if value is None:
        raise DecodeError("missing", key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError("not-a-number", key)
    if not low <= value <= high:
        raise DecodeError("out-of-range", key)
    return float(value) if isinstance(value, float) else value


def integer(data: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """A whole number within [low, high]."""
    value = number(data, key, low, high)
    if not isinstance(value, int):
        raise DecodeError("not-an-integer", key)
    return value


def text(data: Mapping[str, Any], key: str, *, longest: int) -> str:
    """A string of at most `longest` characters, not empty."""
    value = data.get(key)
    if value is None:
        raise DecodeError("missing", key)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise DecodeError("not-a-text", key)
    return value


def store_id(data: Mapping[str, Any], key: str) -> str:
    """A 64-bit value in base64url without padding: 11 characters."""
    value = text(data, key, longest=11)
    if len(value) != 11 or not _STORE_CHARS.issuperset(value):
        raise DecodeError("not-a-store-id", key)
    return value


def _optional(data: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    return None if data.get(key) is None else number(data, key, low, high)


def version(data: Mapping[str, Any]) -> None:
    """Refuses a message of a version that this code does not know."""
    if integer(data, "v", 0, 255) != VERSION:
        raise DecodeError("unknown-version", "v", str(data["v"]))


def _short(value: float, digits: int) -> float:
    rounded = round(value, digits)
    return int(rounded) if rounded == math.trunc(rounded) else rounded


def encode_live(live: Live) -> bytes:
    """The live message as sent. `wire.predict` continues what `decode_live` gives back, rounding included."""
    out: dict[str, object] = {
        "v": VERSION,
        "t": live.at_ms,
        "lat": round(live.lat_deg, 6),
        "lon": round(live.lon_deg, 6),
    }
    if live.alt_m is not None:
        out["alt"] = round(live.alt_m)
    out["spd"] = _short(live.speed_mps, 2)
    out["crs"] = _short(live.course_deg % 360.0, 1) % 360
    if live.accuracy_m is not None:
        out["acc"] = _short(live.accuracy_m, 1)
    if accel := _short(live.accel_mps2, 2):
        out["a"] = accel
    if turn := _short(live.turn_dps, 1):
        out["w"] = turn
    out["eps"] = _short(live.eps_m, 1)
    if live.rpm is not None:
        out["rpm"] = round(live.rpm)
    if live.ignition is not None:
        out["ign"] = int(live.ignition)
    if live.waiting is not None:
        out["q"] = live.waiting
    if live.driver is not None:
        out["drv"] = live.driver
    if live.heartbeat_s is not None:
        out["hb"] = live.heartbeat_s
    return dump(out)


def decode_live(payload: bytes) -> Live:
    """A live message; DecodeError names the field that is wrong."""
    data = load_object(payload, max_bytes=1024)
    version(data)
    ignition, waiting = _optional(data, "ign", 0, 1), data.get("q")
    return Live(
        at_ms=integer(data, "t", 0, MAX_TIME_MS),
        lat_deg=number(data, "lat", -90, 90),
        lon_deg=number(data, "lon", -180, 180),
        speed_mps=number(data, "spd", 0, 1000),
        course_deg=number(data, "crs", 0, 360),
        accel_mps2=_optional(data, "a", -100, 100) or 0.0,
        turn_dps=_optional(data, "w", -360, 360) or 0.0,
        alt_m=_optional(data, "alt", -10_000, 100_000),
        accuracy_m=_optional(data, "acc", 0, 1_000_000),
        eps_m=number(data, "eps", 0, 100_000),
        rpm=_optional(data, "rpm", 0, 20_000),
        ignition=None if ignition is None else bool(ignition),
        waiting=None if waiting is None else integer(data, "q", 0, MAX_SEQ),
        driver=None if data.get("drv") is None else text(data, "drv", longest=32),
        heartbeat_s=None if data.get("hb") is None else integer(data, "hb", 1, 86_400),
    )


def moment(event: Event) -> int | list[str | int | None]:
    """When an event was: UTC, or, while that is unknown, `[boot, ms of the clock that never steps]`."""
    return event.at_ms if event.at_ms is not None else [event.boot, event.mono_ms]


def moment_of(data: Mapping[str, Any]) -> tuple[int | None, str | None, int | None]:
    """The inverse of `moment`: UTC, boot and monotonic time."""
    told = data.get("t")
    if not isinstance(told, list):
        return integer(data, "t", 0, MAX_TIME_MS), None, None
    if len(told) != 2:
        raise DecodeError("not-a-moment", "t")
    pair = {"boot": told[0], "t": told[1]}
    return None, text(pair, "boot", longest=16), integer(pair, "t", 0, MAX_TIME_MS)


def encode_event(store: str, event: Event) -> bytes:
    """The fast copy of an event record."""
    out: dict[str, object] = {"v": VERSION, "s": store, "n": event.seq, "t": moment(event), "k": event.kind}
    if event.lat_deg is not None and event.lon_deg is not None:
        out |= {"lat": round(event.lat_deg, 7), "lon": round(event.lon_deg, 7)}
    if event.detail:
        out["d"] = dict(event.detail)
    return dump(out)


def decode_event(payload: bytes) -> tuple[str, Event]:
    """Store id and event."""
    data = load_object(payload, max_bytes=4096)
    version(data)
    at_ms, boot, mono_ms = moment_of(data)
    return store_id(data, "s"), Event(
        boot=boot,
        mono_ms=mono_ms,
        seq=integer(data, "n", 1, MAX_SEQ),
        at_ms=at_ms,
        kind=text(data, "k", longest=32),
        lat_deg=_optional(data, "lat", -90, 90),
        lon_deg=_optional(data, "lon", -180, 180),
        detail=detail_of(data.get("d")),
    )


def detail_of(value: object) -> dict[str, object]:
    """The free part of an event: an object, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecodeError("not-an-object", "d")
    level: list[object] = [value]
    while level:  # 1e999 is infinite without saying so, and could not be written again
        if any(isinstance(one, float) and math.isinf(one) for one in level):
            raise DecodeError("not-finite", "d")
        held = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in held for inner in (one.values() if isinstance(one, dict) else one)]
    return value


def encode_ack(ack: Ack) -> bytes:
    """What the hub says after its commit."""
    pairs = {
        "store": ack.store, "upto": ack.upto, "h": ack.h, "events": list(ack.events) or None,
        "live": ack.live_ms, "bad": ack.bad, "retry_after": ack.retry_after_s,
    }  # fmt: skip
    return dump({"v": VERSION} | {key: value for key, value in pairs.items() if value is not None})


def decode_ack(payload: bytes) -> Ack:
    """An ack, as the agent reads it."""
    data = load_object(payload, max_bytes=8192)
    version(data)
    events = data.get("events") or []
    if not isinstance(events, list):
        raise DecodeError("not-a-list", "events")
    live_ms, upto = data.get("live"), data.get("upto")
    return Ack(
        store=store_id(data, "store"),
        upto=None if upto is None else integer(data, "upto", 0, MAX_SEQ),
        h=None if data.get("h") is None else store_id(data, "h"),
        events=tuple(integer({"events": seq}, "events", 1, MAX_SEQ) for seq in events),
        live_ms=None if live_ms is None else integer(data, "live", 0, MAX_TIME_MS),
        bad=None if data.get("bad") is None else text(data, "bad", longest=64),
        retry_after_s=_optional(data, "retry_after", 0, 86_400),
    )


def encode_status(status: Status) -> bytes:
    """Presence; the offline form is also the last will."""
    out: dict[str, object] = {"v": VERSION, "on": status.online, "conn": status.connection}
    if status.online:
        out |= {
            "ver": status.version, "store": status.store, "seq": status.newest_seq,
            "rec": status.recorded, "up_s": _short(status.upload_s, 1),
        }  # fmt: skip
        if status.days:
            out["days"] = status.days[-MOST_DAYS:]
    elif status.reason:
        out["why"] = status.reason
    return dump(out)


def decode_status(payload: bytes) -> Status:
    """A status, or a last will."""
    data = load_object(payload, max_bytes=2048)
    version(data)
    online = data.get("on")
    if online is None:
        raise DecodeError("missing", "on")
    if not isinstance(online, bool):
        raise DecodeError("not-a-boolean", "on")
    connection = text(data, "conn", longest=32)
    if not online:
        why = data.get("why")
        return Status(online=False, connection=connection, reason=why[:64] if isinstance(why, str) else "")
    return Status(
        online=True,
        connection=connection,
        version=text(data, "ver", longest=32),
        store=store_id(data, "store"),
        newest_seq=integer(data, "seq", 0, MAX_SEQ),
        recorded=integer(data, "rec", 0, MAX_SEQ),
        upload_s=number(data, "up_s", 0, 86_400),
        days=_days(data),
    )


def _days(data: Mapping[str, object]) -> tuple[tuple[int, int], ...]:
    """Pairs of a day and its last seq, the seqs rising."""
    pairs = data.get("days") or []
    if not isinstance(pairs, list) or len(pairs) > MOST_DAYS:
        raise DecodeError("not-a-list", "days")
    found: list[tuple[int, int]] = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise DecodeError("not-a-pair", "days")
        one = {"day": pair[0], "days": pair[1]}
        least = found[-1][1] + 1 if found else 1
        found.append((integer(one, "day", 0, MAX_TIME_MS // 86_400_000), integer(one, "days", least, MAX_SEQ)))
    return tuple(found)


def encode_command(command: Command) -> bytes:
    """What the hub asks of a device."""
    out: dict[str, object] = {"v": VERSION, "id": command.id, "op": command.op}
    if command.eps_m is not None:
        out["eps"] = _short(command.eps_m, 1)
    if command.until_ms is not None:
        out["until"] = command.until_ms
    return dump(out)


def decode_command(payload: bytes) -> Command:
    """A command. An `op` that is not known is left to the agent to refuse; those that are known have their values."""
    data = load_object(payload, max_bytes=4096)
    version(data)
    op, watch = text(data, "op", longest=32), data.get("op") == "watch"
    return Command(
        id=text(data, "id", longest=32),
        op=op,
        eps_m=number(data, "eps", 1, 1000) if watch else None,
        until_ms=integer(data, "until", 0, MAX_TIME_MS) if watch else None,
    )


def encode_outcome(outcome: CommandOutcome) -> bytes:
    """What became of a command."""
    out: dict[str, object] = {"v": VERSION, "id": outcome.id, "ok": outcome.ok}
    return dump(out | ({"why": outcome.why} if outcome.why else {}))


def decode_outcome(payload: bytes) -> CommandOutcome:
    """What became of a command, as the hub reads it."""
    data = load_object(payload, max_bytes=4096)
    version(data)
    done = data.get("ok")
    if not isinstance(done, bool):
        raise DecodeError("missing" if done is None else "not-a-boolean", "ok")
    why = data.get("why")
    return CommandOutcome(text(data, "id", longest=32), done, why[:64] if isinstance(why, str) else "")
