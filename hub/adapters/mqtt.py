"""The hub's links to the broker: each comes back by itself, subscribes anew, and says when it is away."""

import asyncio
import random
from collections.abc import Callable, Sequence

from wire.backoff import full_jitter_s
from wire.errors import OdographError, RefusedError, UnavailableError
from wire.ops.mqtt import Connection, Login
from wire.ops.watch import WatchCall
from wire.topics import parse

BASE_S = 0.2
CAP_S = 10.0


class Link:
    """One connection of the hub. What is sent while it is away is dropped: devices ask again."""

    def __init__(
        self,
        name: str,
        login: Callable[[], Login],
        *,
        filters: Sequence[str],
        on_message: Callable[[str, bytes], None],
        watch: WatchCall,
    ) -> None:
        self._name = name
        self._login = login
        self._filters = filters
        self._on_message = on_message
        self._watch = watch
        self._connection: Connection | None = None

    @property
    def up(self) -> bool:
        """Whether messages flow."""
        return self._connection is not None and not self._connection.lost.done()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send, if there is a link, with the QoS that the table gives the topic."""
        if self._connection is not None:
            self._connection.publish(topic, payload, qos=parse(topic)[1].qos, retain=retain)

    async def run(self) -> None:
        """Keep the link, for ever; a refusal is tried again, too: the broker may learn of us later."""
        attempt = 0
        while True:
            connection = None
            try:
                connection = await Connection.open(self._login(), self._on_message)
                await connection.subscribe(*self._filters)
                self._connection = connection
                self._watch("mqtt.up", connection=self._name)
                attempt = 0
                error: OdographError = await asyncio.shield(connection.lost)
            except (UnavailableError, RefusedError) as fault:
                error = fault
            finally:
                self._connection = None
                if connection is not None:
                    await connection.close()
            self._watch("mqtt.retry" if attempt else "mqtt.down", connection=self._name, error=error)
            jitter = full_jitter_s(attempt, random.random(), base_s=BASE_S, cap_s=CAP_S)  # noqa: S311  # no secret
            await asyncio.sleep(0.05 + jitter)
            attempt += 1
