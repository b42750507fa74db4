"""Bluetooth's serial profile (RFCOMM) as a door, where the kernel and this Python have it."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable

from wire.errors import UnavailableError

READ_SIZE = 1024
WRITE_LIMIT_S = 2.0
WITHOUT = "bind it once (rfcomm bind 0 {address} {channel}) and set obd.path to /dev/rfcomm0 instead"
CURES = {
    errno.EAFNOSUPPORT: "this kernel has no Bluetooth",
    errno.EPROTONOSUPPORT: "this kernel has no RFCOMM (modprobe rfcomm)",
    errno.EHOSTDOWN: "is the adapter plugged in and in range, and is Bluetooth on (bluetoothctl power on)?",
    errno.EHOSTUNREACH: "is there a Bluetooth controller (bluetoothctl list)?",
    errno.ENODEV: "is there a Bluetooth controller (bluetoothctl list)?",
    errno.ECONNREFUSED: "wrong channel, or in use by another phone or program",
    errno.EACCES: "pair it first (bluetoothctl pair, PIN 1234 or 0000)",
    errno.EPERM: "pair it first (bluetoothctl pair, PIN 1234 or 0000)",
    errno.EBUSY: "another program holds it (rfcomm release)",
}

Address = tuple[str, int] | str


def rfcomm() -> socket.socket:
    """An RFCOMM socket. Raises UnavailableError where this Python was built without, OSError where the kernel has none."""
    family, protocol = getattr(socket, "AF_BLUETOOTH", None), getattr(socket, "BTPROTO_RFCOMM", None)
    if family is None or protocol is None:
        raise UnavailableError("this Python was built without Bluetooth")
    return socket.socket(family, socket.SOCK_STREAM, protocol)


class BluetoothDoor:
    """The serial port of the device `address`, on `channel`."""

    def __init__(
        self,
        address: str,
        channel: int = 1,
        *,
        connect_s: float = 12.0,
        make: Callable[[], socket.socket] = rfcomm,
        at: Address | None = None,
    ) -> None:
        self._address = address
        self._channel = channel
        self._connect_s = connect_s
        self._make = make
        self._at = (address, channel) if at is None else at
        self._socket: socket.socket | None = None

    @property
    def place(self) -> str:
        """The address of the device."""
        return f"Bluetooth {self._address}"

    async def connect(self) -> None:
        """Connect now; else `chunks` does it. Who wants to write first needs it. Raises UnavailableError."""
        without = WITHOUT.format(address=self._address, channel=self._channel)
        try:
            link = self._make()
        except UnavailableError as error:
            raise UnavailableError(f"{self.place}: {error}; {without}") from error
        except OSError as error:
            raise UnavailableError(f"{self._away(error)}; {without}") from error
        link.setblocking(False)
        try:
            async with asyncio.timeout(self._connect_s):
                await asyncio.get_running_loop().sock_connect(link, self._at)
            self._socket = link
        except OSError as error:  # of asyncio's TimeoutError too, which has no number
            raise self._away(error) if error.errno else self._deaf() from error
        finally:
            if self._socket is None:
                link.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what arrives. Raises UnavailableError when it can't connect or the link ends."""
        if self._socket is None:
            await self.connect()
        assert self._socket is not None
        link, loop = self._socket, asyncio.get_running_loop()
        try:
            while True:
                data = await loop.sock_recv(link, READ_SIZE)
                if not data:
                    raise UnavailableError(f"{self.place} closed the connection")
                yield data
        except OSError as error:
            raise self._away(error) from error
        finally:
            self._socket = None
            link.close()

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises UnavailableError, also while there is no connection."""
        if self._socket is None:
            raise UnavailableError(f"{self.place} is not connected")
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError as error:
            raise self._away(error) if error.errno else UnavailableError(f"{self.place} takes no data") from error

    def _deaf(self) -> UnavailableError:
        return UnavailableError(f"{self.place} does not answer; {CURES[errno.EHOSTDOWN]}")

    def _away(self, error: OSError) -> UnavailableError:
        cure = CURES.get(error.errno or 0)
        return UnavailableError(f"{self.place}: {error.strerror or error}" + (f"; {cure}" if cure else ""))
