"""A bad line between agent and broker, behind one interface: packets through a TUN relay, or bytes through a TCP proxy.

Both keep one `Shape`; a fault is a change of it, and `up()` takes all of them back.
"""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

QUEUE_S = 2.0
"""So long may the queue before a slow line be; what does not fit is lost, as at a modem."""


@dataclass(slots=True)
class Shape:
    """What the line does now. `dead`: nothing passes; `mute`: nothing comes back; `deaf_bps`: who takes in so few bytes a second."""

    loss: float = 0.0
    one_way_s: float = 0.0
    bytes_per_s: float = 0.0
    dead: bool = False
    mute: bool = False
    refuse: bool = False
    resets_per_s: float = 0.0
    deaf_bps: float = 0.0


class Line(Protocol):
    """The line, and where each end is. A program in front of `prefix` runs at the vehicle's end."""

    shape: Shape
    prefix: list[str]
    broker_host: str

    async def start(self, broker_port: int) -> str:
        """Bring it up; gives the URL that the agent connects to."""

    async def stop(self) -> None:
        """Take it away."""

    def up(self) -> None:
        """The line is as good as new."""


def loss(line: Line, share: float) -> None:
    """So large a share of the packets goes, each way."""
    line.shape.loss = share


def delay(line: Line, round_trip_ms: float) -> None:
    """So long a round trip takes at least."""
    line.shape.one_way_s = round_trip_ms / 2000.0


def rate(line: Line, kbit_s: float) -> None:
    """So much passes, each way."""
    line.shape.bytes_per_s = kbit_s * 125.0


@dataclass(slots=True)
class Gate:
    """When something that comes now leaves one way of a line, behind what came before it; None if the queue is full."""

    free_at: float = 0.0
    last_at: float = 0.0

    def leaves_at(self, size: int, now: float, shape: Shape, *, bps: float = 0.0) -> float | None:
        """In order; a slow line takes its time for each byte."""
        speed = bps or shape.bytes_per_s
        begins = max(now, self.free_at)
        if speed and begins - now > QUEUE_S:
            return None
        self.free_at = begins + (size / speed if speed else 0.0)
        self.last_at = max(self.last_at, self.free_at + shape.one_way_s)
        return self.last_at


class ProxyLine:
    """A TCP proxy on loopback, for machines without root. A lost packet is here a pause as long as its repetition takes."""

    def __init__(self, chance: random.Random) -> None:
        self.shape, self.prefix, self.broker_host = Shape(), list[str](), "127.0.0.1"
        self._chance = chance
        self._target = 0
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self._resetting: asyncio.Task[None] | None = None

    async def start(self, broker_port: int) -> str:
        """Listen on a free port."""
        self._target = broker_port
        await self._listen()
        self._resetting = asyncio.create_task(self._reset())
        return f"mqtt://127.0.0.1:{self._port}"

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all."""
        if self._server is not None:
            self._server.close()
        for task in [*self._tasks, *([self._resetting] if self._resetting else [])]:
            task.cancel()
        await asyncio.gather(*self._tasks, *([self._resetting] if self._resetting else []), return_exceptions=True)

    def up(self) -> None:
        """Good as new."""
        self.shape = Shape()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _reset(self) -> None:
        """Refusing and resetting are done from outside of the connections."""
        while True:
            await asyncio.sleep(0.02)
            shape = self.shape
            if shape.refuse != (self._server is None):
                if self._server is not None:
                    self._server.close()
                    self._server = None
                    self._abort()
                else:
                    await self._listen()
            if shape.resets_per_s and self._chance.random() < shape.resets_per_s * 0.02:
                self._abort()

    def _abort(self) -> None:
        for writer in list(self._open):
            end = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._open.add(writer)
        try:
            while self.shape.dead:
                await self._passable(reader)
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far)
            self._open.add(far)
            ways = [asyncio.ensure_future(self._pump(reader, far, up=True)),
                    asyncio.ensure_future(self._pump(far_reader, writer, up=False))]  # fmt: skip
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, EOFError):
            pass  # an end that goes takes the other with it
        finally:
            for end in ends:
                self._open.discard(end)
                end.close()

    async def _passable(self, reader: asyncio.StreamReader) -> None:
        """Wait for a change. Who has hung up meanwhile never gets through."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await self._changed.wait()
        if reader.at_eof():
            raise EOFError

    def _stuck(self, *, up: bool) -> bool:
        return self.shape.dead or (self.shape.mute and not up)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        gate, now = Gate(), asyncio.get_running_loop().time
        while chunk := await reader.read(1448):
            while self._stuck(up=up):
                await self._passable(reader)
            shape = self.shape
            leaves = gate.leaves_at(len(chunk) + 52, now(), shape, bps=shape.deaf_bps if up else 0.0)
            due = gate.free_at if leaves is None else leaves
            again_s = 0.2
            while self._chance.random() < shape.loss and again_s < 2:
                due, again_s = due + again_s, again_s * 2
            gate.last_at = max(gate.last_at, due)
            await asyncio.sleep(due - now())
            while self._stuck(up=up):
                await self._passable(reader)
            writer.write(chunk)
            await writer.drain()
