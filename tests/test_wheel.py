"""What travels: the wheel holds programs, pages, settings for gateways and SQL, and nothing that only builds them."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
               "--wheel-dir", str(folder), str(ROOT)]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("odograph-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_it_holds_what_runs(names: list[str]) -> None:
    for name in (
        "agent/cli.py", "agent/adapters/outbox.sql", "agent/firmware_configs/generic-serial.toml", "hub/cli.py",
        "hub/pages/dist/index.html", "wire/predict.py",
    ):  # fmt: skip
        assert name in names
    assert [name for name in names if re.fullmatch(r"hub/pages/dist/assets/.*\.js", name)]
    assert [name for name in names if name.startswith("hub/adapters/") and name.endswith(".lua")]
    assert [name for name in names if name.startswith("hub/migrations/versions/")]


def test_it_holds_nothing_else(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"agent", "hub", "wire"}
    assert not [name for name in names if name.startswith("hub/pages/") and not name.startswith("hub/pages/dist/")]


def test_the_lock_files_hold_every_dependency_with_a_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for lock, needs in (
        ("requirements.lock", [*project["dependencies"], *extras["agent"], *extras["hub"]]),
        ("requirements-dev.lock", [*project["dependencies"], *extras["agent"], *extras["hub"], *extras["dev"]]),
    ):
        text = (ROOT / lock).read_text(encoding="utf-8")
        for need in needs:
            name = re.split(r"[\[<>=;~! ]", need)[0].lower()
            assert re.search(rf"^{re.escape(name)}(\[[\w,]+\])?==", text, re.MULTILINE), f"{name} is not in {lock}"
        pins = re.findall(r"^\S+==\S+.*$", text, re.MULTILINE)
        assert pins
        assert all(pin.rstrip().endswith("\\") for pin in pins), "each pin has its hashes"


def test_the_agent_needs_no_server_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lean = " ".join([*project["dependencies"], *project["optional-dependencies"]["agent"]]).lower()
    assert not [heavy for heavy in ("fastapi", "redis", "sqlalchemy", "amqtt", "uvicorn", "valkey") if heavy in lean]
