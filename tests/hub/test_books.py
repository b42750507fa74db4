"""`odograph-hub ledger` and `quarantine`: what they say, for people and for scripts, and how they end."""

import asyncio
import json
from pathlib import Path

import pytest

from hub.adapters.store.sql import SqlStore
from hub.core.marks import incoming
from hub.ports import Heard
from tests.hub.makers import STORE, T0, a_batch, a_registry, a_watch, an_incoming, bent_body
from tests.hub.test_cli import Capture, Shell
from wire.messages import Lost
from wire.ops.clock import utc_ms
from wire.track import encode_batch

POISON = bent_body(a_batch(15, 3))


@pytest.fixture
def shell(tmp_path: Path, capsys: Capture) -> Shell:
    """A hub with two vehicles; one has rows, losses, poison and something unknown, and more to come."""
    made = Shell(tmp_path / "data", capsys)
    made.json("fleet", "add", "north")
    for vehicle, fleet in (("van-1", "main"), ("van-2", "north")):
        made.json("vehicle", "add", vehicle, "--fleet", fleet)
    for device, vehicle in (("gw-a", "van-1"), ("gw-b", "van-2")):
        made.json("device", "add", device, "--vehicle", vehicle, "--from", "2025-01-01")
    asyncio.run(filled(made.data))
    return made


async def filled(data: Path) -> None:
    store = SqlStore(data / "odograph.db", None, watch=a_watch())
    await store.open()
    unknown = encode_batch(a_batch(18, 2)).replace(b'"v":1', b'"v":9', 1)
    groups = [
        an_incoming(a_batch(1, 10, lost=[Lost(11, 14, "dropped")])),
        incoming("gw-a", POISON, registry=a_registry(), received_ms=T0 + 100_000),
        incoming("gw-a", unknown, registry=a_registry(), received_ms=T0 + 100_001),
        an_incoming(a_batch(1, 5), device="gw-b"),
    ]
    assert [one.verdict for one in await store.append(groups)] == ["append"] * 4
    await store.heard([Heard("gw-a", STORE, 30, utc_ms()), Heard("gw-b", STORE, 5, T0)])
    await store.close()


def test_the_ledger_closes_and_says_what_is_out_there(shell: Shell) -> None:
    told = shell.json("ledger")
    days = {(one["day"], one["vehicle"]): one for one in told["days"]}
    day = days["2025-10-09", "van-1"]
    assert (day["recorded"], day["received"], day["lost"], day["out_there"]) == (
        19, 12, {"dropped": 4, "quarantine": 3}, 0,
    )  # fmt: skip
    today = next(one for one in told["days"] if one["out_there"])
    assert (today["vehicle"], today["out_there"], today["recorded"]) == ("van-1", 11, 11)
    assert "gw-b has not reported since" in days["2025-10-09", "van-2"]["notes"][0]
    first, second = told["devices"]
    assert first.pop("told_ms") == today["told_ms"] > T0
    assert second["told_ms"] == days["2025-10-09", "van-2"]["told_ms"] == T0
    assert first == {
        "device": "gw-a", "recorded": 30, "received": 12, "lost": {"dropped": 4, "quarantine": 3}, "out_there": 11,
        "off": 0, "why": [],
    }  # fmt: skip
    assert (second["off"], second["recorded"]) == (0, 5)
    status, out, _err = shell.run("ledger")
    assert status == 0
    assert "dropped 4, quarantine 3" in out
    assert out.count("closes") == 2
    assert out.count("TOLD UNTIL") == 2
    assert out.count("2025-10-09T08:53:20Z") == 2, "nothing is known of what gw-b recorded after that"


