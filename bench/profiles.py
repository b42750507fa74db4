"""What each profile costs on the recorded drives of the tests: the table of docs/installer.md."""

import time
from pathlib import Path
from typing import Any

from agent import replay
from agent.core import cost
from agent.core.profiles import PROFILES
from agent.core.tally import LIVE
from agent.core.traces.reading import read

KEEPALIVE_S, LIVE_BYTES = 30.0, 110
"""MQTT keep-alive where a profile says none, and the payload of a heartbeat."""
RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"


def drives() -> list[Path]:
    """The naturalistic drives."""
    return sorted(RECORDINGS.glob("nds-*"))


def figures(profile: str) -> dict[str, Any]:
    """The pooled figures of a profile."""
    sampling = replay.sampling_of(profile, ())
    config = replay.config_of(sampling)
    traces = [(path.name, read(path.name, path.read_bytes())) for path in drives()]
    files = [replay.through(name, trace, config, replay.Told()) for name, trace in traces]
    return replay.pooled(files, (), sampling)


def parked_bytes_an_hour(profile: str) -> float:
    """Heartbeats, and the pings that keep a silent link known, both directions."""
    chosen = PROFILES[profile]
    beats = 3600.0 / chosen.sampling["heartbeat_parked_s"]
    pings = max(0.0, 3600.0 / chosen.sections.get("hub", {}).get("keepalive_s", KEEPALIVE_S) - beats)
    return beats * cost.publish_bytes(LIVE, LIVE_BYTES) + pings * cost.ping_bytes()


def table() -> str:
    """In Markdown."""
    lines = [
        "| profile | for | ε | heartbeat, parked | upload | besides | live an hour | error p95 | driving: live, with track | parked | "
        "MB a month: 2 h · 10 h of driving a day |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, profile in PROFILES.items():
        told = figures(name)
        chosen, size, parked = told["settings"], told["bytes"], parked_bytes_an_hour(name)
        besides = ", ".join(
            f"`{part}.{key}` {value:g}" for part, keys in profile.sections.items() for key, value in keys.items()
        )
        month = [30.0 * (h * size["total_per_hour_tls"] + (24 - h) * parked) / 1e6 for h in (2, 10)]
        lines.append(
            f"| `{name}` | {profile.about} | {chosen['eps_m']:g} m | {chosen['heartbeat_moving_s']:g} s, "
            f"{chosen['heartbeat_parked_s']:g} s | {chosen['upload_s']:g} s | {besides} | {told['live_per_hour']:.0f} | "
            f"{told['live_error_m']['p95']:.1f} m | {size['live_per_hour_tls'] / 1000:.0f}, "
            f"{size['total_per_hour_tls'] / 1000:.0f} kB/h | {parked / 1000:.1f} kB/h | {month[0]:.0f} · {month[1]:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and what a replay takes."""
    print(f"profiles on {len(drives())} recorded drives")
    started_s = time.process_time()
    print(table(), end="")
    fixes = (len(PROFILES) + 1) * int(figures("city")["fixes"])
    print(f"{(time.process_time() - started_s) / fixes * 1e6:.0f} µs a fix")


if __name__ == "__main__":
    main()
