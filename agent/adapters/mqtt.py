"""The link to the hub's broker: one device's own topics over `wire.ops.mqtt`. Every message is counted by what it costs."""

import asyncio
from collections.abc import Callable

from agent.core import cost
from agent.ports import Session
from wire.codec import encode_status
from wire.errors import UnavailableError
from wire.messages import Status
from wire.ops.mqtt import Connection, Login, Will
from wire.topics import Way, build, known

INBOX_MAX = 256
HEARD = ("ack", "cmd")
Meter = Callable[[str, int], None]
"""Takes the lane and the bytes on the air."""


def _no_meter(_lane: str, _bytes: int) -> None:
    """Nobody counts."""


class MqttSession:
    """One connection, subscribed to what the hub says to this device."""

    def __init__(
        self, connection: Connection, login: Login, *, inbox: asyncio.Queue[tuple[str, bytes]], meter: Meter = _no_meter
    ) -> None:
        self._connection = connection
        self._login = login
        self._meter = meter
        self.inbox = inbox

    @property
    def lost(self) -> asyncio.Future[UnavailableError]:
        """Done when the connection is gone."""
        return self._connection.lost

    def publish(self, name: str, payload: bytes) -> asyncio.Future[None]:
        """Send on an own topic, as the table says."""
        topic, path = known(Way.UP, name), build(self._login.identity, Way.UP, name)
        self._meter(name, cost.publish_bytes(len(path), len(payload), qos=topic.qos, tls=self._login.tls))
        return self._connection.publish(path, payload, qos=topic.qos, retain=topic.retain)

    def drop(self, error: UnavailableError) -> None:
        """Give it up at once."""
        self._connection.drop(error)

    async def close(self) -> None:
        """Say good-bye."""
        await self._connection.close()


class MqttLink:
    """Opens sessions for one identity."""

    def __init__(self, login: Login, meter: Meter = _no_meter) -> None:
        self._login = login
        self._meter = meter

    async def open(self, will: Status) -> Session:
        """Connect, subscribe to acks and commands. Raises LinkDownError, ServerDownError or RefusedError."""
        identity = self._login.identity
        inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(INBOX_MAX)
        tls = self._login.tls

        def receive(topic: str, payload: bytes) -> None:
            name = topic.rpartition("/")[2]
            self._meter(name, cost.publish_bytes(len(topic), len(payload), qos=known(Way.DOWN, name).qos, tls=tls))
            if not inbox.full():  # an ack that is dropped is said again with the next batch
                inbox.put_nowait((name, payload))

        testament = Will(build(identity, Way.UP, "status"), encode_status(will))
        self._meter("link", cost.link_bytes(tls=tls))  # a failed attempt costs about as much
        connection = await Connection.open(self._login, receive, will=testament)
        try:
            await connection.subscribe(*(build(identity, Way.DOWN, name) for name in HEARD))
        except BaseException:
            await connection.close()
            raise
        return MqttSession(connection, self._login, inbox=inbox, meter=self._meter)
