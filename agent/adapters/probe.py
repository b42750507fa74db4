"""Measures for the doctor: how long the disk takes to make data safe, and how far the way to the hub is open."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from wire.errors import UnavailableError
from wire.ops import clock

WRITES, PAGE_BYTES = 60, 4096
REACH_S = 10.0


@dataclass(frozen=True, slots=True)
class Disk:
    """How long the slowest writes took until they were safe, and the room that is left."""

    fsync_p99_ms: float
    free_mb: float


def disk(folder: Path) -> Disk:
    """Write and sync a page again and again; the file is removed. Raises UnavailableError.

    A folder that is not there yet is not made: the nearest above it is measured.
    """
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    path = folder / f".doctor-{os.getpid()}"
    took = []
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for _ in range(WRITES):
                begun_ms = clock.stopwatch_ms()
                os.write(handle, os.urandom(PAGE_BYTES))
                os.fsync(handle)
                took.append(clock.stopwatch_ms() - begun_ms)
        finally:
            os.close(handle)
            with contextlib.suppress(OSError):
                path.unlink()
        left = os.statvfs(folder)
    except OSError as error:
        raise UnavailableError(f"{folder}: {error.strerror or error}") from None
    return Disk(sorted(took)[-(1 + WRITES // 100)], left.f_bavail * left.f_frsize / 1e6)


async def resolve(host: str, port: int) -> None:
    """Whether the name is known. Raises UnavailableError."""
    try:
        async with asyncio.timeout(REACH_S):
            await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise UnavailableError(f"{host}: no answer to the question for its address within {REACH_S:g} s") from None
    except OSError as error:
        raise UnavailableError(f"{host}: {error.strerror or error}") from None


async def connect(host: str, port: int) -> float:
    """Milliseconds until a TCP connection stands. Raises UnavailableError."""
    begun_ms = clock.stopwatch_ms()
    try:
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise UnavailableError(f"{host}:{port}: no answer within {REACH_S:g} s") from None
    except OSError as error:
        raise UnavailableError(f"{host}:{port}: {error.strerror or error}") from None
    took_ms = clock.stopwatch_ms() - begun_ms
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return took_ms
