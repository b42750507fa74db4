"""The embedded broker: the whole matrix of roles, topics and ways in, against an independent matcher; attacks."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from hub.adapters.broker import MAX_PACKET_BYTES, MOST_UNREAD, EmbeddedBroker
from hub.core.access import mosquitto_hash
from tests.hub.adapters.broker_yard import Yard, answer_to, connect_packet, ended, raw_session
from tests.hub.makers import a_watch
from tests.hub.oracle import (
    CONCRETE,
    CREDENTIALS,
    DEVICES,
    EVERYBODY,
    FILTERS,
    HUBS,
    PEOPLE,
    REGISTRY,
    SECRETS,
    matched,
    may_read,
    may_write,
)
from tests.rigs import eventually
from wire.errors import OdographError, RefusedError, UnavailableError
from wire.ops.mqtt import Connection, Login, Will


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    made = Yard()
    made.broker.enforce(REGISTRY)
    made.port, own = await made.broker.start("127.0.0.1", 0)
    assert own == made.port
    yield made
    for connection in made.open:
        await connection.close()
    await made.broker.stop()


async def spy(yard: Yard) -> list[tuple[str, bytes]]:
    """What the broker lets through, seen from inside, past all rights: the queue that every message goes to."""
    seen: list[tuple[str, bytes]] = []
    inner = yard.broker._broker
    assert inner is not None
    real = inner._broadcast_message

    async def broadcast(session: object, topic: str, data: bytes, force_qos: int | None = None) -> None:
        seen.append((topic, bytes(data)))
        await real(session, topic, data, force_qos)  # type: ignore[arg-type]  # a session or None

    inner._broadcast_message = broadcast  # type: ignore[method-assign,assignment]  # a spy for this test
    return seen


async def test_publish(yard: Yard) -> None:
    seen = await spy(yard)
    for who in EVERYBODY:
        client = await yard.client(who)
        await asyncio.gather(*(client.publish(topic, who.encode()) for topic in CONCRETE))
        await asyncio.sleep(0.05)
        assert not client.lost.done(), "a denied topic does not cost the connection"
    assert sorted((topic, data.decode()) for topic, data in seen) == sorted(
        (topic, who) for who in EVERYBODY for topic in CONCRETE if may_write(who, topic)
    )


async def test_retained_is_written_only_where_one_may_write(yard: Yard) -> None:
    for who in EVERYBODY:
        client = await yard.client(who)
        await asyncio.gather(*(client.publish(topic, who.encode(), retain=True) for topic in CONCRETE))
    await asyncio.sleep(0.1)
    inner = yard.broker._broker
    assert inner is not None
    assert set(inner._retained_messages) == {t for t in CONCRETE if any(may_write(who, t) for who in EVERYBODY)}


async def test_will(yard: Yard) -> None:
    """A will on a topic that is not one's own is refused at the login; one's own goes out."""
    seen = await spy(yard)
    gone: set[tuple[str, str]] = set()
    for who in EVERYBODY:
        for topic in CONCRETE:
            will = Will(topic, who.encode())
            try:
                client = await yard.client(who, will=will)
            except RefusedError:
                assert not may_write(who, topic), (who, topic)
                continue
            assert may_write(who, topic), (who, topic)
            client.drop(UnavailableError("cut"))
            gone.add((topic, who))
    await eventually(lambda: {(topic, data.decode()) for topic, data in seen} == gone)


async def test_subscribe_and_receive(yard: Yard) -> None:
    """Each filter is granted exactly if all that it can match may be read; what comes is what may be read."""
    for who in EVERYBODY:
        client = await yard.client(who)
        for topic_filter in [*CONCRETE, *FILTERS]:
            asked = [topic for topic in CONCRETE if matched(topic, topic_filter)]
            wanted = bool(asked) and all(may_read(who, topic) for topic in asked) and "#" not in topic_filter
            if "+" in topic_filter:
                wanted = wanted and who in HUBS and topic_filter.startswith("odo/1/+/up/")
            try:
                await client.subscribe(topic_filter)
                granted = True
            except RefusedError:
                granted = False
            assert granted is wanted, (who, topic_filter)
    writers = {who: next(c for c, name in zip(yard.open, EVERYBODY, strict=True) if name == who) for who in EVERYBODY}
    for who, client in writers.items():
        await asyncio.gather(*(client.publish(topic, who.encode()) for topic in CONCRETE))
    await asyncio.sleep(0.3)
    for reader in EVERYBODY:
        wanted_set = {(t, w) for w in EVERYBODY for t in CONCRETE if may_write(w, t) and may_read(reader, t)}
        assert {(topic, data.decode()) for topic, data in yard.got[reader]} == wanted_set, reader


async def test_retained_comes_only_through_a_subscription_of_ones_own(yard: Yard) -> None:
    hub = await yard.client("hub-1")
    for topic in CONCRETE:
        await hub.publish(topic, b"kept", retain=True)
    await hub.subscribe("odo/1/+/up/+")
    for who in (*DEVICES, *PEOPLE):
        await yard.client(who)
    await asyncio.sleep(0.2)
    assert [yard.got[who] for who in (*DEVICES, *PEOPLE)] == [[], [], []]
    assert {topic for topic, _ in yard.got["hub-1"]} == {
        t for t in CONCRETE if may_read("hub-1", t) and may_write("hub-1", t)
    }
    await yard.open[1].subscribe("odo/1/gw-a/down/ack")
    await asyncio.sleep(0.1)
    assert yard.got["gw-a"] == [("odo/1/gw-a/down/ack", b"kept")]
    await hub.publish("odo/1/gw-a/down/ack", b"", retain=True)
    inner = yard.broker._broker
    assert inner is not None
    await eventually(lambda: "odo/1/gw-a/down/ack" not in inner._retained_messages)


# Logins.


@pytest.mark.parametrize(
    ("identity", "secret"),
    [("gw-a", ""), ("gw-a", "secret of gw-b"), ("gw-z", "secret of gw-a"), ("", ""), ("GW-A", "secret of gw-a"),
     ("op-x", "x"), ("gw-a/../gw-b", "secret of gw-a"), ("gw-a\x00", "secret of gw-a"), ("+", "x")],
)  # fmt: skip
async def test_strangers_are_refused(yard: Yard, identity: str, secret: str) -> None:
    before = await yard.client("gw-a")
    with contextlib.suppress(ValueError), pytest.raises(OdographError):
        await Connection.open(Login("127.0.0.1", yard.port, identity, secret), lambda _t, _p: None)
    assert not before.lost.done(), "a failed login does not touch the live session"
    await before.publish("odo/1/gw-a/up/live", b"still here")


@pytest.mark.parametrize(
    "packet",
    [
        connect_packet("gw-b", "gw-a", SECRETS["gw-a"]),
        connect_packet("", "gw-a", SECRETS["gw-a"]),
        connect_packet("gw-a", None, None),
        connect_packet("gw-a", "gw-a", None),
        connect_packet("gw-a", None, SECRETS["gw-a"]),
        connect_packet("gw-a", "gw-a", SECRETS["gw-a"], level=5),
        connect_packet("gw-a", "gw-a", SECRETS["gw-a"], flags=1),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff",
        b"\x10\xff\xff\xff\x7f" + b"x" * 200,
        b"\x30\x02\x00\x00",
        b"\x10\x02\xff\xff",
        b"\x10\x0c\x00\x04MQTT\x04\xc2\x00\x1e\x00\x05",
        b"\x00" * 40,
    ],
)
async def test_crafted_logins_get_nowhere(yard: Yard, packet: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused, or closed when no whole login has come in time."""
    monkeypatch.setattr("hub.adapters.broker.LOGIN_S", 0.3)
    live = [await yard.client("gw-a"), await yard.client("gw-b")]
    answer = await answer_to(yard, packet)
    assert answer[3:4] != b"\x00" or answer[:1] != b"\x20", f"accepted: {answer!r}"
    for connection, who in zip(live, DEVICES, strict=True):
        assert not connection.lost.done()
        await connection.publish(f"odo/1/{who}/up/live", b"still here")


