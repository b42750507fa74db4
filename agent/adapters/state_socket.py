"""What the running agent knows, for `odograph-agent status`: one JSON object on a socket beside the outbox.

A socket and not a file: asking costs no write on the flash card. Only the agent's own user may connect.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from wire.errors import UnavailableError

LONGEST_PATH = 100


def socket_path(outbox: Path) -> Path:
    """Where the agent of this outbox answers."""
    return outbox.with_suffix(".sock")


async def answer(path: Path, state: Callable[[], Mapping[str, object]]) -> None:
    """Serve the state until cancelled."""
    if len(str(path)) > LONGEST_PATH:
        raise UnavailableError(f"{path}: too long for a socket ({LONGEST_PATH} characters at most); move the outbox")

    async def reply(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(state()).encode() + b"\n")
        await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(reply, path)
    path.chmod(0o600)
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


def ask(path: Path) -> dict[str, object] | None:
    """The state of the running agent; None when none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(3.0)
        try:
            line.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise UnavailableError(f"{path}: the agent can't be asked: {error.strerror or error}") from None
        chunks = []
        while chunk := line.recv(65_536):
            chunks.append(chunk)
    value = json.loads(b"".join(chunks))
    if not isinstance(value, dict):
        raise UnavailableError(f"{path}: answers something else")
    return value
