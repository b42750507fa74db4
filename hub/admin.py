"""What the commands of `odograph-hub` do to the store, and what they say."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.adapters.store.sql import SqlStore
from hub.core import access, mosquitto
from hub.core.exports import when
from hub.core.registry import Registry, Token
from hub.ground import first_fleet, identities, open_store, own_secrets
from hub.settings import WITH_FILES, Hub
from wire.errors import RefusedError, SettingsError
from wire.iso import iso
from wire.ops.clock import utc_ms
from wire.ops.settings import check, load, write_secret
from wire.roles import role_of
from wire.topics import IDENTITY

DATA_NAME = "odograph-data"


def data_folder(given: str | None) -> Path:
    """Where the hub keeps its things: `--data`, else $XDG_STATE_HOME/odograph, else ./odograph-data."""
    if given:
        return Path(given).resolve()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) / "odograph" if state else Path(DATA_NAME)).resolve()


def settings_of(path: str | None, *, with_files: bool = False) -> Hub:
    """The checked settings of a file, or the defaults; if asked, the files that they name are checked, too."""
    context = WITH_FILES if with_files else None
    return check({}, Hub, source="defaults") if path is None else load(Path(path), Hub, context=context)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command says: a text for people, the same for scripts."""

    text: str
    data: object

    def print(self, *, as_json: bool) -> None:
        """Say it."""
        print(json.dumps(self.data) if as_json else self.text)


def act(settings: Hub, data: Path, work: Callable[[SqlStore], Awaitable[Said]], *, make: bool) -> Said:
    """Open the store, do the work, close it. The hub may run meanwhile.

    Only what introduces something may make a new store, and says so: elsewhere, a missing one is the wrong folder.
    """

    async def whole() -> Said:
        store = open_store(settings, data)
        try:
            if await store.open(make=make):
                print(f"made a new store in {store.place}", file=sys.stderr)
            if make:
                await first_fleet(settings, store)
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(whole())


def name(text: str, what: str) -> str:
    """A name that fits topics and keys. Raises SettingsError."""
    if not IDENTITY.fullmatch(text):
        raise SettingsError([f"{what} {text!r}: wants a-z, 0-9, - and _, at most 32, starting with a letter or digit"])
    return text


def the_fleet(registry: Registry, given: str | None) -> str:
    """The fleet that is meant: the one given, or the only one."""
    if given is not None:
        return given
    if len(registry.fleets) != 1:
        raise RefusedError(f"there are several fleets; say which with --fleet: {', '.join(registry.fleets)}")
    return registry.fleets[0]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


async def fleet_add(store: SqlStore, fleet: str) -> Said:
    """Add a fleet."""
    await store.add_fleet(name(fleet, "fleet"), utc_ms())
    return Said(f"fleet {fleet} added", {"fleet": fleet})


async def fleet_list(store: SqlStore) -> Said:
    """All fleets."""
    registry = await store.registry()
    counts = [(fleet, len(registry.fleet_vehicles(fleet))) for fleet in registry.fleets]
    text = table(("FLEET", "VEHICLES"), [(fleet, str(n)) for fleet, n in counts])
    return Said(text, [{"fleet": fleet, "vehicles": n} for fleet, n in counts])


async def vehicle_add(
    store: SqlStore, vehicle: str, *, fleet: str | None, title: str | None, tags: Sequence[str]
) -> Said:
    """Add a vehicle."""
    of = the_fleet(await store.registry(), fleet)
    shown = title or vehicle
    await store.add_vehicle(name(vehicle, "vehicle"), of, name=shown, tags=tags, now_ms=utc_ms())
    return Said(
        f"vehicle {vehicle} added to fleet {of}", {"vehicle": vehicle, "fleet": of, "name": shown, "tags": tags}
    )


async def vehicle_list(store: SqlStore) -> Said:
    """All vehicles."""
    registry = await store.registry()
    vehicles = [v for fleet in registry.fleets for v in registry.fleet_vehicles(fleet)]
    rows = [(v.vehicle, v.fleet, v.name, ",".join(v.tags)) for v in vehicles]
    data = [{"vehicle": v.vehicle, "fleet": v.fleet, "name": v.name, "tags": list(v.tags)} for v in vehicles]
    return Said(table(("VEHICLE", "FLEET", "NAME", "TAGS"), rows), data)


def _time(text: str | None) -> int:
    return utc_ms() if text is None else when(text, "--from")


async def device_add(store: SqlStore, device: str, *, vehicle: str, start: str | None, secret_out: str | None) -> Said:
    """Add a device with a secret of its own, which is told once or written to a file."""
    role = role_of(device)
    if role is None or role.name != "gateway":
        raise SettingsError([f"device {device!r}: wants gw- and then a-z, 0-9, - and _, at most 32 in all"])
    secret, hashed = _fresh_secret(secret_out)
    await store.add_device(device, vehicle, password_hash=hashed, valid_from_ms=_time(start), now_ms=utc_ms())
    return _told(f"device {device} added", {"device": device, "vehicle": vehicle}, secret, secret_out)


def _fresh_secret(secret_out: str | None) -> tuple[str, str]:
    """A new secret and its hash. A file that is there may be the only copy of another secret: it is not touched."""
    if secret_out is not None and Path(secret_out).exists():
        raise RefusedError(f"{secret_out} is there already; name another file, or remove it first")
    secret = secrets.token_urlsafe(32)
    return secret, access.mosquitto_hash(secret, os.urandom(access.SALT_BYTES))


def _told(what: str, data: dict[str, object], secret: str, secret_out: str | None) -> Said:
    if secret_out is not None:
        write_secret(Path(secret_out), secret)
        return Said(f"{what}; its secret is in {secret_out}", data | {"secret_file": secret_out})
    return Said(f"{what}; its secret, told only now:\n{secret}", data | {"secret": secret})


