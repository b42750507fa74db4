"""Redis keys. The fleet is the hash tag, so that all keys of a fleet are in one slot and one script updates them."""

from dataclasses import dataclass

ROOT = "odo"
MOVES_PATTERN = f"{ROOT}:{{*}}:moves"
BELL_PATTERN = f"{ROOT}:{{*}}:bell"


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys and channels of one fleet."""

    geo: str
    live: str
    order: str
    events: str
    epoch: str
    moves: str
    bell: str


def of(fleet: str) -> Keys:
    """geo: positions; live: state as JSON; order: time that newer states are judged by; epoch: marks a filled view."""
    tag = f"{ROOT}:{{{fleet}}}"
    return Keys(
        f"{tag}:geo", f"{tag}:live", f"{tag}:order", f"{tag}:events", f"{tag}:epoch", f"{tag}:moves", f"{tag}:bell"
    )


def fleet_of(channel: str) -> str:
    """The fleet in the name of a key or channel; empty if there is none."""
    _, opened, rest = channel.partition("{")
    fleet, closed, _ = rest.partition("}")
    return fleet if opened and closed else ""
