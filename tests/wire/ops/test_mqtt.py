"""The MQTT connection against a real Mosquitto: login, PUBACK, wills, refusals, and what loss looks like."""

import asyncio
import gc
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.yard import Relay, free_port
from tests.rigs import mosquitto, mosquitto_passwords
from wire.errors import LinkDownError, RefusedError, ServerDownError, SettingsError, UnavailableError
from wire.ops.mqtt import Connection, Login, Will, login


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mosquitto")
    passwords = mosquitto_passwords(folder, {"gw-1": "s1", "hub-1": "s2"})
    with mosquitto(folder, ["allow_anonymous false", f"password_file {passwords}"]) as port:
        yield port


Heard = list[tuple[str, bytes]]


async def connect(port: int, identity: str = "gw-1", secret: str = "s1", **more: object) -> tuple[Connection, Heard]:
    heard: Heard = []
    where = Login("127.0.0.1", port, identity, secret, keepalive_s=30)
    connection = await Connection.open(where, lambda topic, payload: heard.append((topic, payload)), **more)  # type: ignore[arg-type]
    return connection, heard


async def until(heard: Heard, count: int) -> None:
    for _ in range(200):
        if len(heard) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"heard {heard}")


async def test_publish_is_acknowledged_and_heard(broker: int) -> None:
    reader, heard = await connect(broker, "hub-1", "s2")
    await reader.subscribe("odo/1/+/up/live")
    writer, _ = await connect(broker)
    await asyncio.gather(*(writer.publish("odo/1/gw-1/up/live", b"%d" % i) for i in range(100)))
    await until(heard, 100)
    assert [payload for _, payload in heard] == [b"%d" % i for i in range(100)]
    assert not writer._unacked
    await writer.publish("odo/1/gw-1/up/live", b"last", qos=0)
    await until(heard, 101)
    await writer.close()
    await reader.close()
    assert writer.lost.done()
    with pytest.raises(ServerDownError):
        await writer.publish("odo/1/gw-1/up/live", b"late")


async def test_a_dropped_connection_leaves_its_will_and_a_closed_one_does_not(broker: int) -> None:
    reader, heard = await connect(broker, "hub-1", "s2")
    await reader.subscribe("odo/1/+/up/status")
    polite, _ = await connect(broker, will=Will("odo/1/gw-1/up/status", b"polite"))
    await polite.close()
    rude, _ = await connect(broker, will=Will("odo/1/gw-1/up/status", b"rude"))
    rude.drop(LinkDownError("test"))
    await until(heard, 1)
    assert heard == [("odo/1/gw-1/up/status", b"rude")]
    assert isinstance(rude.lost.result(), LinkDownError)
    await reader.close()


async def test_a_wrong_secret_is_refused(broker: int) -> None:
    with pytest.raises(RefusedError, match="credential"):
        await connect(broker, "gw-1", "wrong")


async def test_nobody_there_is_a_server_that_is_down() -> None:
    with pytest.raises(ServerDownError, match="refuses"):
        await connect(free_port())


async def test_a_silent_server_is_a_link_that_is_down(broker: int) -> None:
    relay = Relay("127.0.0.1", broker)
    await relay.start()
    relay.cut()
    with pytest.raises(LinkDownError, match="does not answer"):
        await connect(relay.port, handshake_s=0.3)
    relay.mend()
    connection, _ = await connect(relay.port)
    sent = connection.publish("odo/1/gw-1/up/live", b"x")
    relay.cut()
    await sent if sent.done() else None
    await relay.stop()
    assert isinstance(await asyncio.wait_for(connection.lost, 5), ServerDownError)
    assert not connection._unacked


async def test_a_take_over_closes_the_older_connection(broker: int) -> None:
    older, _ = await connect(broker)
    newer, _ = await connect(broker)
    await asyncio.wait_for(older.lost, 5)
    await newer.publish("odo/1/gw-1/up/live", b"still here")
    await newer.close()


async def test_a_cancelled_dial_leaves_nothing_behind(broker: int) -> None:
    task = asyncio.ensure_future(connect(broker))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for this machine, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def says_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """As a broker that waits for the rest of what it takes for a long packet."""
    await reader.read()


