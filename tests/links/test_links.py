"""Bad lines between real processes, in short: what `python -m tests.links --full` measures at length."""

import random
from pathlib import Path

import pytest

from tests.links import packets
from tests.links.faults import FAULTS, judge, suffer
from tests.links.line import Gate, ProxyLine, Shape
from tests.links.tun import possible
from tests.links.yard import a_line, yard

SHORT_S = {"loss": 3.0, "dead": 6.0, "half open": 6.0, "resets": 2.0, "refused": 2.0}
SLACK_S = 7.0


@pytest.mark.e2e
async def test_faults_of_a_line(tmp_path: Path) -> None:
    async with yard(tmp_path, broker="mosquitto", line=a_line("best", random.Random(1))) as one:
        wrong = []
        for fault in FAULTS:
            if fault.name in SHORT_S:
                outcome = await suffer(one, fault, SHORT_S[fault.name])
                wrong += judge(outcome, fault, spread_s=1.0, slack_s=SLACK_S)
        recorded, lost, doubled = await one.proven()
    assert wrong == []
    assert (lost, doubled) == (0, 0)
    assert recorded > 20


def test_packets_of_a_slow_line_leave_in_order_and_the_queue_is_bounded() -> None:
    gate, shape = Gate(), Shape(one_way_s=0.1, bytes_per_s=1000.0)
    assert [gate.leaves_at(500, 0.0, shape) for _ in range(6)] == [0.6, 1.1, 1.6, 2.1, 2.6, None]
    assert gate.leaves_at(100, 9.0, shape) == 9.2
    assert gate.leaves_at(100, 9.0, Shape()) == 9.2, "a line that has become fast overtakes nothing"
    assert gate.leaves_at(100, 9.5, Shape(bytes_per_s=1e9), bps=100.0) == 10.5


def test_a_reset_answers_a_packet() -> None:
    syn = packets._built(
        bytes([10, 0, 0, 2]), bytes([10, 0, 0, 1]), b"\x80\x00\x07\x5b", seq=99, ack=0, bits=packets.SYN
    )
    assert packets.is_tcp(syn)
    assert packets.sum16(syn[:20]) == 0
    back, on = packets.resets(syn)
    assert back[12:20] == syn[16:20] + syn[12:16]
    assert back[20:24] == b"\x07\x5b\x80\x00"
    assert int.from_bytes(back[28:32]) == 100, "a SYN takes one seq"
    assert packets.flags(back) == packets.flags(on) == packets.RST | packets.ACK
    assert not packets.is_tcp(b"\x60" + bytes(60))


def test_where_there_is_no_root_a_proxy_does() -> None:
    assert isinstance(a_line("proxy", random.Random(1)), ProxyLine)
    if not possible():
        assert isinstance(a_line("best", random.Random(1)), ProxyLine)
