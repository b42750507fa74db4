"""What the running agent knows, for `odograph-agent status`: one JSON object on a socket beside the outbox.

A socket and not a file: asking costs no write on the flash card. Only the agent's own user may connect.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from wire.errors import UnavailableError

ASK_S = 3.0
REPLY_S = 5.0
LONGEST_ANSWER = 65_536


def socket_path(outbox: Path) -> Path:
    """Where the agent of this outbox answers."""
    return outbox.with_suffix(".sock")


async def answer(path: Path, state: Callable[[], Mapping[str, object]]) -> None:
    """Serve the state until cancelled. Raises UnavailableError when there can be no such socket."""

    async def reply(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):  # who asks and does not wait for the answer gets none
            writer.write(json.dumps(state()).encode() + b"\n")
            async with asyncio.timeout(REPLY_S):
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(reply, sock=_listening(path))
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


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


def ask(path: Path) -> dict[str, object] | None:
    """The state of the running agent; None when none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ASK_S)
        try:
            line.connect(str(path))
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
