"""What an adapter's answer is: messages, silence of the vehicle, a fault with its cure, a refusal, or a restart.

Words are a table. Only whole lines of hex digits are read as messages, and only if each of them is understood.
"""

from dataclasses import dataclass
from enum import Enum, auto

from agent.core.obd.isotp import Message, messages

BANNERS = (b"ELM", b"OBD", b"STN")
"""How adapters announce themselves after a start. Answers of before, still under way, must not pass for it."""
PENDING, REFUSED = 0x78, 0x7F
PLAIN, HEADS = frozenset({0x03, 0x07, 0x0A}), {0x02: 3}
"""Modes without parameters, and how much of the question an answer repeats: two bytes, or three with the frame of mode 02."""


class Kind(Enum):
    """What an answer amounts to."""

    GOOD = auto()
    NO_DATA = auto()
    """The vehicle said nothing."""
    AGAIN = auto()
    """The adapter tells of a fault on the bus and waits for the next command: nothing to mend."""
    FAULT = auto()
    """The line or the adapter is out of step."""
    UNKNOWN = auto()
    """The adapter does not know the command, or has garbled it."""
    NEGATIVE = auto()
    """A control unit says no."""
    PENDING = auto()
    """A control unit says: later."""
    RESTARTED = auto()


WORDS: tuple[tuple[bytes, Kind, str], ...] = (
    (b"LVRESET", Kind.RESTARTED, "restarted"),
    (b"?", Kind.UNKNOWN, "not-understood"),
    (b"NODATA", Kind.NO_DATA, "no-data"),
    (b"UNABLETOCONNECT", Kind.NO_DATA, "no-vehicle"),
    (b"NOTCONNECTED", Kind.NO_DATA, "no-vehicle"),
    (b"CANERROR", Kind.NO_DATA, "can-error"),
    (b"BUSINIT:ERROR", Kind.NO_DATA, "bus-init"),
    (b"BUSINIT:...ERROR", Kind.NO_DATA, "bus-init"),
    (b"STOPPED", Kind.FAULT, "stopped"),
    (b"BUFFERFULL", Kind.AGAIN, "buffer-full"),
    (b"BUSERROR", Kind.AGAIN, "bus-error"),
    (b"BUSBUSY", Kind.AGAIN, "bus-busy"),
    (b"FBERROR", Kind.AGAIN, "bus-error"),
    (b"FCRXTIMEOUT", Kind.AGAIN, "bus-error"),
    (b"DATAERROR", Kind.AGAIN, "data-error"),
    (b"<DATAERROR", Kind.AGAIN, "data-error"),
    (b"<RXERROR", Kind.AGAIN, "data-error"),
    (b"RXERROR", Kind.AGAIN, "data-error"),
    (b"ACTALERT", Kind.AGAIN, "adapter-sleeps"),
    (b"LPALERT", Kind.AGAIN, "adapter-sleeps"),
    (b"OUTOFMEMORY", Kind.FAULT, "adapter-error"),
    (b"ERR", Kind.FAULT, "adapter-error"),
)
"""By prefix, or as the end of a line for what is put behind an answer."""
PROGRESS = (b"SEARCHING", b"BUSINIT")


@dataclass(frozen=True, slots=True)
class Answer:
    """`lines` is how many carried the messages, `echo` whether the command came back with them."""

    kind: Kind
    reason: str = ""
    messages: tuple[Message, ...] = ()
    lines: int = 0
    echo: bool = False


def packed(text: bytes) -> bytes:
    """Without blanks and in capitals."""
    return bytes(c for c in text if c not in b" \r\n\0\t").upper()


def split(raw: bytes) -> list[bytes]:
    """The lines of an answer, without what only tells of progress."""
    lines = [packed(line) for line in raw.replace(b"\n", b"\r").split(b"\r")]
    return [rest for line in lines if (rest := _without_progress(line))]


def written(raw: bytes) -> list[str]:
    """The lines as a person would read them."""
    lines = raw.replace(b"\n", b"\r").replace(b"\0", b"").decode("ascii", "replace").split("\r")
    return [line.strip() for line in lines if line.strip()]


def _without_progress(line: bytes) -> bytes:
    if line.startswith(b"SEARCHING"):
        return line.removeprefix(b"SEARCHING").lstrip(b".")
    if line.startswith(b"BUSINIT"):
        rest = line.removeprefix(b"BUSINIT").lstrip(b":").lstrip(b".")
        return b"BUSINIT:ERROR" if rest.startswith(b"ERROR") else rest.removeprefix(b"OK")
    return line


def in_progress(buffer: bytes) -> bool:
    """Whether what came so far only says that the adapter is at work."""
    lines = [packed(line) for line in buffer.replace(b"\n", b"\r").split(b"\r")]
    told = [line for line in lines if line]
    if not told:
        return False
    last = told[-1]
    asks_for_patience = last.endswith(b"78") and last[-6:-4] == b"7F"
    return asks_for_patience or (last.startswith(PROGRESS) and not _without_progress(last))


def announces(lines: list[bytes]) -> bool:
    """Whether the adapter has said its name."""
    return any(line.startswith(BANNERS) for line in lines)


def understand(raw: bytes, command: str, protocol: str, *, headers: bool) -> Answer:
    """An answer to a reading of the vehicle."""
    lines = split(raw)
    echo = bool(lines) and lines[0] == command.encode()
    lines = lines[1:] if echo else lines
    if not lines:
        return Answer(Kind.FAULT, "empty", echo=echo)
    if announces(lines):
        return Answer(Kind.RESTARTED, "restarted")
    for word, kind, reason in WORDS:
        if any(line.startswith(word) or (line.endswith(word) and len(word) > 1) for line in lines):
            alone = len(lines) == 1 or kind is not Kind.NO_DATA
            return Answer(kind if alone else Kind.FAULT, reason if alone else "garbled", echo=echo)
    read = messages(lines, protocol, headers=headers)
    if isinstance(read, str):
        return Answer(Kind.FAULT, read, echo=echo)
    return _sorted_out(read, command, len(lines), echo=echo)


def _unasked(data: bytes, asked: bytes) -> str | None:
    """Why it is no answer to this request: it repeats the mode, and one of the parameters where there are any."""
    if data[0] != asked[0] | 0x40:
        return "mismatch"
    if asked[0] in PLAIN:
        return None
    if len(data) < HEADS.get(asked[0], 2):
        return "short"
    return None if data[1] in asked[1:] else "mismatch"


def _sorted_out(read: list[Message], command: str, lines: int, *, echo: bool) -> Answer:
    """Refusals apart from answers; what does not repeat the question is an answer to another one."""
    mode = int(command[:2], 16)
    negative = [one for one in read if one.data[0] == REFUSED and len(one.data) == 3]
    positive = [one for one in read if one not in negative]
    asked = bytes.fromhex(command[: len(command) // 2 * 2])
    for one in positive:
        if (wrong := _unasked(one.data, asked)) is not None:
            return Answer(Kind.FAULT, wrong, echo=echo)
    if any(one.data[1] != mode for one in negative):
        return Answer(Kind.FAULT, "mismatch", echo=echo)
    if positive:
        return Answer(Kind.GOOD, "", tuple(positive), lines, echo)
    waits = any(one.data[2] == PENDING for one in negative)
    return Answer(Kind.PENDING if waits else Kind.NEGATIVE, f"negative-{negative[0].data[2]:02x}", echo=echo)
