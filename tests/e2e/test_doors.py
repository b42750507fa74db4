"""Every door stands malformed input: a clear answer, counted, and neither the hub nor the vehicle beside it is disturbed."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bench.demo.measure import count as counted_of
from bench.yard import Gateway
from tests.e2e.junk import NOISE, bad_words
from tests.e2e.parts import drained, exported
from tests.e2e.scene import (
    Adapter,
    Guest,
    Receiver,
    Scene,
    batch_of,
    deflated,
    kept_raw,
    live_of,
    number,
    scene_at,
    state_of,
)
from tests.rigs import eventually
from wire.codec import dump
from wire.errors import RefusedError, UnavailableError
from wire.ops import clock
from wire.track import GENESIS

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    one = scene_at(tmp_path_factory.mktemp("doors"))
    try:
        await one.start()
        yield one
    finally:
        await one.stop()


# The serial doors.

GARBAGE = {
    "random bytes": NOISE.randbytes(20_000),
    "cut sentences": b"$GNRMC,120000.000,A,5200.0\r\n$GNGGA,1200\r\n$*00\r\n$\r\n,,,*7F\r\n$GNRMC,,,,,,,,,*zz\r\n",
    "good form, bad checksum": b"$GNRMC,120000.000,A,5200.00,N,01300.00,E,1.0,0.0,010126,,,A*00\r\n",
    "ubx": b"\xb5\x62\x01\x07\x5c\x00" + bytes(range(92)) + b"\x12\x34",
    "nul": bytes(5000) + b"\r\n",
    "a megabyte without an end": b"$GNRMC" + b"9" * (1 << 20) + b"\r\n",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def noisy(scene: Scene) -> AsyncIterator[tuple[Gateway, Receiver, Adapter]]:
    """A second gateway, whose receiver and adapter are ours to misuse."""
    gateway = Gateway("gw-noisy", "noisy", Path("none"), scene.hub.folder / "noisy", scene.hub.mqtt,
                      extra="[sampling]\nupload_s = 0.5\ncommit_s = 0.2\n")  # fmt: skip
    await gateway.introduce(scene.hub)
    receiver, adapter = Receiver(gateway.line / "gnss"), Adapter(gateway.line / "obd")
    adapter.answer = lambda _asked: b"nonsense\r>"
    await gateway.start_agent()
    try:
        yield gateway, receiver, adapter
    finally:
        await gateway.agent.stop()
        receiver.close()
        await adapter.unplug()
    assert "Traceback" not in gateway.agent.log.read_text()


async def fixes_go_on(gateway: Gateway, receiver: Receiver, sent: int) -> None:
    """Good epochs are recorded after whatever came before; the first may be lost to what it was mixed with."""
    before = await number(gateway, "recorded")
    await receiver.fixes(sent)
    await asyncio.sleep(0.5)
    assert await number(gateway, "recorded") >= before + sent - 1


async def refusals(gateway: Gateway, key: str) -> int:
    """All refusals, of whatever reason."""
    by_reason = (await state_of(gateway))[key]
    assert isinstance(by_reason, dict)
    return sum(by_reason.values())


async def test_garbage_from_the_receiver_is_counted_and_fixes_go_on(
    scene: Scene, noisy: tuple[Gateway, Receiver, Adapter]
) -> None:
    gateway, receiver, _ = noisy
    await gateway.agent.said("link.up", within_s=10)
    await fixes_go_on(gateway, receiver, 5)
    for kind, garbage in GARBAGE.items():
        before = await refusals(gateway, "rejected")
        await receiver.say(garbage)
        await receiver.say(b"\r\n")
        await asyncio.sleep(0.1)
        await fixes_go_on(gateway, receiver, 3)
        assert await refusals(gateway, "rejected") > before, kind
    await scene.undisturbed()


async def test_an_adapter_that_talks_nonsense_disturbs_only_itself(
    scene: Scene, noisy: tuple[Gateway, Receiver, Adapter]
) -> None:
    gateway, receiver, adapter = noisy
    await gateway.agent.said("obd.opened", within_s=10)
    for answer in (
        lambda _asked: NOISE.randbytes(30) + b"\r>",
        lambda _asked: b"41 0C",  # half a line
        lambda asked: asked + b"41 0C FF FF FF FF FF\r\r>7E8 99\r>\x00\xff>" * 20,
        lambda _asked: b"4" * 6000,
        lambda _asked: b"",  # silence
    ):
        adapter.answer = answer
        heard, before = adapter.heard, await refusals(gateway, "bus_rejected")
        await fixes_go_on(gateway, receiver, 6)
        await eventually(lambda heard=heard: adapter.heard > heard, within_s=25)  # it still tries
        await eventually(
            lambda before=before: _refuses_more(gateway, before), within_s=25
        )  # it is opened ever more seldom
        assert (await state_of(gateway))["bus"] == {}, "nothing of it passes for a value"
    adapter.answer = None
    await eventually(lambda: _bus_is_read(gateway), within_s=20, every_s=0.3)
    await fixes_go_on(gateway, receiver, 3)
    await scene.undisturbed()


async def _refuses_more(gateway: Gateway, before: int) -> bool:
    return await refusals(gateway, "bus_rejected") > before


async def _bus_is_read(gateway: Gateway) -> bool:
    bus = (await state_of(gateway))["bus"]
    return isinstance(bus, dict) and bus.get("rpm") == 2000.0


# The MQTT door.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(scene: Scene) -> AsyncIterator[Guest]:
    """A device with a valid credential, bound to a vehicle of its own. Each test uses another store id."""
    secret_file = scene.hub.folder / "guest.secret"
    await scene.hub.command("vehicle", "add", "guest")
    await scene.hub.command("device", "add", "gw-guest", "--vehicle", "guest", "--secret-out", str(secret_file))
    one = await Guest.login(scene.hub.mqtt, "gw-guest", secret_file)
    yield one
    await one.leave()


async def test_junk_on_the_lanes_of_a_device_is_refused_and_counted(scene: Scene, guest: Guest) -> None:
    for name, payload, reason in bad_words():
        labels = {"topic": name, "reason": reason}
        before = await scene.counted("ingest_refused", **labels)
        await guest.say(name, payload)
        await eventually(lambda was=before, of=labels: _grew(scene, was, of), within_s=3)
    assert guest.acks.empty(), "nothing of that was taken"
    async with scene.client() as client:
        shown = (await client.get("/v1/vehicles/guest")).json()
        assert (shown["live"], shown["on"]) == (None, False)
        await guest.say("live", dump(live_of(t=(1 << 43) - 1)))
        await eventually(lambda: _shows(scene, clock=True))
        await guest.say("live", dump(live_of(t=clock.utc_ms() + 1000)))
        await eventually(lambda: _shows(scene, clock=None))
    await guest.say("event", dump({"v": 1, "s": "AAAAAAAAAAE", "n": 7, "t": clock.utc_ms(), "k": "s\0s"}))
    assert (await guest.answer()).events == (7,)
    await scene.undisturbed()


async def _grew(scene: Scene, before: int, labels: dict[str, str]) -> bool:
    return await scene.counted("ingest_refused", **labels) == before + 1


async def _shows(scene: Scene, *, clock: bool | None) -> bool:
    async with scene.client() as client:
        shown = (await client.get("/v1/vehicles/guest")).json()
    return shown["live"] is not None and shown.get("clock") is clock


BODY = deflated(b'{"q":0}')
BAD_TRACKS = {
    "no-header-line": b"{}",
    "not-json": b"\xff" + b"\n" + BODY,
    "not-an-object": b"[]\n" + BODY,
    "too-long": b" " * 300 + batch_of(BODY, 1, 1),
    "missing": b'{"v":1}\n' + BODY,
    "checksum": batch_of(BODY, 1, 1, c="00000000"),
    "wrong-range": batch_of(BODY, 5, 4),
    "out-of-range": batch_of(BODY, 1, 1 << 54),
}


async def test_a_damaged_header_is_answered_bad_and_the_next_batch_is_taken(scene: Scene, guest: Guest) -> None:
    before = await scene.counted("track_bad")
    for reason, payload in BAD_TRACKS.items():
        await guest.say("track", payload)
        assert (await guest.answer()).bad == reason
    await guest.say("track", NOISE.randbytes(60_000).replace(b"\n", b" "))
    assert (await guest.answer()).bad == "no-header-line"
    assert await scene.counted("track_bad") == before + len(BAD_TRACKS) + 1
    await guest.say("track", good(1, GENESIS, "CCCCCCCCCCC"))
    taken = await guest.answer()
    assert (taken.bad, taken.upto, taken.h) == (None, 1, "CCCCCCCCCCC")
    await scene.undisturbed()


def good(seq: int, before: str, after: str, store: str = "AAAAAAAAAAE") -> bytes:
    """One fix, made now."""
    body = {"q": 0, "t": [clock.utc_ms()], "la": [520_000_000], "lo": [130_000_000]}
    return batch_of(deflated(dump(body)), seq, seq, a=before, b=after, s=store)


POISONED, ASTRAY = "PPPPPPPPPPE", "QQQQQQQQQQE"
POISON = {
    "not-deflate": NOISE.randbytes(60_000),
    "cut": BODY[:-2],
    "a bomb": deflated(b" " * (32 << 20)),
    "not json": deflated(b"\x00\xff"),
    "deep": deflated(b"[" * 500_000),
    "a number of 100000 digits": deflated(b'{"q":' + b"9" * 100_000 + b"}"),
    "not an object": deflated(b"[]"),
    "covers nothing": BODY,
    "no place": deflated(b'{"t":[1]}'),
    "nan": deflated(b'{"t":[NaN],"la":[1],"lo":[1]}'),
    "beyond the pole": deflated(b'{"t":[1],"la":[910000000],"lo":[1]}'),
    "columns of unequal length": deflated(b'{"t":[1],"la":[1,2],"lo":[1]}'),
    "too many rows": deflated(dump({"t": [1] * 5000, "la": [1] * 5000, "lo": [1] * 5000})),
    "an event outside": deflated(b'{"e":[[9,1,"sos",null,null,{}]]}'),
    "a receipt of nothing": deflated(b'{"x":[[1,0,"x",{}]]}'),
    "a receipt with text": deflated(b'{"x":[[0,0,"x",{"rows":"all"}]]}'),
    "columns that are text": deflated(b'{"t":"1","la":"1","lo":"1"}'),
}


async def test_a_body_that_does_not_decode_is_kept_raw_and_the_mark_moves(scene: Scene, guest: Guest) -> None:
    h, poisoned = GENESIS, await scene.counted("track_quarantined", kind="poison")
    for seq, (kind, raw) in enumerate(POISON.items(), start=1):
        after = f"{seq:011d}"
        await guest.say("track", batch_of(raw, seq, seq, a=h, b=after, s=POISONED))
        taken = await guest.answer()
        assert (taken.bad, taken.upto, taken.h) == (None, seq, after), kind
        h = after
    last = len(POISON)
    assert await scene.counted("track_quarantined", kind="poison") == poisoned + last
    unknown = batch_of(b"what comes in 2030", last + 1, last + 10, a=h, b="DDDDDDDDDDD", v=9, s=POISONED)
    await guest.say("track", unknown)
    assert (await guest.answer()).upto == last + 10
    await guest.say("track", good(last + 11, "DDDDDDDDDDD", "EEEEEEEEEEE", POISONED))
    assert (await guest.answer()).upto == last + 11
    kept = [row for row in kept_raw(scene.hub) if row["store"] == POISONED]
    assert [(row["first"], row["last"]) for row in kept][:last] == [(seq, seq) for seq in range(1, last + 1)]
    assert await seqs_of(scene, POISONED) == [last + 11]
    async with scene.client() as client:
        lines = {
            line["what"]: line["n"] for line in (await client.get("/v1/ledger", params={"vehicle": "guest"})).json()
        }
    assert (lines["lost:quarantine"], lines["unknown"]) == (last, 10)
    await scene.undisturbed()


async def seqs_of(scene: Scene, store: str) -> list[int]:
    """What the hub gives out of one store of the guest."""
    rows = [json.loads(line) for line in (await exported(scene.hub, "guest", scene.token)).splitlines()]
    return [row["seq"] for row in rows if row["store"] == store]


async def test_seqs_that_do_not_fit_are_answered_with_the_mark(scene: Scene, guest: Guest) -> None:
    await guest.say("track", good(1, GENESIS, "CCCCCCCCCCC", ASTRAY))
    await guest.answer()
    wrong = [
        good(1000, "CCCCCCCCCCC", "FFFFFFFFFFF", ASTRAY),  # the future
        good(3, "CCCCCCCCCCC", "FFFFFFFFFFF", ASTRAY),  # a gap
        good(2, "XXXXXXXXXXX", "FFFFFFFFFFF", ASTRAY),  # another chain
        good(1, GENESIS, "CCCCCCCCCCC", ASTRAY),  # again
        batch_of(BODY, (1 << 53) - 1, (1 << 53) - 1, s=ASTRAY),
    ]
    for payload in wrong:
        await guest.say("track", payload)
        told = await guest.answer()
        assert (told.bad, told.upto, told.h) == (None, 1, "CCCCCCCCCCC")
    assert await seqs_of(scene, ASTRAY) == [1]
    await scene.undisturbed()


async def test_what_belongs_to_others_is_denied(scene: Scene, guest: Guest) -> None:
    strange = dump(live_of(lat=-10.0))
    for topic in (
        "odo/1/gw-driver/up/live", "odo/1/gw-driver/down/ack", "odo/1/gw-guest/up/nonsense",
        "odo/1/gw-guest/up/live/more", "odo/1/gw-guest/down/ack", "odo/1/hub-1-bulk/up/live",
        "elsewhere", "odo/2/gw-guest/up/live", "odo/1/GW-GUEST/up/live",
    ):  # fmt: skip
        before = await scene.counted("broker_denied", action="publish")
        await guest.say("", strange, to=topic)
        assert await scene.counted("broker_denied", action="publish") == before + 1, topic
    assert guest.connection is not None
    for topic in (
        "odo/1/gw-driver/down/ack",
        "odo/1/+/down/ack",
        "#",
        "odo/1/gw-driver/up/live",
        "odo/1/gw-guest/#",
    ):
        with pytest.raises(RefusedError):
            await guest.connection.subscribe(topic)
    assert guest.acks.empty()
    assert all(live.lat_deg > 0 for _, live in scene.watched.lives), "nobody else moves the vehicle"
    await guest.say("event", dump({"v": 1, "s": "AAAAAAAAAAE", "n": 1, "t": clock.utc_ms(), "k": "sos"}))
    assert (await guest.answer()).events == (1,), "its own topics are still open"
    with pytest.raises(UnavailableError):  # more than the broker takes from anybody
        await guest.say("track", NOISE.randbytes(200_000))
    await scene.undisturbed()


CONNECT = b"\x10\x1d\x00\x04MQTT\x04\xc2\x00\x3c\x00\x03gw-\x00\x03gw-\x00\x05wrong"


async def test_what_is_no_mqtt_is_thrown_out(scene: Scene) -> None:
    host, port = scene.hub.mqtt.removeprefix("mqtt://").split(":")
    before = await scene.counted("broker_refused")
    openings = [
        NOISE.randbytes(5000), b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\xff", b"\x00" * 100, CONNECT,
        b"\x30\x05\x00\x03a/bx", b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", CONNECT.replace(b"MQTT", b"MQXX"),
        b"\x10\x02\x00\x04",
    ]  # fmt: skip
    for opening in openings:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(opening)
        writer.write_eof()
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await asyncio.wait_for(reader.read(), 5)
        assert said[:4] in {b"", b"\x20\x02\x00\x05", b"\x20\x02\x00\x04", b"\x20\x02\x00\x01", b"\x20\x02\x00\x02"}, (
            opening[:20]
        )
        writer.close()
    await eventually(lambda: _refused(scene, before + len(openings)))
    await scene.undisturbed()


async def _refused(scene: Scene, wanted: int) -> bool:
    return await scene.counted("broker_refused") >= wanted


# What the vehicle beside all this has lost: nothing.


async def test_the_vehicle_beside_has_lost_nothing(scene: Scene) -> None:
    await scene.undisturbed()
    await scene.driver.rig.stop()
    await drained(scene.driver)
    outcome = counted_of(scene.driver.outbox, await exported(scene.hub, scene.driver.vehicle, scene.token))
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert outcome.recorded == outcome.committed >= 3
