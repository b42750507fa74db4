"""`odograph-agent replay`: what a profile would have cost and shown on recorded drives."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from agent import parts
from agent.core import journey, peers, report
from agent.core.profiles import PROFILES, unknown
from agent.core.tally import DriveTally, Figures, Sums
from agent.core.traces.drives import Drive, Trace, reading_of
from agent.core.traces.reading import MAX_BYTES, read
from agent.settings import Sampling
from wire.codec import dump
from wire.errors import DecodeError, OdographError, SettingsError, UnavailableError
from wire.messages import Rejected
from wire.ops.settings import check
from wire.schema import named

TOLD_EVERY = 20_000
"""So many fixes are a while: then --progress says how far it is."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    files: tuple[str, ...]
    profile: str | None = None
    sets: tuple[str, ...] = ()
    as_json: bool = False
    live: Path | None = None
    track: Path | None = None
    progress: bool = False
    compare: bool = False
    plot: Path | None = None


@dataclass(slots=True)
class Told:
    """Where the lines of --live, --track and --progress go."""

    live: TextIO | None = None
    track: TextIO | None = None
    progress: TextIO | None = None
    count: int = 0

    def passed(self, passed: journey.Passed) -> None:
        """A line for a live message, one for an accepted fix."""
        if self.live is not None and passed.live is not None:
            self.live.write(passed.live.decode() + "\n")
        if self.track is not None:
            self.track.write(dump(named(passed.row) | {"held": passed.held}).decode() + "\n")

    def fix(self) -> None:
        """One more fix was looked at."""
        self.count += 1
        if self.progress is not None and self.count % TOLD_EVERY == 0:
            print(f"… {self.count} fixes", file=self.progress, flush=True)


@dataclass(slots=True)
class File:
    """What came of one file."""

    name: str
    trace: Trace
    sums: Sums = field(default_factory=Sums)
    drives: list[DriveTally] = field(default_factory=list)
    rivals: peers.Comparison | None = None


def sampling_of(profile: str | None, sets: Sequence[str]) -> Sampling:
    """The section [sampling] that --profile and --set make. Raises SettingsError with a line for each fault."""
    data: dict[str, object] = {}
    faults = []
    if profile is not None:
        data["profile"] = profile
        if profile not in PROFILES:
            raise SettingsError([f"--profile: {unknown(profile)}"])
    for told in sets:
        key, equals, value = told.partition("=")
        if not equals:
            faults.append(
                f"--set {told}: wants key=value, with a key of [sampling]: {', '.join(Sampling.model_fields)}"
            )
        name = key.strip().removeprefix("sampling.")
        if equals and "." in name:
            faults.append(f"--set {told}: a replay takes keys of [sampling] alone: {', '.join(Sampling.model_fields)}")
        data[name] = value.strip()
    if faults:
        raise SettingsError(faults)
    return check(data, Sampling, source="--set")


def config_of(sampling: Sampling) -> journey.Config:
    """How the cores run."""
    profile = PROFILES[sampling.profile].sections if sampling.profile else {}
    thin_m = profile.get("outbox", {}).get("thin_m", journey.Config().thin_m)
    return journey.Config(parts.sampling(sampling), round(sampling.upload_s * 1000), thin_m)


def drive_through(
    drive: Drive, config: journey.Config, told: Told, rivals: peers.Comparison | None = None
) -> DriveTally:
    """One drive, from a fresh start to its last upload."""
    state, tally = journey.State(), DriveTally(config, thinned_eps_m=config.thin_m)
    if rivals is not None:
        rivals.begin()
    for moment in drive.moments:
        told.fix()
        reading = reading_of(moment.values)
        state, passed = journey.step(state, moment.fix, reading, config)
        if isinstance(passed, Rejected):
            tally.refused(passed.reason, moment.fix, reading)
            continue
        tally.passes(passed)
        told.passed(passed)
        if rivals is not None:
            rivals.feed(passed.fix)
    _, uploads = journey.finish(state, drive.moments[-1].fix.at_ms)
    tally.uploads(uploads)
    tally.end(state.driven.metres)
    return tally


def through(name: str, trace: Trace, config: journey.Config, told: Told, *, compare: bool = False) -> File:
    """All drives of one file."""
    done = File(name, trace, rivals=peers.Comparison(_rules(config)) if compare else None)
    done.sums.rejected.update(trace.broken)
    for drive in trace.drives:
        tally = drive_through(drive, config, told, done.rivals)
        done.sums.read += len(drive.moments)
        done.sums.add(tally.sums)
        done.drives.append(tally)
    return done


def _rules(config: journey.Config) -> tuple[peers.Rule, ...]:
    return peers.rules(config.sampling.eps_m, config.sampling.heartbeat_moving_ms)


def pooled(files: Sequence[File], failed: Sequence[tuple[str, str]], sampling: Sampling) -> Figures:
    """The one object: figures over all files, and for each of them."""
    whole, config = Sums(), config_of(sampling)
    for each in files:
        whole.add(each.sums)
    out: Figures = {"settings": sampling.model_dump(mode="json")}
    out |= whole.figures(thinned_eps_m=config.thin_m)
    rivals = [each.rivals for each in files if each.rivals is not None]
    if rivals:
        out["compare"] = [_ours(out), *peers.pooled(rivals, _rules(config)).rows(whole.driven_ms)]
    out["files"] = [_of_file(each, config) for each in files]
    if failed:
        out["failed"] = [{"file": name, "error": error} for name, error in failed]
    return out


