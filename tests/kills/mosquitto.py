"""Debian's Mosquitto as a process of its own that can be killed and started again at the same port, with the hub's files."""

import os
import pwd
from pathlib import Path

from bench.yard import Hub, Process, free_port
from tests.rigs import binary


class Mosquitto:
    """The broker of a hub. The hub must have all its devices when `furnish` is called."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for parent in (folder, *folder.parents):
            if parent != Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._folder, self._config = folder, folder / "mosquitto.conf"
        self.process = Process("mosquitto", [binary("mosquitto"), "-c", str(self._config)], folder=folder)

    def hub(self, folder: Path, *, more: str = "") -> Hub:
        """A hub that uses this broker."""
        http = f'[http]\nhost = "127.0.0.1"\nport = {free_port()}\n\n'
        return Hub(folder, settings=f'{http}[mqtt]\nurl = "{self.url}"\n{more}')

    async def furnish(self, hub: Hub) -> None:
        """Its passwords and rights, as the hub writes them."""
        files = self._folder / "files"
        await hub.command("mosquitto", "--out", str(files))
        lines = [
            f"listener {self.port} 127.0.0.1", f"user {pwd.getpwuid(os.getuid()).pw_name}", "allow_anonymous false",
            f"password_file {files / 'password_file'}", f"acl_file {files / 'acl_file'}",
        ]  # fmt: skip
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
