"""A serial port through pyserial, read and written on the asyncio loop. One user at a time."""

import asyncio
import contextlib
import errno
import os
import termios
from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol

from serial.serialposix import Serial

from agent.core.gnss import baud as hunting
from wire.errors import SilentError, UnavailableError
from wire.ops import clock

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

    baudrate: int

    def fileno(self) -> int: ...

    def read(self, size: int = 1) -> bytes: ...

    def close(self) -> None: ...


class SerialDoor:
    """A GNSS receiver or an OBD adapter at `path`.

    With `auto` the speed is hunted for, which only makes sense for who speaks unasked; what was found is told by
    `on_baud` once, and kept when the door is opened again. A port that is silent for `silence_s` is given up.
    """

    def __init__(
        self,
        path: str,
        *,
        baud: int | Literal["auto"] = 9600,
        silence_s: float | None = None,
        on_baud: Callable[[int], object] | None = None,
    ) -> None:
        self._path = path
        self._baud = baud
        self._silence_ms = None if silence_s is None else silence_s * 1000
        self._on_baud = on_baud
        self._told: int | None = None
        self._config = hunting.Config()
        self._hunt: hunting.State | None = None
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
        heard_ms = clock.mono_ms()
        try:
            while True:
                await self._arrival(heard_ms)
                if self._port is None:
                    return
                data, now_ms = self._read(port), clock.mono_ms()
                self._hunted(port, data, now_ms)
                if data:
                    heard_ms = now_ms
                    yield data
                elif self._silence_ms is not None and now_ms - heard_ms >= self._silence_ms:
                    raise SilentError(f"{self._path} is silent for {self._silence_ms / 1000:g} s")
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

    async def _arrival(self, heard_ms: int) -> None:
        """Until something has arrived, or the hunt or the silence wants a look."""
        due = [] if self._silence_ms is None else [heard_ms + self._silence_ms]
        if self._hunt is not None and (wake_ms := hunting.wake_at(self._hunt, self._config)) is not None:
            due.append(wake_ms)
        wait_s = max(0.0, (min(due) - clock.mono_ms()) / 1000) if due else None
        if not self._ready.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ready.wait()
        self._ready.clear()

    def _opened(self) -> Port:
        if self._port is not None:
            raise UnavailableError(f"{self._path} is open already")
        rate = self._baud if self._baud != "auto" else self._begun(clock.mono_ms()).rate
        try:
            self._port = Serial(  # type: ignore[no-untyped-call]  # pyserial has no types
                self._path, rate, timeout=0, write_timeout=0, exclusive=True
            )
        except OSError as error:
            raise self._away(error) from error
        except (ValueError, termios.error) as error:
            raise UnavailableError(f"{self._path}: {error}") from error
        return self._port

    def _begun(self, now_ms: int) -> hunting.State:
        hunt = self._hunt
        self._hunt = hunting.start(now_ms, self._config) if hunt is None else hunting.reopened(hunt, now_ms)
        return self._hunt

    def _hunted(self, port: Port, data: bytes, now_ms: int) -> None:
        if self._hunt is None:
            return
        self._hunt, turn = hunting.step(self._hunt, data, now_ms, self._config)
        rate = self._hunt.rate
        if turn is hunting.Turn.NEXT:
            try:
                port.baudrate = rate
            except (OSError, ValueError, termios.error) as error:
                raise UnavailableError(f"{self._path} can't be set to {rate} Bd: {error}") from error
        elif turn is hunting.Turn.FOUND and rate != self._told:
            self._told = rate
            if self._on_baud is not None:
                self._on_baud(rate)

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
