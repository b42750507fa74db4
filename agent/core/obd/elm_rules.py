"""The table of the ELM327 dialogue: in which phase what is sent, how long the prompt may take, and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType


class Phase(Enum):
    """Where the dialogue is."""

    RESET = auto()
    HELLO = auto()
    ECHO = auto()
    LINEFEEDS = auto()
    SPACES = auto()
    HEADERS = auto()
    TIMING = auto()
    WHO = auto()
    PROTOCOL = auto()
    SEARCH = auto()
    NAME = auto()
    POLL = auto()
    ASLEEP = auto()
    QUIET = auto()
    FLUSH = auto()
    WARM = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """`optional`: an adapter that does not know the command goes on without it. An empty command depends on more."""

    command: str
    limit_ms: int
    good: Phase
    optional: bool = False


RULES: Mapping[Phase, Rule] = MappingProxyType(
    {
        Phase.RESET: Rule("ATZ", 1500, Phase.ECHO),
        Phase.HELLO: Rule("ATI", 150, Phase.ECHO),
        Phase.ECHO: Rule("ATE0", 400, Phase.LINEFEEDS),
        Phase.LINEFEEDS: Rule("ATL0", 400, Phase.SPACES),
        Phase.SPACES: Rule("ATS0", 400, Phase.HEADERS, optional=True),
        Phase.HEADERS: Rule("ATH1", 400, Phase.TIMING, optional=True),
        Phase.TIMING: Rule("ATAT1", 400, Phase.WHO, optional=True),
        Phase.WHO: Rule("AT@1", 400, Phase.PROTOCOL, optional=True),
        Phase.PROTOCOL: Rule("", 400, Phase.SEARCH),
        Phase.SEARCH: Rule("0100", 700, Phase.NAME),
        Phase.NAME: Rule("ATDPN", 400, Phase.POLL, optional=True),
        Phase.POLL: Rule("", 600, Phase.POLL),
        Phase.ASLEEP: Rule("", 700, Phase.SEARCH),
        Phase.QUIET: Rule("ATRV", 400, Phase.QUIET),
        Phase.FLUSH: Rule("\r", 200, Phase.POLL),
        Phase.WARM: Rule("ATWS", 250, Phase.ECHO),
    }
)
"""PROTOCOL sends ATSP with the digit that was found last, or 0. POLL sends what the plan says; ASLEEP measures the voltage
and searches seldom. FLUSH goes back to where the work is: POLL, SEARCH, QUIET, or ECHO if the set-up was not done."""
SETUP = frozenset(
    {Phase.ECHO, Phase.LINEFEEDS, Phase.SPACES, Phase.HEADERS, Phase.TIMING, Phase.WHO, Phase.PROTOCOL, Phase.NAME}
)
LADDER = (Phase.FLUSH, Phase.WARM, Phase.RESET, Phase.HELLO)
"""How to find back, one step after the other; after the last the port is to be opened anew."""
SEARCH_MS, PENDING_MS = 6_000, 5_000
"""How long a search may take once the adapter says that it searches, and a unit that asks for patience."""
GAP_MS = 350
"""A whole line is there and then nothing for so long: the prompt is lost."""
RESET_AGAIN_MS = 700
"""For a reset as a step of the ladder, so that all of it takes less than two seconds."""
