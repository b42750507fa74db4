"""The embedded MQTT broker: amqtt, with the holes closed that make its bare form unsafe.

What is different from amqtt 0.12.1:
- A login is judged before anything of an older session is touched: client id equals user name, the password fits,
  the last will is a topic that this identity may write. Nobody is let in without a password. One whose password
  does not fit is judged again by a registry that was read anew: it may have been made a moment ago.
- A second login of an identity closes the first connection, and waits until it is gone.
- A retained message reaches a client only through a subscription of its own.
- Filters are granted by inclusion (`wire.roles`), and no session outlives its connection.
- Packets are bounded, a silent client is closed after 1.5 keep-alives, and one that does not read is cut off.
- Delivery looks a topic up instead of comparing it with every filter of every client.
"""

import asyncio
import contextlib
import logging
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.broker import Broker, Server
from amqtt.contexts import Action as Wanted
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError, BrokerError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import OutgoingApplicationMessage, Session

from hub.core.access import matches
from hub.core.registry import Registry
from wire.errors import UnavailableError
from wire.ops.watch import WatchCall
from wire.roles import Action, allowed, covers, role_of

MAX_PACKET_BYTES = 131_072
LOGIN_S = 10.0
TAKE_OVER_S = 2.0
MOST_UNREAD = 2000
MANY_DEVICES = 100
CREDENTIAL = "credential"


class _Reader(StreamReaderAdapter):
    """Ends like a closed stream when a packet is larger than allowed; amqtt reads a body in one call."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._spent = False
        self.spoke = False

    async def read(self, n: int = -1) -> bytes:
        if self._spent or n > MAX_PACKET_BYTES:
            self._spent = True
            raise NoDataError("the packet is too large")
        data = await super().read(n)
        self.spoke = self.spoke or bool(data)
        return data


class _Writer(StreamWriterAdapter):
    """Closing never waits for a peer that does not read."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer)
        self._stream = writer

    @property
    def address(self) -> str:
        """Who is at the other end."""
        return str((self._stream.get_extra_info("peername") or ("gone",))[0])

    def abort(self) -> None:
        """Cut the connection; the reader sees its end and the last will goes out."""
        self.is_closed = True
        self._stream.transport.abort()

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stream.drain()
            self._stream.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stream.wait_closed()
        self._stream.transport.abort()


class _Handler(BrokerProtocolHandler):
    """One connection's protocol, with an end for the silent and for those that do not read."""

    unread = 0

    def handle_read_timeout(self) -> None:
        if isinstance(self.writer, _Writer):
            self.writer.abort()
        if self.reader is not None:
            self.reader.feed_eof()

    async def mqtt_publish(
        self,
        topic: str,
        data: bytes | bytearray,
        qos: int | None,
        retain: bool,  # noqa: FBT001 - amqtt's signature
        ack_timeout: int | None = None,
    ) -> OutgoingApplicationMessage:
        self.unread += 1
        try:
            return await super().mqtt_publish(topic, data, qos, retain, ack_timeout)
        finally:
            self.unread -= 1


