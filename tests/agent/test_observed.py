"""What was seen lately: a fault of now does not drown in hours that were good, and old faults age out."""

from agent.core.gnss.sky import Satellite, Sky
from agent.events import HAPPENINGS
from agent.flow import Vehicle
from agent.observed import (
    NOTE_EVERY_MS,
    RECENT_MS,
    Recent,
    adapter,
    receiver,
    strength_dbhz,
    told_adapter,
    told_receiver,
)
from wire.ops.watch import Watch


def test_only_the_last_minute_counts() -> None:
    vehicle, watch = Vehicle(), Watch("agent", HAPPENINGS)
    recent = Recent(vehicle, watch, 0)
    watch("gnss.rejected", reason="checksum", n=500)
    for now_ms in range(NOTE_EVERY_MS, 4 * RECENT_MS, NOTE_EVERY_MS):
        vehicle.heard += 5
        watch("gnss.fix", n=5)
        recent.note(now_ms)
    now_ms = 4 * RECENT_MS
    watch("gnss.rejected", reason="no-fix", n=3)
    told = recent.since(now_ms)
    assert now_ms - told.at_ms <= RECENT_MS + NOTE_EVERY_MS
    assert (told.fixes, told.heard, told.rejected) == (60, 60, {"no-fix": 3})


def test_what_is_not_fresh_is_told_so() -> None:
    vehicle, watch = Vehicle(), Watch("agent", HAPPENINGS)
    recent = Recent(vehicle, watch, 0)
    vehicle.heard, vehicle.heard_ms, vehicle.fix_mono_ms = 9, 1_000, 1_000
    seen = receiver(vehicle, recent, 2_000, place="/dev/x", hunting=True)
    assert (seen.heard, seen.fresh, seen.noise) == (9, True, False)
    seen = receiver(vehicle, recent, 20_000, place="/dev/x", hunting=True)
    assert (seen.heard, seen.fresh) == (0, False)
    vehicle.noise_ms, vehicle.troubles = 19_000, {"gnss": "gone", "obd": "no ELM327 answers at /dev/y"}
    seen = receiver(vehicle, recent, 20_000, place="/dev/x", hunting=True)
    assert (seen.noise, seen.error) == (True, "gone")
    assert adapter(vehicle, watch, 20_000, place="/dev/y", hunting=True).error == ""


def test_facts_of_another_program_are_taken_as_far_as_they_are_known() -> None:
    assert told_receiver({"place": "x", "heard": 3, "newer": 1}).heard == 3
    assert told_adapter({"place": "y", "banner": "ELM", "newer": 1}).banner == "ELM"


def test_the_strongest_four_tell_the_strength() -> None:
    sats = [Satellite("GPS", i, cn0_dbhz=float(cn0)) for i, cn0 in enumerate((10, 20, 30, 40, 50), start=1)]
    assert strength_dbhz(Sky(tuple(sats))) == 35.0
    assert strength_dbhz(Sky()) is None
