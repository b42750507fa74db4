"""Engines and transactions: one writer and some readers on SQLite, one pool on PostgreSQL. Runs the migrations."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import URL, Connection, event, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.adapters.store.schema import HEAD
from wire.errors import RefusedError, UnavailableError
from wire.ops.watch import WatchCall

DOWN: tuple[type[BaseException], ...] = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
AWAY, SAID_NO = frozenset({"08", "53", "57"}), frozenset({"28", "3D"})
"""Classes of SQLSTATE: connection, resources, operator; and who is not let in, or asks for a database that is none."""
MIGRATION_LOCK = 7_031_873
DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
)
"""Stronger is left as it is; `off`, `local` and `remote_write` are not enough."""
DOUBTFUL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
CURES = {
    sqlite3.SQLITE_FULL: "make room on this disk",
    sqlite3.SQLITE_READONLY: "the file system is read-only: see dmesg for why, then mount it writable again",
    sqlite3.SQLITE_CANTOPEN: "see that the folder is there and the hub's user may write in it",
    sqlite3.SQLITE_IOERR: "the storage fails: see dmesg; the hub tries on by itself",
}
"""What to do about a disk, by SQLite's primary code. After some of them nobody knows what is on it."""


class Database:
    """Open it before use, close it after. Errors of the connection come out as UnavailableError."""

    def __init__(self, path: Path, url: str | None, *, watch: WatchCall) -> None:
        self._path = path
        self._watch = watch
        self._url = url
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._writes = asyncio.Lock()
        self._doubtful = False
        self._down = DOWN if url is None else (*DOWN, *_postgres_down())
        self._faults: tuple[type[BaseException], ...] = (*self._down, DBAPIError)

    @property
    def is_postgres(self) -> bool:
        """Whether another program holds the store."""
        return self._url is not None

    def insert(self, table: Any) -> Any:
        """An insert of the dialect, that knows ON CONFLICT."""
        return postgresql.insert(table) if self.is_postgres else sqlite_dialect.insert(table)

    @property
    def place(self) -> str:
        """Where the store is, as a text for people, without a password."""
        if self._url is None:
            return str(self._path.parent)
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    async def open(self, *, make: bool = True) -> bool:
        """Connect and bring the schema up to date; gives whether the store is new.

        Raises UnavailableError, or RefusedError if the store says no. Without `make` it also refuses to make a new one.
        """
        if not make and not self.is_postgres and not self._path.exists():
            raise self._missing()
        try:
            self._connect()
            return await self._prepare(make=make)
        except DBAPIError as error:
            raise RefusedError(f"the store in {self.place} can't be used: {_short(error)}") from error
        except UnavailableError as error:
            if error.__cause__ is None or _state(error.__cause__) not in SAID_NO:
                raise
            raise RefusedError(f"{self.place} refuses: {_short(error.__cause__)}") from error
        except OSError as error:
            raise RefusedError(f"the store can't be in {self.place}: {error.strerror}") from error

    def _missing(self) -> RefusedError:
        cure = (
            "start the hub on it once, or mend store.url"
            if self.is_postgres
            else "name the hub's folder with --data DIR"
        )
        return RefusedError(f"there is no store in {self.place} yet; {cure}")

    def _connect(self) -> None:
        if self._url is not None:
            parts = urlsplit(self._url)
            engine = create_async_engine(
                urlunsplit(parts._replace(scheme="postgresql+asyncpg")),
                pool_size=8, max_overflow=4, pool_pre_ping=True, pool_timeout=5,
                connect_args={"timeout": 5, "command_timeout": 30},
            )  # fmt: skip
            event.listen(engine.sync_engine, "connect", _durable)
            self._writer = self._reader = engine
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(OSError):  # SQLite says it better
                os.close(
                    os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                )  # the folder may be one that others can read
            self._writer = _sqlite_writer(self._path)
            self._reader = _sqlite_engine(self._path, size=4, begin="BEGIN", read_only=True)

    async def _prepare(self, *, make: bool) -> bool:
        async with self.writing() as tx:
            if self.is_postgres:
                await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            version = await tx.run_sync(_version)
            if version is None and not make:
                raise self._missing()
            if version != HEAD:
                await tx.run_sync(_migrate)
            return version is None

    async def close(self) -> None:
        """Give all connections back."""
        for engine in {self._writer, self._reader}:
            if engine is not None:
                await engine.dispose()
        self._writer = self._reader = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; committed when the block ends, and only then."""
        if self._writer is None:
            raise UnavailableError("the store is closed")
        try:
            if self.is_postgres:
                async with self._writer.begin() as tx:
                    yield tx
            else:
                async with self._writes:
                    await self._trusted()
                    async with self._writer.begin() as tx:
                        yield tx
        except self._faults as error:
            if not self._is_away(error):
                raise
            self._doubtful |= not self.is_postgres and _code(error) in DOUBTFUL
            raise UnavailableError(self._told(error)) from error

    async def _trusted(self) -> None:
        """After SQLite's disk has failed: a fresh handle, and all that was committed written again before anything else.

        Nobody knows what of the journal is on the disk after a failed fsync, and the next one that succeeds says nothing about it.
        """
        if not self._doubtful or self._writer is None:
            return
        old, self._writer = self._writer, _sqlite_writer(self._path)
        await old.dispose()
        async with self._writer.connect() as handle:
            raw = (await handle.get_raw_connection()).driver_connection
            try:
                ((busy, *_),) = await raw.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]  # it is there
            except sqlite3.Error as error:
                raise UnavailableError(self._told(error)) from error
        if busy:
            raise UnavailableError("the store's disk has failed, and who reads keeps it from being made safe yet")
        self._doubtful = False

    def _told(self, error: BaseException) -> str:
        """What, where, and what to do."""
        cure = None if self.is_postgres else CURES.get(_code(error))
        return f"the store does not answer: {_short(error)}" + (f"; {self.place}: {cure}" if cure else "")

    def _is_away(self, error: BaseException) -> bool:
        return isinstance(error, self._down) or _state(error) in {*AWAY, *SAID_NO}

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads one state of the store."""
        if self._reader is None:
            raise UnavailableError("the store is closed")
        try:
            async with self._reader.connect() as tx:
                yield tx
        except self._faults as error:
            if not self._is_away(error):
                raise
            raise UnavailableError(f"the store does not answer: {_short(error)}") from error


