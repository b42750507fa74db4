"""Hostile payloads the whole way: a device, Mosquitto, the hub as a process."""

import secrets
from pathlib import Path

import pytest

from tests.fuzz.broker import through_the_broker

pytestmark = pytest.mark.e2e


async def test_through_a_broker(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    told = await through_the_broker(tmp_path, 300, secrets.randbelow(1 << 31), guests=1)
    assert told["good"] == 10
