"""What was acknowledged is on PostgreSQL's disk, whatever somebody has set there to make it faster."""

from pathlib import Path

import pytest
from sqlalchemy import text

from hub.adapters.store.sql import SqlStore
from tests.hub.conftest import emptied
from tests.hub.makers import a_watch


@pytest.mark.parametrize("whose", ["ROLE odograph", "DATABASE postgres"])
@pytest.mark.parametrize(
    ("given", "held"), [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
)
async def test_a_commit_waits_for_the_disk(
    tmp_path: Path, postgres_url: str, whose: str, given: str, held: str
) -> None:
    await emptied(postgres_url)
    store = SqlStore(tmp_path / "x.db", postgres_url, watch=a_watch())
    await store.open()
    async with store.writing() as tx:
        await tx.execute(text(f"ALTER {whose} SET synchronous_commit = {given}"))
    await store.close()
    try:
        await store.open()
        for _ in range(2):  # a rollback takes nothing of it back
            async with store.writing() as tx:
                assert await tx.scalar(text("SHOW synchronous_commit")) == held
                await tx.rollback()
    finally:
        async with store.writing() as tx:
            await tx.execute(text(f"ALTER {whose} RESET synchronous_commit"))
        await store.close()