async def device_secret(store: SqlStore, device: str, *, secret_out: str | None) -> Said:
    """Give a device a new secret; the old one is worth nothing from now on."""
    if device not in (await store.registry()).devices:
        raise RefusedError(f"there is no device {device}; add it with: odograph-hub device add")
    secret, hashed = _fresh_secret(secret_out)
    await store.set_credential(device, hashed, utc_ms())
    return _told(f"device {device} has a new secret", {"device": device}, secret, secret_out)


async def device_list(store: SqlStore) -> Said:
    """All devices, with where each is now."""
    registry = await store.registry()
    now_ms, rows, data = utc_ms(), [], []
    for device in sorted(registry.devices.values(), key=lambda one: one.device):
        binding = device.bound_at(now_ms)
        state = "suspended" if device.suspended else "active"
        vehicle = None if binding is None else binding.vehicle
        since = None if binding is None else iso(binding.valid_from_ms)
        rows.append((device.device, device.fleet, state, vehicle or "-", since or "-"))
        data.append(
            {"device": device.device, "fleet": device.fleet, "state": state, "vehicle": vehicle, "since": since}
        )
    return Said(table(("DEVICE", "FLEET", "STATE", "VEHICLE", "SINCE"), rows), data)


async def device_bind(store: SqlStore, device: str, *, vehicle: str, start: str | None) -> Said:
    """Move a device into another vehicle."""
    await store.bind(device, vehicle, valid_from_ms=_time(start), now_ms=utc_ms())
    return Said(f"device {device} is in {vehicle} now", {"device": device, "vehicle": vehicle})


async def device_suspend(store: SqlStore, device: str, *, suspended: bool) -> Said:
    """Shut a device out within two seconds, or let it in again."""
    await store.set_suspended(device, suspended=suspended, now_ms=utc_ms())
    state = "suspended" if suspended else "active"
    return Said(f"device {device} is {state}", {"device": device, "state": state})


async def token_add(store: SqlStore, title: str, *, fleet: str | None, days: float | None) -> Said:
    """Add a token that may read; it is told once."""
    secret, now_ms = secrets.token_urlsafe(32), utc_ms()
    registry = await store.registry()
    of = the_fleet(registry, fleet)
    if any((token.name, token.fleet) == (title, of) for token in registry.tokens.values()):
        raise RefusedError(f"fleet {of} has a token {title} already; name it otherwise, or revoke that one")
    expires_ms = None if days is None else now_ms + round(days * 86_400_000)
    await store.add_token(Token(access.digest(secret), title, of, access.READ, expires_ms), now_ms)
    data = {"name": title, "fleet": of, "expires_ms": expires_ms, "token": secret}
    return Said(f"token {title} for fleet {of} added, told only now:\n{secret}", data)


async def token_revoke(store: SqlStore, title: str, *, fleet: str | None) -> Said:
    """Make a token worthless, within a second."""
    of = the_fleet(await store.registry(), fleet)
    await store.remove_token(title, of, utc_ms())
    return Said(f"token {title} of fleet {of} is revoked", {"name": title, "fleet": of})


async def token_list(store: SqlStore) -> Said:
    """All tokens, without their secrets."""
    tokens = sorted((await store.registry()).tokens.values(), key=lambda token: (token.fleet, token.name))
    rows = [(t.name, t.fleet, "never" if t.expires_ms is None else iso(t.expires_ms)) for t in tokens]
    data = [{"name": t.name, "fleet": t.fleet, "expires_ms": t.expires_ms} for t in tokens]
    return Said(table(("TOKEN", "FLEET", "EXPIRES"), rows), data)


async def login_code(store: SqlStore, *, fleet: str | None) -> Said:
    """A one-use code for the live page, good for ten minutes."""
    code, now_ms = secrets.token_urlsafe(16), utc_ms()
    of = the_fleet(await store.registry(), fleet)
    expires_ms = now_ms + access.LOGIN_CODE_MS
    await store.add_login_code(access.digest(code), of, expires_ms=expires_ms, now_ms=now_ms)
    data = {"code": code, "fleet": of, "expires_ms": expires_ms}
    return Said(f"{code}\none use, until {iso(expires_ms)}; open the page with #code={code} behind its address", data)


async def mosquitto_files(store: SqlStore, settings: Hub, data: Path, *, out: str, listener: str) -> Said:
    """Write what a Mosquitto needs to be the hub's broker."""
    known = (await store.registry()).credentials
    elsewhere = [one for one in identities(settings) if one in known and not (data / "secrets" / one).exists()]
    if elsewhere:  # new secrets would shut the running hub out
        raise RefusedError(
            f"the secrets of {' and '.join(elsewhere)} are not in {data}; name the hub's folder with --data DIR"
        )
    await own_secrets(settings, store, data)
    registry = await store.registry()
    allowed = {name: stored for name in registry.credentials if (stored := registry.credential(name)) is not None}
    folder = Path(out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(folder / "password_file", mosquitto.passwords(allowed).rstrip("\n"))
    write_secret(folder / "acl_file", mosquitto.rights(allowed).rstrip("\n"))
    write_secret(folder / "odograph.conf", mosquitto.config(str(folder), listener).rstrip("\n"))
    own = {identity: str((data / "secrets" / identity).resolve()) for identity in identities(settings)}
    text = (
        f"wrote password_file, acl_file and odograph.conf to {folder}\n"
        f"let Mosquitto's user own them (chown -R mosquitto {folder}), add to mosquitto.conf: include_dir {folder}\n"
        "and set mqtt.url for the hub\n"
        "write them again and reload Mosquitto (SIGHUP) when devices come or go"
    )
    return Said(text, {"out": str(folder), "identities": sorted(allowed), "own": own})
