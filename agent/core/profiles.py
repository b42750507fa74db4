"""Profiles of sampling: defaults for a kind of work. What a settings file says itself counts before them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Profile:
    """`sampling` and those of other `sections` of agent.toml are settings with the values that this work wants."""

    about: str
    sampling: Mapping[str, float]
    sections: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def _sampling(
    eps_m: float, *, moving_s: float, parked_s: float, upload_s: float, commit_s: float
) -> Mapping[str, float]:
    return {
        "eps_m": eps_m, "heartbeat_moving_s": moving_s, "heartbeat_parked_s": parked_s,
        "upload_s": upload_s, "commit_s": commit_s,
    }  # fmt: skip


PROFILES: dict[str, Profile] = {
    "city": Profile(
        "cars and vans in town: who looks at the map sees the right side of the crossing",
        _sampling(10.0, moving_s=60, parked_s=300, upload_s=60, commit_s=5),
        {"obd": {"rate_hz": 5.0}},
    ),
    "highway": Profile(
        "trucks on long roads: speed is steady and lanes don't matter",
        _sampling(20.0, moving_s=60, parked_s=300, upload_s=120, commit_s=5),
        {"obd": {"rate_hz": 2.0}, "outbox": {"thin_m": 10.0}},
    ),
    "courier": Profile(
        "parcels and passengers that are waited for: the door in front of which the van stands",
        _sampling(5.0, moving_s=30, parked_s=300, upload_s=30, commit_s=2),
        {"obd": {"rate_hz": 5.0}},
    ),
    "trailer": Profile(
        "trailers and machines on a battery: seldom a word while parked, where it is to a street while pulled",
        _sampling(50.0, moving_s=60, parked_s=3600, upload_s=600, commit_s=30),
        {"hub": {"keepalive_s": 1200}, "obd": {"rate_hz": 1.0}, "outbox": {"thin_m": 20.0}},
    ),
    "low-data": Profile(
        "dear or thin SIM plans: the history comes every ten minutes, the map is right to a block",
        _sampling(30.0, moving_s=60, parked_s=900, upload_s=600, commit_s=10),
        {
            "hub": {"keepalive_s": 300},
            "obd": {"rate_hz": 1.0},
            "outbox": {"thin_m": 10.0},
            "budget": {"month_mb": 25.0},
        },
    ),
}


def unknown(name: str) -> str:
    """What to tell of a name that is none: all there are, and one that may have been meant."""
    near = difflib.get_close_matches(name.lower(), PROFILES, 1, cutoff=0.5)
    return f"no profile {name!r}{f', did you mean {near[0]}?' if near else ';'} there are {', '.join(PROFILES)}"
