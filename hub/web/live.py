"""The stream: WebSocket clients on the board of their fleet."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from hub.core import access, frames
from hub.core.fanout import Viewer
from hub.core.registry import Token
from hub.ports import Surroundings
from hub.web.doors import admitted
from wire.errors import UnavailableError

AUTH_S = 5.0
LOOK_S = 1.0
BYE_S = 1.0
EVENTS_AT_ONCE = 100
MOST_REPLIES = 64
RETRY_MS = 1000
MOST_UNSIGNED = 100


class _ClosedError(Exception):
    """The client is to be closed: a code, a word for the counter, and the last frame, sent when nobody else sends."""

    def __init__(self, code: int, reason: str, *, last: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.last = code, reason, last


def _no_room() -> _ClosedError:
    last = frames.error("too_many", "this hub has no room for more clients")
    return _ClosedError(frames.CLOSE_BUSY, "busy", last=last)


@dataclass(slots=True)
class _Log:
    pos: int
    kinds: frozenset[str]


class _Client:
    """One client, from hello to close."""

    def __init__(self, socket: WebSocket, around: Surroundings) -> None:
        self._socket = socket
        self._around = around
        self._wake = asyncio.Event()
        self._replies: deque[str] = deque()
        self._logs: dict[int, _Log] = {}
        self._bucket = access.bucket(around.client_rate, around.client_rate, around.utc_ms())
        self._secret = ""
        self._epoch = 0
        self._going = False
        self._patience: asyncio.Timeout | None = None
        self._hurried = False

    def hurry(self) -> None:
        """No more time to sign in: others want the place."""
        self._hurried = True
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    def leave(self) -> None:
        """The hub goes: say good-bye next."""
        self._going = True
        self._wake.set()

    async def run(self, token: Token) -> None:
        """Serve until either side ends it."""
        self._around.watch("stream.opened")
        self._epoch = await self._around.store.epoch()
        board = self._around.board(token.fleet)
        viewer = board.join(self._wake.set)
        try:
            await self._send(frames.hello(self._around.utc_ms()))
            await self._both(self._read(viewer, token), self._write(viewer, token))
        finally:
            board.quit(viewer)

    async def _both(self, *works: Coroutine[None, None, None]) -> None:
        """Until one ends; a reason of our own to close comes before that the client is gone."""
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        faults = [end for end in ends if isinstance(end, Exception)]
        for fault in sorted(faults, key=lambda one: not isinstance(one, _ClosedError)):
            raise fault

    async def sign_in(self) -> Token:
        """The token that the client shows, in the header or in a first frame, within a short time."""
        token = None
        try:
            async with asyncio.timeout(AUTH_S) as self._patience:
                self._secret = access.bearer(self._socket.headers.get("authorization")) or await self._first_frame()
                token = await admitted(self._around, self._secret)
        except TimeoutError:
            pass
        finally:
            self._patience = None
        if token is None and self._hurried:
            raise _no_room()
        if token is None:
            last = frames.error("auth", "this wants a token: a first frame {op: auth, token}")
            raise _ClosedError(frames.CLOSE_AUTH, "auth", last=last)
        return token

    async def _first_frame(self) -> str:
        try:
            first = frames.read(await self._receive())
        except frames.FrameError:
            return ""
        return first.token if isinstance(first, frames.Auth) else ""

    async def _receive(self) -> str:
        message: Any = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise frames.FrameError("bad_frame", "frames are texts")
        return str(text)

    async def _send(self, frame: str) -> None:
        try:
            async with asyncio.timeout(self._around.client_silent_s):
                await self._socket.send_text(frame)
        except TimeoutError:
            raise _ClosedError(frames.CLOSE_SLOW, "slow") from None

    async def _read(self, viewer: Viewer, token: Token) -> None:
        while True:
            try:
                raw = await self._receive()
                self._bucket, given = access.take(self._bucket, self._around.utc_ms())
                if not given or len(self._replies) >= MOST_REPLIES:
                    last = frames.error("too_many", "too many frames")
                    raise _ClosedError(frames.CLOSE_FLOOD, "flood", last=last)
                reply = await self._one(frames.read(raw), viewer, token)
            except frames.FrameError as error:
                self._around.watch("stream.refused", code=error.word)
                reply = frames.error(error.word, error.message, sub=error.sub)
            except UnavailableError as error:
                reply = frames.error("unavailable", str(error))
            if reply:
                self._replies.append(reply)
                self._wake.set()

    async def _one(self, frame: frames.Frame, viewer: Viewer, token: Token) -> str:
        now_ms = self._around.utc_ms()
        match frame:
            case frames.Ping():
                return frames.pong(now_ms)
            case frames.Sub():
                self._unused(frame.id)
                return viewer.subscribe(frame.id, frame.window, now_ms)
            case frames.Move():
                return viewer.move(frame.id, frame.window, now_ms)
            case frames.Unsub():
                if self._logs.pop(frame.id, None) is None:
                    viewer.unsubscribe(frame.id)
                return ""
            case frames.SubEvents():
                return await self._log(frame, viewer, token)
            case _:
                raise frames.FrameError("bad_frame", "the token was taken already")

    def _unused(self, sub: int) -> None:
        if sub in self._logs:
            raise frames.FrameError("bad_frame", "this id is in use", sub=sub)

    async def _log(self, frame: frames.SubEvents, viewer: Viewer, token: Token) -> str:
        self._unused(frame.id)
        viewer.free(frame.id, len(self._logs))
        newest = await self._around.store.last_pos(token.fleet)
        pos = newest if frame.after is None else frames.cursor_pos(frame.after, self._epoch)
        ok = pos is not None and pos <= newest
        start = pos if ok and pos is not None else newest
        self._logs[frame.id] = _Log(start, frame.kinds)
        self._around.board(token.fleet).rang(newest)
        return frames.recovered(frame.id, ok=ok, at=frames.cursor(self._epoch, start))

    async def _write(self, viewer: Viewer, token: Token) -> None:
        board = self._around.board(token.fleet)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._going:
                raise _ClosedError(frames.CLOSE_GOING, "bye", last=frames.bye(RETRY_MS))
            if access.token_of(self._around.registry(), self._secret, self._around.utc_ms()) is None:
                last = frames.error("auth", "the token does not hold any more")
                raise _ClosedError(frames.CLOSE_AUTH, "auth", last=last)
            while self._replies or viewer.pending:
                while self._replies:
                    await self._send(self._replies.popleft())
                for frame in viewer.drain(self._around.utc_ms()):
                    await self._send(frame)
                    self._around.watch("stream.moves")
            for sub, log in list(self._logs.items()):
                while log.pos < board.pos and await self._some_events(sub, log, token):
                    pass

    async def _some_events(self, sub: int, log: _Log, token: Token) -> bool:
        try:
            events = await self._around.store.events_after(token.fleet, log.pos, EVENTS_AT_ONCE)
        except UnavailableError:
            return False
        for event in events:
            log.pos = event.pos or log.pos
            if not log.kinds or event.event.kind in log.kinds:
                await self._send(frames.event(sub, self._epoch, event))
        return bool(events)


class Streams:
    """All clients of this process.

    Who has not signed in yet takes no place of those who have; of too many, the one that waits longest has to go.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._open: set[_Client] = set()
        self._unsigned: dict[_Client, None] = {}

    @property
    def count(self) -> int:
        """How many are signed in."""
        return len(self._open)

    async def serve(self, socket: WebSocket) -> None:
        """One connection."""
        offered = socket.headers.get("sec-websocket-protocol", "")
        named = frames.SUBPROTOCOL in [word.strip() for word in offered.split(",")]
        await socket.accept(subprotocol=frames.SUBPROTOCOL if named else None)
        client = _Client(socket, self._around)
        try:
            token = await self._signed_in(client)
            self._open.add(client)
            await client.run(token)
        except _ClosedError as error:
            self._around.watch("stream.closed", reason=error.reason)
            await self._shut(socket, error.code, last=error.last)
        except (WebSocketDisconnect, OSError):
            self._around.watch("stream.closed", reason="gone")
        except UnavailableError:
            await self._shut(socket, frames.CLOSE_GOING)
        finally:
            self._open.discard(client)

    async def _signed_in(self, client: _Client) -> Token:
        if len(self._unsigned) >= MOST_UNSIGNED:
            oldest = next(iter(self._unsigned))
            del self._unsigned[oldest]
            oldest.hurry()
        self._unsigned[client] = None
        try:
            token = await client.sign_in()
        finally:
            self._unsigned.pop(client, None)
        if len(self._open) >= self._around.stream_clients:
            raise _no_room()
        return token

    async def _shut(self, socket: WebSocket, code: int, *, last: str = "") -> None:
        with contextlib.suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(LOOK_S):
                if last:
                    await socket.send_text(last)
                await socket.close(code)

    async def bye(self) -> None:
        """The hub goes: tell everybody, and give them a moment."""
        for client in self._open:
            client.leave()
        for client in self._unsigned:
            client.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BYE_S):
                while self._open:  # noqa: ASYNC110  # at most BYE_S, once in a process's life
                    await asyncio.sleep(0.01)
