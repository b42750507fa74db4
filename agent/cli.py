"""The command line of the agent: no logic, only arguments, help and exit status."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from wire import VERSION
from wire.ops.main import EXIT, call, run, set_up_logging
from wire.ops.settings import load

CONFIG = Path("/etc/odograph/agent.toml")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="odograph-agent", description="Vehicle telematics agent: GNSS and OBD to an outbox, and on to the hub.",
        epilog=f"example:\n  odograph-agent run --config agent.toml\n\n{EXIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    whole.add_argument("--version", action="version", version=f"odograph-agent {VERSION}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_rig,
        _add_decode,
        _add_replay,
        _add_status,
        _add_sos,
        _add_outbox,
        _add_odometer,
        _add_doctor,
        _add_config,
    ):
        add(commands)
    return whole


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    work: Callable[[argparse.Namespace], int],
    *,
    about: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=about, description=about, epilog=f"example:\n  {example}\n\n{EXIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(work=work)
    return parser


def _with_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help=f"settings (default: {CONFIG})")


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "read receiver and bus, keep every fix, publish to the hub; until it is stopped"
    _with_config(_command(commands, "run", _run, about=about, example="odograph-agent run --config agent.toml"))


def _run(args: argparse.Namespace) -> int:
    from agent.app import run as run_agent
    from agent.checks import load_whole

    settings, _ = load_whole(args.config, starting=True)  # a port that is away is told when it is opened
    set_up_logging(settings.log.level)
    return run(lambda: run_agent(settings))


def _add_rig(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "rig", _rig,
        about="a virtual vehicle: a receiver and an ELM327 on two ptys, driven by a recording",
        example="odograph-agent rig drive.csv.gz --link /tmp/van-1    # then use /tmp/van-1/gnss and /tmp/van-1/obd",
    )  # fmt: skip
    parser.add_argument("recording", type=Path, help="a drive as CSV, GPX, JSON or raw NMEA; .gz is fine")
    parser.add_argument(
        "--obd", type=Path, metavar="FILE", help="bus values that the drive itself lacks come from this one"
    )
    parser.add_argument("--link", type=Path, required=True, metavar="DIR", help="folder for the links gnss and obd")
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="N times faster than real (default: 1)")
    parser.add_argument(
        "--start", default="auto", metavar="SECONDS|auto", help="where to begin; auto: where the vehicle moves"
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end of the recording")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="write each epoch that was sent, a JSON line each")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="stop after so many real seconds")
    parser.add_argument("--json", action="store_true", help="tell the ports as one JSON line")
    lines = parser.add_argument_group("lines")
    baud = "the {} line has this speed, and garbles for who has set another (default: any will do)"
    lines.add_argument("--baud", type=int, metavar="N", help=baud.format("GNSS"))
    lines.add_argument("--obd-baud", type=int, metavar="N", help=baud.format("OBD"))
    lines.add_argument(
        "--tcp", type=int, metavar="PORT", help="serve the receiver's NMEA there too; 0 takes a free port"
    )
    lines.add_argument("--udp", metavar="HOST:PORT", help="send the receiver's NMEA there too")
    lines.add_argument(
        "--obd-tcp", type=int, metavar="PORT", help="the ELM327 answers there too, as a WiFi adapter does"
    )
    lines.add_argument("--obd-grade", default="v1.5", metavar="KIND", help="v1.5, genuine, clone, poor or stn adapter")
    lines.add_argument("--obd-delay", type=int, metavar="MS", help="what the adapter takes to answer")
    parser.add_argument(
        "--fault", action="append", default=[], dest="faults", metavar="NAME[@SECONDS[+SECONDS]]",
        help="plant a fault; seconds are real ones and count from the start of the rig: antenna-open@60+30 lasts from 60 to 90 s; "
        "may be given again; a wrong name tells them all",
    )  # fmt: skip


def _rig(args: argparse.Namespace) -> int:
    from agent.adapters.rig import RigOptions, run_rig

    options = RigOptions(
        recording=args.recording, obd=args.obd, link=args.link, speed=args.speed, start=args.start, loop=args.loop,
        truth=args.truth, duration_s=args.duration, as_json=args.json, baud=args.baud, obd_baud=args.obd_baud,
        tcp=args.tcp, udp=args.udp, obd_tcp=args.obd_tcp, obd_grade=args.obd_grade, obd_delay_ms=args.obd_delay, faults=tuple(args.faults),
    )  # fmt: skip
    return run(lambda: run_rig(options, say=lambda line: print(line, flush=True)))


def _add_decode(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "decode", _decode,
        about="what a recording of a receiver (NMEA, UBX, mixed) says: a line an epoch on stdout, a summary on stderr",
        example="odograph-agent decode drive.nmea.gz --json    # `-` reads standard input",
    )  # fmt: skip
    parser.add_argument(
        "recording", metavar="FILE", help="raw bytes as the receiver sent them; .gz is fine; - is stdin"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument(
        "--repair-dates", action="store_true", help="move dates of before --floor by whole rollovers of the GPS week"
    )
    parser.add_argument(
        "--floor",
        metavar="DATE",
        help="no date is earlier; implies --repair-dates (default: when this software was built)",
    )


def _decode(args: argparse.Namespace) -> int:
    from agent.decode import decode, floor_of

    repairs = args.repair_dates or args.floor is not None
    return decode(args.recording, as_json=args.json, floor_ms=floor_of(args.floor) if repairs else None)


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "replay", _replay,
        about="what a profile would have cost and shown on recorded drives: messages, bytes, error of the live position",
        example="odograph-agent replay drive.csv.gz trip.gpx --profile city --compare    # - reads standard input",
    )  # fmt: skip
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="CSV, GPX, JSON, GeoJSON, OwnTracks, raw NMEA or UBX, told by content; .gz is fine; a file that can't be read is "
        "told, the others count, and the exit status is its",
    )  # fmt: skip
    chosen = parser.add_argument_group("settings")
    chosen.add_argument("--profile", metavar="NAME", help="a profile of [sampling]; a wrong name tells them all")
    chosen.add_argument(
        "--set", action="append", default=[], dest="sets", metavar="KEY=VALUE",
        help="a setting of [sampling], as eps_m=15; counts before the profile; may be given again",
    )  # fmt: skip
    told = parser.add_argument_group("what is told")
    told.add_argument("--json", action="store_true", help="one JSON object over all files, and each of them in `files`")
    told.add_argument("--compare", action="store_true", help="the rules of other trackers on the same fixes")
    told.add_argument("--live", type=Path, metavar="OUT", help="write each live message as it would have been sent")
    told.add_argument("--track", type=Path, metavar="OUT", help="write each accepted fix as a JSON line")
    told.add_argument("--plot", type=Path, metavar="FILE.png", help="draw track, sent points and error over time")
    told.add_argument("--progress", action="store_true", help="say on standard error how far it is")


def _replay(args: argparse.Namespace) -> int:
    from agent.replay import Options, replay

    options = Options(
        tuple(args.files), args.profile, tuple(args.sets), as_json=args.json, live=args.live, track=args.track,
        progress=args.progress, compare=args.compare, plot=args.plot,
    )  # fmt: skip
    return replay(options)


def _add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "status", _status, about="what the running agent knows: fix, bus, link, outbox",
        example="odograph-agent status --config agent.toml --json",
    )  # fmt: skip
    _with_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _status(args: argparse.Namespace) -> int:
    from agent.settings import AgentSettings
    from agent.status import lines, look

    def work() -> int:
        state = asyncio.run(look(load(args.config, AgentSettings)))
        print(json.dumps(state) if args.json else "\n".join(lines(state)))
        return 0 if state["running"] else 3

    return call(work)


def _add_sos(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "sos", _sos,
        about="raise a call for help through the running agent: committed at once, sent ahead of all else; status 0: it is "
        "committed (with --wait: the hub has it), 3: it is not, or nobody can tell",
        example='odograph-agent sos --note "tyre on fire" --wait 10 --config agent.toml',
    )  # fmt: skip
    _with_config(parser)
    parser.add_argument("--note", default="", metavar="TEXT", help="a line for the dispatcher, at most 200 characters")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait at most so long until the hub says that it has it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _sos(args: argparse.Namespace) -> int:
    from agent.sos import sos

    return call(lambda: sos(args.config, note=args.note, wait_s=args.wait, as_json=args.json))


def _add_outbox(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "outbox", _outbox, about="show what the outbox holds, export all of it, or check it; beside a running agent or without",
        example="odograph-agent outbox export --format csv --out track.csv --config agent.toml",
    )  # fmt: skip
    parser.add_argument("action", choices=("show", "export", "check"), help="check: 0 if it is whole, 1 if it is not")
    _with_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object (show, check)")
    what = parser.add_argument_group("export")
    what.add_argument("--from", dest="begin", metavar="TIME", help="records from this time on, as 2026-01-31T08:00:00Z")
    what.add_argument("--to", dest="end", metavar="TIME", help="records before this time")
    what.add_argument("--format", choices=("ndjson", "csv"), default="ndjson", help="default: ndjson")
    what.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    what.add_argument("--damaged", type=Path, metavar="FILE", help="what can be read of a damaged outbox instead")


def _outbox(args: argparse.Namespace) -> int:
    from agent import outbox
    from agent.settings import AgentSettings

    path = load(args.config, AgentSettings).outbox.path
    if args.action == "show":
        told = outbox.show(path)
        print(json.dumps(told) if args.json else "\n".join(outbox.lines(told)))
        return 0
    if args.action == "check":
        return outbox.tell_check(path, as_json=args.json)
    span = outbox.span_of(args.begin, args.end)
    return outbox.export_to(path, span, form=args.format, out=args.out, damaged=args.damaged)


def _add_odometer(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "odometer", _odometer, about="what the odometer shows; or set it to what the dashboard shows",
        example="odograph-agent odometer --set-km 120345.6    # while the agent is stopped",
    )  # fmt: skip
    _with_config(parser)
    parser.add_argument("--set-km", type=float, metavar="KM", help="what it shows from now on")


def _odometer(args: argparse.Namespace) -> int:
    from agent.odometer import set_km, shown_km
    from agent.settings import AgentSettings

    def work() -> int:
        settings = load(args.config, AgentSettings)
        if args.set_km is None:
            km, fault = shown_km(settings)
            if fault:
                print(f"warning: {fault}", file=sys.stderr)
            print(f"{km:.3f} km")
        else:
            print(f"{args.set_km:.3f} km; before: {set_km(settings, args.set_km):.3f} km")
        return 0

    return call(work)


def _add_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "config", _config, about="check a settings file and what it names; every fault is named at once",
        example="odograph-agent config check --config agent.toml",
    )  # fmt: skip
    parser.add_argument("action", choices=("check",), help="what to do")
    _with_config(parser)


def _config(args: argparse.Namespace) -> int:
    from agent.checks import load_whole

    def work() -> int:
        settings, warnings = load_whole(args.config)
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{args.config}: fine, for {settings.device.id} at {settings.hub.url}")
        return 0

    return call(work)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _command(
        commands, "doctor", _doctor,
        about="look at receiver, adapter, vehicle, battery, disk, hub and clock, and say what is wrong and what to do",
        example="odograph-agent doctor --config agent.toml    # status 0: all is well; 1: something is not",
    )  # fmt: skip
    _with_config(parser)
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="N", help="look at most so long; it ends as soon as all is clear"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def _doctor(args: argparse.Namespace) -> int:
    from agent.doctor import visit

    return call(lambda: visit(args.config, seconds=args.seconds, as_json=args.json))


def main() -> None:
    """Entry point of `odograph-agent`."""
    args = parser().parse_args()
    work: Callable[[argparse.Namespace], int] = args.work
    sys.exit(call(lambda: work(args)))


if __name__ == "__main__":
    main()