def _of_file(done: File, config: journey.Config) -> Figures:
    head: Figures = {"file": done.name, "format": done.trace.kind, "drives": len(done.drives)}
    out = head | done.sums.figures(thinned_eps_m=config.thin_m)
    return out if done.rivals is None else out | {"compare": [_ours(out), *done.rivals.rows(done.sums.driven_ms)]}


def _ours(figures: Figures) -> Figures:
    """The profile itself as the first row of the comparison."""
    sizes = figures["bytes"]
    return {
        "rule": "odograph", "name": "this profile", "messages": figures["live_messages"],
        "messages_per_hour": figures["live_per_hour"], "hold_m": None, "extrapolate_m": figures["live_error_m"],
        "bytes_per_hour": sizes["live_per_hour_tls"] if isinstance(sizes, dict) else None,
    }  # fmt: skip


def _bytes(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DecodeError("too-long", name, f"more than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{name}: {error.strerror}") from error


def _check_outputs(options: Options) -> None:
    """No file is written twice, and none that is read. Raises SettingsError or UnavailableError."""
    named = [("--live", options.live), ("--track", options.track), ("--plot", options.plot)]
    taken = {Path(name).resolve(): "a file to be read" for name in options.files if name != "-"}
    for option, path in named:
        if path is None:
            continue
        if str(path) == "-":
            raise SettingsError([f"{option} -: wants the name of a file; standard output is for the figures"])
        if (other := taken.get(path.resolve())) is not None:
            raise SettingsError([f"{option} {path}: this is {other}, too"])
        taken[path.resolve()] = f"the file of {option}"
    if options.plot is not None:
        try:
            options.plot.open("ab").close()  # a long run must not end with a picture that can't be written
        except OSError as error:
            raise UnavailableError(f"{options.plot}: can't be written: {error.strerror}") from error


def _open(path: Path | None, stack: ExitStack) -> TextIO | None:
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("w", encoding="utf-8"))
    except OSError as error:
        raise UnavailableError(f"{path}: can't be written: {error.strerror}") from error


def _all(options: Options, config: journey.Config, told: Told) -> Iterator[File | tuple[str, OdographError]]:
    for number, name in enumerate(options.files, 1):
        if told.progress is not None:
            print(f"{number} of {len(options.files)}: {name}", file=told.progress, flush=True)
        try:
            trace = read(name, _bytes(name))
        except (DecodeError, UnavailableError) as error:
            yield name, error
            continue
        try:
            done = through(name, trace, config, told, compare=options.compare)
        except DecodeError as error:  # the agent would have made a message that no hub takes
            yield name, DecodeError("makes a message that can't be read", name, str(error))
            continue
        yield done


def replay(options: Options) -> int:
    """Drive the files through the agent's cores; gives the exit status, which is that of the first file that failed."""
    sampling = sampling_of(options.profile, options.sets)
    config = config_of(sampling)
    _check_outputs(options)
    draw = _plotter(options.plot)
    files: list[File] = []
    failed: list[tuple[str, str]] = []
    status = 0
    try:
        with ExitStack() as stack:
            told = Told(
                _open(options.live, stack), _open(options.track, stack), sys.stderr if options.progress else None
            )
            for each in _all(options, config, told):
                if isinstance(each, File):
                    files.append(each)
                    continue
                name, error = each
                failed.append((name, str(error)))
                status = status or error.exit_status
                print(f"error: {error}", file=sys.stderr)
    except OSError as error:  # inputs have their own; this is a disk that is full
        raise UnavailableError(f"--live or --track can't be written: {error.strerror}") from error
    _say(pooled(files, failed, sampling), as_json=options.as_json)
    if draw is not None and files:
        draw(files, config)
    return status


def _say(whole: Figures, *, as_json: bool) -> None:
    try:
        if as_json:
            print(json.dumps(whole, ensure_ascii=False, allow_nan=False), flush=True)
        elif whole["files"]:
            print("\n".join(report.lines(whole)), flush=True)
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the exit would try again
        raise UnavailableError(f"standard output can't be written: {error.strerror}") from error


def _plotter(path: Path | None) -> Callable[[Sequence[File], journey.Config], None] | None:
    """Who draws; that it can is known before the long work. Raises UnavailableError."""
    if path is None:
        return None
    from agent.adapters import plot

    plot.ready()

    def draw(files: Sequence[File], config: journey.Config) -> None:
        drives = [
            plot.Drive(
                tuple((point.at_ms, point.lat_deg, point.lon_deg) for point in tally.passed),
                tuple((live.lat_deg, live.lon_deg) for live in tally.sent),
                tuple((point.lat_deg, point.lon_deg) for point in tally.kept),
                tuple(tally.seconds),
            )
            for each in files for tally in each.drives if tally.passed
        ]  # fmt: skip
        title = Path(files[0].name).name if len(files) == 1 else f"{len(files)} files, {len(drives)} drives"
        plot.draw(path, drives, eps_m=config.sampling.eps_m, title=title)

    return draw