def _state(error: BaseException) -> str:
    """The class of what PostgreSQL said, the first two letters of its SQLSTATE."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")[:2]


def _short(error: BaseException) -> str:
    """The message without the statement and its values."""
    inner = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(inner).__name__}: {str(inner)[:120]}"


def _code(error: BaseException) -> int:
    """SQLite's own primary code; 0 for what is none of its errors."""
    return int(getattr(getattr(error, "orig", error), "sqlite_errorcode", None) or 0) & 0xFF


def _sqlite_writer(path: Path) -> AsyncEngine:
    return _sqlite_engine(path, size=1, begin="BEGIN IMMEDIATE", read_only=False)


def _sqlite_engine(path: Path, *, size: int, begin: str, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)), pool_size=size, max_overflow=0, pool_timeout=30
    )

    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, else DDL and reads run outside a transaction
        cursor = connection.cursor()
        pragmas = ["busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"]
        for pragma in [*pragmas, "query_only=ON"] if read_only else pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    return engine


def _durable(connection: Any, _record: object) -> None:
    """An ack is a promise: a commit has to be on the disk, whatever the server, the database or the role is set to."""
    cursor = connection.cursor()
    cursor.execute(DURABLE)
    cursor.close()
    connection.commit()


def _postgres_down() -> tuple[type[BaseException], ...]:
    """What asyncpg raises past SQLAlchemy while a server starts, ends or is gone."""
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    return (
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.InterfaceError,
    )


def _version(connection: Connection) -> str | None:
    """Of the schema; if it is the newest, Alembic, slow to import, is not needed. None: there is no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "hub:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
