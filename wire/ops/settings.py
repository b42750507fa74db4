"""One TOML file, checked whole at start: every fault is named at once, with its place and what to do."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from wire.errors import SettingsError


class Settings(BaseModel):
    """Base of each section: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


WORDS = {
    "extra_forbidden": "unknown setting; remove it or mend its name",
    "missing": "must be set",
    "model_type": "must be a section, [NAME] with its settings below",
}
"""What pydantic calls otherwise, by its kind of fault."""

Model = TypeVar("Model", bound=Settings)


def load(path: Path, model: type[Model], *, context: Mapping[str, bool] | None = None) -> Model:
    """The checked settings of a file. Raises SettingsError with a line for each fault. `context` goes to validators."""
    return check(read(path), model, source=str(path), context=context)


def read(path: Path, *, examples: str = "") -> dict[str, object]:
    """What stands in a TOML file, unchecked. Raises SettingsError, which names the examples if there is no file."""
    try:
        return parsed(path.read_bytes(), source=str(path))
    except FileNotFoundError:
        raise SettingsError(
            [f"{path}: there is no such file; make one{examples}, or name another with --config"]
        ) from None
    except OSError as error:
        raise SettingsError([f"{path}: can't be read: {error.strerror}"]) from None


def parsed(text: bytes, *, source: str) -> dict[str, object]:
    """What a TOML text says, unchecked. Raises SettingsError."""
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # of a number without end, and of lists in lists, too
        raise SettingsError([f"{source}: not TOML: {error}"]) from None


def check(
    data: dict[str, object], model: type[Model], *, source: str, context: Mapping[str, bool] | None = None
) -> Model:
    """Settings from plain data. Raises SettingsError with a line for each fault."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in fault["loc"]) or "file"
            plain = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            faults.append(f"{source}: {place}: {WORDS.get(fault['type'], plain)}")
        raise SettingsError(faults) from None


def secret(path: Path) -> str:
    """A secret kept in a file of its own that only its owner may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError([f"{path}: others may read this secret; do: chmod 600 {path}"])
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError([f"{path}: the secret can't be read: {error.strerror}"]) from None
    if not value:
        raise SettingsError([f"{path}: the secret is empty"])
    return value


def write_secret(path: Path, value: str) -> None:
    """Write a secret so that it is never readable by others, not even for a moment, and is there after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
