"""Engines and transactions: one writer and some readers on SQLite, one pool on PostgreSQL. Runs the migrations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import URL, Connection, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.adapters.store.schema import HEAD
from wire.errors import UnavailableError
from wire.ops.watch import WatchCall

DOWN: tuple[type[BaseException], ...] = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
MIGRATION_LOCK = 7_031_873


class Database:
    """Open it before use, close it after. Errors of the connection come out as UnavailableError."""

    def __init__(self, path: Path, url: str | None, *, watch: WatchCall) -> None:
        self._path = path
        self._watch = watch
        self._url = url
        self._writer: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._writes = asyncio.Lock()
        self._down = DOWN if url is None else (*DOWN, *_postgres_down())

    @property
    def is_postgres(self) -> bool:
        """Whether another program holds the store."""
        return self._url is not None

    def insert(self, table: Any) -> Any:
        """An insert of the dialect, that knows ON CONFLICT."""
        return postgresql.insert(table) if self.is_postgres else sqlite.insert(table)

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises UnavailableError."""
        if self._url is not None:
            parts = urlsplit(self._url)
            engine = create_async_engine(
                urlunsplit(parts._replace(scheme="postgresql+asyncpg")),
                pool_size=8, max_overflow=4, pool_pre_ping=True, pool_timeout=5,
                connect_args={"timeout": 5, "command_timeout": 30},
            )  # fmt: skip
            self._writer = self._reader = engine
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _sqlite_engine(self._path, size=1, begin="BEGIN IMMEDIATE", read_only=False)
            self._reader = _sqlite_engine(self._path, size=4, begin="BEGIN", read_only=True)
        async with self.writing() as tx:
            if self.is_postgres:
                await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            if not await tx.run_sync(_is_current):
                await tx.run_sync(_migrate)

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
                async with self._writes, self._writer.begin() as tx:
                    yield tx
        except self._down as error:
            raise UnavailableError(f"the store does not answer: {_short(error)}") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads one state of the store."""
        if self._reader is None:
            raise UnavailableError("the store is closed")
        try:
            async with self._reader.connect() as tx:
                yield tx
        except self._down as error:
            raise UnavailableError(f"the store does not answer: {_short(error)}") from error


def _short(error: BaseException) -> str:
    """The message without the statement and its values."""
    inner = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(inner).__name__}: {str(inner)[:120]}"


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


def _postgres_down() -> tuple[type[BaseException], ...]:
    """What asyncpg raises past SQLAlchemy while a server starts, ends or is gone."""
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    return (
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.InterfaceError,
    )


def _is_current(connection: Connection) -> bool:
    """Whether the schema is the newest; then Alembic, slow to import, is not needed."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "hub:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
