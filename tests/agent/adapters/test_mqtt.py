"""The agent's link: on a real Mosquitto, and on peers that are no broker or refuse."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from agent.adapters.mqtt import INBOX_MAX, MqttLink
from bench.yard import free_port
from tests.rigs import eventually, mosquitto, mosquitto_passwords
from wire.errors import LinkDownError, RefusedError, ServerDownError, UnavailableError
from wire.messages import Status
from wire.ops.mqtt import Connection, Login

WILL = Status(online=False, connection="c1", reason="link")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mosquitto")
    passwords = mosquitto_passwords(folder, {"gw-1": "s1", "hub-1": "s2", "hub-2": "s3"})
    with mosquitto(folder, ["allow_anonymous false", f"password_file {passwords}"]) as port:
        yield port


def link(port: int, secret: str = "s1") -> MqttLink:
    return MqttLink(Login("127.0.0.1", port, "gw-1", secret))


Heard = list[tuple[str, bytes]]


@pytest.fixture
async def hub(broker: int) -> AsyncIterator[tuple[Connection, Heard]]:
    heard: Heard = []
    one = await Connection.open(
        Login("127.0.0.1", broker, "hub-1", "s2"), lambda topic, payload: heard.append((topic, payload))
    )
    await one.subscribe("odo/1/+/up/+")
    yield one, heard
    for name in ("live", "status"):
        await one.publish(f"odo/1/gw-1/up/{name}", b"", retain=True)
    await one.close()


async def test_it_speaks_on_its_own_topics_as_the_table_says(broker: int, hub: tuple[Connection, Heard]) -> None:
    _, heard = hub
    session = await link(broker).open(WILL)
    for name in ("live", "track", "event", "status"):
        await session.publish(name, name.encode())
    await eventually(lambda: len(heard) == 4)
    assert sorted(heard) == [(f"odo/1/gw-1/up/{name}", name.encode()) for name in ("event", "live", "status", "track")]
    kept: Heard = []
    late = await Connection.open(
        Login("127.0.0.1", broker, "hub-2", "s3"), lambda topic, payload: kept.append((topic, payload))
    )
    await late.subscribe("odo/1/gw-1/up/+")
    await eventually(lambda: len(kept) == 2)
    assert {topic.rpartition("/")[2] for topic, _ in kept} == {"live", "status"}, "only these are retained"
    await late.close()
    with pytest.raises(KeyError):
        session.publish("nonsense", b"")
    await session.close()
    assert isinstance(await session.lost, ServerDownError)


async def test_acks_come_in_and_a_flood_of_them_is_bounded(broker: int, hub: tuple[Connection, Heard]) -> None:
    session = await link(broker).open(WILL)
    connection, _ = hub
    await connection.publish("odo/1/gw-2/down/ack", b"for another")
    await connection.publish("odo/1/gw-1/down/ack", b"{")
    assert await asyncio.wait_for(session.inbox.get(), 3) == ("ack", b"{")
    for i in range(INBOX_MAX + 50):
        await connection.publish("odo/1/gw-1/down/ack", b"%d" % i)
    await eventually(lambda: session.inbox.qsize() == INBOX_MAX)
    await asyncio.sleep(0.1)
    assert session.inbox.qsize() == INBOX_MAX
    await session.publish("live", b"still linked")
    await session.close()


async def test_commands_come_in_and_everything_is_counted(broker: int, hub: tuple[Connection, Heard]) -> None:
    counted: Heard = []
    login = Login("127.0.0.1", broker, "gw-1", "s1")
    session = await MqttLink(login, lambda lane, n: counted.append((lane, b"%d" % n))).open(WILL)
    await session.publish("live", b"x" * 130)
    await hub[0].publish("odo/1/gw-1/down/cmd", b"{}")
    assert await asyncio.wait_for(session.inbox.get(), 3) == ("cmd", b"{}")
    assert counted == [("link", b"600"), ("live", b"%d" % (191 - 24 + 18 + 130)), ("cmd", b"%d" % (191 - 24 + 19 + 2))]
    await session.close()


async def test_a_link_that_is_dropped_leaves_the_will(broker: int, hub: tuple[Connection, Heard]) -> None:
    _, heard = hub
    session = await link(broker).open(WILL)
    session.drop(LinkDownError("silent"))
    assert isinstance(await session.lost, LinkDownError)
    await eventually(lambda: bool(heard))
    topic, payload = heard[0]
    assert (topic, json.loads(payload)) == ("odo/1/gw-1/up/status", {"v": 1, "on": False, "conn": "c1", "why": "link"})


async def test_a_wrong_secret_is_refused_and_a_broker_that_is_away_is_away(broker: int) -> None:
    with pytest.raises(RefusedError, match="refuses this credential"):
        await link(broker, "wrong").open(WILL)
    with pytest.raises(ServerDownError):
        await link(free_port()).open(WILL)


@asynccontextmanager
async def peer(*replies: bytes) -> AsyncIterator[int]:
    """Answers one packet after the other with these bytes, and then hangs up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await reader.read(4096)
            writer.write(reply)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(4096)
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_refused_subscription_ends_the_session() -> None:
    async with peer(b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x80") as port:
        with pytest.raises(RefusedError, match="subscription"):
            await link(port).open(WILL)


@pytest.mark.parametrize(
    "hello", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 50, b"\xff" * 50, b"\x20\x02\x00\x63", b""]
)
async def test_a_peer_that_is_no_broker_is_an_error_of_ours(hello: bytes) -> None:
    async with peer(hello) as port:
        with pytest.raises((UnavailableError, RefusedError)):
            await asyncio.wait_for(link(port).open(WILL), 5)
