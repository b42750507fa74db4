"""What a UART makes of bytes that were sent at another speed: the rig's lines garble as real ones do."""

CHAR_BITS = 10
"""A start bit, eight data bits with the lowest first, a stop bit."""
IDLE = b"\1" * 4


def levels(data: bytes) -> bytes:
    """The line's level in each bit's time, 1 when it rests."""
    line = bytearray()
    for byte in data:
        line.append(0)
        line.extend(byte >> bit & 1 for bit in range(8))
        line.append(1)
    return bytes(line) + IDLE


def heard_at(data: bytes, sent_baud: int, read_baud: int) -> bytes:
    """What a reader at `read_baud` gets of `data`; a character without its stop bit is read as NUL, as Linux does."""
    if sent_baud == read_baud:
        return data
    line, bit = levels(data), sent_baud / read_baud
    out = bytearray()
    start = line.find(0)
    while start >= 0:
        if _level(line, start + bit / 2):
            start = line.find(0, line.find(1, start))  # too short for a start bit: a spike
            continue
        value = sum(_level(line, start + bit * (k + 1.5)) << k for k in range(8))
        stop = start + bit * (CHAR_BITS - 0.5)
        out.append(value if _level(line, stop) else 0)
        resting = line.find(1, min(int(stop), len(line) - 1))
        start = line.find(0, resting)
    return bytes(out)


def _level(line: bytes, at: float) -> int:
    index = int(at)
    return line[index] if index < len(line) else 1
