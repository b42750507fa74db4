"""The link to the hub's broker: one device's own topics over `wire.ops.mqtt`."""

import asyncio

from agent.ports import Session
from wire.codec import encode_status
from wire.errors import UnavailableError
from wire.messages import Status
from wire.ops.mqtt import Connection, Login, Will
from wire.topics import Way, build, known

INBOX_MAX = 256


class MqttSession:
    """One connection, subscribed to what the hub says to this device."""

    def __init__(self, connection: Connection, identity: str, inbox: asyncio.Queue[tuple[str, bytes]]) -> None:
        self._connection = connection
        self._identity = identity
        self.inbox = inbox

    @property
    def lost(self) -> asyncio.Future[UnavailableError]:
        """Done when the connection is gone."""
        return self._connection.lost

    def publish(self, name: str, payload: bytes) -> asyncio.Future[None]:
        """Send on an own topic, as the table says."""
        topic = known(Way.UP, name)
        return self._connection.publish(
            build(self._identity, Way.UP, name), payload, qos=topic.qos, retain=topic.retain
        )

    def drop(self, error: UnavailableError) -> None:
        """Give it up at once."""
        self._connection.drop(error)

    async def close(self) -> None:
        """Say good-bye."""
        await self._connection.close()


class MqttLink:
    """Opens sessions for one identity."""

    def __init__(self, login: Login) -> None:
        self._login = login

    async def open(self, will: Status) -> Session:
        """Connect, subscribe to acks. Raises LinkDownError, ServerDownError or RefusedError."""
        identity = self._login.identity
        inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(INBOX_MAX)

        def receive(topic: str, payload: bytes) -> None:
            if not inbox.full():  # an ack that is dropped is said again with the next batch
                inbox.put_nowait((topic.rpartition("/")[2], payload))

        testament = Will(build(identity, Way.UP, "status"), encode_status(will))
        connection = await Connection.open(self._login, receive, will=testament)
        try:
            await connection.subscribe(build(identity, Way.DOWN, "ack"))
        except BaseException:
            await connection.close()
            raise
        return MqttSession(connection, identity, inbox)
