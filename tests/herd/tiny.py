"""A tiny MQTT 3.1.1 client on a bare asyncio protocol, as the agent's own `Link` and `Session`: 10,000 of them fit into two processes."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from wire.codec import encode_status
from wire.errors import LinkDownError, RefusedError, ServerDownError, UnavailableError
from wire.messages import Status
from wire.topics import Way, build, known

CONNECT_S, LOGIN_S, KEEPALIVE_S = 10.0, 20.0, 120
CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """One control packet."""
    size, length = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        length.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([kind << 4 | flags]) + bytes(length) + body


def connect(identity: str, secret: str, *, topic: str, will: bytes) -> bytes:
    """CONNECT with a clean session, name, password, and a last will that is retained."""
    flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02
    return packet(1, 0, b"\x00\x04MQTT\x04" + bytes([flags]) + struct.pack("!H", KEEPALIVE_S) + _text(identity) + _text(topic)
                  + struct.pack("!H", len(will)) + will + _text(identity) + _text(secret))  # fmt: skip


def split(data: bytearray) -> tuple[int, bytes] | None:
    """Take the first whole packet out: its first byte and its body."""
    size, shift = 0, 0
    for at in range(1, 5):
        if len(data) <= at:
            return None
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if not data[at] & 0x80:
            break
    if len(data) < at + 1 + size:
        return None
    head, body = data[0], bytes(data[at + 1 : at + 1 + size])
    del data[: at + 1 + size]
    return head, body


class TinySession(asyncio.Protocol):
    """One connection. What it is told goes to the inbox, as the agent's own session does it."""

    def __init__(self, identity: str, on_ack: Callable[[bytes], None]) -> None:
        self._identity, self._on_ack = identity, on_ack
        self._transport: asyncio.WriteTransport | None = None
        self._data = bytearray()
        self._mid = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[UnavailableError] = loop.create_future()
        self.logged_in: asyncio.Future[int] = loop.create_future()
        self.inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(64)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ServerDownError(f"connection closed: {exc or 'by the broker'}"))

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (one := split(self._data)) is not None:
            self._take(*one)

    def _take(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == CONNACK:
            if not self.logged_in.done():
                self.logged_in.set_result(body[1])
        elif kind in {PUBACK, SUBACK}:
            future = self._waiting.pop(struct.unpack("!H", body[:2])[0], None)
            if future is not None and not future.done():
                future.set_result(None)
        elif kind == PUBLISH:
            size = struct.unpack("!H", body[:2])[0]
            name, start = body[2 : 2 + size].decode().rpartition("/")[2], 2 + size
            if head & 0x06:
                self.write(packet(PUBACK, 0, body[start : start + 2]))
                start += 2
            if name == "ack":
                self._on_ack(body[start:])
            if not self.inbox.full():
                self.inbox.put_nowait((name, body[start:]))

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _acked(self) -> tuple[bytes, asyncio.Future[None]]:
        self._mid = self._mid % 65_535 + 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[self._mid] = future
        return struct.pack("!H", self._mid), future

    def subscribe(self, *filters: str) -> asyncio.Future[None]:
        mid, future = self._acked()
        self.write(packet(8, 2, mid + b"".join(_text(one) + b"\x01" for one in filters)))
        return future

    def publish(self, name: str, payload: bytes) -> asyncio.Future[None]:
        """QoS 1, whatever the table says, but for what has QoS 0."""
        topic, path = known(Way.UP, name), build(self._identity, Way.UP, name)
        if self.lost.done():
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(self.lost.result())
            failed.exception()
            return failed
        mid, future = self._acked()
        self.write(packet(PUBLISH, 2 | int(topic.retain), _text(path) + mid + payload))
        return future

    def drop(self, error: UnavailableError) -> None:
        """At once."""
        self._end(error)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Good-bye."""
        self.write(packet(14, 0, b""))
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: UnavailableError) -> None:
        waiting: list[asyncio.Future[Any]] = [self.logged_in, *self._waiting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()
        self._waiting.clear()
        if not self.lost.done():
            self.lost.set_result(error)


def _admitted(code: int) -> None:
    if code:
        raise RefusedError(f"the broker refuses this credential: {code}")


class TinyLink:
    """Opens connections for one identity."""

    def __init__(self, identity: str, secret: str, port: int, *, on_ack: Callable[[bytes], None]) -> None:
        self._identity, self._secret, self._port, self._on_ack = identity, secret, port, on_ack
        self.attempts = 0

    async def open(self, will: Status) -> TinySession:
        """Connect, log in, subscribe. The errors are those of the agent's own link."""
        self.attempts += 1
        try:
            async with asyncio.timeout(CONNECT_S):
                _, session = await asyncio.get_running_loop().create_connection(
                    lambda: TinySession(self._identity, self._on_ack), "127.0.0.1", self._port
                )
        except ConnectionError as error:
            raise ServerDownError(f"refuses connections: {error}") from None
        except (OSError, TimeoutError) as error:
            raise LinkDownError(f"can't be reached: {error}") from None
        try:
            async with asyncio.timeout(LOGIN_S):
                topic = build(self._identity, Way.UP, "status")
                session.write(connect(self._identity, self._secret, topic=topic, will=encode_status(will)))
                _admitted(await session.logged_in)
                await session.subscribe(*(build(self._identity, Way.DOWN, name) for name in ("ack", "cmd")))
        except TimeoutError:
            session.drop(LinkDownError("no answer to the login"))
            raise LinkDownError("no answer to the login") from None
        except BaseException:
            session.drop(LinkDownError("given up"))
            raise
        return session
