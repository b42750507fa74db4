"""IPv4 and TCP packets, as far as the TUN relay needs them: whose they are, and the reset that answers one."""

import struct

SYN, RST, ACK, FIN = 2, 4, 16, 1
TCP = 6


def sum16(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_tcp(packet: bytes) -> bool:
    """Whether it is a whole TCP packet without fragments."""
    return len(packet) >= 40 and packet[0] >> 4 == 4 and packet[9] == TCP


def flags(packet: bytes) -> int:
    """The TCP flags."""
    return packet[(packet[0] & 15) * 4 + 13]


def _built(source: bytes, target: bytes, ports: bytes, *, seq: int, ack: int, bits: int) -> bytes:
    segment = ports + struct.pack("!IIBBHHH", seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, bits, 0, 0, 0)
    check = sum16(source + target + struct.pack("!BBH", 0, TCP, len(segment)) + segment)
    segment = segment[:16] + struct.pack("!H", check) + segment[18:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, TCP, 0, source, target)
    return header[:10] + struct.pack("!H", sum16(header)) + header[12:] + segment


def resets(packet: bytes) -> tuple[bytes, bytes]:
    """What resets the connection of a packet: one for who sent it, one for who should have got it."""
    start = (packet[0] & 15) * 4
    source, target, ports = packet[12:16], packet[16:20], packet[start : start + 4]
    seq, ack = struct.unpack("!II", packet[start + 4 : start + 12])
    size = len(packet) - start - (packet[start + 12] >> 4) * 4 + bool(flags(packet) & (SYN | FIN))
    back = _built(target, source, ports[2:] + ports[:2], seq=ack, ack=seq + size, bits=RST | ACK)
    return back, _built(source, target, ports, seq=seq, ack=ack, bits=RST | ACK)
