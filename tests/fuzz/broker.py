"""Hostile payloads the whole way: devices, Mosquitto, the hub as a process. Each batch is answered; what is good is taken and seen."""

import asyncio
import random
from pathlib import Path

from bench.yard import Hub
from tests.e2e.parts import exported
from tests.e2e.scene import Guest
from tests.fuzz import corpus
from tests.fuzz.corpus import opened, sealed
from tests.fuzz.ingest import Place, a_store, following
from tests.fuzz.mutate import Mutator
from tests.kills.mosquitto import Mosquitto
from wire.messages import Ack
from wire.ops import clock
from wire.track import encode_batch

GUESTS = 4
WORDS = {"live": corpus.lives, "event": corpus.events, "cmd": corpus.outcomes}
PATIENCE_S = 15.0


async def through_the_broker(folder: Path, payloads: int, seed: int, *, guests: int = GUESTS) -> dict[str, object]:
    """So many payloads; raises AssertionError when a rule is broken. Gives what was done."""
    broker = Mosquitto(folder / "broker")
    hub, chance = broker.hub(folder / "hub"), random.Random(seed)
    names = [f"gw-guest-{i}" for i in range(guests)]
    for name in names:
        await hub.command("vehicle", "add", name[3:])
        await hub.command("device", "add", name, "--vehicle", name[3:], "--secret-out", str(folder / name))
    await broker.furnish(hub)
    await broker.process.start()
    visitors: list[Guest] = []
    try:
        await hub.start()
        visitors += [await Guest.login(broker.url, name, folder / name) for name in names]
        told = await asyncio.gather(
            *(_visit(guest, payloads // guests, random.Random(chance.random()), hub) for guest in visitors)
        )
        assert hub.process.running
        assert "Traceback" not in hub.process.log.read_text(encoding="utf-8", errors="replace")
    finally:
        for guest in visitors:
            await guest.leave()
        await hub.process.stop()
        await broker.process.stop()
    return {
        "sent": sum(one[0] for one in told),
        "batches": sum(one[1] for one in told),
        "good": sum(one[2] for one in told),
    }


async def _visit(guest: Guest, payloads: int, chance: random.Random, hub: Hub) -> tuple[int, int, int]:
    words = {name: Mutator(chance, some()) for name, some in WORDS.items()}
    place, sent, batches, good = Place(a_store()), 0, 0, 0
    while sent < payloads:
        for name in chance.choices(list(WORDS), k=2):
            await guest.say(name, words[name].one()[:4096] or b" ")
        base = opened(encode_batch(following(place, n=chance.choice((1, 3, 9)))))
        payload = sealed(Mutator(chance, [base]).one(), chance)
        await guest.say("track", payload[:65_536] or b"\n")
        _taken(place, await _answer(guest, payload))
        sent, batches = sent + 3, batches + 1
        if batches % 10 == 0 or sent >= payloads:
            if place.last > 1 << 40:
                place = Place(a_store())
            batch = following(place, n=3, at_ms=clock.utc_ms())
            await guest.say("track", encode_batch(batch))
            _taken(place, await _answer(guest, b"good"))
            assert (place.last, place.h) == (batch.last, batch.after), f"a good batch was not taken after {payload!r}"
            good, newest = good + 1, (place.store, batch.last)
    rows = await exported(hub, guest.identity[3:])
    assert f'"{newest[0]}"' in rows
    return sent, batches, good


async def _answer(guest: Guest, payload: bytes) -> Ack:
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                ack = await guest.acks.get()
        except TimeoutError:
            raise AssertionError(f"{guest.identity}: no answer to {payload[:900]!r}") from None
        if not ack.events:
            return ack


def _taken(place: Place, ack: Ack) -> None:
    if ack.upto is not None and ack.h is not None and ack.store == place.store:
        place.last, place.h = ack.upto, ack.h
