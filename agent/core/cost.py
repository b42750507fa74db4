"""What a message costs on the air, both directions, with every ack: the model that data budget and replay count by.

IPv4 and TCP with time stamps take 52 B a segment of at most 1,448 B, a TLS 1.3 record 22 B (of at most 16 kB). A PUBLISH is
one write; the peer's TCP ack travels with its PUBACK, and the PUBACK is acked once more. Of a longer message every second
further segment is acked. Nothing is sent twice here: a lossy link costs more.
"""

SEGMENT_BYTES = 52
SEGMENT_HOLDS = 1_448
RECORD_BYTES = 22
RECORD_HOLDS = 16_384
PUBACK_BYTES = 4
PING_BYTES = 2
HANDSHAKE_BYTES = {True: 4_500, False: 600}
"""By TLS: TCP and TLS handshake with a chain of two certificates, CONNECT with a last will, CONNACK, one subscription."""
_LENGTH_BYTES = {0: 1, 1: 2}
"""Of the length field: our QoS 1 messages are mostly longer than the 99 B that one byte would do for."""


def publish_bytes(topic_bytes: int, payload_bytes: int, *, qos: int = 1, tls: bool = True) -> int:
    """One PUBLISH with QoS 0 or 1, its PUBACK, and the TCP acks."""
    packet = 1 + _LENGTH_BYTES[qos] + 2 + topic_bytes + 2 * qos + payload_bytes
    if packet > RECORD_HOLDS:
        packet += 1  # the length field has a third byte
    acks = SEGMENT_BYTES if qos == 0 else SEGMENT_BYTES + _framed(PUBACK_BYTES, tls=tls)
    return _framed(packet, tls=tls) + acks


def ping_bytes(*, tls: bool = True) -> int:
    """PINGREQ and PINGRESP, and the last TCP ack."""
    return 2 * _framed(PING_BYTES, tls=tls) + SEGMENT_BYTES


def link_bytes(*, tls: bool = True) -> int:
    """A new connection, until the first message may go: an estimate."""
    return HANDSHAKE_BYTES[tls]


def _framed(packet: int, *, tls: bool) -> int:
    """A packet in its records and segments, with the TCP acks of all segments but the first."""
    data = packet + (RECORD_BYTES * -(-packet // RECORD_HOLDS) if tls else 0)
    segments = -(-data // SEGMENT_HOLDS)
    return data + SEGMENT_BYTES * (segments + (segments - 1) // 2)
