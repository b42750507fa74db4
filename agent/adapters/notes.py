"""A few facts that the agent remembers over a restart, in a small JSON file: what is learnt and counted, never what is recorded."""

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

LARGEST_BYTES = 65_536


class Notes:
    """Beside the outbox. A disk that refuses costs only the memory.

    Each write is whole or not at all, and the file before it is kept: when the file is damaged, that one serves. `fault` says so;
    it is empty when all is well, or when nothing was ever noted.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._old = path, path.with_suffix(".notes-old")
        self._writing = threading.Lock()
        self.fault = ""
        kept, fault = _read(path)
        if kept is None:
            kept, _ = _read(self._old)
            if fault:
                self.fault = f"{path}: {fault}; " + ("the copy before it serves" if kept else "what it held is lost")
        self._kept = kept or {}
        self._unwritten = False

    def number(self, key: str, low: float, high: float) -> float | None:
        """A number within a range, or None."""
        value = self._kept.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return None
        return float(value)

    def record(self, key: str) -> Mapping[str, object] | None:
        """An object, or None; what is in it is the reader's to judge."""
        value = self._kept.get(key)
        return value if isinstance(value, dict) else None

    def keep(self, key: str, value: object) -> None:
        """Remember; written at once if it is news."""
        self.keep_all({key: value})

    def keep_all(self, values: Mapping[str, object], *, later: bool = False) -> None:
        """Remember some facts by one write, or `later`, with the next one. May run beside another thread."""
        with self._writing:
            fresh = self._kept | dict(values)
            self._unwritten = self._unwritten or fresh != self._kept
            self._kept = fresh
            if later or not self._unwritten:
                return
            with contextlib.suppress(OSError):
                self._write(json.dumps(fresh))
                self._unwritten = False

    def _write(self, text: str) -> None:
        """To the disk itself, then in the place of the file before: a power cut leaves one of the two."""
        beside = self._path.with_suffix(".notes-new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if _read(self._path)[0] is not None:  # a damaged one must not go over the good copy
            self._path.replace(self._old)
        beside.replace(self._path)


def _read(path: Path) -> tuple[dict[str, object] | None, str]:
    """What a file holds; or None, and why if it is there."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1)
        kept = json.loads(text) if len(text) <= LARGEST_BYTES else None
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"can't be read: {error.strerror or error}"
    except (ValueError, RecursionError):
        kept = None
    return (kept, "") if isinstance(kept, dict) else (None, "damaged")
