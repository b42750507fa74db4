"""The figures of a replay for a person: a line for each file, all of them together, and peers beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HEAD = (
    f"{'file':<34} {'fixes':>7} {'hours':>6} {'km':>8} {'live/h':>7} {'err p50':>8} {'p95':>6} {'p99':>6} {'max':>6} "
    f"{'B/fix':>6} {'kB/h':>6} {'held':>6} {'refused':>7}"
)


def _said(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def _row(name: str, part: Mapping[str, Any]) -> str:
    error, size = part["live_error_m"], part["bytes"]
    air = size["total_per_hour_tls"]
    shown = name if len(name) <= 34 else "…" + name[-33:]
    return (
        f"{shown:<34} {part['fixes']:>7} {part['hours']:>6.2f} {part['km']:>8.2f} {_said(part['live_per_hour'], '.0f'):>7} "
        f"{_said(error['p50'], '.1f'):>8} {_said(error['p95'], '.1f'):>6} {_said(error['p99'], '.1f'):>6} "
        f"{_said(error['max'], '.1f'):>6} {_said(size['track_per_fix'], '.1f'):>6} "
        f"{_said(None if air is None else air / 1000, '.0f'):>6} {part['held']:>6} {part['read'] - part['fixes']:>7}"
    )


def lines(whole: Mapping[str, Any]) -> Iterator[str]:
    """What the command prints without --json."""
    settings = whole["settings"]
    yield "settings: " + ", ".join(f"{key} = {value}" for key, value in settings.items() if value is not None)
    yield HEAD
    for part in whole["files"]:
        yield _row(part["file"].rpartition("/")[2] or part["file"], part)
    if len(whole["files"]) != 1:
        yield _row(f"all {len(whole['files'])} files", whole)
    yield from _details(whole)
    if "compare" in whole:
        yield ""
        yield from comparison(whole["compare"])


def _details(whole: Mapping[str, Any]) -> Iterator[str]:
    thinned, parked, size = whole["thinned"], whole["parked"], whole["bytes"]
    yield (
        f"live: {whole['live_messages']} messages, {size['live']} B; track: {size['track']} B, "
        f"read back within {whole['track_sed_max_m']} m"
    )
    yield (
        f"thinned to {thinned['eps_m']:g} m: {thinned['points']} points, "
        f"none farther off than {thinned['sed_max_m']} m; odometer: {whole['odometer_m'] / 1000:.2f} km"
    )
    yield (
        f"parked: {parked['hours']:.2f} h, {_said(parked['fixes_per_hour'], '.1f')} messages an hour, "
        f"{parked['beyond_heartbeats']} of them no heartbeat, {parked['phantom_m']} m of phantom way"
    )
    if whole["rejected"]:
        yield "rejected: " + ", ".join(f"{reason} {n}" for reason, n in whole["rejected"].items())


def comparison(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The profile and the rules of other trackers on the same fixes. Bytes of the others are computed."""
    yield f"{'rule':<66} {'msg/h':>6}  {'hub holds: p50':>14} {'p95':>6} {'p99':>6} {'max':>6}  {'goes on: p50':>12} {'p95':>6} {'p99':>6} {'max':>6}  {'kB/h*':>6}"
    for row in rows:
        yield _rule(row["name"], row["messages_per_hour"], row["hold_m"], row["extrapolate_m"], row["bytes_per_hour"])
    yield "* live messages alone, both directions; of the other rules computed from the usual size of their messages"


def _rule(name: str, rate: float | None, hold: Mapping[str, Any] | None, goes: Mapping[str, Any], air: Any) -> str:
    held = hold or {}
    holds = " ".join(f"{_said(held.get(key), '.1f'):>{width}}" for key, width in _widths(14))
    on = " ".join(f"{_said(goes.get(key), '.1f'):>{width}}" for key, width in _widths(12))
    return f"{name:<66} {_said(rate, '.0f'):>6}  {holds}  {on}  {_said(None if air is None else air / 1000, '.0f'):>6}"


def _widths(first: int) -> tuple[tuple[str, int], ...]:
    return (("p50", first), ("p95", 6), ("p99", 6), ("max", 6))
