"""Looking again for those that the registry does not know: at once, shared, and bounded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from hub.adapters.memory import MemoryDown, MemoryNow, MemoryStore
from hub.core.registry import Registry
from hub.flow import Limits
from hub.upkeep import LOOK_PAUSE_S, Upkeep
from tests.hub.makers import T0, a_watch
from tests.rigs import eventually


class Counted(MemoryStore):
    """Counts how often it is asked for its version; `slow_s` is what an answer takes."""

    asked = 0
    slow_s = 0.0

    async def registry_version(self) -> int:
        self.asked += 1
        version = await super().registry_version()
        await asyncio.sleep(self.slow_s)
        return version


@pytest.fixture
def store() -> Counted:
    return Counted()


@pytest.fixture
async def upkeep(store: Counted, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upkeep]:
    """One that reads the registry by itself only once a minute."""
    monkeypatch.setattr("hub.upkeep.TICK_S", 60.0)
    made = Upkeep(store, MemoryNow(), watch=a_watch(), utc_ms=lambda: T0, limits=Limits(4, 4))
    made.bulk = made.fast = MemoryDown()
    made.on_registry = lambda _registry: None
    keeping = asyncio.create_task(made.keep_registry())
    yield made
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


async def test_what_was_made_before_the_call_is_known_after_it(upkeep: Upkeep, store: Counted) -> None:
    told: list[Registry] = []
    upkeep.on_registry = told.append
    for fleet in ("a", "b", "c"):
        await store.add_fleet(fleet, T0)
        await upkeep.look_again()
        assert fleet in upkeep.registry.fleets
        assert told[-1] is upkeep.registry


async def test_who_asks_during_a_reading_waits_for_the_next_one(upkeep: Upkeep, store: Counted) -> None:
    store.slow_s = 0.1
    first = asyncio.create_task(upkeep.look_again())
    await eventually(lambda: store.asked == 1, every_s=0.01)
    await store.add_fleet("late", T0)
    await upkeep.look_again()
    assert first.done()
    assert upkeep.registry.fleets == ("late",)


async def test_guessing_costs_the_store_one_small_question_in_a_pause(upkeep: Upkeep, store: Counted) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for _ in range(4):
        await asyncio.gather(*(upkeep.look_again() for _ in range(500)))
    assert store.asked == 4
    assert loop.time() - start >= 4 * LOOK_PAUSE_S * 0.9


async def test_nobody_waits_long_for_a_store_that_is_down(
    upkeep: Upkeep, store: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.upkeep.PATIENCE_S", 0.2)
    store.down = True
    async with asyncio.timeout(0.5):
        await upkeep.look_again()
    assert upkeep.store_fault is not None
    store.down = False
    await store.add_fleet("a", T0)
    monkeypatch.setattr("hub.upkeep.PATIENCE_S", 5.0)
    await upkeep.look_again()
    assert upkeep.registry.fleets == ("a",)
    assert upkeep.store_fault is None
