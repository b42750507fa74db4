"""What `odograph-hub backup` and `restore` do: copy the store while the hub runs, and put a copy back.

A restored hub has forgotten what came after the copy. It says so by a higher epoch: cursors and the view in Redis of before are
worth nothing then. Its marks have gone back; each device sends again what it still has, and what it no longer has is booked
as lost (`hub-rollback`).
"""

from pathlib import Path

from hub.adapters.store import copies
from hub.admin import Said
from hub.ground import only_hub
from hub.settings import Hub
from wire.errors import RefusedError
from wire.ops.clock import utc_ms

STORE_NAME = "odograph.db"
PER_EPOCH_MS = 60_000
"""An epoch is at least the minutes since 1970: two restores of one copy have different ones, though nothing else is left."""


def _not_postgres(settings: Hub, cure: str) -> None:
    if settings.store.url is not None:
        raise RefusedError(f"the store is in PostgreSQL, which has tools of its own; {cure}")


def backup(settings: Hub, data: Path, out: Path) -> Said:
    """Copy the store into a new file. The hub may run meanwhile."""
    _not_postgres(settings, "use: pg_dump --format=custom --file=FILE DATABASE")
    store = data / STORE_NAME
    if not store.exists():
        raise RefusedError(f"there is no store in {data}; name the hub's folder with --data DIR")
    size = copies.copied(store, out.resolve())
    return Said(f"wrote {size} bytes to {out}", {"out": str(out), "bytes": size})


def restore(settings: Hub, data: Path, copy: Path) -> Said:
    """Put a copy in the place of the store, which is kept beside it. Refused while a hub runs on this folder."""
    _not_postgres(
        settings,
        "end the hub, use: pg_restore --clean --if-exists --dbname=DATABASE FILE, and then raise the epoch: "
        'psql --dbname=DATABASE --command="UPDATE meta SET value = greatest(value + 1, extract(epoch FROM now())::bigint / 60) '
        "WHERE key = 'epoch'\"",
    )
    copies.sound(copy)
    now_ms = utc_ms()
    with only_hub(data):
        store = data / STORE_NAME
        fresh = copies.prepared(copy, store)
        copies.sound(fresh)
        known = copies.last_known(store) if store.exists() else None
        epoch = copies.raised(fresh, known, now_ms // PER_EPOCH_MS)
        aside = copies.set_aside(store, f"{now_ms}")
        copies.put_back(fresh, store)
    kept = "" if aside is None else f"; what was there is kept in {aside}"
    data_of = {"restored": str(copy), "epoch": epoch, "kept": None if aside is None else str(aside)}
    return Said(
        f"restored {copy}, epoch {epoch}{kept}\nstart the hub: each vehicle sends again what it still has", data_of
    )
