"""Frames of the stream protocol `odograph.v1`: JSON texts, parsed and made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hub.core.marks import StoredEvent
from hub.core.windows import Window, parse
from wire.codec import dump, integer, load_object, text
from wire.errors import DecodeError

SUBPROTOCOL = "odograph.v1"
VERSION = 1
MAX_FRAME_BYTES = 16_384
MAX_ID = 1 << 31

CLOSE_AUTH = 4001
CLOSE_SLOW = 4008
CLOSE_FLOOD = 4009
CLOSE_BUSY = 4013
CLOSE_GOING = 1001


class FrameError(DecodeError):
    """A frame that can't be done: a code of the protocol, and the subscription it belongs to."""

    code: ClassVar[str] = "bad_frame"

    def __init__(self, word: str, message: str, *, sub: int | None = None) -> None:
        super().__init__(word, "", message)
        self.word = word
        self.message = message
        self.sub = sub


@dataclass(frozen=True, slots=True)
class Auth:
    """The token, as the first frame."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sub:
    """Subscribe to vehicles in a window."""

    id: int
    window: Window


@dataclass(frozen=True, slots=True)
class SubEvents:
    """Subscribe to events after a cursor."""

    id: int
    after: str | None
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Move:
    """Look at something else with an existing subscription."""

    id: int
    window: Window


@dataclass(frozen=True, slots=True)
class Unsub:
    """End a subscription."""

    id: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered with `pong`."""


Frame = Auth | Sub | SubEvents | Move | Unsub | Ping


def _window(data: Mapping[str, Any], sub: int) -> Window:
    try:
        return parse(data.get("where"), data.get("tags"))
    except DecodeError as error:
        raise FrameError("bad_where", str(error), sub=sub) from None


def _events(data: Mapping[str, Any], sub: int) -> SubEvents:
    after, kinds = data.get("after"), data.get("kinds") or []
    if (after is not None and not isinstance(after, str)) or not isinstance(kinds, list) or len(kinds) > 64:
        raise FrameError("bad_where", "after wants a text, kinds a list", sub=sub)
    return SubEvents(sub, after, frozenset(str(kind) for kind in kinds))


def read(raw: str) -> Frame:
    """A client's frame. Raises FrameError with the code that the client gets."""
    try:
        data = load_object(raw.encode("utf-8", "surrogatepass"), max_bytes=MAX_FRAME_BYTES)
        op = text(data, "op", longest=16)
        if op == "ping":
            return Ping()
        if op == "auth":
            return Auth(text(data, "token", longest=256))
        sub = integer(data, "id", 0, MAX_ID) if op in {"sub", "window", "unsub"} else None
    except DecodeError as error:
        raise FrameError("bad_frame", str(error)) from None
    if sub is None:
        raise FrameError("unsupported", f"no such op: {op}")
    if op == "unsub":
        return Unsub(sub)
    return Move(sub, _window(data, sub)) if op == "window" else _sub(data, sub)


def _sub(data: Mapping[str, Any], sub: int) -> Frame:
    topic = data.get("topic")
    if topic == "events":
        return _events(data, sub)
    if topic != "vehicles":
        raise FrameError("unsupported", "topic wants vehicles or events", sub=sub)
    return Sub(sub, _window(data, sub))


def _made(**frame: object) -> str:
    return dump(frame).decode()


def hello(at_ms: int) -> str:
    """The first frame of the hub, after the token was taken."""
    return _made(op="hello", v=VERSION, at=at_ms)


def _many(op: str, sub: int, at_ms: int, vehicles: Iterable[str]) -> str:
    """Vehicles are JSON already, made once for all clients."""
    return f'{{"op":"{op}","id":{sub},"at":{at_ms},"vehicles":[{",".join(vehicles)}]}}'


def snapshot(sub: int, at_ms: int, vehicles: Iterable[str]) -> str:
    """Everything in the window now."""
    return _many("snapshot", sub, at_ms, vehicles)


def moves(sub: int, at_ms: int, vehicles: Iterable[str]) -> str:
    """The newest state of vehicles that changed."""
    return _many("moves", sub, at_ms, vehicles)


def leave(sub: int, vehicles: Iterable[str]) -> str:
    """Vehicles that are no longer in the window."""
    return _made(op="leave", id=sub, veh=list(vehicles))


def pong(at_ms: int) -> str:
    """The answer to a ping."""
    return _made(op="pong", at=at_ms)


def bye(retry_ms: int) -> str:
    """The hub goes; come back after a while."""
    return _made(op="bye", retry_ms=retry_ms)


def error(word: str, message: str, *, sub: int | None = None) -> str:
    """A refusal, for a subscription or for the whole connection."""
    return _made(op="error", id=sub, code=word, message=message)


def cursor(epoch: int, pos: int) -> str:
    """A place in a fleet's log of events."""
    return f"{epoch}:{pos}"


def cursor_pos(after: str, epoch: int) -> int | None:
    """The position of a cursor; None if it belongs to another epoch or is none."""
    known, colon, pos = after.partition(":")
    if not colon or known != str(epoch) or not (pos.isascii() and pos.isdigit()) or len(pos) > 18:
        return None
    return int(pos)


def recovered(sub: int, *, ok: bool, at: str) -> str:
    """Whether the log goes on after the client's cursor without a gap; `cursor` is where it goes on."""
    return _made(op="recovered", id=sub, ok=ok, cursor=at)


def event(sub: int, epoch: int, stored: StoredEvent) -> str:
    """One event of the log."""
    return _made(op="event", id=sub, cursor=cursor(epoch, stored.pos or 0), **event_fields(stored))


def event_fields(stored: StoredEvent) -> dict[str, object]:
    """An event as the stream and the API show it."""
    told = stored.event
    fields: dict[str, object] = {
        "veh": stored.vehicle, "device": stored.device, "t": told.at_ms, "kind": told.kind,
        "lat": told.lat_deg, "lon": told.lon_deg, "detail": dict(told.detail), "rx": stored.received_ms,
    }  # fmt: skip
    return fields if told.boot is None else fields | {"provisional": True}
