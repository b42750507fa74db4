"""What must hold, whatever happens: each invariant has a name, and says what broke it. It looks on, and helps nobody."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.room import SPAN
from agent.flow import Senses
from agent.ports import Kind, Stored
from agent.recorder import PENDING_MAX
from hub.core.ledger import balances
from tests.sim.card import Card
from wire.codec import decode_ack, decode_event, decode_live
from wire.geo import distance_m
from wire.messages import Fix
from wire.predict import predict
from wire.track import decode_header

if TYPE_CHECKING:
    from tests.sim.center import SimStore
    from tests.sim.vehicle import Rig
    from tests.sim.world import World

INVARIANTS: dict[str, str] = {
    "exactly once": "a record is in the hub's store once, or once in a receipt, and never in both",
    "in order": "what the hub holds of a store begins at 1 and goes on without an overlap",
    "no gap without a receipt": "a gap in what the hub holds is one that it has booked as rolled back",
    "as recorded": "a row and an event at the hub is bit for bit what the card held, and one store is of one card",
    "ack after commit": "the hub acknowledges nothing that its store does not hold at that moment",
    "forgotten only if held": "an outbox takes no mark that the hub has never held",
    "the ledger closes": "recorded = received + lost + still out there, at any time and for each device",
    "live within ε": "while linked, the hub's prediction from the last message acknowledged or in flight is right to ε",
    "live is repaired": "when all is calm the hub shows where the vehicle is, whatever the broker forgot",
    "SOS first": "the fast copy of an SOS goes out before any batch that has it, and at once while linked",
    "one batch in flight": "no batch goes out while another waits for its answer",
    "in flight untouched": "no record that may be on its way is thinned or dropped",
    "events are never lost": "no event is thinned, dropped, doubled, or missing from the hub's log",
    "commit window": "a power cut takes no fix that is older than the window, and no event that was told",
    "bounded queues": "the outbox stays within its size, and every queue within its bound",
    "progress resumes": "when the faults have ended, everything is in within 30 minutes",
    "nothing falls over": "no task of agent or hub ends with an error",
}
EPS_M, SLACK_M = 10.0, 1.0
ANSWER_S, SOS_S = 9.9, 1.0
MORE_BYTES = 100_000

Truth = dict[tuple[str, int], tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold, what was seen, and when."""

    invariant: str
    about: str
    at_s: float


