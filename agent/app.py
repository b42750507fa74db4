"""Where adapters meet the flow: builds the agent from its settings and runs it."""

import asyncio
import random
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, replace

from agent import observed
from agent.adapters.clock import GnssClock
from agent.adapters.mqtt import MqttLink
from agent.adapters.notes import Notes
from agent.adapters.sqlite import SqliteOutbox
from agent.adapters.sqlite_file import only_agent
from agent.adapters.sqlite_salvage import Salvage, aside, question
from agent.adapters.state_socket import answer, socket_path
from agent.adapters.supply import Supply, found
from agent.calling import Calls
from agent.core import alarms, budget, guardian
from agent.core.dating import Moment
from agent.core.obd.elm327 import Elm327
from agent.core.obd.memory import Memory, report
from agent.core.salvage import Job
from agent.dialogue import ask
from agent.events import HAPPENINGS
from agent.flow import LiveLane, Senses, Vehicle, collect, reopening, watch_fixes
from agent.guard import Guard, keep_guard
from agent.lanes import Config, Uplink
from agent.mileage import Mileage, keep_mileage
from agent.parts import adapter, budgeted, bus, floor_ms, hunts, login_of, receiver, sampling
from agent.ports import Limits, Session
from agent.recorder import Recorder, unbroken
from agent.settings import AgentSettings, Obd
from agent.thrift import Meter, Thrift, keep_thrift
from agent.thrift import told as thrift_told
from agent.tidy import keep_tidy
from agent.uplink import stay_linked
from wire import VERSION
from wire.errors import UnavailableError
from wire.ops import clock
from wire.ops.main import together
from wire.ops.mqtt import Login
from wire.ops.watch import Watch


async def run(settings: AgentSettings) -> None:
    """Run the agent until it is cancelled; what waits in memory is committed on the way out."""
    where = login_of(settings)
    with only_agent(settings.outbox.path):
        await _run(settings, where)


async def _run(settings: AgentSettings, where: Login) -> None:
    watch, time = Watch("agent", HAPPENINGS), GnssClock(floor_ms=floor_ms(settings.gnss.floor))
    limits = Limits(round(settings.outbox.max_mb * 1e6), settings.outbox.thin_m)
    outbox = await SqliteOutbox.open(settings.outbox.path, now=time.now(), limits=limits)
    uplink = _assembled(settings, outbox, time, watch)
    senses, recorder = uplink.senses, uplink.recorder
    notes, meter = Notes(settings.outbox.path.with_suffix(".notes")), Meter()
    mileage, guard = Mileage.of(senses, notes), _guard(settings, senses, notes)
    where = replace(where, keepalive_s=budget.keepalive_s(budgeted(settings.budget), where.keepalive_s))
    thrift = Thrift.of(
        uplink, guard, notes=notes, meter=meter, config=budgeted(settings.budget),
        keepalive_s=where.keepalive_s, tls=where.tls,
    )  # fmt: skip
    place = receiver(settings)[0].place
    watch("agent.start", version=VERSION, device=settings.device.id, hub=settings.hub.url, receiver=place)
    try:
        await _tell_start(outbox.cut_off, senses)
        await together(
            _sense_position(settings, senses),
            *([] if settings.obd is None else [_sense_bus(settings.obd, senses)]),
            watch_fixes(senses),
            keep_guard(guard),
            keep_mileage(mileage),
            keep_thrift(thrift),
            recorder.keep_committing(),
            recorder.keep_dating(),
            stay_linked(MqttLink(where, meter), uplink),
            keep_tidy(uplink),
            _salvage(settings, outbox, uplink),
            _tell_state(settings, uplink, watch, lambda: _account(mileage, thrift)),
        )
    finally:
        try:
            outbox = await _last_words(recorder, outbox, time.now())
        finally:  # the library's thread would keep the process alive
            await outbox.close()
            mileage.keep()
            thrift.finish()
            watch("agent.stop", recorded=recorder.recorded, waiting=recorder.waiting, not_on_disk=recorder.unwritten)


async def _last_words(recorder: Recorder, outbox: SqliteOutbox, now: Moment) -> SqliteOutbox:
    """Commit what waits on the way out. When the file is found ruined it goes into a new one, as the next start would make it."""
    try:
        await recorder.commit()
    except sqlite3.DatabaseError:
        outbox = await outbox.anew(now)
        await recorder.go_on_in(outbox)
    return outbox


