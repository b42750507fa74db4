"""Real parts for hub tests, and their twins in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from hub.adapters.memory import MemoryNow, MemoryStore
from hub.adapters.redis import RedisNow
from hub.adapters.store.sql import SqlStore
from hub.adapters.valkey import EmbeddedValkey
from tests import rigs
from tests.hub.makers import a_watch
from wire.ops.watch import Watch

AnyStore = MemoryStore | SqlStore
AnyNow = MemoryNow | RedisNow


@pytest.fixture
def watch() -> Watch:
    return a_watch()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rigs.postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rigs.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def emptied(url: str) -> None:
    """Drop everything in a PostgreSQL database."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as tx:
        await tx.execute(text("DROP SCHEMA public CASCADE"))
        await tx.execute(text("CREATE SCHEMA public"))
    await engine.dispose()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, watch: Watch) -> AsyncIterator[AnyStore]:
    """Each kind of store, new and empty."""
    made: AnyStore
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "sqlite":
        made = SqlStore(tmp_path / "hub.db", None, watch=watch)
    else:
        url = request.getfixturevalue("postgres_url")
        await emptied(url)
        made = SqlStore(tmp_path / "unused.db", url, watch=watch)
    await made.open()
    yield made
    await made.close()


@contextlib.asynccontextmanager
async def embedded_valkey(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    """The embedded Valkey, looked after."""
    server = EmbeddedValkey(folder, a_watch())
    await server.start()
    keeper = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        await server.stop()


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    async with embedded_valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture(params=["memory", "valkey", "redis"])
async def now(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyNow]:
    """Each kind of view of now, empty."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryNow()
            return
        if request.param == "redis":
            url = str(request.getfixturevalue("redis_url"))
        else:
            url = (await stack.enter_async_context(embedded_valkey(tmp_path / "valkey"))).url
        made = RedisNow(url)
        stack.push_async_callback(made.close)
        await made._redis.flushall()
        yield made
