"""Whether the gateway has its supply, as the kernel tells it for a battery-backed gateway (`/sys/class/power_supply`)."""

from pathlib import Path

CLASS = Path("/sys/class/power_supply")


def found(folder: Path = CLASS) -> Path | None:
    """The first supply from outside (`Mains`), or None: most gateways simply die without power."""
    try:
        supplies = sorted(folder.iterdir())
    except OSError:
        return None
    return next((supply / "online" for supply in supplies if _read(supply / "type") == "Mains"), None)


class Supply:
    """One file that says `1` or `0`."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def online(self) -> bool | None:
        """Whether power comes in; None where nothing tells it."""
        return None if self._path is None else {"1": True, "0": False}.get(_read(self._path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