def _assembled(settings: AgentSettings, outbox: SqliteOutbox, time: GnssClock, watch: Watch) -> Uplink:
    """The senses on their way in, and the lanes on their way out."""
    recorder = Recorder(outbox, time, watch=watch, commit_ms=round(settings.sampling.commit_s * 1000))
    limits = alarms.Config(idle_ms=round(settings.guard.idle_s * 1000), tow_m=settings.guard.tow_m)
    senses = Senses(Vehicle(), recorder, LiveLane(sampling(settings.sampling)), time, watch, limits)
    config = Config(
        VERSION, secrets.token_hex(8), upload_s=settings.sampling.upload_s,
        silent_s=settings.hub.silent_s, spread_s=settings.hub.spread_s,
    )  # fmt: skip
    uplink = Uplink(outbox, recorder, senses.live, senses, time, watch, config, random.SystemRandom().random)
    recorder.on_event = uplink.take_event
    recorder.on_dated = uplink.nudge.set
    return uplink


def _ask_mark(session: Session, store: str) -> None:
    """Not waited for: it is asked again."""
    if store:
        session.publish("track", question(store))


async def _salvage(settings: AgentSettings, outbox: SqliteOutbox, uplink: Uplink) -> None:
    """What damaged outboxes beside this one still tell comes in, once the hub has said what it has of them."""

    def told(name: str, job: Job) -> None:
        uplink.watch("outbox.salvaged", file=name, salvaged=job.salvaged, missing=job.missing)
        uplink.nudge.set()

    files = aside(settings.outbox.path)
    work = Salvage(outbox, settings.outbox.path, now=uplink.clock.now, told=told, unbroken=unbroken)
    uplink.hear = lambda ack: ack.upto is not None and ack.h is not None and work.hear(ack.store, ack.upto, ack.h)
    uplink.ask = lambda session: _ask_mark(session, work.asking)
    if files:
        uplink.watch("outbox.damaged", files=", ".join(file.name for file in files))
        await work.run()
    await asyncio.get_running_loop().create_future()


async def _sense_position(settings: AgentSettings, senses: Senses) -> None:
    path = settings.gnss.path

    def found(baud: int) -> None:
        senses.vehicle.baud = baud
        senses.watch("gnss.baud", path=path, baud=baud)

    door, _ = receiver(settings, found)

    async def once() -> None:
        _, parser = receiver(settings)
        await collect(door, parser, senses)  # the same door again: it remembers the speed

    await reopening("gnss", once, senses)


async def _sense_bus(obd: Obd, senses: Senses) -> None:
    known: int | None = None

    async def once() -> None:
        nonlocal known
        elm = Elm327(bus(obd), senses.vehicle.adapter)
        line, rate = await adapter(obd, known)
        if rate != known:
            known = rate
            senses.watch("obd.baud", path=obd.path, baud=rate)
        await ask(line, elm, senses)

    await reopening("obd", once, senses)


def _guard(settings: AgentSettings, senses: Senses, notes: Notes) -> Guard:
    chosen = settings.guard
    config = guardian.Config(voltage_ms=round(chosen.voltage_s * 1000), wind_down_ms=round(chosen.wind_down_s * 1000))
    return Guard.of(senses, config, notes=notes, supply=Supply(chosen.supply or found()))


async def _tell_start(cut_off: str | None, senses: Senses) -> None:
    """Whether the session before this one was cut off: by the machine's end, or only the agent's."""
    if cut_off is not None:
        same = cut_off == senses.clock.now().boot
        await senses.recorder.add_event("restarted" if same else "power-restored", None, {"cut_off": True})


def _account(mileage: Mileage, thrift: Thrift) -> dict[str, object]:
    """How far it has driven, and what that cost in data."""
    told = {"odometer_km": round(mileage.kept_m / 1000.0, 3)}  # as noted: what was shown never goes back
    return told | ({"notes_fault": mileage.fault} if mileage.fault else {}) | {"data": thrift_told(thrift)}


