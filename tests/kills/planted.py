"""The agent with a bug: it commits only each sixth window, while what it has not committed is sent already. The judge must find it."""

from pathlib import Path
from typing import Any

from agent import cli
from agent.adapters.sqlite import SqliteOutbox

EVERY = 6


class Lazy:
    """A connection that leaves most transactions open. It reads what it has not committed."""

    def __init__(self, db: Any) -> None:
        self._db, self._commits = db, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """As asked, but for what begins and ends a transaction."""
        if sql == "BEGIN IMMEDIATE" and self._db.in_transaction:
            return self._db.execute("SELECT 1")
        if sql == "COMMIT":
            self._commits += 1
            if self._commits % EVERY:
                return self._db.execute("SELECT 1")
        return self._db.execute(sql, *values)


def plant() -> None:
    """From now on outboxes have it."""
    whole = SqliteOutbox.__init__

    def lazy(self: SqliteOutbox, path: Path, connection: Any, *rest: Any, **more: Any) -> None:
        whole(self, path, Lazy(connection), *rest, **more)  # type: ignore[arg-type]  # it does what is asked, later

    SqliteOutbox.__init__ = lazy  # type: ignore[method-assign]  # that is the bug


if __name__ == "__main__":
    plant()
    cli.main()
