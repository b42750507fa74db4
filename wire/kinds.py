"""The kinds of events that a vehicle tells, and why records may be lost, each with its text.

A hub takes others too: a newer agent may know more.
"""

SOS = "sos"
KINDS: dict[str, str] = {
    SOS: "somebody in the vehicle calls for help",
    "ignition-on": "the ignition has come on; `odo_m`",
    "ignition-off": "the ignition has gone off; `odo_m`",
    "idling": "it has stood with the ignition on for long; `for_s`",
    "idling-end": "the idling is over; `for_s`",
    "tow": "it moves with the ignition off; `from`, `moved_m`",
    "battery-low": "the starter battery is below what is normal for this vehicle; `voltage_v`, `rest_v`, `days_left`",
    "battery-ok": "the starter battery is well again",
    "power-lost": "the gateway's supply is gone, it runs on its own battery",
    "power-restored": "the gateway has its supply again; `cut_off` if it had been without any",
    "restarted": "the agent had been ended without a good-bye, and runs again",
    "receiver-unplugged": "the GNSS receiver's line has gone; `error`",
    "receiver-back": "the GNSS receiver is back",
    "adapter-unplugged": "the OBD adapter's line has gone; `error`",
    "adapter-back": "the OBD adapter is back",
    "antenna-lost": "the receiver says that its antenna is away or short-circuited; `status`",
    "antenna-ok": "the receiver says that its antenna is well",
    "wrong-date": "the receiver's date can't be right; `told_ms`",
    "dtc": "the trouble codes of the vehicle have changed",
    "time-known": "when the boot of undated records began; `boot`, `offset_ms`",
    "undated-fix": "a fix whose time nobody could tell within ten minutes, with its values",
    "store-new": "the outbox began anew; `prev`, `prev_seq`",
    "outbox-damaged": "the outbox was damaged and set aside; `file`. Told again when all that can be read is in the track: `salvaged`, `missing`, `prev`",
    "memory-full": "fixes were dropped before they were recorded: the disk refused them, and memory was full; `fixes`, `after_s`, and `events` if there were no fixes left to drop",
    "fork": "another device had written under our store id; `prev`, `prev_seq`, `hub_seq`",
    "hub-rollback": "the hub lost records that the device no longer had; `from`, `to` (told by the hub itself)",
}

THINNED, DROPPED, MISSING, ROLLBACK, QUARANTINE = "thinned", "dropped", "missing", "hub-rollback", "quarantine"
DAMAGED = "damaged"
REASONS: dict[str, str] = {
    THINNED: "the outbox was full or the data budget short: fixes within the bound of the line between those that are left "
    "(5 m); the line is whole",
    DROPPED: "the outbox was full though all was thinned: the oldest fixes; the line is broken",
    MISSING: "the outbox has a gap that it can't explain (it was meddled with); the line is broken",
    DAMAGED: "the outbox was damaged, and these records could not be salvaged; the line is broken",
    ROLLBACK: "booked by the hub itself: its mark went back, and the device no longer had the records",
    QUARANTINE: "booked by the hub itself: a body that did not decode; it is kept raw",
}
"""Why records will never come. An agent sends no event and no SOS to any of them: only fixes are thinned or dropped."""