class Oracle:
    """Watches a world. Each check is counted, so that one that never ran is seen."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.broken: list[Broken] = []
        self.checks: Counter[str] = Counter()
        self.moved: set[int] = set()
        self.shared: set[int] = set()
        self.gone: set[int] = set()
        self.rolled: set[int] = set()
        self.rolled_off: set[int] = set()
        self.senders: dict[tuple[str, str, int, int, str], Truth] = {}
        self.tellers: dict[tuple[str, str, int], Truth] = {}
        self.high: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._flights: dict[int, tuple[object, str, float]] = {}
        self._sent: dict[int, tuple[str, int]] = {}
        self._due: dict[int, tuple[object, float]] = {}

    def check(self, invariant: str, holds: bool, about: str = "") -> None:  # noqa: FBT001  # reads as a sentence
        self.checks[invariant] += 1
        if not holds and len(self.broken) < 50:
            self.broken.append(Broken(invariant, about, self.now_s()))

    @staticmethod
    def now_s() -> float:
        return asyncio.get_running_loop().time()

    # What the agent does.

    def published(self, rig: "Rig", name: str, payload: bytes) -> None:
        if name == "live":
            rig.in_flight = decode_live(payload)
        elif name == "event":
            store, event = decode_event(payload)
            rig.sos_open.pop((store, event.seq), None)
            self.tellers[rig.device, store, event.seq] = rig.card.truth
        elif name == "track":
            self._batch(rig, payload)

    def _batch(self, rig: "Rig", payload: bytes) -> None:
        header, _ = decode_header(payload)
        self.senders[rig.device, header.store, header.first, header.last, header.checksum] = rig.card.truth
        session, store, at_s = self._flights.get(id(rig), (None, "", 0.0))
        alone = session is not rig.session or store != header.store or self.now_s() - at_s > ANSWER_S
        self.check("one batch in flight", alone, f"{rig.device}: {header.first}–{header.last}")
        self._flights[id(rig)] = rig.session, header.store, self.now_s()
        self._sent[id(rig)] = header.store, header.last
        behind = [seq for store, seq in rig.sos_open if store == header.store and header.first <= seq <= header.last]
        self.check("SOS first", not behind, f"{rig.device}: SOS {behind} behind the track")

    def _sos_waits_s(self, rig: "Rig") -> float:
        """How long the oldest SOS has waited on this link for its fast copy to go out."""
        oldest = next(iter(rig.sos_open), None)
        key = (rig.session, oldest)
        if oldest is None or rig.session is None or self._due.get(id(rig), (None, 0.0))[0] != key:
            self._due[id(rig)] = key, self.now_s()
        return self.now_s() - self._due[id(rig)][1]

    def on_its_way(self, card: Card) -> int:
        """How many records of a card have gone out and are not acknowledged; not those of an earlier boot."""
        store, last = self._sent.get(id(card.rig), ("", 0))
        return sum(card.acked < row.seq <= last for row in card._rows) if store == card.store else 0

    def answered(self, rig: "Rig") -> None:
        self._flights.pop(id(rig), None)

    def event_committed(self, rig: "Rig", stored: Stored) -> None:
        if b'"sos"' in stored.body and stored.seq > rig.card.acked:
            rig.sos_open[rig.card.store, stored.seq] = self.now_s()

    def forked(self, card: Card) -> None:
        card.rig.sos_open.clear()

    def event_told(self, rig: "Rig", senses: Senses) -> None:
        waits = [one for one in senses.recorder._pending if one.kind is Kind.EVENT]
        self.check("commit window", rig.card.refuses or not waits, f"{rig.device}: an event waits for the window")

    def settled(self, card: Card, upto: int) -> None:
        held = self.high[card.rig.device, card.store]
        self.check("forgotten only if held", upto <= held, f"{card.rig.device} takes {upto}, the hub never had {held}")

    def power_cut(self, rig: "Rig") -> None:
        senses = rig.senses
        self._sent.pop(id(rig), None)
        if senses is None or rig.card.refuses:
            return
        now_ms, plan = senses.clock.mono_ms(), self.world.plan
        pending = senses.recorder._pending
        old = [one for one in pending if now_ms - one.moment.mono_ms > plan.commit_ms + 2_000]
        self.check("commit window", not old, f"{rig.device}: {len(old)} records older than the window are gone")

    def after_fix(self, rig: "Rig", senses: Senses, fix: Fix) -> None:
        recorder = senses.recorder
        inbox = 0 if rig.session is None else rig.session.inbox.qsize()
        bounded = recorder.unwritten <= PENDING_MAX + 600 and inbox <= 200
        self.check("bounded queues", bounded, f"{rig.device}: {recorder.unwritten} unwritten, {inbox} in the inbox")
        waiting_s = self._sos_waits_s(rig)
        self.check("SOS first", waiting_s < SOS_S, f"{rig.device}: an SOS waits for {waiting_s:.1f} s")
        lane, seen = senses.live, senses.vehicle.dynamics.fix
        basis = rig.in_flight or rig.pubacked
        if not lane.linked or seen is None or seen.at_ms != fix.at_ms or lane.state.held or lane._waiting is not None:
            return
        if basis is None:
            gone = rig.session is None or rig.session.lost.done()
            self.check("live within ε", gone, f"{rig.device}: linked, and no live message has gone out")
            return
        off_m = distance_m(*predict(basis, seen.at_ms), seen.lat_deg, seen.lon_deg)
        self.check("live within ε", off_m <= EPS_M + SLACK_M, f"{rig.device}: off by {off_m:.1f} m")

    # What the hub does.

    def acked(self, device: str, payload: bytes) -> None:
        ack = decode_ack(payload)
        if ack.upto is not None:
            mark = self.world.hub.store._marks.get((device, ack.store))
            held = 0 if mark is None else mark.last
            self.check("ack after commit", ack.upto <= held, f"{device}: acked {ack.upto}, held {held}")
            self.high[device, ack.store] = max(self.high[device, ack.store], held)

    def rolled_back(self, store: "SimStore", backup: "SimStore") -> None:
        """What the hub held, and acknowledged perhaps, and has lost by going back."""
        kept = {id(batch) for batch in backup._batches}
        for batch in store._batches:
            one = batch.header
            truth = self.senders.get((batch.device, one.store, one.first, one.last, one.checksum), {})
            if id(batch) not in kept:
                seqs = range(one.first, one.last + 1)
                self.rolled_off |= {truth[one.store, seq][0] for seq in seqs if (one.store, seq) in truth}

    async def look(self) -> None:
        """What can be asked at any time."""
        store, now_ms = self.world.hub.store, self.world.utc_ms()
        if not store.down:
            for one in balances(await store.totals(None), await store.reaches(None), now_ms=now_ms):
                differ = [why for why in one.why if "differ" in why]
                self.check(
                    "the ledger closes", one.off == 0 and not differ, f"{one.device}: off by {one.off}, {differ}"
                )
        for rig in self.world.rigs:
            used, most = await rig.card.used_bytes(), rig.card.limits.max_bytes
            about = f"{rig.device}: outbox of {used} bytes, may have {most}"
            alive = rig.process is not None and rig.process.alive
            self.check("bounded queues", not alive or used <= most + MORE_BYTES, about)
        ingest = self.world.hub.ingest
        if ingest is not None:
            longest = max(len(ingest._batches), len(ingest._words))
            self.check("bounded queues", longest <= 2_000 < SPAN, f"hub: {longest} wait")
