"""The store as one object."""

from hub.adapters.store.books import BooksPart
from hub.adapters.store.registry import RegistryPart


class SqlStore(RegistryPart, BooksPart):
    """SQLite at `path`, or the PostgreSQL at `url`."""
