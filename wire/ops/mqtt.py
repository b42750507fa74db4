"""One MQTT 3.1.1 connection on the asyncio loop, by paho without its thread.

A `Connection` lives as long as its socket and is never reused: what is queued, sent again or given up is decided by
our own lanes, so nothing may hide in a client's queue. Shared by agent and hub (see docs/decisions.md).
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from wire.errors import LinkDownError, RefusedError, ServerDownError, SettingsError, UnavailableError

PORTS = {"mqtt": 1883, "mqtts": 8883}
REFUSALS = frozenset({"Bad user name or password", "Not authorized", "Client identifier not valid"})


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect, and as whom: `identity` is client id and user name. `ca_file` goes with TLS."""

    host: str
    port: int
    identity: str
    secret: str
    tls: bool = False
    ca_file: str | None = None
    keepalive_s: int = 30

    def __repr__(self) -> str:
        return f"Login({self.identity}@{self.host}:{self.port}{' tls' if self.tls else ''})"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes (QoS 1, retained) when the connection breaks."""

    topic: str
    payload: bytes


def login(url: str, identity: str, *, secret: str, ca_file: str | None = None, keepalive_s: int = 30) -> Login:
    """Take a URL `mqtt://host:port` or `mqtts://…` apart; a user or password in it is refused."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.password:
        raise SettingsError(
            [f"MQTT URL: wants mqtt://host:port or mqtts://host:port without a user, got {parts.scheme}://…"]
        )
    port = parts.port or PORTS[parts.scheme]
    return Login(parts.hostname, port, identity, secret, parts.scheme == "mqtts", ca_file, keepalive_s)


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError too
        raise SettingsError([f"{ca_file}: no certificates to trust can be read: {error.strerror}"]) from None
    context.sslsocket_class = _TlsSocket
    return context


class _HandshakeError(OSError):
    """The TCP connection stands, TLS on it does not."""


