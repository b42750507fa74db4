"""Debian's Mosquitto with the files that the hub writes: the same oracle as for the embedded broker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.core import mosquitto
from tests import rigs
from tests.hub.oracle import CONCRETE, CREDENTIALS, EVERYBODY, SECRETS, may_read, may_write
from wire.errors import RefusedError
from wire.ops.mqtt import Connection, Login, login

pytestmark = pytest.mark.e2e


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "password_file").write_text(mosquitto.passwords(CREDENTIALS))
    (tmp_path / "acl_file").write_text(mosquitto.rights(CREDENTIALS))
    lines = mosquitto.config(str(tmp_path), "0").splitlines()
    with rigs.mosquitto(tmp_path, [line for line in lines if not line.startswith("listener")]) as port:
        yield f"mqtt://127.0.0.1:{port}"


async def test_the_files_grant_what_the_oracle_grants(url: str) -> None:
    got: dict[str, set[tuple[str, str]]] = {who: set() for who in EVERYBODY}
    readers = []
    for who in EVERYBODY:

        def heard(topic: str, data: bytes, who: str = who) -> None:
            got[who].add((topic, data.decode()))

        reader = await Connection.open(login(url, who, secret=SECRETS[who]), heard)
        for topic in CONCRETE:
            try:
                await reader.subscribe(topic)
            except RefusedError:
                assert not may_read(who, topic), (who, topic)
        readers.append(reader)
    # Writing goes through connections of the same identity: they take the reader's place, so one identity at a time.
    wanted: dict[str, set[tuple[str, str]]] = {who: set() for who in EVERYBODY}
    for writer in EVERYBODY:
        connection = readers[EVERYBODY.index(writer)]
        for topic in CONCRETE:
            if may_write(writer, topic):
                await connection.publish(topic, writer.encode())
                for reader_name in EVERYBODY:
                    if may_read(reader_name, topic):
                        wanted[reader_name].add((topic, writer))
    await rigs.eventually(lambda: got == wanted)
    for reader in readers:
        await reader.close()


async def test_what_is_not_ones_own_goes_nowhere(url: str) -> None:
    got: list[str] = []
    hub = await Connection.open(login(url, "hub-1", secret=SECRETS["hub-1"]), lambda t, _d: got.append(t))
    await hub.subscribe("odo/1/+/up/+")
    victim = await Connection.open(login(url, "gw-b", secret=SECRETS["gw-b"]), lambda t, _d: got.append(t))
    await victim.subscribe("odo/1/gw-b/down/ack")
    denied = [topic for topic in CONCRETE if not may_write("gw-a", topic)]
    for topic in denied:
        connection = await Connection.open(login(url, "gw-a", secret=SECRETS["gw-a"]), lambda _t, _d: None)
        connection.publish(topic, b"forged")
        await asyncio.sleep(0.01)
        await connection.close()
    await asyncio.sleep(0.2)
    assert got == []
    await hub.close()
    await victim.close()


@pytest.mark.parametrize(("identity", "secret"), [("gw-a", "wrong"), ("gw-z", "x"), ("", "")])
async def test_strangers_are_refused(url: str, identity: str, secret: str) -> None:
    with pytest.raises(RefusedError):
        await Connection.open(
            Login("127.0.0.1", login(url, "x", secret="x").port, identity, secret), lambda _t, _d: None
        )
