"""The store as one object."""

from hub.adapters.store.events import EventPart
from hub.adapters.store.registry import RegistryPart
from hub.adapters.store.track import TrackPart


class SqlStore(RegistryPart, TrackPart, EventPart):
    """SQLite at `path`, or the PostgreSQL at `url`."""