async def test_a_second_login_closes_the_first_and_its_will_comes_before(yard: Yard) -> None:
    hub = await yard.client("hub-1")
    await hub.subscribe("odo/1/+/up/status")
    will = Will("odo/1/gw-a/up/status", b"first is gone")
    first = await yard.client("gw-a", will=will)
    await first.publish("odo/1/gw-a/up/status", b"first")
    second = await yard.client("gw-a", will=replace(will, payload=b"second is gone"))
    await asyncio.wait_for(asyncio.shield(first.lost), 1)
    await second.publish("odo/1/gw-a/up/status", b"second")
    await eventually(lambda: len(yard.got["hub-1"]) == 3)
    assert [data for _, data in yard.got["hub-1"]] == [b"first", b"first is gone", b"second"]
    assert yard.broker.connected == 2


async def test_the_second_client_is_subscribed_and_the_first_is_not(yard: Yard) -> None:
    await (await yard.client("gw-a")).subscribe("odo/1/gw-a/down/ack")
    second = await yard.client("gw-a")
    hub = await yard.client("hub-1")
    await hub.publish("odo/1/gw-a/down/ack", b"lost")
    await second.subscribe("odo/1/gw-a/down/ack")
    await hub.publish("odo/1/gw-a/down/ack", b"once")
    await asyncio.sleep(0.1)
    assert yard.got["gw-a"] == [("odo/1/gw-a/down/ack", b"once")]


