"""A serial port through pyserial, read and written on the asyncio loop. One user at a time."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from typing import Protocol

from serial.serialposix import Serial

from wire.errors import UnavailableError

READ_SIZE = 4096
WRITE_LIMIT_S = 1.0
CURES = {
    errno.ENOENT: "is it plugged in, and is the path right (see /dev/serial/by-id)?",
    errno.EACCES: "add the user of the agent to the group dialout",
    errno.EAGAIN: "another program holds it; stop that (gpsd, ModemManager, a second agent)",
    errno.EBUSY: "another program holds it; stop that (gpsd, ModemManager, a second agent)",
    errno.EIO: "was it unplugged?",
}


class Port(Protocol):
    """What is used of pyserial, which has no types."""

    def fileno(self) -> int: ...

    def read(self, size: int = 1) -> bytes: ...

    def close(self) -> None: ...


class SerialDoor:
    """A GNSS receiver or an OBD adapter at `path`."""

    def __init__(self, path: str, *, baud: int = 9600) -> None:
        self._path = path
        self._baud = baud
        self._port: Port | None = None
        self._ready = asyncio.Event()

    @property
    def place(self) -> str:
        """The path of the port."""
        return self._path

    async def chunks(self) -> AsyncIterator[bytes]:
        """Open, and give what arrives, until `close`. Raises UnavailableError when it can't be opened or goes away."""
        port = self._opened()
        loop = asyncio.get_running_loop()
        descriptor = port.fileno()
        self._ready.clear()
        loop.add_reader(descriptor, self._ready.set)
        try:
            while True:
                await self._ready.wait()
                self._ready.clear()
                if self._port is None:
                    return
                if data := self._read(port):
                    yield data
        finally:
            loop.remove_reader(descriptor)
            self.close()

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises UnavailableError, also while `chunks` has not opened the port."""
        rest = data
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                while rest:
                    if self._port is None:
                        raise UnavailableError(f"{self._path} is not open")
                    rest = rest[_written(self._port.fileno(), rest) :]
                    if rest:
                        await asyncio.sleep(0.005)
        except TimeoutError as error:
            raise UnavailableError(f"{self._path} takes no data") from error
        except OSError as error:
            raise self._away(error) from error

    def close(self) -> None:
        """Give the port free; a waiting `chunks` ends."""
        if self._port is not None:
            self._port.close()
            self._port = None
        self._ready.set()

    def _opened(self) -> Port:
        if self._port is not None:
            raise UnavailableError(f"{self._path} is open already")
        try:
            self._port = Serial(  # type: ignore[no-untyped-call]  # pyserial has no types
                self._path, self._baud, timeout=0, write_timeout=0, exclusive=True
            )
        except OSError as error:
            raise self._away(error) from error
        except ValueError as error:
            raise UnavailableError(f"{self._path}: {error}") from error
        return self._port

    def _read(self, port: Port) -> bytes:
        try:
            return bytes(port.read(READ_SIZE))
        except OSError as error:
            raise self._away(error) from error

    def _away(self, error: OSError) -> UnavailableError:
        """The library packs the cause into its own error, sometimes without the number."""
        number = error.errno
        if number is None:
            number = errno.EIO if "read" in str(error) or "write" in str(error) else 0
        cure = CURES.get(number)
        return UnavailableError(f"{self._path}: {error.strerror or error}" + (f"; {cure}" if cure else ""))


def _written(descriptor: int, data: bytes) -> int:
    """How much went out now. Past pyserial: its `write` without waiting spins for ever on a line that takes nothing."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0
