"""Bytes of a receiver to frames: NMEA sentences and UBX frames, whatever stands between them skipped and counted.

Rules
1. A frame is believed by its checksum alone. What fails is given up from its first byte on, so that a frame which
   begins inside a broken one is still found.
2. Lines that begin with `#` (comments of recordings) or `{` (gpsd's JSON) and whole RTCM 3 frames are no noise.
3. Whole frames of other binary protocols (SiRF, Skytraq, CASIC) are told as `foreign`: such a receiver needs gpsd.
4. Noise is told once until the next good frame; what a logger writes before each sentence (a time) once for all of them.
5. TAG blocks of NMEA 4 are skipped.
6. Work is bounded: what is checked in vain is paid from a credit that the bytes of the stream fill. A claim beyond it is
   given up unchecked, so that a stream made of claims costs no more than any other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from wire.messages import Rejected

SENTENCE_LIMIT = 128
"""Longest sentence without `$` and line end. NMEA says 79; a longer one with a right checksum is two that have merged."""
UBX_LIMIT = 8192
LINE_LIMIT = 16_384
"""Longest comment or JSON line; gpsd's SKY of many satellites has about 10 kB."""
MOST_ZEROS = 16
"""More zeros between two frames are no padding, but a line that is held down."""

CREDIT, CREDIT_PER_BYTE = 65_536, 4
"""So many bytes may be checked in vain at once, and so many more for each byte that comes."""

WHOLE = re.compile(rb"\$([\x20-\x23\x25-\x29\x2b-\x7e]{5,124})\*([0-9A-F]{2})\r?\n")
"""A sentence as it ought to be: the common case, taken in one step."""
START = re.compile(rb"[$!\\\xb5\xd3\xa0\xba#{]")
TAG = re.compile(rb"\\[^\\\r\n$!]{0,96}\\?")
WORD = Struct("<I")
BODY = re.compile(rb"[^\x00-\x08\x0a-\x1f$\x7f-\xff]*")
BINARY = {b"\xb5", b"\xd3", b"\xa0", b"\xba"}
FOREIGN = {0xA1: "Skytraq", 0xA2: "SiRF"}


@dataclass(frozen=True, slots=True)
class Ubx:
    """One UBX frame: class and id as one number (NAV-PVT is 0x0107), and its payload."""

    kind: int
    payload: bytes


Frame = bytes | Ubx | Rejected
"""A sentence (without `$`, checksum and what follows it), a UBX frame, or why something was dropped."""


def _crc24q_table() -> tuple[int, ...]:
    out = []
    for byte in range(256):
        crc = byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
        out.append(crc)
    return tuple(out)


CRC24Q = _crc24q_table()


def crc24q(data: bytes) -> int:
    """The checksum of RTCM 3."""
    crc = 0
    for byte in data:
        crc = (crc << 8) & 0xFFFFFF ^ CRC24Q[crc >> 16 ^ byte]
    return crc


def fits(sentence: bytes) -> bool:
    """Whether `ADDRESS,fields*hh` (no `$`) carries the right checksum: all its bytes folded by exclusive or."""
    return sentence[-3:-2] == b"*" and b"%02X" % folded(sentence[:-3]) == sentence[-2:].upper()


def folded(data: bytes) -> int:
    """All bytes combined by exclusive or."""
    x = int.from_bytes(data, "big")
    x ^= x >> 1024
    x ^= x >> 512
    x ^= x >> 256
    x ^= x >> 128
    x ^= x >> 64
    x ^= x >> 32
    x ^= x >> 16
    x ^= x >> 8
    return x & 255


def fletcher(data: bytes) -> bytes:
    """The two checksum bytes of UBX over class, id, length and payload."""
    a = b = 0
    for byte in data:
        a += byte
        b += a
    return bytes((a & 255, b & 255))


def casic_sum(frame: bytes) -> bytes:
    """The checksum of CASIC: length, class, id and the words of the payload summed up."""
    total: int = int.from_bytes(frame[2:4], "little") + (frame[4] << 16) + (frame[5] << 24)
    total += sum(word for (word,) in WORD.iter_unpack(frame[6:-4]))
    return (total & 0xFFFFFFFF).to_bytes(4, "little")