@pytest.mark.parametrize("how", ["suspended", "removed", "changed"])
async def test_an_ended_right_closes_the_open_connection(yard: Yard, how: str) -> None:
    victim, other = await yard.client("gw-a"), await yard.client("gw-b")
    credentials, devices = dict(CREDENTIALS), dict(REGISTRY.devices)
    if how == "suspended":
        devices["gw-a"] = replace(devices["gw-a"], suspended=True)
    elif how == "removed":
        del credentials["gw-a"]
    else:
        credentials["gw-a"] = mosquitto_hash("new", b"salt-salt-12")
    yard.broker.enforce(replace(REGISTRY, credentials=credentials, devices=devices))
    await asyncio.wait_for(asyncio.shield(victim.lost), 2)
    assert not other.lost.done()
    with pytest.raises(RefusedError):
        await yard.client("gw-a")
    assert yard.watch.count("broker.kicked") == 1


@pytest.mark.parametrize("how", ["added", "changed", "resumed"])
async def test_a_right_given_a_moment_ago_holds_at_once(yard: Yard, how: str) -> None:
    """The broker's registry is older than the store's: before it refuses, it has it read again."""
    old, credentials = REGISTRY, dict(CREDENTIALS)
    if how == "added":
        del credentials["gw-a"]
        old = replace(REGISTRY, credentials=credentials)
    elif how == "changed":
        old = replace(REGISTRY, credentials=credentials | {"gw-a": mosquitto_hash("old", b"salt-salt-12")})
    else:
        old = replace(REGISTRY, devices={**REGISTRY.devices, "gw-a": replace(REGISTRY.devices["gw-a"], suspended=True)})
    yard.broker.enforce(old)
    other = await yard.client("gw-b")
    yard.newer = REGISTRY
    await (await yard.client("gw-a")).publish("odo/1/gw-a/up/live", b"let in")
    assert yard.looks == 1, "those who are known are not looked up"
    with pytest.raises(RefusedError):
        await Connection.open(yard.login("gw-a", "a guess"), lambda _t, _p: None)
    assert yard.looks == 2
    assert yard.watch.count("broker.refused", reason="credential") == 1
    assert (await answer_to(yard, connect_packet("gw-b", "gw-a", SECRETS["gw-a"])))[3:4] == b"\x05"
    assert yard.looks == 2, "no store knows better about a client id that is not the user name"
    assert not other.lost.done()


@pytest.mark.parametrize("topic", ["$SYS/broker/uptime", "$SYS", "$share/g/odo/1/gw-a/up/live"])
async def test_a_topic_of_the_broker_itself_is_denied_and_counted(yard: Yard, topic: str) -> None:
    seen = await spy(yard)
    client = await yard.client("gw-a")
    for n in (1, 2):
        await client.publish(topic, b"forged", retain=True)
        await eventually(lambda n=n: yard.watch.count("broker.denied", action="publish") == n)
    await client.publish("odo/1/gw-a/up/live", b"still here")
    await eventually(lambda: seen == [("odo/1/gw-a/up/live", b"still here")])
    assert not client.lost.done()
    inner = yard.broker._broker
    assert inner is not None
    assert topic not in inner._retained_messages


# Bad manners.


