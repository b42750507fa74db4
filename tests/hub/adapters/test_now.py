"""One suite for every view of now: the twin in memory, the embedded Valkey, Debian's Redis 7.0."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from hub.adapters.memory import MemoryNow
from hub.adapters.redis import RedisNow
from hub.adapters.valkey import EmbeddedValkey
from hub.core import keys
from hub.core.views import State
from tests.hub.conftest import AnyNow
from tests.hub.makers import a_watch
from tests.rigs import eventually
from wire.errors import UnavailableError

PLACE = (41.28, -96.08)


def state(vehicle: str, order_ms: int, place: tuple[float, float] | None = PLACE, text: str = "") -> State:
    return State(vehicle, order_ms, place, text or f'{{"veh":"{vehicle}","at":{order_ms}}}')


async def all_of(now: AnyNow, fleet: str = "main") -> list[str]:
    return sorted(raw.decode() for raw in await now.everything(fleet))


async def test_newer_wins_and_the_same_time_too(now: AnyNow) -> None:
    assert await now.put("main", [state("a", 5), state("b", 5, None)], 1) == 2
    assert await now.put("main", [state("a", 4, text="old"), state("b", 6)], 1) == 1
    assert await now.put("main", [state("a", 5, text="same")], 1) == 1
    assert await all_of(now) == sorted(["same", state("b", 6).text])
    assert await all_of(now, "other") == []
    assert await now.put("main", [], 1) == 0


async def test_near_is_sorted_and_capped(now: AnyNow) -> None:
    await now.put("main", [state(f"v{i}", 1, (41.28 + i * 0.001, -96.08)) for i in range(5)], 1)
    await now.put("main", [state("gone", 1), state("polar", 1, None)], 1)
    await now.put("main", [state("gone", 2, None)], 1)
    found = await now.near("main", *PLACE, radius_m=350, most=10)
    assert [name for name, _ in found] == ["v0", "v1", "v2", "v3"]
    assert found[2][1] == pytest.approx(222.4, abs=1)
    assert [name for name, _ in await now.near("main", *PLACE, radius_m=350, most=2)] == ["v0", "v1"]
    assert await now.near("main", 10, 10, radius_m=10, most=10) == []


async def test_a_filled_view_is_marked_and_has_no_strangers(now: AnyNow) -> None:
    assert await now.filled("main") is None
    await now.put("main", [state("a", 9), state("stranger", 9)], 1)
    await now.begin_fill("main", "mine")
    assert await now.filled("main") == "mine"
    await now.put("main", [state("a", 5), state("b", 5)], 1)
    assert not await now.end_fill("main", ["a", "b"], token="another", mark="7"), "another has begun anew"
    assert await now.end_fill("main", ["a", "b"], token="mine", mark="7")
    assert await now.filled("main") == "7"
    assert await now.filled("other") is None
    assert await all_of(now) == [state("a", 9).text, state("b", 5).text]
    assert [name for name, _ in await now.near("main", *PLACE, radius_m=10, most=10)] == ["a", "b"]


async def test_what_is_taken_is_told_to_those_who_follow(now: AnyNow) -> None:
    heard: list[tuple[str, bytes]] = []
    opened = asyncio.Event()

    async def on_open() -> None:
        opened.set()

    following = asyncio.create_task(now.follow(on_open, lambda channel, data: heard.append((channel, data))))
    await asyncio.wait_for(opened.wait(), 5)
    await now.put("main", [state("a", 5), state("b", 5)], 1)
    await now.put("main", [state("a", 4)], 1)
    await now.ring("north", 12)
    await eventually(lambda: len(heard) == 2)
    moves = f"{state('a', 5).text}\n{state('b', 5).text}".encode()
    assert heard == [(keys.of("main").moves, moves), (keys.of("north").bell, b"12")]
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_events_keep_their_position_and_a_repeat_changes_nothing(now: AnyNow) -> None:
    for pos, text in ((1, "one"), (2, "two"), (1, "again"), (2, "again"), (3, "three")):
        await now.add_event("main", pos, text)
    if isinstance(now, MemoryNow):
        assert now.stream["main"] == {1: "one", 2: "two", 3: "three"}
    else:
        rows = await now._redis.xrange(keys.of("main").events)
        assert [(number, fields[b"e"]) for number, fields in rows] == [
            (b"1-0", b"one"), (b"2-0", b"two"), (b"3-0", b"three"),
        ]  # fmt: skip


async def test_a_redis_that_is_not_there_is_unavailable() -> None:
    now = RedisNow("redis://127.0.0.1:1/0")
    calls = [now.put("main", [state("a", 1)], 1), now.filled("main"), now.everything("main"),
             now.near("main", 1, 1, radius_m=1, most=1), now.add_event("main", 1, "x"), now.ring("main", 1)]  # fmt: skip
    for call in calls:
        with pytest.raises(UnavailableError):
            await call

    async def never() -> None:
        raise AssertionError

    with pytest.raises(UnavailableError):
        await now.follow(never, lambda _c, _d: None)
    await now.close()


async def test_the_twin_can_be_down_and_lose_everything() -> None:
    now = MemoryNow()
    await now.begin_fill("main", "mine")
    await now.put("main", [state("a", 1)], 1)
    now.lose()
    assert not await now.end_fill("main", ["a"], token="mine", mark="1"), "it was lost while it was filled"
    assert await now.filled("main") is None
    now.down = True
    with pytest.raises(UnavailableError):
        await now.put("main", [state("a", 1)], 1)


# The embedded server.


async def test_a_killed_valkey_is_started_again(valkey: EmbeddedValkey) -> None:
    now = RedisNow(valkey.url)
    await now.put("main", [state("a", 1)], 1)
    first = valkey.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: valkey.pid not in {first, None})

    async def answers() -> bool:
        try:
            return await now.everything("main") == []
        except UnavailableError:
            return False

    await eventually(answers)
    await now.close()


async def test_who_follows_learns_that_the_connection_broke(valkey: EmbeddedValkey) -> None:
    now = RedisNow(valkey.url)
    opened = asyncio.Event()

    async def on_open() -> None:
        opened.set()

    following = asyncio.create_task(now.follow(on_open, lambda _c, _d: None))
    await asyncio.wait_for(opened.wait(), 5)
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(following, 5)
    await now.close()


async def test_a_deep_data_folder_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    server = EmbeddedValkey(deep, a_watch())
    await server.start()
    now = RedisNow(server.url)
    assert await now.filled("main") is None
    await now.close()
    await server.stop()
    assert not server.socket.parent.exists()


async def test_only_the_owner_may_use_the_socket(valkey: EmbeddedValkey) -> None:
    assert valkey.socket.stat().st_mode & 0o077 == 0