def test_the_ledger_of_one(shell: Shell) -> None:
    for words, vehicles in (
        (("--vehicle", "van-2"), {"van-2"}), (("--fleet", "main"), {"van-1"}), (("--device", "gw-a"), {"van-1"}),
        (("--from", "2025-10-09", "--to", "2025-10-09"), {"van-1", "van-2"}), (("--to", "2025-10-08"), set()),
    ):  # fmt: skip
        assert {one["vehicle"] for one in shell.json("ledger", *words)["days"]} == vehicles, words
    for words, status in (
        (("--vehicle", "x"), 4), (("--fleet", "x"), 4), (("--device", "gw-x"), 4), (("--from", "soon"), 5),
        (("--vehicle", "van-1", "--fleet", "main"), 2),
    ):  # fmt: skip
        assert shell.run("ledger", *words)[0] == status, words


def test_what_is_in_quarantine_is_shown_and_exported(shell: Shell, tmp_path: Path) -> None:
    poison, unknown = shell.json("quarantine", "list")
    assert (poison["id"], poison["device"], poison["first"], poison["last"], poison["bytes"]) == (
        "p1", "gw-a", 15, 17, len(POISON),
    )  # fmt: skip
    assert (unknown["id"][0], unknown["reason"]) == ("u", "unknown version")
    assert shell.json("quarantine", "list", "--device", "gw-b") == []
    assert "nothing is in quarantine" in shell.run("quarantine", "list", "--device", "gw-b")[1]
    assert "p1" in shell.run("quarantine", "list")[1]
    shown = shell.json("quarantine", "show", "p1")
    assert json.loads(shown["header"])["f"] == 15
    assert bytes.fromhex(shown["head"]) == POISON.partition(b"\n")[2][:128]
    assert "0000  " in shell.run("quarantine", "show", "p1")[1]
    out = tmp_path / "p1.track"
    assert shell.json("quarantine", "export", "p1", "--out", str(out))["bytes"] == len(POISON)
    assert out.read_bytes() == POISON
    for words in (("export", "p1", "--out", str(out)), ("show", "p9"), ("show", "nonsense"), ("retry", "u99")):
        assert shell.run("quarantine", *words)[0] == 4, words


def test_a_second_try_books_what_can_be_read_and_says_why_not(shell: Shell) -> None:
    unknown = shell.json("quarantine", "list")[1]["id"]
    told = shell.json("quarantine", "retry")
    assert told["booked"] == []
    assert told["still"][unknown] == "version 9"
    assert set(told["still"]) == {"p1", unknown}
    asyncio.run(mended(shell.data))
    assert shell.json("quarantine", "retry", "p1") == {"booked": ["p1"], "still": {}}
    assert [one["id"] for one in shell.json("quarantine", "list")] == [unknown]
    (device,) = shell.json("ledger", "--vehicle", "van-1")["devices"]
    assert (device["received"], device["lost"], device["off"]) == (15, {"dropped": 4}, 0)


async def mended(data: Path) -> None:
    """As an upgrade would: what was poison is something that we can read."""
    store = SqlStore(data / "odograph.db", None, watch=a_watch())
    await store.open()
    async with store.writing() as tx:
        await tx.exec_driver_sql("UPDATE quarantine SET payload = ? WHERE id = 1", (encode_batch(a_batch(15, 3)),))
    await store.close()


def test_a_dropped_payload_keeps_its_line(shell: Shell, tmp_path: Path) -> None:
    async def drop() -> None:
        store = SqlStore(shell.data / "odograph.db", None, watch=a_watch())
        await store.open()
        assert await store.trim_quarantine(0) == 1
        await store.close()

    asyncio.run(drop())
    poison = shell.json("quarantine", "list")[0]
    assert (poison["there"], poison["bytes"]) == (False, len(POISON))
    assert "dropped" in shell.run("quarantine", "list")[1]
    assert "was dropped" in shell.run("quarantine", "show", "p1")[1]
    assert shell.run("quarantine", "export", "p1", "--out", str(tmp_path / "x"))[0] == 4
    assert shell.json("quarantine", "retry", "p1")["still"] == {"p1": "its raw payload was dropped"}