async def test_a_port_check_is_no_refused_login(
    yard: Yard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As doctors and monitors do it: connect, and close without a word. Who says something wrong is told with the address."""
    monkeypatch.setattr("hub.adapters.broker.LOGIN_S", 0.3)
    _reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    writer.close()
    await eventually(lambda: yard.watch.count("broker.knocked") == 1)
    assert yard.watch.count("broker.refused") == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert await answer_to(yard, b"\x30\x02ab") == b""
    await eventually(lambda: yard.watch.count("broker.refused", reason="protocol") == 1)
    assert any("at=127.0.0.1" in record.getMessage() for record in caplog.records)


async def test_a_packet_that_is_too_large_ends_the_connection(yard: Yard) -> None:
    reader, writer = await raw_session(yard, "gw-a")
    size = MAX_PACKET_BYTES + 100
    head = b"\x30" + bytes([size % 128 | 0x80, size // 128 % 128 | 0x80, size // 16384])
    writer.write(head + struct.pack("!H", 18) + b"odo/1/gw-a/up/live" + b"x" * 1000)
    await ended(reader, 3)
    writer.close()


async def test_a_silent_client_is_closed_and_its_will_goes_out(yard: Yard) -> None:
    hub = await yard.client("hub-1")
    await hub.subscribe("odo/1/+/up/status")
    reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    packet = bytearray(connect_packet("gw-a", "gw-a", SECRETS["gw-a"]))
    packet[10:12] = struct.pack("!H", 1)  # one second of keep-alive
    body = bytes(packet[2:])
    flagged = body[:7] + bytes([body[7] | 0x2C]) + body[8:]  # will, QoS 1, retained
    will = struct.pack("!H", 20) + b"odo/1/gw-a/up/status" + struct.pack("!H", 4) + b"gone"
    whole = flagged[:16] + will + flagged[16:]
    writer.write(b"\x10" + bytes([len(whole)]) + whole)
    assert await asyncio.wait_for(reader.readexactly(4), 3) == b"\x20\x02\x00\x00"
    await ended(reader, 4)
    await eventually(lambda: yard.got["hub-1"] == [("odo/1/gw-a/up/status", b"gone")])
    writer.close()


async def test_a_client_that_does_not_read_is_cut_off(yard: Yard) -> None:
    reader, writer = await raw_session(yard, "gw-a")
    topic = b"odo/1/gw-a/down/cmd"
    body = b"\x00\x01" + struct.pack("!H", len(topic)) + topic + b"\x01"
    writer.write(b"\x82" + bytes([len(body)]) + body)
    assert (await asyncio.wait_for(reader.readexactly(5), 3))[:1] == b"\x90"
    hub = await yard.client("hub-1")
    for _ in range(MOST_UNREAD // 100 + 2):
        await asyncio.gather(*(hub.publish(topic.decode(), b"x" * 500) for _ in range(100)))
    await eventually(lambda: yard.watch.count("broker.flooded") > 0)
    await eventually(lambda: yard.broker.connected == 1)
    writer.close()


async def test_ten_thousand_bent_packets_leave_the_broker_alive(yard: Yard) -> None:
    import random

    chance = random.Random(5)
    good = (
        connect_packet("gw-a", "gw-a", SECRETS["gw-a"]) + b"\x32\x18\x00\x12odo/1/gw-a/up/live\x00\x01hi" + b"\xc0\x00"
    )
    for _ in range(100):
        _reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
        bent = bytearray(good * 100)
        for _ in range(chance.randrange(1, 40)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        writer.write(bent)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.transport.abort()
    client = await yard.client("gw-b")
    await client.publish("odo/1/gw-b/up/live", b"alive")
    assert yard.broker.serves


async def test_it_tells_when_it_is_outgrown(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.adapters.broker.MANY_DEVICES", 1)
    for who in DEVICES:
        await yard.client(who)
    assert yard.watch.count("broker.outgrown") == 1


async def test_a_taken_port_is_said(yard: Yard) -> None:
    other = EmbeddedBroker(a_watch())
    with pytest.raises(UnavailableError, match="can't listen"):
        await other.start("127.0.0.1", yard.port)
    await other.stop()
    assert not other.serves
    assert other.connected == 0


async def test_it_stops_with_clients_connected(yard: Yard) -> None:
    client = await yard.client("gw-a")
    _reader, writer = await asyncio.open_connection("127.0.0.1", yard.port)
    await yard.broker.stop()
    await asyncio.wait_for(asyncio.shield(client.lost), 2)
    writer.close()
    port, _ = await yard.broker.start("127.0.0.1", yard.port)
    assert port == yard.port
    await (await yard.client("gw-a")).publish("odo/1/gw-a/up/live", b"again")
