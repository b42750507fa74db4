"""The last look: every record that a card ever committed, and where it is at the hub."""

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.ports import Kind
from hub.core.marks import Incoming
from hub.core.marks import Kind as Taken
from tests.sim.invariants import EPS_M, Oracle, Truth
from wire.geo import distance_m
from wire.messages import Batch, Event
from wire.predict import predict
from wire.track import decode_batch

if TYPE_CHECKING:
    from tests.sim.world import World


class Found:
    """Where each record is, by its number."""

    def __init__(self) -> None:
        self.placed: Counter[int] = Counter()
        self.told: Counter[int] = Counter()
        self.logged: Counter[int] = Counter()


def judge(world: "World") -> None:
    """When everything has come to rest."""
    oracle, found = world.oracle, Found()
    stores: dict[tuple[str, str], list[Incoming]] = {}
    held, poison = world.hub.store._batches, world.hub.store.quarantine
    for batch in sorted([*held, *poison], key=lambda one: one.header.first) if poison else held:
        stores.setdefault(batch.key, []).append(batch)
    two = bool(world.happened["cloned card"] or world.happened["older card"])
    for batches in stores.values():
        _store(world, batches, found, mixed=two and world.happened["hub rollback"] > 0)
    _events(world, found)
    numbers: dict[int, Kind] = {}
    for rig in world.rigs:
        numbers |= rig.card.kinds
    for number, kind in numbers.items():
        nowhere = number not in oracle.gone and not found.placed[number] + found.told[number]
        if two and nowhere and number in oracle.rolled_off:
            # Known: the hub lost it, the card had it acknowledged, and the store has forked before it could come again.
            world.count("KNOWN: two cards of one identity, and what a hub had lost by a roll-back: in no book")
            continue
        _record(oracle, number, kind, found)
    oracle.check("nothing falls over", True)
    _live(world)


def sender(oracle: Oracle, batch: Incoming) -> Truth | None:
    """Who sent it."""
    header = batch.header
    return oracle.senders.get((batch.device, header.store, header.first, header.last, header.checksum))


def _runs(batches: list[Incoming]) -> list[list[Incoming]]:
    """The batches of a store, a list for each run without a gap."""
    runs = [batches[:1]]
    for before, batch in pairwise(batches):
        if batch.header.first > before.header.last + 1:
            runs.append([])
        runs[-1].append(batch)
    return runs


def _store(world: "World", batches: list[Incoming], found: Found, *, mixed: bool) -> None:
    """Known: across a gap that a roll-back has left, the chain can't be checked. With two cards of one identity, what stands
    before it may be of the other one; with one card it may not.
    """
    oracle, last, at = world.oracle, sender(world.oracle, batches[-1]), 1
    for run in _runs(batches):
        truth = sender(oracle, run[-1]) if mixed else last
        if mixed and last is not None and truth is not None and any(
            truth[key][0] != last[key][0] for key in truth.keys() & last.keys() if at <= key[1] <= run[-1].header.last
        ):  # fmt: skip
            world.count("KNOWN: two cards of one identity in one store, across a gap that a roll-back has left")
        at = _run(oracle, run, found, truth, at)


def _run(oracle: Oracle, batches: list[Incoming], found: Found, truth: Truth | None, at: int) -> int:
    name = f"{batches[0].device}/{batches[0].header.store}"
    oracle.check("as recorded", truth is not None, f"{name}: nobody sent {batches[-1].header.last}")
    if truth is None:
        return batches[-1].header.last + 1
    for batch in batches:
        header = batch.header
        oracle.check("in order", header.first >= at, f"{name}: {header.first} comes behind {at - 1}")
        rolled = range(at, header.first)
        if rolled:
            booked = header.low == header.first
            oracle.check("no gap without a receipt", booked, f"{name}: {rolled.start}–{rolled.stop - 1} are missing")
            for seq in rolled:
                if (store_seq := (header.store, seq)) in truth:
                    found.told[truth[store_seq][0]] += 1
                    oracle.rolled.add(truth[store_seq][0])
        at = header.last + 1
        if batch.kind is Taken.ROWS:
            _batch(oracle, decode_batch(batch.payload), truth, found)
    return at


def _batch(oracle: Oracle, batch: Batch, truth: Truth, found: Found) -> None:
    for seq, row in batch.rows:
        number, body = truth.get((batch.store, seq), (0, b"[]"))
        found.placed[number] += 1
        oracle.check("as recorded", tuple(json.loads(body)) == row, f"{batch.store}: row {seq} is another one")
    for event in batch.events:
        number, body = truth.get((batch.store, event.seq), (0, b"[0,0,0,0,0]"))
        found.placed[number] += 1
        oracle.check("as recorded", _same(event, body), f"{batch.store}: event {event.seq} is another one")
    for lost in batch.lost:
        for seq in range(lost.first, lost.last + 1):
            number, body = truth.get((batch.store, seq), (0, b""))
            found.told[number] += 1
            oracle.check("no gap without a receipt", lost.reason != "missing", f"{batch.store}: {seq} is just missing")


def _same(event: Event, body: bytes) -> bool:
    when, kind, *_, detail = json.loads(body)
    told = [event.boot, event.mono_ms] if event.at_ms is None else event.at_ms
    return (told, event.kind, dict(event.detail)) == (when, kind, detail)


def _events(world: "World", found: Found) -> None:
    """The log of events; a fast copy and its record are one line of it."""
    for batch in world.hub.store._batches:
        for stored in batch.events:
            truth = sender(world.oracle, batch)
            if truth is not None:
                world.oracle.tellers[stored.device, stored.store, stored.event.seq] = truth
    for key in world.hub.store._events:
        truth = world.oracle.tellers.get(key)
        if truth is not None and (known := truth.get(key[1:])) is not None:
            found.logged[known[0]] += 1


def _record(oracle: Oracle, number: int, kind: Kind, found: Found) -> None:
    placed, told, logged = found.placed[number], found.told[number], found.logged[number]
    about = f"record {number}: {placed} times in the store, {told} times in a receipt, {logged} times in the log"
    if number in oracle.gone and placed + told == 0:
        return
    free = number in oracle.shared
    oracle.check("exactly once", placed + told == 1 or (free and placed + told > 1), about)
    if kind is Kind.EVENT:
        in_log = logged == 1 or (logged > 1 and (free or number in oracle.moved)) or told > 0
        oracle.check("events are never lost", in_log and (told == 0 or number in oracle.rolled), about)


def _live(world: "World") -> None:
    ingest = world.hub.ingest
    for rig in world.rigs:
        if ingest is None or rig.ended or rig.senses is None or any(rig.device == twin.device for twin in world.twins):
            continue
        view, seen = ingest.views.get(rig.device.replace("gw", "van")), rig.senses.vehicle.dynamics.fix
        if view is None or seen is None or view.live is None:
            world.oracle.check("live is repaired", seen is None, f"{rig.device}: the hub shows nothing")
            continue
        off_m = distance_m(*predict(view.live, seen.at_ms), seen.lat_deg, seen.lon_deg)
        held = rig.senses.live.state.held
        about = f"{rig.device}: the hub is off by {off_m:.1f} m"
        world.oracle.check("live is repaired", held or off_m <= EPS_M + 5.0, about)
