"""What each profile costs on the recorded drives of the tests: the table of docs/installer.md."""

import time
from pathlib import Path
from typing import Any

from agent import replay
from agent.core.profiles import PROFILES
from agent.core.traces.reading import read

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


def table() -> str:
    """In Markdown."""
    lines = [
        "| profile | for | ε | heartbeat, parked | upload | live an hour | error p95 | live | with track |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, profile in PROFILES.items():
        told = figures(name)
        chosen, size = told["settings"], told["bytes"]
        lines.append(
            f"| `{name}` | {profile.about} | {chosen['eps_m']:g} m | {chosen['heartbeat_moving_s']:g} s, "
            f"{chosen['heartbeat_parked_s']:g} s | {chosen['upload_s']:g} s | {told['live_per_hour']:.0f} | "
            f"{told['live_error_m']['p95']:.1f} m | {size['live_per_hour_tls'] / 1000:.0f} kB/h | "
            f"{size['total_per_hour_tls'] / 1000:.0f} kB/h |"
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