@dataclass(eq=False, slots=True)
class _Link:
    """An open connection and who it is."""

    identity: str
    stored: str
    writer: _Writer
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class _Amqtt(Broker):
    """amqtt's broker with our decisions."""

    def __init__(self, config: BrokerConfig, watch: WatchCall, look_again: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._look_again = look_again
        self.registry = Registry()
        self.links: dict[str, _Link] = {}
        self.tasks: dict[asyncio.Task[Any], _Writer] = {}
        self._watch = watch

    def port(self, listener: str) -> int:
        """The port that a listener has."""
        server = self._servers[listener].instance
        return int(next(iter(server.sockets)).getsockname()[1])

    @property
    def serves(self) -> bool:
        """Whether listener and delivery are at work."""
        delivering = self._broadcast_task is not None and not self._broadcast_task.done()
        return delivering and bool(self._servers) and all(s.instance.is_serving() for s in self._servers.values())

    async def _session_monitor(self) -> None:
        """Sessions end with their connection, so there is nothing to look for."""

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        task, stream = asyncio.current_task(), _Writer(writer)
        if task is not None:
            self.tasks[task] = stream
            task.add_done_callback(lambda done: self.tasks.pop(done, None))
        try:
            await self._client_connected(listener_name, _Reader(reader), stream)
        except (OSError, TimeoutError) as error:
            self._watch("broker.refused", reason=type(error).__name__, at=stream.address)
        finally:
            stream.abort()

    async def _initialize_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        remote_address: str,
        remote_port: int,  # noqa: ARG002 - amqtt's signature
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            async with asyncio.timeout(LOGIN_S):
                handler, session = await _Handler.init_from_connect(reader, writer, self.plugins_manager)
        except (AMQTTError, MQTTError, NoDataError, TimeoutError, ValueError, LookupError, struct.error) as error:
            await writer.close()
            if not isinstance(reader, _Reader) or reader.spoke or isinstance(error, TimeoutError):
                self._watch("broker.refused", reason="protocol", at=remote_address)
            else:
                self._watch("broker.knocked", at=remote_address)
            raise MQTTError(f"no login: {error}") from None
        fault = self._fault(session)
        if fault == CREDENTIAL:
            await self._look_again()
            fault = self._fault(session)
        if fault is not None:
            self._watch("broker.refused", reason=fault, identity=ascii(session.username)[:40], at=remote_address)
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise MQTTError(fault)
        session.clean_session = True
        session.keep_alive = session.keep_alive * 3 // 2
        session.password = None
        return handler, session

    def _fault(self, session: Session) -> str | None:
        """Why this login is refused; None if it is fine."""
        identity, secret = session.client_id or "", session.password or ""
        if session.username != identity:
            return "client id is not the user name"
        stored = self.registry.credential(identity)
        if role_of(identity) is None or stored is None or not matches(stored, secret):
            return CREDENTIAL
        if session.will_flag and not allowed(identity, Action.WRITE, session.will_topic or ""):
            return "last will"
        return None

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        """Judged already, in `_initialize_client_session`, and only there."""
        return session.client_id is not None

    async def _handle_client_session(  # noqa: PLR0917 - amqtt's signature
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        identity, stored = client_session.client_id or "", self.registry.credential(client_session.client_id or "")
        if stored is None or not isinstance(writer, _Writer):
            return
        while (old := self.links.get(identity)) is not None:
            self._watch("broker.taken-over", identity=identity)
            old.writer.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TAKE_OVER_S):
                    await old.gone.wait()
            if self.links.get(identity) is old:
                self._forget(old)
        link = self.links[identity] = _Link(identity, stored, writer)
        self._count_devices()
        try:
            await super()._handle_client_session(reader, writer, client_session, handler, server, listener_name)
        finally:
            writer.abort()
            if self._sessions.get(identity, (None, None))[0] is client_session:
                await self._delete_session(identity)
            self._forget(link)

    def _forget(self, link: _Link) -> None:
        link.gone.set()
        if self.links.get(link.identity) is link:
            del self.links[link.identity]

    def _count_devices(self) -> None:
        devices = sum(identity in self.registry.devices for identity in self.links)
        if devices == MANY_DEVICES + 1:
            self._watch("broker.outgrown", devices=devices)

    async def _topic_filtering(self, session: Session, topic: str, action: Wanted) -> bool:
        """Never waits: amqtt walks its tables around this call."""
        way = Action.WRITE if action is Wanted.PUBLISH else Action.READ
        granted = allowed(session.client_id or "", way, topic)
        if not granted and action is not Wanted.RECEIVE:
            self._watch("broker.denied", action=str(action), identity=session.client_id, topic=ascii(topic)[:80])
        return granted

    async def _handle_message_delivery(
        self, client_session: Session, handler: BrokerProtocolHandler, wait_deliver: asyncio.Future[Any]
    ) -> bool:
        """A topic with a leading $ is denied like any other; amqtt would close the connection and count nothing."""
        message = wait_deliver.result()
        if message is not None and message.topic and message.topic.startswith("$"):
            await self._topic_filtering(client_session, message.topic, Wanted.PUBLISH)
            return True
        return await super()._handle_message_delivery(client_session, handler, wait_deliver)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Only for a filter that this very session holds: amqtt calls this for everybody's filters at each login."""
        holders = self._subscriptions.get(subscription[0], ())
        if any(holder is session for holder, _qos in holders):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _run_broadcast(self, running_tasks: deque[asyncio.Task[OutgoingApplicationMessage]]) -> None:
        message = await self._broadcast_queue.get()
        topic, data = message["topic"], message["data"]
        holders = list(self._subscriptions.get(topic, ()))
        for topic_filter, sessions in self._subscriptions.items():
            if ("+" in topic_filter or "#" in topic_filter) and covers(topic_filter, topic):
                holders += sessions
        for session, granted_qos in holders:
            handler = self._get_handler(session)
            if session.transitions.state != "connected" or not isinstance(handler, _Handler):
                continue
            if handler.unread >= MOST_UNREAD:
                self._watch("broker.flooded", identity=session.client_id)
                handler.handle_read_timeout()
                continue
            qos = min(granted_qos, message.get("qos", granted_qos) or 0)
            running_tasks.append(asyncio.create_task(handler.mqtt_publish(topic, data, qos, retain=False)))


async def _nobody_to_ask() -> None:
    """Without anybody to ask, what is known is all there is."""


class EmbeddedBroker:
    """Start it, hand it the registry, and look after it: `serves` tells whether it still works.

    `look_again` is awaited before an unknown login is refused; it may hand a newer registry to `enforce`.
    """

    def __init__(self, watch: WatchCall, look_again: Callable[[], Awaitable[None]] = _nobody_to_ask) -> None:
        self._watch = watch
        self._look_again = look_again
        self._broker: _Amqtt | None = None
        self._registry = Registry()
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it logs what clients do wrong; we count that ourselves
        logging.getLogger("transitions").setLevel(logging.ERROR)

    async def start(
        self,
        host: str,
        port: int,
        *,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        max_connections: int = 1000,
    ) -> tuple[int, int]:
        """Listen; gives the port, and a port without TLS on the loopback for the hub itself (the same if no TLS).

        Raises UnavailableError when the address is taken.
        """
        bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if tls_cert is None:
            listeners = {"default": ListenerConfig(bind=bind, max_connections=max_connections)}
        else:
            outer = ListenerConfig(
                bind=bind, max_connections=max_connections, ssl=True, certfile=tls_cert, keyfile=tls_key
            )
            listeners = {"default": ListenerConfig(bind="127.0.0.1:0"), "outer": outer}
        broker = _Amqtt(BrokerConfig(listeners=listeners, plugins={}), self._watch, self._look_again)
        broker.registry = self._registry
        try:
            await broker.start()
        except BrokerError as error:
            raise UnavailableError(f"the embedded broker can't listen on {bind}: {error}") from None
        self._broker = broker
        own = broker.port("default")
        return (own if tls_cert is None else broker.port("outer")), own

    async def stop(self) -> None:
        """Close all connections and end."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        for stream in list(broker.tasks.values()):
            stream.abort()
        if broker.tasks:
            _done, late = await asyncio.wait(set(broker.tasks), timeout=TAKE_OVER_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await broker.shutdown()

    @property
    def serves(self) -> bool:
        """Whether it works."""
        return self._broker is not None and self._broker.serves

    @property
    def connected(self) -> int:
        """Open connections of known identities."""
        return 0 if self._broker is None else len(self._broker.links)

    def enforce(self, registry: Registry) -> None:
        """Take a new registry over; connections whose right ended are closed now."""
        self._registry = registry
        if self._broker is None:
            return
        self._broker.registry = registry
        for link in list(self._broker.links.values()):
            if registry.credential(link.identity) != link.stored:
                self._watch("broker.kicked", identity=link.identity)
                link.writer.abort()