async def hangs_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def talks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A TLS alert: fatal, handshake failure."""
    await reader.read(1)
    writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
    await writer.drain()


@asynccontextmanager
async def peer(does: Peer) -> AsyncIterator[int]:
    """Something that listens and is not what we look for; gives its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await does(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(one, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


async def dialled(where: str, ca_file: str | None = None) -> None:
    """Dial, and see that nothing of it stays open: an unclosed socket would be a warning, and that an error."""
    try:
        await Connection.open(
            login(where, "gw-1", secret="s1", ca_file=ca_file), lambda _t, _p: None, connect_s=0.5, handshake_s=1.0
        )
    finally:
        gc.collect()


@pytest.mark.parametrize(
    ("does", "kind"),
    [
        (says_nothing, LinkDownError),
        (hangs_up, ServerDownError),
        (resets, ServerDownError),
        (talks_http, ServerDownError),
    ],
)
async def test_tls_to_a_port_that_does_not_speak_it(
    does: Peer, kind: type[Exception], certificate: tuple[str, str]
) -> None:
    async with peer(does) as port:
        with pytest.raises(kind, match=rf":{port} is reached, but it does not speak TLS: is this an mqtt:// port\?"):
            await dialled(f"mqtts://127.0.0.1:{port}", certificate[0])


async def test_tls_to_a_plain_broker(broker: int, certificate: tuple[str, str]) -> None:
    with pytest.raises(UnavailableError, match="does not speak TLS"):
        await dialled(f"mqtts://127.0.0.1:{broker}", certificate[0])


async def test_no_tls_to_a_broker_that_wants_it(certificate: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(Path(certificate[0]).read_text())
    (tmp_path / "key.pem").write_text(Path(certificate[1]).read_text())
    lines = ["allow_anonymous true", f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem"]
    with mosquitto(tmp_path, lines) as port:
        with pytest.raises(
            ServerDownError, match=rf":{port} closed the connection right after CONNECT: is this an mqtts://"
        ):
            await dialled(f"mqtt://127.0.0.1:{port}")
        with pytest.raises(RefusedError, match="not trusted"):
            await dialled(f"mqtts://127.0.0.1:{port}")
        own = Login("127.0.0.1", port, "gw-1", "s1", tls=True, ca_file=certificate[0])
        connection = await Connection.open(own, lambda _t, _p: None)
        await connection.publish("odo/1/gw-1/up/live", b"over TLS")
        await connection.close()
    async with peer(hangs_up) as port:
        with pytest.raises(ServerDownError, match="right after CONNECT"):
            await dialled(f"mqtt://127.0.0.1:{port}")


async def test_a_peer_that_speaks_tls_and_does_not_want_us_is_told_so(certificate: tuple[str, str]) -> None:
    async with peer(refuses) as port:
        with pytest.raises(ServerDownError, match=r"refuses the TLS handshake: \w*ALERT_HANDSHAKE_FAILURE"):
            await dialled(f"mqtts://127.0.0.1:{port}", certificate[0])


async def test_certificates_that_can_not_be_read_are_a_fault_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no PEM")
    for name in ("nothing.pem", "no.pem"):
        where = login("mqtts://127.0.0.1:1", "gw-1", secret="s", ca_file=str(tmp_path / name))
        with pytest.raises(SettingsError, match=name):
            await Connection.open(where, lambda _t, _p: None)


def test_urls() -> None:
    assert login("mqtt://h", "gw-1", secret="x") == Login("h", 1883, "gw-1", "x")
    assert login("mqtts://h:1", "gw-1", secret="x", ca_file="ca", keepalive_s=9) == Login(
        "h", 1, "gw-1", "x", True, "ca", 9
    )
    assert "x9" not in repr(Login("h", 1, "gw-1", "x9"))
    for bad in ("http://h", "mqtt://", "mqtt://u:p@h", "nonsense"):
        with pytest.raises(SettingsError):
            login(bad, "gw-1", secret="x")