class _TlsSocket(ssl.SSLSocket):
    """paho would leave its socket open when the handshake fails."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # the signature of the library
        try:
            super().do_handshake(block)
        except ssl.SSLCertVerificationError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise _HandshakeError from error


def _no_tls(place: str, cause: BaseException | None) -> UnavailableError:
    """What a failed handshake means. A peer that speaks TLS and does not want us says so with an alert."""
    if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
        return ServerDownError(f"{place} refuses the TLS handshake: {cause.reason}")
    kind = LinkDownError if isinstance(cause, TimeoutError) else ServerDownError
    return kind(f"{place} is reached, but it does not speak TLS: is this an mqtt:// port? ({cause})")


class Connection:
    """Open with `Connection.open`. `lost` is done when the connection is gone; its result is the error that says why."""

    def __init__(self, client: paho.Client, on_message: Callable[[str, bytes], None], *, where: Login) -> None:
        self._loop = asyncio.get_running_loop()
        self._where = where
        self._client = client
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[UnavailableError] = self._loop.create_future()
        self._unacked: dict[int, asyncio.Future[None]] = {}
        self._subscribing: dict[int, asyncio.Future[None]] = {}
        self._socket: socket.socket | None = None
        self._writing = False
        self._misc: asyncio.TimerHandle | None = None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = lambda _client, _data, message: on_message(message.topic, bytes(message.payload))
        client.on_socket_register_write = lambda _client, _data, _sock: self._want_write()
        client.on_socket_unregister_write = lambda _client, _data, _sock: self._stop_writing()
        client.on_socket_close = lambda _client, _data, _sock: self._detach()

    @classmethod
    async def open(
        cls,
        where: Login,
        on_message: Callable[[str, bytes], None],
        *,
        will: Will | None = None,
        connect_s: float = 2.0,
        handshake_s: float = 5.0,
    ) -> "Connection":
        """Connect and log in. Raises LinkDownError, ServerDownError, or RefusedError when the credential is not taken."""
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=where.identity, clean_session=True, reconnect_on_failure=False
        )
        client.connect_timeout = connect_s
        client.max_inflight_messages_set(0)
        client.username_pw_set(where.identity, where.secret)
        if where.tls:
            client.tls_set_context(_trust(where.ca_file))
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        connection = cls(client, on_message, where=where)
        await connection._dial()
        try:
            async with asyncio.timeout(handshake_s):  # not wait_for: that of Python 3.11 may swallow a cancel
                await connection._connected
        except TimeoutError:
            await connection.close()
            raise LinkDownError(f"{where.host}:{where.port} does not answer the MQTT login") from None
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _dial(self) -> None:
        where = self._where
        dialling = self._loop.run_in_executor(None, self._client.connect, where.host, where.port, where.keepalive_s)
        place = f"{where.host}:{where.port}"
        try:
            await asyncio.shield(dialling)
        except asyncio.CancelledError:
            dialling.add_done_callback(lambda done: done.exception() or self._client.disconnect())
            raise
        except _HandshakeError as error:
            raise _no_tls(place, error.__cause__) from None
        except (ConnectionRefusedError, ConnectionResetError) as error:
            raise ServerDownError(f"{place} refuses connections: {error.strerror}") from None
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(f"{place} shows a certificate that is not trusted: {error.verify_message}") from None
        except OSError as error:
            raise LinkDownError(f"{place} can't be reached: {error.strerror or error}") from None
        sock = self._client.socket()
        if sock is None:
            raise LinkDownError(f"{place} can't be reached")
        self._attach(sock)

    def _attach(self, sock: object) -> None:
        if not isinstance(sock, socket.socket):
            raise TypeError("paho gives a plain or a TLS socket over TCP")
        self._socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(sock, self._read)
        if self._client.want_write():
            self._want_write()
        self._misc = self._loop.call_later(1.0, self._tick)

    def _detach(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._stop_writing()
            self._socket = None
        if self._misc is not None:
            self._misc.cancel()
            self._misc = None

    def _read(self) -> None:
        self._client.loop_read()
        while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            self._client.loop_read()

    def _want_write(self) -> None:
        if self._socket is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._client.loop_write)

    def _stop_writing(self) -> None:
        if self._socket is not None and self._writing:
            self._loop.remove_writer(self._socket)
        self._writing = False

    def _tick(self) -> None:
        self._misc = self._loop.call_later(1.0, self._tick)
        self._client.loop_misc()

    def _on_connect(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self._connected.done():
            return
        if not reason.is_failure:
            self._connected.set_result(None)
        elif str(reason) in REFUSALS:
            self._connected.set_exception(RefusedError(f"the broker refuses this credential: {reason}"))
        else:
            self._connected.set_exception(ServerDownError(f"the broker refuses the login: {reason}"))

    def _on_disconnect(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if not self._connected.done() and not self._where.tls:
            place = f"{self._where.host}:{self._where.port}"
            self._fail(ServerDownError(f"{place} closed the connection right after CONNECT: is this an mqtts:// port?"))
            return
        silent = "keep alive" in str(reason).lower() or "timeout" in str(reason).lower()
        self._fail(LinkDownError("no answer to a ping") if silent else ServerDownError(f"connection closed: {reason}"))

    def _fail(self, error: UnavailableError) -> None:
        self._detach()
        waiting = [self._connected, *self._unacked.values(), *self._subscribing.values()]
        self._unacked.clear()
        self._subscribing.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # an error that nobody waits for is no warning: `lost` tells it
        if not self.lost.done():
            self.lost.set_result(error)

    def _on_publish(
        self, _client: paho.Client, _data: object, mid: int, _reason: ReasonCode, _properties: Properties
    ) -> None:
        future = self._unacked.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(None)

    def _on_subscribe(
        self, _client: paho.Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        future = self._subscribing.pop(mid, None)
        if future is None or future.done():
            return
        if any(reason.is_failure for reason in reasons):
            future.set_exception(RefusedError("the broker refuses a subscription: this identity may not read it"))
        else:
            future.set_result(None)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> asyncio.Future[None]:
        """Send now; the future is done at PUBACK, or fails with what `lost` tells."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self.lost.done():
            future.set_exception(self.lost.result())
            future.exception()
            return future
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        if info.rc not in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_QUEUE_SIZE} or qos == 0:
            future.set_result(None)
        else:
            self._unacked[info.mid] = future
        return future

    async def subscribe(self, *filters: str, qos: int = 1, timeout_s: float = 10.0) -> None:
        """Subscribe and wait for the broker's word. Raises RefusedError when a filter is not granted."""
        _rc, mid = self._client.subscribe([(topic_filter, qos) for topic_filter in filters])
        if mid is None:
            raise ServerDownError("the connection is gone")
        future: asyncio.Future[None] = self._loop.create_future()
        self._subscribing[mid] = future
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            raise LinkDownError("no answer to a subscription") from None

    def drop(self, error: UnavailableError) -> None:
        """Give the connection up at once, without a word to the broker: it publishes the last will."""
        sock = self._socket
        self._fail(error)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    async def close(self) -> None:
        """Say good-bye (no last will) and close."""
        if not self.lost.done():
            self._client.disconnect()
            for _ in range(20):
                if self._socket is None or not self._client.want_write():
                    break
                await asyncio.sleep(0.01)
        self.drop(ServerDownError("closed by us"))
