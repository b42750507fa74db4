"""gpsd over TCP with asyncio: asks for JSON and gives the bytes as they come; `agent.core.gnss.gpsd` reads them."""

import asyncio
from collections.abc import AsyncIterator

from agent.core.gnss.gpsd import LINE_LIMIT, WATCH, Sieve
from wire.errors import SilentError, UnavailableError

READ_SIZE = 16_384


class GpsdDoor:
    """A gpsd at `host:port`. A link that is silent for `silence_s` is given up: it may be half open.

    What gpsd says of itself is not passed on: it would look like a receiver that speaks.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 2947, *, connect_s: float = 5.0, silence_s: float = 60.0
    ) -> None:
        self._host = host
        self._port = port
        self._connect_s = connect_s
        self._silence_s = silence_s

    @property
    def place(self) -> str:
        """Host and port."""
        return f"gpsd at {self._host}:{self._port}"

    async def chunks(self) -> AsyncIterator[bytes]:
        """Connect, and give what arrives. Raises UnavailableError when it can't connect or the stream ends."""
        place, sieve = self.place, Sieve()
        try:
            async with asyncio.timeout(self._connect_s):
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            raise UnavailableError(f"{place}: {error!s}; is it running (systemctl status gpsd)?") from error
        try:
            writer.write(WATCH)
            await writer.drain()
            while True:
                async with asyncio.timeout(self._silence_s):
                    data = await reader.read(READ_SIZE)
                if not data:
                    raise UnavailableError(f"{place} closed the connection")
                if reports := sieve.feed(data):
                    yield reports
        except TimeoutError as error:
            told = f"; gpsd says: {sieve.error}" if sieve.error else ""
            raise SilentError(f"{place} is silent for {self._silence_s:g} s{told}") from error
        except OSError as error:
            raise UnavailableError(f"{place}: {error}") from error
        finally:
            writer.close()
