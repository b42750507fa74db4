"""Any trace file, told by its content and not by its name, read into drives."""

import re
import zlib
from collections import Counter

from agent.core.gnss import receiver
from agent.core.gnss.framing import fits
from agent.core.traces import bus
from agent.core.traces.drives import Moment, Trace, drives_of
from agent.core.traces.gpx import read_gpx
from agent.core.traces.objects import read_json, read_recorder
from agent.core.traces.tables import read_csv
from wire.errors import DecodeError
from wire.messages import Fix, Rejected

GZIP, ZIP, SQLITE = b"\x1f\x8b", b"PK\x03\x04", b"SQLite format 3\0"
RAW = "receiver"
MAX_BYTES = 1 << 30
HEAD = 65_536
UBX = b"\xb5\x62"
_SENTENCE = re.compile(rb"\$([A-Z][A-Z0-9]{2,6},[^\r\n$]*)")
_RECORDER = re.compile(r"\s*\S+\t[^\t]*\t\s*\{")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
KNOWN = (
    "known are CSV, GPX, JSON, GeoJSON, OwnTracks, and the raw NMEA or UBX of a receiver, each also packed with gzip"
)


def unpacked(data: bytes, where: str) -> bytes:
    """What is in a gzip file, or the data themselves. Raises DecodeError."""
    if not data.startswith(GZIP):
        return data
    plain = bytearray()
    while data.startswith(GZIP):  # a file may have several parts, one behind the other
        puffer = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain += puffer.decompress(data, MAX_BYTES - len(plain) + 1)
        except zlib.error as error:
            raise DecodeError("damaged file", where, f"gzip: {error}") from None
        if len(plain) > MAX_BYTES:
            raise DecodeError("too-long", where, f"more than {MAX_BYTES >> 20} MiB when unpacked")
        if not puffer.eof:
            raise DecodeError("damaged file", where, "gzip: cut off")
        data = puffer.unused_data
    return bytes(plain)


def read(where: str, data: bytes) -> Trace:
    """The drives of a file, packed or not. Raises DecodeError with a line for a person."""
    plain = unpacked(data, where)
    trace = _read(where, plain)
    if not trace.drives:
        reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(trace.broken).most_common(5))
        what = "the receiver told no position that can be used" if trace.kind == RAW else "no line of it can be used"
        raise DecodeError("no-position", where, f"{what}: {reasons}" if reasons else what)
    return trace


def _read(where: str, plain: bytes) -> Trace:
    if not plain.strip():
        raise DecodeError("empty", where, "the file holds nothing")
    if plain.startswith((ZIP, SQLITE)):
        raise DecodeError("format", where, "a zip archive: unpack it first" if plain[:1] == b"P" else "a database")
    head = plain[:3].removeprefix(b"\xef\xbb\xbf") + plain[3:HEAD]
    start = head.lstrip()[:1]
    if start == b"<":
        return read_gpx(plain, where)
    if is_raw(plain):
        return read_raw(plain)
    text = _text(plain, where)
    start_of = text.lstrip()[:1]
    if start_of == "<":
        return read_gpx(text, where)
    if start_of in {"{", "["}:
        return read_json(text, where)
    if _RECORDER.match(text):
        return read_recorder(text, where)
    if bus.is_alone(text):
        raise DecodeError(
            "no-position", where, "values of the bus alone, without any place: the rig takes it with --obd"
        )
    if "\0" in text:
        raise DecodeError("format", where, KNOWN)
    return read_csv(text, where)


def is_raw(data: bytes) -> bool:
    """Whether a receiver has sent this: a sentence with a good checksum, or a frame of UBX, or noise around either."""
    head = data[:HEAD]
    if any(fits(found[1]) for found in _SENTENCE.finditer(head)):
        return True
    return UBX in head and (not _is_text(head) or b"$G" in head)


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True


def _text(plain: bytes, where: str) -> str:
    try:
        if plain.startswith(_UTF16):
            return plain.decode("utf-16")
        return plain.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    control = sum(byte < 9 or 13 < byte < 32 for byte in plain[:HEAD])
    if control * 20 > min(len(plain), HEAD):
        raise DecodeError("format", where, f"binary data; {KNOWN}")
    return plain.decode("latin-1")


def read_raw(data: bytes) -> Trace:
    """The fixes of a receiver's own bytes, as the agent gets them; what it refuses is counted as the agent counts it."""
    parser = receiver.Parser()
    moments: list[Moment] = []
    broken: Counter[str] = Counter()
    for at in range(0, len(data), HEAD):
        _sort(parser.feed(data[at : at + HEAD]), moments, broken)
    _sort(parser.flush(), moments, broken)
    return Trace(RAW, tuple(drives_of("", moments)), broken)


def _sort(items: list[receiver.Item], moments: list[Moment], broken: Counter[str]) -> None:
    for item in items:
        if isinstance(item, Fix):
            moments.append(Moment(item))
        elif isinstance(item, Rejected):
            broken[item.reason] += 1
