"""A few facts that the agent remembers over a restart, in a small JSON file: what is learnt, never what is recorded."""

import contextlib
import json
from pathlib import Path

LARGEST_BYTES = 65_536


class Notes:
    """Beside the outbox. A file that is damaged or away is an empty one; a disk that refuses costs only the memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            text = path.read_bytes()[: LARGEST_BYTES + 1]
            kept = json.loads(text) if len(text) <= LARGEST_BYTES else {}
            self._kept = kept if isinstance(kept, dict) else {}

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number within a range, or None."""
        value = self._kept.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return None
        return float(value)

    def keep(self, key: str, value: float) -> None:
        """Remember; written at once, whole or not at all, if it is news."""
        if self._kept.get(key) == value:
            return
        self._kept[key] = value
        fresh = self._path.with_suffix(".notes-new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(self._kept), encoding="utf-8")
            fresh.replace(self._path)