class Framer:
    """Feed it bytes as they come; `give_up` when the line is silent or has ended."""

    def __init__(self) -> None:
        self.heard = 0
        self._buffer = b""
        self._before = 10
        self._noisy = False
        self._prefixed = False
        self._passed = 0
        self._credit, self._credit_at = CREDIT, 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that are whole now."""
        out: list[Frame] = []
        self._buffer += chunk
        self._scan(out)
        return out

    def give_up(self, *, ended: bool = False) -> list[Frame]:
        """Wait no longer for the rest of a binary frame; an unfinished line still waits, unless the stream has ended."""
        out: list[Frame] = []
        while self._buffer[:1] in BINARY:
            self._noise(out)
            self._before, self._buffer = self._buffer[0], self._buffer[1:]
            self._passed += 1
            self._scan(out)
        if ended:
            if self._buffer[:1] == b"$":
                self._sentence(self._buffer[1:], out)
            self._buffer = b""
        return out

    def _scan(self, out: list[Frame]) -> None:
        buffer, at = self._buffer, 0
        size = len(buffer)
        while at < size:
            whole = WHOLE.match(buffer, at)
            if whole is not None and folded(whole[1]) == int(whole[2], 16):
                self._good()
                out.append(whole[1])
                at = whole.end()
                continue
            found = START.search(buffer, at)
            start = size if found is None else found.start()
            if start > at:
                self._between(buffer[at:start], out)
            if found is None:
                at = size
                break
            at = start
            end = self._frame(buffer, at, out)
            if end is None:
                break
            at = end
        if at:
            self._before = buffer[at - 1]
            self._passed += at
        self._buffer = buffer[at:]

    def _between(self, between: bytes, out: list[Frame]) -> None:
        """What stands between frames; what stands before a sentence on its line is a prefix."""
        if _is_noise(between):
            self._noise(out)
        tail = between[max(between.rfind(b"\n"), between.rfind(b"\r")) + 1 :]
        if len(tail) < len(between):
            self._prefixed = False
        self._prefixed = self._prefixed or bool(tail.strip(b"\0\t "))

    def _frame(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        """Where the frame that begins here ends, or is given up; None if more bytes are needed to know."""
        first = buffer[at]
        if first in b"$!":
            return self._line(buffer, at, out)
        if first in b"#{":
            return self._aside(buffer, at, out)
        if first == 0x5C:
            return self._tag(buffer, at, out)
        if first == 0xB5:
            return self._ubx(buffer, at, out)
        if first == 0xD3:
            return self._rtcm(buffer, at, out)
        return self._casic(buffer, at, out) if first == 0xBA else self._other(buffer, at, out)

    def _line(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        found = BODY.match(buffer, at + 1)
        end = at + 1 if found is None else found.end()
        if end == len(buffer):
            if end - at <= 2 * SENTENCE_LIMIT:
                return None
            out.append(Rejected("too-long"))
            return end
        self._sentence(buffer[at + 1 : end], out, spoken=buffer[at] == 0x24)
        return end

    def _sentence(self, body: bytes, out: list[Frame], *, spoken: bool = True) -> None:
        star = body.rfind(b"*")
        sentence = body[: star + 3]
        if len(body) > SENTENCE_LIMIT:
            out.append(Rejected("too-long"))
        elif star < 0 or len(sentence) < star + 3:
            out.append(Rejected("cut", _shown(body)))
        elif not fits(sentence):
            out.append(Rejected("checksum", _shown(body)))
        else:
            self._good()
            if spoken:
                out.append(sentence[:-3])

    def _aside(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        if (buffer[at - 1] if at else self._before) not in b"\r\n":
            self._noise(out)
            return at + 1
        ends = [end for end in (buffer.find(b"\n", at), buffer.find(b"\r", at)) if end >= 0]
        if not ends:
            if len(buffer) - at <= LINE_LIMIT:
                return None
            self._noise(out)
            return at + 1
        self._prefixed = False
        return min(ends) + 1

    def _tag(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        found = TAG.match(buffer, at)
        end = at + 1 if found is None else found.end()
        tag = buffer[at:end]
        closed = len(tag) > 1 and tag.endswith(b"\\")
        if closed and fits(tag[1:-1]):
            return end
        if end == len(buffer) and not closed:
            return None
        self._noise(out)
        return at + 1

    def _fits(self, at: int, size: int, check: Callable[[], bool]) -> bool:
        """Whether a frame of so many bytes is what it claims to be; false too if there is no credit to check it."""
        here = self._passed + at
        self._credit = min(CREDIT, self._credit + CREDIT_PER_BYTE * (here - self._credit_at))
        self._credit_at = here
        if size > self._credit:
            return False
        if check():
            return True
        self._credit -= size
        return False

    def _ubx(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        head = buffer[at : at + 6]
        if not b"\xb5\x62".startswith(head[:2]):
            self._noise(out)
            return at + 1
        if len(head) < 6:
            return None
        length = head[4] | head[5] << 8
        end = at + length + 8
        if length > UBX_LIMIT:
            self._noise(out)
            return at + 1
        if end > len(buffer):
            return None
        if not self._fits(at, length, lambda: fletcher(buffer[at + 2 : end - 2]) == buffer[end - 2 : end]):
            out.append(Rejected("checksum", "UBX"))
            return at + 2
        self._good()
        out.append(Ubx(head[2] << 8 | head[3], buffer[at + 6 : end - 2]))
        return end

    def _rtcm(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        head = buffer[at : at + 3]
        if len(head) > 1 and head[1] & 0xFC:
            self._noise(out)
            return at + 1
        if len(head) < 3:
            return None
        end = at + 6 + (head[1] << 8 | head[2])
        if end > len(buffer):
            return None
        if not self._fits(at, end - at, lambda: crc24q(buffer[at:end]) == 0):
            self._noise(out)
            return at + 1
        self._good()
        return end

    def _casic(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        head = buffer[at : at + 6]
        length = int.from_bytes(head[2:4], "little")
        end = at + length + 10
        if not b"\xba\xce".startswith(head[:2]) or (len(head) > 3 and (length > UBX_LIMIT or length % 4)):
            self._noise(out)
            return at + 1
        if len(head) < 6 or end > len(buffer):
            return None
        if not self._fits(at, length, lambda: casic_sum(buffer[at:end]) == buffer[end - 4 : end]):
            self._noise(out)
            return at + 1
        self._noisy = False
        out.append(Rejected("foreign", "CASIC"))
        return end

    def _other(self, buffer: bytes, at: int, out: list[Frame]) -> int | None:
        head = buffer[at : at + 4]
        if len(head) > 1 and head[1] not in FOREIGN:
            self._noise(out)
            return at + 1
        if len(head) < 4:
            return None
        skytraq = head[1] == 0xA1
        length = head[2] << 8 | head[3]
        end = at + length + (7 if skytraq else 8)
        if length > UBX_LIMIT:
            self._noise(out)
            return at + 1
        if end > len(buffer):
            return None
        if buffer[end - 2 : end] != (b"\r\n" if skytraq else b"\xb0\xb3"):
            self._noise(out)
            return at + 1
        self._noisy = False
        out.append(Rejected("foreign", FOREIGN[head[1]]))
        return end

    def _good(self) -> None:
        self._noisy = self._noisy and self._prefixed
        self._prefixed = False
        self.heard += 1

    def _noise(self, out: list[Frame]) -> None:
        if not self._noisy:
            self._noisy = True
            out.append(Rejected("garbage"))


def _shown(sentence: bytes) -> str:
    return sentence[:6].decode("ascii", "replace")


def _is_noise(between: bytes) -> bool:
    """What stands between frames, if it is more than line ends and the few zeros with which some receivers pad."""
    return bool(between.strip(b"\r\n\t\0 ")) or between.count(0) > MOST_ZEROS
