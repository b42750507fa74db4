"""The faults: each begins at a moment that its seed chooses, and ends. A table; all of them may come together."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

from tests.sim.broker import Weather
from tests.sim.vehicle import Rig
from wire.errors import LinkDownError

if TYPE_CHECKING:
    from tests.sim.world import World


def some_rig(world: "World", rng: Random) -> Rig:
    return rng.choice([rig for rig in world.rigs if not rig.ended])


async def weather(world: "World", rng: Random, lasts_s: tuple[float, float], **what: float) -> None:
    """For a while, around one vehicle."""
    now = world.broker.weather[some_rig(world, rng).device]
    before = {key: getattr(now, key) for key in what}
    for key, value in what.items():
        setattr(now, key, value)
    await asyncio.sleep(rng.uniform(*lasts_s))
    for key, value in before.items():
        setattr(now, key, value)


async def outage(world: "World", rng: Random) -> None:
    """No way to the broker, for seconds or for long; the vehicle sees it at once or by its silence."""
    device = some_rig(world, rng).device
    now = world.broker.weather[device]
    if rng.random() < 0.5:
        world.broker.cut(device, LinkDownError("no route"))
        now.away = True
    else:
        now.dark = True
    await asyncio.sleep(rng.choice([rng.uniform(1.0, 30.0), rng.uniform(60.0, 1_500.0)]))
    now.away = now.dark = False


async def slow(world: "World", rng: Random) -> None:
    await weather(world, rng, (20.0, 600.0), delay_s=rng.choice([0.3, 1.0, 2.2]))


async def loss(world: "World", rng: Random) -> None:
    await weather(world, rng, (20.0, 600.0), forgets=rng.uniform(0.05, 0.6), drops_down=rng.uniform(0.05, 0.6))


async def doubles(world: "World", rng: Random) -> None:
    await weather(world, rng, (60.0, 900.0), doubles=rng.uniform(0.1, 0.6))


async def disorder(world: "World", rng: Random) -> None:
    await weather(world, rng, (60.0, 900.0), reorders=rng.uniform(0.1, 0.6))


async def silence(world: "World", rng: Random) -> None:
    await weather(world, rng, (20.0, 300.0), no_puback=rng.uniform(0.05, 0.3))


async def resets(world: "World", rng: Random) -> None:
    await weather(world, rng, (20.0, 300.0), breaks=rng.uniform(0.02, 0.3))


async def broker_restart(world: "World", rng: Random) -> None:
    world.broker.restart(forgets=rng.random() < 0.7)
    await asyncio.sleep(rng.uniform(0.2, 40.0))
    world.broker.down = False


async def spoiled(world: "World", rng: Random) -> None:
    world.broker.corrupts = rng.uniform(0.1, 0.7)
    await asyncio.sleep(rng.uniform(30.0, 400.0))
    world.broker.corrupts = 0.0


async def power_cut(world: "World", rng: Random) -> None:
    some_rig(world, rng).crash(rng.uniform(2.0, 200.0))


async def agent_crash(world: "World", rng: Random) -> None:
    """At one of the next steps that it takes."""
    some_rig(world, rng).crash_in = rng.randrange(12)


async def hub_crash(world: "World", rng: Random) -> None:
    """At one of the next steps that it takes, or at once."""
    if rng.random() < 0.7:
        world.hub.crash_in = rng.randrange(10)
    else:
        world.hub.crash(rng.uniform(0.5, 120.0))


async def store_down(world: "World", rng: Random) -> None:
    world.hub.store.down = True
    await asyncio.sleep(rng.uniform(1.0, 150.0))
    world.hub.store.down = False


async def disk_full(world: "World", rng: Random) -> None:
    rig = some_rig(world, rng)
    rig.card.full = True
    await asyncio.sleep(rng.uniform(5.0, 300.0))
    rig.card.full = False
    rig.card.full_until_s = asyncio.get_running_loop().time() + 60.0


async def clock_jump(world: "World", rng: Random) -> None:
    some_rig(world, rng).misdates = rng.randrange(1, 40)


async def hub_rollback(world: "World", rng: Random) -> None:
    """A backup is made, and comes back later."""
    world.hub.save()
    await asyncio.sleep(rng.uniform(20.0, 1_200.0))
    world.hub.restore()


async def older_card(world: "World", rng: Random) -> None:
    """An image of the card is made, and takes its place later: what came between is physically gone."""
    rig = some_rig(world, rng)
    image = rig.card.clone()
    known = {number for number, _ in image.truth.values()}
    await asyncio.sleep(rng.uniform(20.0, 900.0))
    rig.crash(rng.uniform(3.0, 30.0))
    gone = {number for number, _ in rig.card.truth.values()} - known
    kinds = rig.card.kinds
    world.oracle.gone |= gone
    world.oracle.shared |= known
    image.kinds |= {number: kinds[number] for number in gone}
    rig.card = image
    rig.sos_open.clear()


async def cloned_card(world: "World", rng: Random) -> None:
    """A copy of the card goes on elsewhere, under the same identity."""
    if world.twins:
        return
    rig = some_rig(world, rng)
    card = rig.card.clone()
    world.oracle.shared |= {number for number, _ in card.truth.values()}
    await asyncio.sleep(rng.uniform(1.0, 600.0))
    twin = Rig(world, rig.device, world.rng_of("twin"), card=card)
    world.twins.append(twin)
    world.rigs.append(twin)
    twin.boot()


Fault = Callable[["World", Random], Awaitable[None]]
FAULTS: dict[str, tuple[Fault, float]] = {
    "outage": (outage, 400.0),
    "slow link": (slow, 500.0),
    "loss": (loss, 300.0),
    "doubles": (doubles, 500.0),
    "disorder": (disorder, 500.0),
    "lost PUBACKs": (silence, 500.0),
    "resets": (resets, 500.0),
    "broker restart": (broker_restart, 500.0),
    "spoiled batches": (spoiled, 700.0),
    "power cut": (power_cut, 700.0),
    "agent crash": (agent_crash, 250.0),
    "hub crash": (hub_crash, 250.0),
    "store down": (store_down, 500.0),
    "disk full": (disk_full, 900.0),
    "clock jump": (clock_jump, 600.0),
    "hub rollback": (hub_rollback, 900.0),
    "older card": (older_card, 1_500.0),
    "cloned card": (cloned_card, 1_500.0),
}
"""What it is, and how many seconds there are between two of them."""


async def keep(name: str, world: "World", rng: Random) -> None:
    """One kind of fault, again and again."""
    fault, every_s = FAULTS[name]
    while True:
        await asyncio.sleep(rng.expovariate(1.0 / every_s))
        world.count(name)
        await fault(world, rng)


def end_all(world: "World") -> None:
    """All is well again."""
    for device in world.broker.weather:
        world.broker.weather[device] = Weather()
    world.broker.down, world.broker.corrupts = False, 0.0
    world.hub.crash_in, world.hub.store.down = None, False
    for rig in world.rigs:
        rig.crash_in, rig.misdates = None, 0
        rig.card.full = False
