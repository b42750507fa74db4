"""A call for help that is raised on the gateway: an `sos` event, committed at once, and whether the hub has it.

It goes the way of every event: a record of the track sequence, and a fast copy on the event lane ahead of all else.
No data budget, interval or thinning holds it back.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.cutting import event_of
from agent.flow import NO_FIX_MS
from agent.lanes import Uplink
from agent.ports import Stored
from wire.kinds import SOS

LONGEST_NOTE = 200


@dataclass(slots=True)
class Calls:
    """Calls that were raised here, by the word that each carries until its seq is known."""

    up: Uplink
    _seqs: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, up: Uplink) -> "Calls":
        """Listens to what the recorder commits, beside the uplink."""
        calls, before = cls(up), up.recorder.on_event

        def committed(stored: Stored) -> None:
            before(stored)
            calls.committed(stored)

        up.recorder.on_event = committed
        return calls

    def committed(self, stored: Stored) -> None:
        """An event has its seq; one of ours is known by its word."""
        call = event_of(stored).detail.get("call") if self._seqs else None
        if call in self._seqs:
            self._seqs[str(call)] = stored.seq

    async def sos(self, request: Mapping[str, object]) -> dict[str, object]:
        """Raise one; the answer comes after the commit. Without a seq the disk refuses, and it waits in memory."""
        senses, call = self.up.senses, secrets.token_hex(4)
        detail: dict[str, object] = {"call": call}
        note = request.get("note")
        if isinstance(note, str) and note:
            detail["note"] = note[:LONGEST_NOTE]
        fix, seen_ms = senses.vehicle.fix, senses.vehicle.fix_mono_ms
        age_ms = None if seen_ms is None else senses.clock.mono_ms() - seen_ms
        if fix is not None and age_ms is not None and age_ms > NO_FIX_MS:
            detail["fix_age_s"] = age_ms // 1000
        self._seqs[call] = None
        await senses.recorder.add_event(SOS, fix, detail)
        seq = self._seqs.pop(call)
        place = None if fix is None else [fix.lat_deg, fix.lon_deg]
        return {"seq": seq, "call": call, "store": self.up.outbox.store, "linked": self.up.linked_at_ms is not None,
                "place": place, "fix_age_s": detail.get("fix_age_s")}  # fmt: skip

    async def held(self, request: Mapping[str, object]) -> dict[str, object]:
        """Whether the hub has committed the event of this seq; None if it is of another store."""
        seq = request.get("seq")
        if request.get("store") != self.up.outbox.store or not isinstance(seq, int):
            return {"held": None}
        return {"held": seq <= self.up.outbox.acked or seq in self.up.held}
