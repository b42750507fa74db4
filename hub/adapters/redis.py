"""The view of now in Redis (7.0 or newer) or Valkey, by redis-py. Its errors come out as UnavailableError."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from hub.core import keys
from hub.core.views import State
from wire.errors import UnavailableError

TIMEOUT_S = 5.0
MOST_EVENTS = 100_000
STATES_AT_ONCE = 500
IF_STILL_MINE = "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) return 1 end return 0"


def _go_if_cancelled() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class RedisNow:
    """One client with a pool of its own. No hidden retries: the hub wants to know when Redis was away."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(
            url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S, health_check_interval=5,
        )  # fmt: skip
        self._put = files("hub.adapters").joinpath("put.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(self._put)
        self._mark = self._redis.register_script(IF_STILL_MINE)

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[Any]:
        """The client. It may turn a cancelling into an error of its own, or lose it: a lane that is to end must end."""
        _go_if_cancelled()
        try:
            yield self._redis
        except (RedisError, OSError, TimeoutError) as error:
            _go_if_cancelled()
            raise UnavailableError(f"Redis does not answer: {type(error).__name__}: {str(error)[:120]}") from error
        _go_if_cancelled()

    async def put(self, fleet: str, states: Sequence[State], at_ms: int) -> int:
        """Take states over if they are not older than what is there, and publish them; gives how many were taken."""
        of, taken = keys.of(fleet), 0
        async with self._talking():
            for start in range(0, len(states), STATES_AT_ONCE):
                arguments: list[str | float] = [at_ms]
                for state in states[start : start + STATES_AT_ONCE]:
                    lat, lon = state.place or ("", "")
                    arguments += [state.vehicle, state.order_ms, lat, lon, state.text]
                taken += int(await self._script(keys=[of.geo, of.live, of.order, of.moves], args=arguments))
        return taken

    async def begin_fill(self, fleet: str, token: str) -> None:
        """The view is being filled by the one who holds this token."""
        async with self._talking() as redis:
            await redis.set(keys.of(fleet).epoch, token)

    async def end_fill(self, fleet: str, vehicles: Collection[str], *, token: str, mark: str) -> bool:
        """Drop vehicles that are not among these and mark the view as filled; not if it was lost or begun anew meanwhile."""
        of = keys.of(fleet)
        async with self._talking() as redis:
            gone = list({name.decode() for name in await redis.hkeys(of.live)} - set(vehicles))
            for start in range(0, len(gone), STATES_AT_ONCE):
                some = gone[start : start + STATES_AT_ONCE]
                await redis.hdel(of.live, *some)
                await redis.hdel(of.order, *some)
                await redis.zrem(of.geo, *some)
            return bool(await self._mark(keys=[of.epoch], args=[token, mark]))

    async def filled(self, fleet: str) -> str | None:
        """The mark of a filled view; None if the view is empty."""
        async with self._talking() as redis:
            mark: bytes | None = await redis.get(keys.of(fleet).epoch)
            return None if mark is None else mark.decode()

    async def everything(self, fleet: str) -> list[bytes]:
        """All states of a fleet."""
        async with self._talking() as redis:
            return list(await redis.hvals(keys.of(fleet).live))

    async def near(self, fleet: str, lat: float, lon: float, *, radius_m: float, most: int) -> list[tuple[str, float]]:
        """Vehicles around a place with their distance in metres, nearest first."""
        async with self._talking() as redis:
            found = await redis.geosearch(
                keys.of(fleet).geo, longitude=lon, latitude=lat, radius=radius_m, unit="m",
                sort="ASC", count=most, withdist=True,
            )  # fmt: skip
            return [(name.decode(), float(distance_m)) for name, distance_m in found]

    async def add_event(self, fleet: str, pos: int, text: str) -> None:
        """Add an event to the fleet's stream at its position; a repeat changes nothing."""
        async with self._talking() as redis:
            try:
                await redis.xadd(keys.of(fleet).events, {"e": text}, id=f"{pos}-0", maxlen=MOST_EVENTS)
            except ResponseError as error:
                if "equal or smaller" not in str(error):
                    raise

    async def ring(self, fleet: str, pos: int) -> None:
        """Tell that there are new events."""
        async with self._talking() as redis:
            await redis.publish(keys.of(fleet).bell, str(pos))

    async def follow(self, opened: Callable[[], Awaitable[None]], heard: Callable[[str, bytes], None]) -> None:
        """Listen to moves and bells of all fleets, until UnavailableError says that the connection broke.

        `opened` is awaited after the subscription: what was there before is to be read then.
        """
        async with self._talking() as redis:
            ear = redis.pubsub()
            try:
                await ear.psubscribe(keys.MOVES_PATTERN, keys.BELL_PATTERN)
                await opened()
                while True:
                    message = await ear.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if message is None:
                        await asyncio.sleep(0)
                    elif message["type"] == "pmessage":
                        heard(message["channel"].decode(), message["data"])
            finally:
                await ear.aclose()
