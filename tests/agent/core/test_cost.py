"""What a message costs: the figures of the study, and that longer messages cost their segments and records."""

import pytest

from agent.core.cost import link_bytes, ping_bytes, publish_bytes


@pytest.mark.parametrize(("qos", "tls", "cost"), [(1, True, 235), (0, True, 154), (1, False, 191), (0, False, 132)])
def test_an_empty_message_on_a_topic_of_24_characters(qos: int, tls: bool, cost: int) -> None:  # noqa: FBT001  # a case table
    assert publish_bytes(24, 0, qos=qos, tls=tls) == cost


def test_payload_and_topic_count_byte_by_byte_within_a_segment() -> None:
    assert publish_bytes(24, 130) == 235 + 130
    assert publish_bytes(30, 130) == 235 + 136


def test_a_long_message_costs_its_segments_and_records() -> None:
    assert publish_bytes(24, 1_395) == 235 + 1_395, "one segment to the last byte"
    assert publish_bytes(24, 1_396) == 235 + 1_396 + 52
    assert publish_bytes(24, 3_000) == 235 + 3_000 + 3 * 52, "two more segments, one more ack"
    assert publish_bytes(24, 60_000) == 235 + 60_000 + 1 + 3 * 22 + 41 * 52 + 20 * 52


def test_a_ping_and_a_link() -> None:
    assert (ping_bytes(), ping_bytes(tls=False)) == (204, 160)
    assert link_bytes() > 10 * link_bytes(tls=False) / 2
