"""Which speed a serial line talks at: the likely ones are tried one after the other until something valid comes.

Rules
1. The last good rate is tried first, then the others in their order, over and over.
2. One NMEA sentence or UBX frame with the right checksum decides: bytes of another rate do not make one.
3. In the first lap a rate is left when a burst that is neither text nor UBX has ended, so that the next burst is heard
   from its beginning. Later laps stay the whole dwell, each longer than the one before: a receiver may speak every five
   seconds.
4. A rate that was found is kept through any silence. Only bytes that make nothing valid for `lost_ms` start a new hunt:
   a receiver that lost its power is back at the rate of its maker.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum, auto

from agent.core.gnss.framing import fits, fletcher

RATES = (9600, 115_200, 38_400, 4800, 57_600, 230_400, 460_800, 921_600, 19_200)
"""Of receivers, the likely ones first."""
ADAPTER_RATES = (38_400, 9600, 115_200, 230_400, 500_000, 57_600)
"""Of ELM327 adapters: genuine, old clones, USB clones, OBDLink."""
CHECK_MS = 1_000
"""A line that was found good is looked at again after so long; in between its bytes cost nothing."""
TAIL = 2_048
ODD_LIMIT = 24
GAP_MS, STREAM_MS = 60, 800
"""A burst has ended when so long nothing comes; a line without such gaps is left after the second."""
TEXT = bytes(range(0x20, 0x7F)) + b"\r\n"
ANSWER = TEXT + b"\0"
SENTENCE = re.compile(rb"\$([A-Z][A-Z0-9]{3,9},[ -#%-)+-~]{0,240}\*[0-9A-Fa-f]{2})")
SYNC = b"\xb5\x62"
FRAME_LIMIT = 1_024


@dataclass(frozen=True, slots=True)
class Config:
    """`dwell_ms` is longer than the second between two bursts, and than the first sentence of one at 4800 Bd."""

    rates: tuple[int, ...] = RATES
    dwell_ms: int = 1_250
    longest_ms: int = 6_000
    lost_ms: int = 5_000


class Turn(Enum):
    """What the line's owner has to know: set `State.rate`, or it has been found."""

    NEXT = auto()
    FOUND = auto()


@dataclass(frozen=True, slots=True)
class State:
    """A hunt at `order[at]`. `since_ms` is when this rate was set, or since when a found one gives nothing valid.

    `whole` says that there was a gap: only then does what comes begin with the beginning of a burst, and may be odd.
    """

    order: tuple[int, ...]
    since_ms: int
    at: int = 0
    lap: int = 1
    odd: int = 0
    last_ms: int = 0
    whole: bool = False
    tail: bytes = b""
    found: bool = False
    good_ms: int = 0

    @property
    def rate(self) -> int:
        """The rate to listen at."""
        return self.order[self.at]


def ordered(rates: tuple[int, ...], first: int | None) -> tuple[int, ...]:
    """The rates, the last good one before the others."""
    return rates if first is None else (first, *(rate for rate in rates if rate != first))


def start(now_ms: int, config: Config, known: int | None = None) -> State:
    """The line was opened at `State.rate`; `known` was good the last time."""
    return State(ordered(config.rates, known), now_ms)


def reopened(state: State, now_ms: int) -> State:
    """The line was opened again, at the same rate: a hunt goes on where it was, what was found is kept."""
    return replace(state, since_ms=now_ms, good_ms=now_ms, odd=0, tail=b"")


def wake_at(state: State, config: Config) -> int | None:
    """When to call `step` again if nothing comes."""
    if state.found:
        return None
    whole_ms = state.since_ms + _dwell_ms(state, config)
    return min(whole_ms, state.last_ms + GAP_MS) if _is_odd(state) else whole_ms


def step(state: State, chunk: bytes, now_ms: int, config: Config) -> tuple[State, Turn | None]:
    """Take in what came, also nothing."""
    if state.found:
        return _kept(state, chunk, now_ms, config)
    tail = (state.tail + chunk)[-TAIL:]
    if chunk and valid(tail):
        return replace(state, found=True, good_ms=now_ms, tail=b"", lap=1), Turn.FOUND
    since_ms, quiet_ms = now_ms - state.since_ms, now_ms - max(state.last_ms, state.since_ms)
    whole = state.whole or quiet_ms >= GAP_MS or since_ms >= STREAM_MS
    if chunk:
        odd = state.odd + (len(chunk.translate(None, TEXT)) if whole else 0)
        state, quiet_ms = replace(state, odd=odd, last_ms=now_ms, tail=tail, whole=whole), 0
    hopeless = _is_odd(state) and (quiet_ms >= GAP_MS or since_ms >= STREAM_MS)
    if not hopeless and since_ms < _dwell_ms(state, config):
        return state, None
    at = (state.at + 1) % len(state.order)
    return State(state.order, now_ms, at, state.lap + (at == 0)), Turn.NEXT


def _is_odd(state: State) -> bool:
    return state.lap == 1 and state.odd >= ODD_LIMIT and SYNC not in state.tail


def _kept(state: State, chunk: bytes, now_ms: int, config: Config) -> tuple[State, Turn | None]:
    if not chunk or now_ms - state.good_ms < CHECK_MS:
        return state, None
    tail = (state.tail + chunk)[-TAIL:]
    if valid(tail):
        return replace(state, good_ms=now_ms, tail=b""), None
    since_ms = state.since_ms if state.tail else now_ms
    if now_ms - since_ms >= config.lost_ms:
        return State(ordered(config.rates, state.rate), now_ms), Turn.NEXT
    return replace(state, since_ms=since_ms, tail=tail), None


def _dwell_ms(state: State, config: Config) -> int:
    return min(config.dwell_ms * state.lap, config.longest_ms)


def valid(data: bytes) -> bool:
    """Whether a whole sentence or frame with the right checksum is in there."""
    return any(fits(found[1]) for found in SENTENCE.finditer(data)) or _has_frame(data)


def _has_frame(data: bytes) -> bool:
    at = data.find(SYNC)
    while at >= 0:
        length = int.from_bytes(data[at + 4 : at + 6], "little")
        frame = data[at + 2 : at + 8 + length]
        if length <= FRAME_LIMIT and len(frame) == length + 6 and fletcher(frame[:-2]) == frame[-2:]:
            return True
        at = data.find(SYNC, at + 1)
    return False


def answers(heard: bytes) -> bool:
    """Whether an ELM327 has answered at the right rate: up to a prompt, and nothing that it never says."""
    return b">" in heard and not heard.translate(None, ANSWER)
