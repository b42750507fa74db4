"""The store as one object."""

from hub.adapters.store.registry import RegistryPart
from hub.adapters.store.track import TrackPart


class SqlStore(RegistryPart, TrackPart):
    """SQLite at `path`, or the PostgreSQL at `url`."""
