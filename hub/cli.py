"""The command line of the hub: `odograph-hub`."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from wire import VERSION
from wire.ops import main as program

try:
    from hub import admin, backup, books
    from hub.settings import Hub
except ModuleNotFoundError as missing:  # only the agent's part is installed
    raise SystemExit(f"error: {missing.name} is not installed; odograph-hub needs the extra `hub`") from None

Work = Callable[[argparse.Namespace], int]
MOST_DAYS = 36_500


def _help(about: str, example: str) -> dict[str, Any]:
    """What each parser says of itself."""
    return {
        "description": f"{about[0].upper()}{about[1:]}.",
        "epilog": f"example:\n  odograph-hub {example}\n\n{program.EXIT}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= MOST_DAYS:
        raise ValueError
    return days


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    *,
    example: str,
    work: Work | None = None,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, **_help(about, example))
    parser.add_argument("--config", metavar="FILE", help="settings as TOML (default: built-in settings)")
    parser.add_argument(
        "--data", metavar="DIR", help="data folder (default: $XDG_STATE_HOME/odograph or ./odograph-data)"
    )
    parser.add_argument("--json", action="store_true", help="answer as JSON, for scripts")
    if work is not None:
        parser.set_defaults(work=work)
    return parser


def _group(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str, *, example: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    parser = commands.add_parser(name, help=about, **_help(about, example))
    return parser.add_subparsers(required=True, metavar="COMMAND")


def _acting(made: Callable[[argparse.Namespace, Hub, Path], Callable[..., object]], *, make: bool = False) -> Work:
    """A command that opens the store, does something and says what. With `make` it may be the first one on it."""

    def work(given: argparse.Namespace) -> int:
        settings, data = admin.settings_of(given.config), admin.data_folder(given.data)
        admin.act(settings, data, made(given, settings, data), make=make).print(as_json=given.json)  # type: ignore[arg-type]  # partials of admin's functions
        return 0

    return work


def _run(given: argparse.Namespace) -> int:
    from hub.app import run  # the broker, the web and their libraries: only the running hub needs them

    settings, data = admin.settings_of(given.config, with_files=True), admin.data_folder(given.data)
    program.set_up_logging(settings.log_level)
    ready = None if given.ready_file is None else Path(given.ready_file)
    return program.run(partial(run, settings, data, ready))


def _check(given: argparse.Namespace) -> int:
    admin.settings_of(given.config, with_files=True)
    admin.Said("the settings are fine", {"ok": True}).print(as_json=given.json)
    return 0


def _registry_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    fleet = _group(commands, "fleet", "fleets: who may see which vehicles", example="fleet add north")
    add = _command(fleet, "add", "add a fleet", example="fleet add north",
                   work=_acting(lambda g, _s, _d: partial(admin.fleet_add, fleet=g.fleet), make=True))  # fmt: skip
    add.add_argument("fleet", help="its name")
    _command(
        fleet, "list", "list the fleets", example="fleet list --json", work=_acting(lambda _g, _s, _d: admin.fleet_list)
    )
    vehicle = _group(commands, "vehicle", "vehicles of a fleet", example="vehicle add van-1")
    add = _command(vehicle, "add", "add a vehicle", example='vehicle add van-1 --name "Van 1" --tag cooled',
                   work=_acting(lambda g, _s, _d: partial(
                       admin.vehicle_add, vehicle=g.vehicle, fleet=g.fleet, title=g.name, tags=g.tag), make=True))  # fmt: skip
    add.add_argument("vehicle", help="its id: a-z, 0-9, - and _")
    add.add_argument("--fleet", help="its fleet (default: the only one)")
    add.add_argument("--name", help="how people call it (default: its id)")
    add.add_argument("--tag", action="append", default=[], help="a word to filter by; may be given again")
    _command(
        vehicle,
        "list",
        "list the vehicles",
        example="vehicle list",
        work=_acting(lambda _g, _s, _d: admin.vehicle_list),
    )


def _device_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    device = _group(commands, "device", "gateways in vehicles", example="device add gw-7f3a --vehicle van-1")
    add = _command(device, "add", "add a device with a secret of its own",
                   example="device add gw-7f3a --vehicle van-1 --secret-out gw-7f3a.secret",
                   work=_acting(lambda g, _s, _d: partial(
                       admin.device_add, device=g.device, vehicle=g.vehicle, start=g.start, secret_out=g.secret_out), make=True))  # fmt: skip
    add.add_argument(
        "--secret-out", metavar="FILE", help="write the secret here, for its owner only, instead of telling it"
    )
    bind = _command(device, "bind", "move a device into another vehicle", example="device bind gw-7f3a --vehicle van-2",
                    work=_acting(lambda g, _s, _d: partial(
                        admin.device_bind, device=g.device, vehicle=g.vehicle, start=g.start)))  # fmt: skip
    for parser in (add, bind):
        parser.add_argument("device", help="its identity, starting with gw-")
        parser.add_argument("--vehicle", required=True, help="the vehicle that it sits in")
        parser.add_argument("--from", dest="start", metavar="TIME", help="since when, as ISO 8601 or ms (default: now)")
    secret = _command(device, "secret", "give a device a new secret; the old one is worth nothing then",
                      example="device secret gw-7f3a --secret-out gw-7f3a.new",
                      work=_acting(lambda g, _s, _d: partial(
                          admin.device_secret, device=g.device, secret_out=g.secret_out)))  # fmt: skip
    secret.add_argument("device", help="its identity")
    secret.add_argument("--secret-out", metavar="FILE", help="write it here, for its owner only, instead of telling it")
    _command(
        device, "list", "list the devices", example="device list", work=_acting(lambda _g, _s, _d: admin.device_list)
    )
    for word, about, suspended in (
        ("suspend", "shut a device out, within two seconds", True),
        ("resume", "let a suspended device in again", False),
    ):
        parser = _command(device, word, about, example=f"device {word} gw-7f3a", work=_suspending(suspended=suspended))
        parser.add_argument("device", help="its identity")


def _suspending(*, suspended: bool) -> Work:
    return _acting(lambda g, _s, _d: partial(admin.device_suspend, device=g.device, suspended=suspended))


def _token_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    token = _group(commands, "token", "tokens for the API and the stream", example="token add dashboard --days 90")
    add = _command(token, "add", "add a token; it is told once", example="token add dashboard --days 90",
                   work=_acting(lambda g, _s, _d: partial(
                       admin.token_add, title=g.name, fleet=g.fleet, days=g.days)))  # fmt: skip
    add.add_argument("name", help="what it is for")
    add.add_argument("--days", type=_days, help="how long it holds (default: for ever)")
    add.add_argument("--fleet", help="the fleet that it sees (default: the only one)")
    _command(token, "list", "list the tokens", example="token list", work=_acting(lambda _g, _s, _d: admin.token_list))
    revoke = _command(token, "revoke", "make a token worthless, within a second", example="token revoke dashboard",
                      work=_acting(lambda g, _s, _d: partial(
                          admin.token_revoke, title=g.name, fleet=g.fleet)))  # fmt: skip
    revoke.add_argument("name", help="its name")
    revoke.add_argument("--fleet", help="its fleet (default: the only one)")
    code = _command(commands, "login-code", "make a one-use code for the live page", example="login-code",
                    work=_acting(lambda g, _s, _d: partial(admin.login_code, fleet=g.fleet)))  # fmt: skip
    code.add_argument("--fleet", help="the fleet that it shows (default: the only one)")


def _book_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ledger = _command(commands, "ledger", "what was recorded, received, lost and is still out there, by vehicle and day",
                      example="ledger --vehicle van-1 --from 2026-11-01",
                      work=_acting(lambda g, _s, _d: partial(
                          books.account, vehicle=g.vehicle, fleet=g.fleet, device=g.device, start=g.start, end=g.end)))  # fmt: skip
    which = ledger.add_mutually_exclusive_group()
    which.add_argument("--vehicle", help="only this vehicle")
    which.add_argument("--fleet", help="only the vehicles of this fleet")
    which.add_argument("--device", help="only this device, in whatever vehicle")
    ledger.add_argument("--from", dest="start", metavar="TIME", help="from this UTC day on, as ISO 8601 or ms")
    ledger.add_argument("--to", dest="end", metavar="TIME", help="up to and with this UTC day")
    kept = _group(commands, "quarantine", "what came and could not be read", example="quarantine list")
    one = _command(kept, "list", "list it: device, when, why, bytes", example="quarantine list --device gw-7f3a",
                   work=_acting(lambda g, _s, _d: partial(books.quarantine_list, device=g.device)))  # fmt: skip
    one.add_argument("--device", help="only of this device")
    one = _command(kept, "show", "show its header line and the head of its body", example="quarantine show p12",
                   work=_acting(lambda g, _s, _d: partial(books.quarantine_show, name=g.id)))  # fmt: skip
    one.add_argument("id", help="as in the list")
    one = _command(kept, "export", "write the raw payload to a file", example="quarantine export p12 --out p12.track",
                   work=_acting(lambda g, _s, _d: partial(books.quarantine_export, name=g.id, out=g.out)))  # fmt: skip
    one.add_argument("id", help="as in the list")
    one.add_argument("--out", required=True, metavar="FILE", help="a new file")
    one = _command(kept, "retry", "read it again, after an upgrade; what can be read is booked, once", example="quarantine retry",
                   work=_acting(lambda g, _s, _d: partial(books.quarantine_retry, name=g.id)))  # fmt: skip
    one.add_argument("id", nargs="?", help="as in the list (default: all)")


def _backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def saying(done: Callable[[Hub, Path, argparse.Namespace], admin.Said]) -> Work:
        def work(given: argparse.Namespace) -> int:
            settings, data = admin.settings_of(given.config), admin.data_folder(given.data)
            done(settings, data, given).print(as_json=given.json)
            return 0

        return work

    out = _command(commands, "backup", "copy the store into a file, while the hub runs", example="backup --out hub.backup",
                   work=saying(lambda s, d, g: backup.backup(s, d, Path(g.out))))  # fmt: skip
    out.add_argument("--out", required=True, metavar="FILE", help="a new file")
    back = _command(commands, "restore", "put a copy back; end the hub before", example="restore hub.backup",
                    work=saying(lambda s, d, g: backup.restore(s, d, Path(g.file))))  # fmt: skip
    back.add_argument("file", metavar="FILE", help="what `backup` has written")


def parser() -> argparse.ArgumentParser:
    """Everything that the command line knows."""
    top = argparse.ArgumentParser(
        prog="odograph-hub",
        **_help("the hub of a fleet: takes in what vehicles send, and shows it", "run --data /var/lib/odograph-hub"),
    )
    top.add_argument("--version", action="version", version=f"odograph {VERSION}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    running = _command(commands, "run", "run the hub", example="run --data /var/lib/odograph-hub", work=_run)
    running.add_argument(
        "--ready-file", metavar="FILE", help="write the line with the addresses here, too, when all is up"
    )
    _registry_commands(commands)
    _device_commands(commands)
    _token_commands(commands)
    _book_commands(commands)
    _backup_commands(commands)
    files = _command(commands, "mosquitto", "write the files of a Mosquitto broker", example="mosquitto --out /etc/mosquitto/odograph",
                     work=_acting(lambda g, s, d: partial(
                         admin.mosquitto_files, settings=s, data=d, out=g.out, listener=g.listener), make=True))  # fmt: skip
    files.add_argument("--out", required=True, metavar="DIR", help="where to write them")
    files.add_argument("--listener", default="1883 127.0.0.1", help="port and address (default: 1883 127.0.0.1)")
    config = _group(commands, "config", "the settings file", example="config check --config hub.toml")
    _command(
        config,
        "check",
        "check the settings; every fault is named",
        example="config check --config hub.toml",
        work=_check,
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Entry point; gives the exit status."""
    given = parser().parse_args(arguments)
    work: Work = given.work
    return program.call(partial(work, given))


if __name__ == "__main__":
    raise SystemExit(main())
