"""The herd in short: 300 vehicles lose the broker at once, and all are current again. In full: `python -m tests.herd`."""

from pathlib import Path

import pytest

from tests.herd.herd import Plan, site
from tests.herd.tiny import packet, split

SHORT = Plan(vehicles=300, spread_s=3.0, ramp_s=1.0, every_s=0.8, upload_s=2.0, down_s=1.2, within_s=60.0)


@pytest.mark.e2e
async def test_all_come_back(tmp_path: Path) -> None:
    async with site(tmp_path, SHORT) as yard:
        returned = await yard.loses("broker")
    assert returned.wrong(within_s=SHORT.within_s) == []
    assert returned.overflow == 0
    assert returned.attempts >= SHORT.vehicles


def test_packets_are_cut_wherever_they_are() -> None:
    stream = packet(3, 2, b"x" * 300) + packet(4, 0, b"\x00\x01")
    for at in range(len(stream)):
        data, found = bytearray(), []
        for part in (stream[:at], stream[at:]):
            data += part
            while (one := split(data)) is not None:
                found.append(one)
        assert found == [(0x32, b"x" * 300), (0x40, b"\x00\x01")]
        assert not data
