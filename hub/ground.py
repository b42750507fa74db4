"""What every command of the hub stands on: the store, the first fleet, the hub's own credentials, one hub per folder."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.adapters.store.sql import SqlStore
from hub.core import access
from hub.events import HAPPENINGS
from hub.settings import Hub
from wire.errors import RefusedError
from wire.ops.clock import utc_ms
from wire.ops.settings import secret, write_secret
from wire.ops.watch import Watch


def open_store(settings: Hub, data: Path, watch: Watch | None = None) -> SqlStore:
    """The store that the settings name; not open yet."""
    return SqlStore(data / "odograph.db", settings.store.url, watch=watch or Watch("hub", HAPPENINGS))


@contextmanager
def only_hub(data: Path) -> Iterator[None]:
    """One hub on one data folder."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(data / "hub.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RefusedError(f"the data folder can't be {data}: {error.strerror}; name another with --data") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise RefusedError(f"another hub runs on {data}; end it, or give this one another --data") from None
    try:
        yield
    finally:
        os.close(handle)


def identities(settings: Hub) -> tuple[str, str]:
    """The hub's own identities: one for live and track, one for events and statuses."""
    return f"hub-{settings.name}-bulk", f"hub-{settings.name}-fast"


async def _own_secret(store: SqlStore, data: Path, identity: str) -> str:
    path = data / "secrets" / identity
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(32))
    value = secret(path)
    known = (await store.registry()).credentials.get(identity)
    if known is None or not access.matches(known, value):
        await store.set_credential(identity, access.mosquitto_hash(value, os.urandom(access.SALT_BYTES)), utc_ms())
    return value


async def own_secrets(settings: Hub, store: SqlStore, data: Path) -> dict[str, str]:
    """The secrets of the hub's own identities, made when they are first needed; the store knows their hashes.

    A folder without them takes over: the hashes in the store become those of new secrets.
    """
    return {identity: await _own_secret(store, data, identity) for identity in identities(settings)}


async def first_fleet(settings: Hub, store: SqlStore) -> None:
    """What a new store needs."""
    if not (await store.registry()).fleets:
        await store.add_fleet(settings.fleet, utc_ms())
