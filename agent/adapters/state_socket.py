"""How the running agent is spoken to from its own machine: a socket beside the outbox, one JSON object each way.

Who says nothing and closes its half is told the state, as `odograph-agent status` shows it; a line `{"do": …}` is an order.
A socket and not a file: asking costs no write on the flash card. Only the agent's own user may connect.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from wire.errors import UnavailableError

ASK_S = 3.0
REPLY_S = 5.0
REQUEST_S = 1.0
LONGEST_ANSWER = 65_536
LONGEST_REQUEST = 4_096

Order = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Takes the request, and gives the answer."""


def socket_path(outbox: Path) -> Path:
    """Where the agent of this outbox answers."""
    return outbox.with_suffix(".sock")


async def answer(
    path: Path, state: Callable[[], Mapping[str, object]], orders: Mapping[str, Order] | None = None
) -> None:
    """Serve the state, and obey the orders, until cancelled. Raises UnavailableError when there can be no such socket."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):  # who asks and does not wait for the answer gets none
            request = await _request(reader)
            order = (orders or {}).get(str(request.get("do")))
            said = state() if not request else {"error": "unknown order"} if order is None else await order(request)
            writer.write(json.dumps(said).encode() + b"\n")
            async with asyncio.timeout(REPLY_S):
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(reply, sock=_listening(path), limit=LONGEST_REQUEST)
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


async def _request(reader: asyncio.StreamReader) -> dict[str, object]:
    """What is asked for; empty for the state. Who says nothing and stays gets the state after a moment."""
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REQUEST_S):
            try:
                line = await reader.readline()
            except ValueError:  # longer than any order
                return {"do": ""}
    try:
        value = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError):
        return {"do": ""}
    return value if isinstance(value, dict) else {"do": ""}


def _listening(path: Path) -> socket.socket:
    """A socket that is its owner's from its first moment: the mode is set before there is a file."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(line.fileno(), 0o600)
        path.unlink(missing_ok=True)
        line.bind(str(path))
    except OSError as error:
        line.close()
        raise UnavailableError(f"{path}: {error.strerror or error}; a shorter path of the outbox may help") from None
    return line


def ask(path: Path, request: Mapping[str, object] | None = None) -> dict[str, object] | None:
    """The state of the running agent, or its answer to an order; None when none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ASK_S)
        try:
            line.connect(str(path))
            if request is not None:
                line.sendall(json.dumps(request).encode() + b"\n")
            line.shutdown(socket.SHUT_WR)
            value = json.loads(_all(line))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise UnavailableError(f"{path}: the agent can't be asked: {error.strerror or error}") from None
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise UnavailableError(f"{path}: answers something else")
    return value


def _all(line: socket.socket) -> bytes:
    said = bytearray()
    while (chunk := line.recv(65_536)) and len(said) <= LONGEST_ANSWER:
        said += chunk
    return bytes(said)
