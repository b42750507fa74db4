"""The MQTT connection against a real Mosquitto: login, PUBACK, wills, refusals, and what loss looks like."""

import asyncio
from collections.abc import Iterator

import pytest

from bench.yard import Relay, free_port
from tests.rigs import mosquitto, mosquitto_passwords
from wire.errors import LinkDownError, RefusedError, ServerDownError, SettingsError
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
    assert writer.unacked == 0
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
    assert connection.unacked == 0


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


def test_urls() -> None:
    assert login("mqtt://h", "gw-1", secret="x") == Login("h", 1883, "gw-1", "x")
    assert login("mqtts://h:1", "gw-1", secret="x", ca_file="ca", keepalive_s=9) == Login(
        "h", 1, "gw-1", "x", True, "ca", 9
    )
    assert "x9" not in repr(Login("h", 1, "gw-1", "x9"))
    for bad in ("http://h", "mqtt://", "mqtt://u:p@h", "nonsense"):
        with pytest.raises(SettingsError):
            login(bad, "gw-1", secret="x")
