"""Whether a device is there. Connection ids are random: an offline word of another connection is about the past.

| state, then word     | online X   | offline X        |
|---|---|---|
| unknown              | online X   | offline X        |
| online X             | the same   | offline X        |
| online Y, not X      | online X   | ignored          |
| offline X or Y       | online X   | offline, unchanged |
"""

from dataclasses import dataclass
from enum import StrEnum

from wire.messages import Status


class Change(StrEnum):
    """What a status changed."""

    NONE = "none"
    CAME = "came"
    CAME_AGAIN = "came-again"
    WENT = "went"


@dataclass(frozen=True, slots=True)
class Presence:
    """The newest connection that we know of, and whether it stands."""

    online: bool
    connection: str


def step(state: Presence | None, status: Status) -> tuple[Presence, Change]:
    """The state after a status, and what changed."""
    said = Presence(status.online, status.connection)
    if status.online:
        if state is not None and state.online:
            return said, Change.NONE if state.connection == status.connection else Change.CAME_AGAIN
        return said, Change.CAME
    if state is None:
        return said, Change.WENT
    if state.online and state.connection == status.connection:
        return said, Change.WENT
    return state, Change.NONE
