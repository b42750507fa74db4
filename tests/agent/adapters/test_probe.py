"""The doctor's measures: the disk, the name, the port."""

import asyncio
from pathlib import Path

import pytest

from agent.adapters import probe
from bench.yard import free_port
from wire.errors import UnavailableError


def test_the_disk_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    found = probe.disk(tmp_path / "not" / "there")
    assert found.fsync_p99_ms > 0
    assert found.free_mb > 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnavailableError, match="file: Not a directory"):
        probe.disk(tmp_path / "file")


async def test_names_and_ports() -> None:
    await probe.resolve("127.0.0.1", 1883)
    with pytest.raises(UnavailableError, match="no-such-host"):
        await probe.resolve("no-such-host.invalid", 1883)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        assert await probe.connect("127.0.0.1", server.sockets[0].getsockname()[1]) > 0
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await probe.connect("127.0.0.1", free_port())