async def _tell_state(
    settings: AgentSettings, uplink: Uplink, watch: Watch, account: Callable[[], dict[str, object]]
) -> None:
    """Answer who asks; an agent that can't be asked still does its work."""
    recent = observed.Recent(uplink.senses.vehicle, watch, uplink.clock.mono_ms())

    async def remember() -> None:
        while True:
            await asyncio.sleep(observed.NOTE_EVERY_MS / 1000)
            recent.note(uplink.clock.mono_ms())

    def told() -> dict[str, object]:
        return state(uplink, watch) | account() | _seen(settings, uplink, watch, recent)

    remembering = asyncio.ensure_future(remember())
    try:
        calls = Calls.of(uplink)
        await answer(socket_path(settings.outbox.path), told, {"sos": calls.sos, "held": calls.held})
    except UnavailableError as error:
        watch("status.away", error=error)
        await asyncio.get_running_loop().create_future()
    finally:
        remembering.cancel()
        await asyncio.gather(remembering, return_exceptions=True)


def state(uplink: Uplink, watch: Watch) -> dict[str, object]:
    """What `odograph-agent status` tells."""
    vehicle, outbox = uplink.senses.vehicle, uplink.outbox
    now_ms = uplink.clock.mono_ms()
    fix, reading = vehicle.fix, vehicle.reading(now_ms)
    position = None
    if fix is not None and vehicle.fix_mono_ms is not None:
        position = {
            "at": clock.iso(fix.at_ms), "age_s": (now_ms - vehicle.fix_mono_ms) / 1000.0, "lat_deg": fix.lat_deg,
            "lon_deg": fix.lon_deg, "speed_mps": fix.speed_mps, "sats_used": fix.sats_used, "hdop": fix.hdop,
        }  # fmt: skip
    return {
        "running": True,
        "version": VERSION,
        "store": outbox.store,
        "recorded": uplink.recorder.recorded,
        "committed_by_hub": outbox.acked,
        "waiting": uplink.recorder.waiting,
        "not_yet_on_disk": uplink.recorder.unwritten,
        "disk_error": uplink.recorder.fault or None,
        "thinned": outbox.lost_so_far.get("thinned", 0),
        "dropped": outbox.lost_so_far.get("dropped", 0),
        "linked": uplink.linked_at_ms is not None,
        "linked_for_s": None if uplink.linked_at_ms is None else (now_ms - uplink.linked_at_ms) / 1000.0,
        "link_error": _link_error(uplink, now_ms),
        "motion": vehicle.moving.motion.value,
        "fix": position,
        "bus": {name: getattr(reading, name) for name in reading.__slots__ if getattr(reading, name) is not None},
        "live_sent": watch.count("live.sent"),
        "live_acked": watch.count("live.acked"),
        "rejected": watch.counts("gnss.rejected", "reason"),
        "bus_rejected": watch.counts("obd.rejected", "reason"),
    }


def _seen(settings: AgentSettings, uplink: Uplink, watch: Watch, recent: observed.Recent) -> dict[str, object]:
    """What receiver, adapter, battery and clock are like: for people, and for the doctor."""
    vehicle, now = uplink.senses.vehicle, uplink.clock.now()
    off_s = None if now.at_ms is None else (clock.utc_ms() - now.at_ms) / 1000.0
    battery = vehicle.battery
    seen: dict[str, object] = {
        "receiver": asdict(
            observed.receiver(
                vehicle, recent, now.mono_ms, place=receiver(settings)[0].place, hunting=hunts(settings.gnss)
            )
        ),
        "battery": {"rest_v": battery.rest_v, "low": battery.low, "bus_at_rest": battery.quiet,
                    "days_left": guardian.days_left(battery, guardian.Config())},
        "clock": {"basis": uplink.senses.clock.basis.value, "system_off_s": off_s, "confirmed": clock.confirmed()},
    }  # fmt: skip
    if settings.obd is not None:
        hunting = settings.obd.baud == "auto"
        told = asdict(observed.adapter(vehicle, watch, now.mono_ms, place=settings.obd.place, hunting=hunting))
        seen["adapter"] = _adapter(vehicle.adapter) | told
    return seen


def _adapter(memory: Memory) -> dict[str, object]:
    """What is known of the OBD adapter and of the vehicle behind it."""
    told = asdict(report(memory))
    told["freeze"] = {key: value if isinstance(value, float) else str(value) for key, value in memory.freeze.items()}
    told["notes"] = {key: str(value) for key, value in memory.notes.items()}
    return told


def _link_error(uplink: Uplink, now_ms: int) -> dict[str, object] | None:
    if uplink.linked_at_ms is not None or not uplink.fault:
        return None
    return {"error": uplink.fault, "age_s": (now_ms - uplink.fault_at_ms) / 1000.0}
