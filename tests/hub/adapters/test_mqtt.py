"""The hub's links: they come back by themselves; the embedded broker with TLS."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.adapters.broker import EmbeddedBroker
from hub.adapters.mqtt import Link
from tests.hub.makers import a_watch
from tests.hub.oracle import REGISTRY, SECRETS
from tests.rigs import eventually
from wire.errors import LinkDownError, SettingsError, UnavailableError
from wire.ops.mqtt import Connection, Login, login
from wire.ops.watch import Watch


class Far:
    """A link on a broker that may go and come."""

    def __init__(self) -> None:
        self.watch: Watch = a_watch()
        self.broker = EmbeddedBroker(self.watch)
        self.broker.enforce(REGISTRY)
        self.port = 0
        self.secret = SECRETS["hub-1"]
        self.got: list[tuple[str, bytes]] = []
        self.link = Link("live", self.login, filters=["odo/1/+/up/live"], on_message=self.heard, watch=self.watch)

    def login(self) -> Login:
        return login(f"mqtt://127.0.0.1:{self.port}", "hub-1", secret=self.secret)

    def heard(self, topic: str, data: bytes) -> None:
        self.got.append((topic, data))

    async def say(self, data: bytes) -> None:
        device = await Connection.open(
            login(f"mqtt://127.0.0.1:{self.port}", "gw-a", secret=SECRETS["gw-a"]), lambda _t, _d: None
        )
        await device.publish("odo/1/gw-a/up/live", data)
        await device.close()


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    made = Far()
    made.port, _ = await made.broker.start("127.0.0.1", 0)
    running = asyncio.create_task(made.link.run())
    await eventually(lambda: made.link.up)
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await made.broker.stop()


async def test_a_link_comes_back_and_is_subscribed_again(far: Far) -> None:
    await far.say(b"one")
    await far.broker.stop()
    await eventually(lambda: not far.link.up)
    far.link.send("odo/1/gw-a/down/ack", b"lost")  # dropped: the device asks again
    await eventually(lambda: far.watch.count("mqtt.retry") > 0)
    await far.broker.start("127.0.0.1", far.port)
    await eventually(lambda: far.link.up)
    await far.say(b"two")
    await eventually(lambda: [data for _, data in far.got] == [b"one", b"two"])
    assert (far.watch.count("mqtt.down"), far.watch.count("mqtt.up")) == (1, 2)


async def test_a_refused_link_tries_again(far: Far) -> None:
    good, far.secret = far.secret, "wrong"
    assert far.link._connection is not None
    far.link._connection.drop(LinkDownError("cut"))
    await eventually(lambda: far.watch.count("broker.refused", reason="credential") > 0)
    far.secret = good
    await eventually(lambda: far.link.up)


async def test_settings_that_can_not_be_used_end_the_link(tmp_path: Path) -> None:
    def entry() -> Login:
        return login("mqtts://127.0.0.1:1", "hub-1", secret="s", ca_file=str(tmp_path / "none.pem"))

    link = Link("live", entry, filters=[], on_message=lambda _t, _d: None, watch=a_watch())
    with pytest.raises(SettingsError, match=r"none\.pem"):
        await asyncio.wait_for(link.run(), 5)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_tls(certificate: tuple[Path, Path]) -> None:
    """Outside only TLS; the hub itself has a door of its own on the loopback."""
    cert, key = certificate
    broker = EmbeddedBroker(a_watch())
    broker.enforce(REGISTRY)
    port, own = await broker.start("127.0.0.1", 0, tls_cert=str(cert), tls_key=str(key))
    assert port != own
    got: list[bytes] = []
    hub = await Connection.open(
        login(f"mqtt://127.0.0.1:{own}", "hub-1", secret=SECRETS["hub-1"]), lambda _t, data: got.append(data)
    )
    await hub.subscribe("odo/1/+/up/live")
    where = login(f"mqtts://127.0.0.1:{port}", "gw-a", secret=SECRETS["gw-a"], ca_file=str(cert))
    device = await Connection.open(where, lambda _t, _d: None)
    await device.publish("odo/1/gw-a/up/live", b"over TLS")
    await eventually(lambda: got == [b"over TLS"])
    with pytest.raises(UnavailableError):
        await Connection.open(
            login(f"mqtt://127.0.0.1:{port}", "gw-a", secret=SECRETS["gw-a"]), lambda _t, _d: None, handshake_s=0.5
        )
    await device.close()
    await hub.close()
    await broker.stop()
