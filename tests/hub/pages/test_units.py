"""The page's own checks: types, and the TypeScript tests beside this file, among them the vectors of `predict`."""

import shutil
import subprocess
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[3] / "hub" / "pages"


@pytest.mark.e2e
@pytest.mark.parametrize("script", ["check", "test"])
def test_npm(script: str) -> None:
    npm = shutil.which("npm")
    assert npm is not None, "the pages need Node 20.19 or newer"
    assert (PAGES / "node_modules").is_dir(), "install the page's packages first: npm ci in hub/pages"
    done = subprocess.run([npm, "run", script], cwd=PAGES, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_registry() -> None:
    text = (PAGES / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert '"integrity"' in text
