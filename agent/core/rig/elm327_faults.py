"""What adapters do wrong, and copies of them do often: a table of faults, and what each makes of an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Parts = list[tuple[int, bytes]]
"""Milliseconds after the moment when the answer would have come, and the bytes."""

FAULTS: Mapping[str, str] = {
    "stopped": "STOPPED, as if we had interrupted it",
    "buffer-full": "half an answer, then BUFFER FULL",
    "searching": "SEARCHING... for a second and a half, then the answer",
    "searching-forever": "SEARCHING... and nothing more until it is interrupted",
    "no-data": "NO DATA though the vehicle has it",
    "unable-to-connect": "SEARCHING..., and after five seconds UNABLE TO CONNECT",
    "can-error": "CAN ERROR, as with a wrong or loose wire",
    "bus-init-error": "BUS INIT: ...ERROR",
    "rx-error": "an answer that ends with <RX ERROR",
    "data-error": "an answer that ends with <DATA ERROR",
    "bus-busy": "BUS BUSY",
    "fb-error": "FB ERROR",
    "act-alert": "ACT ALERT: it is about to go to sleep",
    "err94": "ERR94, a fatal error after which it needs a reset",
    "lv-reset": "LV RESET: the supply broke down and all settings are lost",
    "restart": "a restart with its banner in the middle of the work; all settings are lost",
    "not-understood": "? though the command is right",
    "not-connected": "NOT CONNECTED",
    "lost-prompt": "an answer without the prompt",
    "lost-all": "no answer at all, once",
    "echo-on": "it echoes commands again",
    "interleaved": "the halves of two answers mixed",
    "locked-soft": "deaf until it gets a bare carriage return",
    "locked-warm": "deaf until a warm start",
    "locked-reset": "deaf until a reset",
    "locked": "deaf until the port is opened anew",
    "short-requests": "only requests of two bytes; ? to anything longer and to the line count",
    "older-answer": "the answer to an earlier question instead",
    "older-first": "the answer to an earlier question before the right one",
    "other-unit": "the answer of another control unit with another value",
    "truncated": "the last digits of the line are missing",
    "cut-head": "the first characters are missing",
    "bit-flip": "one bit of a digit falls over",
    "noise": "bytes that are no characters within the line",
    "missing-cr": "no carriage return between the lines",
    "slow": "the answer a second and a half late",
    "dribble": "the answer in pieces with pauses",
    "duplicated": "each line twice",
    "doubled-prompt": "the prompt twice",
    "early-prompt": "a prompt in the middle of the answer",
    "zeros": "zero bytes all over the answer",
    "linefeeds": "line feeds though they are switched off",
    "negative": "the control unit refuses: 7F … 12",
    "pending": "the control unit asks for patience (7F … 78), then answers",
    "pending-only": "the control unit asks for patience and the answer never comes",
    "chatter": "a line that nobody asked for, behind the prompt",
}
LOCKS: Mapping[str, frozenset[str]] = {
    "locked-soft": frozenset({"", "ATWS", "ATZ"}),
    "locked-warm": frozenset({"ATWS", "ATZ"}),
    "locked-reset": frozenset({"ATZ"}),
    "locked": frozenset(),
    "searching-forever": frozenset({"", "ATWS", "ATZ"}),
    "err94": frozenset({"ATWS", "ATZ"}),
}
"""What each lock is opened by; opening the port anew opens all."""
ALWAYS = frozenset({"unable-to-connect", "can-error", "bus-init-error", "no-data", "not-connected", "short-requests"})
"""Planted by name, these are there at every reading; the others at every third."""
EACH = 3


@dataclass(frozen=True, slots=True)
class Context:
    """What stands around an answer: the command, the answer before, what another unit would say, and a running number."""

    command: str
    before: bytes = b""
    other: bytes = b""
    count: int = 0


Spoil = Callable[[bytes, Context], Parts]


def _words(text: str, wait_ms: int = 0) -> Spoil:
    return lambda _answer, _context: [(wait_ms, text.encode() + b"\r\r>")]


def _body(answer: bytes) -> bytes:
    return answer.removesuffix(b">").rstrip(b"\r\n")


def _tail(text: bytes) -> Spoil:
    return lambda answer, _: [(0, _body(answer) + text + b"\r\r>")]


def _flip(answer: bytes, context: Context) -> Parts:
    """The lowest bit of one digit: 2 and 3 change places, A becomes @."""
    body = bytearray(_body(answer))
    spots = [i for i, c in enumerate(body) if c in b"0123456789ABCDEF"]
    if spots:
        body[spots[context.count * 7 % len(spots)]] ^= 1 << context.count % 3
    return [(0, bytes(body) + b"\r\r>")]


def _mixed(answer: bytes, context: Context) -> Parts:
    one, two = _body(answer), _body(context.before or context.other or answer)
    half, other = len(one) // 2, len(two) // 2
    return [(0, one[:half] + two[:other] + one[half:] + b"\r" + two[other:] + b"\r\r>")]


def _negative(code: str, *, answered: bool) -> Spoil:
    def spoil(answer: bytes, context: Context) -> Parts:
        body = _body(answer)
        mode = context.command[:2] if context.command[:2] in {"01", "02", "03", "07", "09", "0A"} else "01"
        head = b"7E803" if body.startswith(b"7E") else b"18DAF11003" if body.startswith(b"18DAF1") else b""
        line = head + f"7F{mode}{code}".encode() + b"\r"
        return [(0, line), (900, answer)] if answered else [(0, line + b"\r>")]

    return spoil


def _pieces(answer: bytes, _context: Context) -> Parts:
    return [(40 * i, answer[start : start + 5]) for i, start in enumerate(range(0, len(answer), 5))]


SPOILS: Mapping[str, Spoil] = {
    "stopped": _words("STOPPED"),
    "buffer-full": lambda answer, _: [(0, _body(answer)[: len(answer) // 2] + b"\rBUFFER FULL\r\r>")],
    "searching": lambda answer, _: [(0, b"SEARCHING..."), (1500, b"\r" + answer)],
    "searching-forever": lambda *_: [(0, b"SEARCHING...")],
    "no-data": _words("NO DATA", 200),
    "unable-to-connect": lambda *_: [(0, b"SEARCHING..."), (5000, b"\rUNABLE TO CONNECT\r\r>")],
    "can-error": _words("CAN ERROR", 100),
    "bus-init-error": _words("BUS INIT: ...ERROR", 1500),
    "rx-error": _tail(b" <RX ERROR"),
    "data-error": _tail(b" <DATA ERROR"),
    "bus-busy": _words("BUS BUSY"),
    "fb-error": _words("FB ERROR"),
    "act-alert": _words("!ACT ALERT"),
    "err94": _words("ERR94"),
    "lv-reset": lambda *_: [(0, b"\r\rLV RESET\r\r>")],
    "restart": lambda *_: [(0, b"\r\rELM327 v1.5\r\r>")],
    "not-understood": _words("?"),
    "not-connected": _words("NOT CONNECTED", 300),
    "lost-prompt": lambda answer, _: [(0, answer.replace(b">", b""))],
    "lost-all": lambda *_: [],
    "echo-on": lambda answer, context: [(0, context.command.encode() + b"\r" + answer)],
    "interleaved": _mixed,
    "locked-soft": lambda *_: [],
    "locked-warm": lambda *_: [],
    "locked-reset": lambda *_: [],
    "locked": lambda *_: [],
    "short-requests": lambda answer, context: [(0, b"?\r\r>" if len(context.command) > 4 else answer)],
    "older-answer": lambda answer, context: [(0, context.before or answer)],
    "older-first": lambda answer, context: [(0, _body(context.before) + b"\r" + answer if context.before else answer)],
    "other-unit": lambda answer, context: [(0, context.other or answer)],
    "truncated": lambda answer, context: [(0, _body(answer)[: -1 - context.count % 3] + b"\r\r>")],
    "cut-head": lambda answer, context: [(0, answer[1 + context.count % 4 :])],
    "bit-flip": _flip,
    "noise": lambda answer, _: [(0, answer[: len(answer) // 2] + b"\xff\x81Z" + answer[len(answer) // 2 :])],
    "missing-cr": lambda answer, _: [(0, _body(answer).replace(b"\r", b"") + b">")],
    "slow": lambda answer, _: [(1500, answer)],
    "dribble": _pieces,
    "duplicated": lambda answer, _: [(0, b"".join(line + b"\r" + line + b"\r" for line in _body(answer).split(b"\r")) + b"\r>")],
    "doubled-prompt": lambda answer, _: [(0, answer + b">")],
    "early-prompt": lambda answer, _: [(0, answer[: len(answer) // 2] + b">" + answer[len(answer) // 2 :])],
    "zeros": lambda answer, _: [(0, b"".join(bytes((0, c)) for c in answer))],
    "linefeeds": lambda answer, _: [(0, answer.replace(b"\r", b"\r\n"))],
    "negative": _negative("12", answered=False),
    "pending": _negative("78", answered=True),
    "pending-only": _negative("78", answered=False),
    "chatter": lambda answer, context: [(0, answer), (30, (_body(context.before) or b"4100") + b"\r")],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mishap:
    """A fault at a chosen place: at commands that begin with `prefix`, after `skip` of them, `times` in a row."""

    fault: str
    prefix: str
    skip: int = 0
    times: int = 1
