"""The embedded broker with clients of it, and clients that speak bytes."""

import asyncio
import contextlib
import struct

from hub.adapters.broker import EmbeddedBroker
from hub.core.registry import Registry
from tests.hub.makers import a_watch
from tests.hub.oracle import SECRETS
from wire.ops.mqtt import Connection, Login, Will, login
from wire.ops.watch import Watch


class Yard:
    """A broker, and clients of it."""

    def __init__(self) -> None:
        self.watch: Watch = a_watch()
        self.broker = EmbeddedBroker(self.watch, self.look_again)
        self.newer: Registry | None = None
        self.looks = 0
        self.port = 0
        self.open: list[Connection] = []
        self.got: dict[str, list[tuple[str, bytes]]] = {}

    async def look_again(self) -> None:
        self.looks += 1
        if self.newer is not None:
            self.broker.enforce(self.newer)

    def login(self, who: str, secret: str | None = None) -> Login:
        return login(f"mqtt://127.0.0.1:{self.port}", who, secret=SECRETS[who] if secret is None else secret)

    async def client(self, who: str, *, will: Will | None = None) -> Connection:
        inbox = self.got.setdefault(who, [])
        connection = await Connection.open(self.login(who), lambda t, p: inbox.append((t, p)), will=will)
        self.open.append(connection)
        return connection


def connect_packet(client_id: str, user: str | None, password: str | None, *, level: int = 4, flags: int = 0) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("!H", len(value)) + value.encode()

    flags |= 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    body = text("MQTT") + bytes([level, flags]) + struct.pack("!H", 30) + text(client_id)
    body += b"".join(text(value) for value in (user, password) if value is not None)
    return b"\x10" + bytes([len(body)]) + body


async def answer_to(yard: Yard, packet: bytes, *, wait_s: float = 3) -> bytes:
    """The broker's first bytes; empty if it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    writer.write(packet)
    try:
        return await asyncio.wait_for(reader.read(64), wait_s)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def raw_session(yard: Yard, who: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    writer.write(connect_packet(who, who, SECRETS[who]))
    assert await asyncio.wait_for(reader.readexactly(4), 3) == b"\x20\x02\x00\x00"
    return reader, writer


async def ended(reader: asyncio.StreamReader, within_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        while await asyncio.wait_for(reader.read(65_536), within_s):
            pass
